#!/usr/bin/env bash
# check-console.sh   the scripts of the console's pages: their tests, and their types as the comments have them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../console"

typescript=5.9.3

if ! command -v node >/dev/null; then
  echo "skipped: the scripts of the pages, for there is no node" >&2
  exit 0
fi
out=$(node --test assets/tests/ 2>&1) || { echo "$out" >&2; exit 1; }

tools=../.tagfleet/typescript
tsc=$tools/node_modules/typescript/bin/tsc
if [[ ! -f $tsc ]]; then
  mkdir -p "$tools"
  if ! command -v npm >/dev/null ||
    ! npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$tools" "typescript@$typescript" >/dev/null 2>&1; then
    echo "skipped: the types of the pages' scripts, for TypeScript cannot be had here" >&2
    exit 0
  fi
fi
node "$tsc" -p jsconfig.json
