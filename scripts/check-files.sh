#!/usr/bin/env bash
# check-files.sh   fails on Rust files that are too long to read in one sitting, and on code that was left unfinished
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

warn_lines=400
max_lines=600
failed=0

# Files of the index and new ones, but not what git ignores; a deleted file may still be in the index.
rust_files() {
  git ls-files -z --cached --others --exclude-standard -- '*.rs' |
    while IFS= read -r -d '' file; do [[ ! -f $file ]] || printf '%s\0' "$file"; done
}

while IFS= read -r -d '' file; do
  lines=$(wc -l <"$file")
  if ((lines > max_lines)); then
    echo "$file: $lines lines; at most $max_lines" >&2
    failed=1
  elif ((lines > warn_lines)); then
    echo "$file: $lines lines; consider splitting it (over $warn_lines)" >&2
  fi
  if grep -HnF -e 'todo!(' -e 'unimplemented!(' -e '#[ignore' -- "$file" >&2; then
    failed=1
  fi
done < <(rust_files)

exit "$failed"
