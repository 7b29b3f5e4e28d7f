#!/usr/bin/env bash
# fuzz.sh SECONDS [TARGET...]   feeds each target of fuzz/ with made-up input for so long; without names, all of them
# fuzz.sh --keep [TARGET...]    puts the smallest set of what was found that covers as much into fuzz/corpus/
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../fuzz"

# Of each target, in bytes: the corpus is read by people and by every `make test`.
most_kept=24576

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
  local target=$1 size kept=0 new
  new=$(mktemp -d)
  fuzz "$target" "$new" "found/$target" "corpus/$target" "seeds/$target" -- -set_cover_merge=1 2>&1 |
    { grep -E 'ERROR|SUMMARY|MERGE-OUTER' || true; }
  rm -rf "corpus/$target"
  mkdir -p "corpus/$target"
  # The smallest first, so that as many as possible are kept.
  while read -r size file; do
    kept=$((kept + size))
    ((kept <= most_kept)) || break
    mv "$file" "corpus/$target/"
  done < <(find "$new" -type f -size -4k -printf '%s %p\n' | sort -n)
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
