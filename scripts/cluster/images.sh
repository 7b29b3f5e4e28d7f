#!/usr/bin/env bash
# images.sh   builds the three images of the cluster test (make cluster-images): the fleet's, that of a next release whose schema has one
#             migration more, and the one with the pictures and tools
#
#   PICTURES=DIR   JPEGs to serve, 500 at most are taken; drawn ones otherwise
#   LOAD='...'     a command that brings the image "$1" to the cluster's nodes, e.g. 'kind load docker-image "$1"'; empty: it is pushed
#                  to REGISTRY by you
#   BUILDER, BUILDER_OPTIONS as for make image
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"
cd "$root"
# shellcheck source=scripts/cluster/settings.sh
. scripts/cluster/settings.sh
# shellcheck source=scripts/lib/builder.sh
. scripts/lib/builder.sh

pictures=500
work=$state/cluster-images
rm -rf "$work" && mkdir -p "$work"

load() {
  [[ -z ${LOAD:-} ]] || bash -c "$LOAD" load "$1"
}

build_fleet() {
  IMAGE=$fleet_image scripts/image.sh
  load "$fleet_image"
}

# The same checkout, with a migration of the kind that a next release may bring: it adds what older programs do not look at.
build_next() {
  local copy=$work/next
  mkdir "$copy"
  git ls-files -z --cached --others --exclude-standard | tar --null --files-from - --create --ignore-failed-read | tar --extract --directory "$copy"
  echo 'ALTER TABLE scrapes ADD COLUMN of_the_next_release text;' >"$copy/migrations/V${next_migration}__of_the_next_release.sql"
  IMAGE=$next_image "$copy/scripts/image.sh"
  load "$next_image"
}

draw() {
  "${CARGO:-cargo}" run --release --quiet -p tagfleet-loadtest -- draw --count "$pictures" --out "$1"
}

# The default set under another name: its answers are the same, its cache is not.
pack_second_set() {
  local set=$work/set/$second_set
  mkdir -p "$work/set" && cp -R models/default "$set"
  sed -i "0,/^name = .*/s//name = \"$second_set\"/" "$set/manifest.toml"
  tar --create --gzip --file "$1/$second_set.tar.gz" --directory "$work/set" --sort name --owner 0 --group 0 "$second_set"
  sha256sum "$1/$second_set.tar.gz" | cut -d ' ' -f 1 >"$1/$second_set.sha256"
}

build_tools() {
  local site=$work/tools/site number=0 file
  mkdir -p "$site/pictures" "$site/sets"
  if [[ -z ${PICTURES:-} ]]; then
    draw "$work/drawn"
  fi
  while IFS= read -r -d '' file; do
    ((++number <= pictures)) || break
    cp "$file" "$(printf '%s/pictures/%04d.jpg' "$site" "$number")"
  done < <(find "${PICTURES:-$work/drawn}" -type f \( -iname '*.jpg' -o -iname '*.jpeg' \) -print0 | sort -z)
  ((number > 0)) || die "PICTURES=${PICTURES:-}: no .jpg in it"
  (cd "$site/pictures" && ls >../list.txt)
  pack_second_set "$site/sets"
  chmod -R go+rX "$site"
  cp scripts/cluster/origin.conf "$work/tools/"
  find_builder
  "$builder" build "${builder_options[@]}" --file scripts/cluster/tools.Dockerfile --tag "$tools_image" "$work/tools"
  load "$tools_image"
}

build_tools
build_fleet
build_next
rm -rf "$work"
