#!/usr/bin/env bash
# check-image.sh   fails where the Dockerfile would take another ONNX Runtime than scripts/setup.sh, or misses a crate
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

failed=0
fail() {
  echo "$*" >&2
  failed=1
}

version=$(sed -n 's/^ort_version=//p' scripts/setup.sh)
grep -q "onnxruntime==$version;" Dockerfile || fail "Dockerfile: ONNX Runtime is not $version, as in scripts/setup.sh"
for hash in $(sed -n 's/^ *ort_wheel=\([0-9a-f]\{64\}\)$/\1/p' scripts/setup.sh); do
  grep -q "hash=$hash " Dockerfile || fail "Dockerfile: the hash $hash of scripts/setup.sh is missing"
done
# Cargo reads the manifest of every crate, also of those that are not built.
for crate in $(sed -n 's/^members = \[\(.*\)\]/\1/p' Cargo.toml | tr -d '",'); do
  grep -q "^COPY $crate/Cargo.toml $crate/$" Dockerfile || fail "Dockerfile: $crate/Cargo.toml is not copied"
  grep -qx -e "!$crate" -e "!$crate/Cargo.toml" .dockerignore || fail ".dockerignore: $crate/Cargo.toml is left out"
done
# The layer of the dependencies is built from the manifests and from empty sources.
skeleton=$(mktemp -d)
trap 'rm -rf "$skeleton"' EXIT
cp Cargo.toml Cargo.lock "$skeleton/"
for crate in $(sed -n 's/^members = \[\(.*\)\]/\1/p' Cargo.toml | tr -d '",'); do
  mkdir -p "$skeleton/$crate/src" && cp "$crate/Cargo.toml" "$skeleton/$crate/" && touch "$skeleton/$crate/src/lib.rs"
  [[ ! -e $crate/src/main.rs ]] || touch "$skeleton/$crate/src/main.rs"
done
(cd "$skeleton" && "${CARGO:-cargo}" metadata --format-version 1 --no-deps --offline >/dev/null) || fail 'Dockerfile: Cargo does not read the manifests alone'
exit "$failed"
