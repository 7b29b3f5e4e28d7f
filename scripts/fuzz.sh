#!/usr/bin/env bash
# fuzz.sh SECONDS [TARGET...]   feeds each target of fuzz/ with made-up input for so long; without names, all of them
# fuzz.sh --keep [TARGET...]    finds the smallest set of files that covers as much, and puts some of them into fuzz/corpus/
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../fuzz"

# Files of each target, none over 2 KiB: the corpus goes with the repository, and through every `make test`.
most_kept=64

for tool in cargo-fuzz rustup; do
  if ! command -v "$tool" >/dev/null; then
    echo "fuzz.sh needs $tool and a nightly compiler: see fuzz/README.md" >&2
    exit 2
  fi
done

fuzz() {
  local target=$1
  shift
  cargo +nightly fuzz run --fuzz-dir . "$target" "$@"
}

feed() {
  local target=$1
  mkdir -p "found/$target" "corpus/$target"
  # Found inputs go into the first folder; the others are only read.
  fuzz "$target" "found/$target" "corpus/$target" "seeds/$target" -- \
    -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 2>&1 |
    { grep --line-buffered -E 'ERROR|panicked|SUMMARY|Test unit|DONE|stat::(number_of_executed_units|peak_rss_mb)' || true; }
}

keep() {
  local target=$1 new step i sized
  new=$(mktemp -d)
  fuzz "$target" "$new" "found/$target" "corpus/$target" "seeds/$target" -- -set_cover_merge=1 2>&1 |
    { grep -E 'ERROR|SUMMARY|MERGE-OUTER' || true; }
  rm -rf "corpus/$target"
  mkdir -p "corpus/$target"
  # Small and large ones alike.
  mapfile -t sized < <(find "$new" -type f -size -5 -printf '%s %p\n' | sort -n)
  step=$((${#sized[@]} / most_kept + 1))
  for ((i = 0; i < ${#sized[@]}; i += step)); do mv "${sized[i]#* }" "corpus/$target/"; done
  rm -rf "$new"
}

step=feed seconds=60
case ${1:-} in
  --keep) step=keep ;;
  ?*) seconds=$1 ;;
esac
shift || true

targets=("$@")
[[ ${#targets[@]} -gt 0 ]] || mapfile -t targets < <(cargo +nightly fuzz list --fuzz-dir .)

for target in "${targets[@]}"; do
  printf '\n==> %s\n' "$target"
  "$step" "$target"
done
