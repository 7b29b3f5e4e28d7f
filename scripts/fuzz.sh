#!/usr/bin/env bash
# fuzz.sh SECONDS [TARGET...]   feeds each target of fuzz/ with made-up input for so long; without names, all of them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../fuzz"

seconds=${1:-60}
shift || true

for tool in cargo-fuzz rustup; do
  if ! command -v "$tool" >/dev/null; then
    echo "fuzz.sh needs $tool and a nightly compiler: see fuzz/README.md" >&2
    exit 2
  fi
done

targets=("$@")
[[ ${#targets[@]} -gt 0 ]] || mapfile -t targets < <(cargo +nightly fuzz list --fuzz-dir .)

for target in "${targets[@]}"; do
  mkdir -p "corpus/$target"
  printf '\n==> %s\n' "$target"
  # Found inputs go into the first folder; the seeds are only read.
  cargo +nightly fuzz run --fuzz-dir . "$target" "corpus/$target" "seeds/$target" -- \
    -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 2>&1 |
    { grep --line-buffered -E 'ERROR|panicked|SUMMARY|Test unit|Done |stat::(number_of_executed_units|peak_rss_mb)' || true; }
done
