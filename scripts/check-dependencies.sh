#!/usr/bin/env bash
# check-dependencies.sh [--write]   licences, sources and banned crates of all dependencies (deny.toml), and known
# holes in them and yanked ones where the advisory database can be had; docs/LICENCES.md must be what they are (--write makes it so)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

list=docs/LICENCES.md
# Where scripts/setup.sh puts it.
PATH=$PWD/.tagfleet/cargo-deny:$PATH

licences() {
  cat <<'END'
# Licences

What the binaries are made of, by licence; a crate that may be used under either of two stands under both. Written by
`scripts/check-dependencies.sh --write`. Besides, `turbojpeg-sys` carries libjpeg-turbo in C (IJG, BSD-3-Clause, Zlib), and
`libmimalloc-sys` mimalloc (MIT); ONNX Runtime (MIT) is loaded when the worker starts.

END
  # Without versions: they change every week, and licences do not.
  cargo deny --offline list --format human --layout license 2>/dev/null |
    sed -E 's/\x1b\[[0-9;]*m//g; s/tagfleet-[a-z]+@[^,]+(, )?//g; s/@[^,]+//g' |
    awk -F': ' 'NF > 1 && $2 != "" {
      sub(/ \([0-9]+\)$/, "", $1); crates = ""; count = split($2, names, /, */); last = ""
      for (i = 1; i <= count; i++) if (names[i] != "" && names[i] != last) { crates = crates ", " names[i]; last = names[i] }
      print "- **" $1 "**: " substr(crates, 3)
    }'
}

# It reads the crates for every system: what is not there yet is fetched.
cargo deny --locked check licenses bans sources

if [[ ${1:-} == --write ]]; then
  licences >"$list"
elif ! diff -u "$list" <(licences) >&2; then
  echo "$list is out of date: scripts/check-dependencies.sh --write" >&2
  exit 1
fi

if ! timeout 20 cargo deny fetch db >/dev/null 2>&1; then
  echo "skipped: known holes and yanked crates, for the advisory database cannot be fetched from here" >&2
else
  cargo deny --offline check advisories
fi
