#!/usr/bin/env bash
# check-console.sh   the scripts of the console's pages: their tests, and their types as the comments have them
#
# Skips what scripts/setup.sh has not fetched; fails instead where CI is set, or where it has promised the tool.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
cd "$root/console"
PATH=$state/node/bin:$PATH

lacks() {
  if [[ -n ${CI:-} ]] || grep -qsx "$1" "$state/promised"; then die "no $1 (scripts/setup.sh fetches it)"; fi
  say "skipped: $2, for there is no $1" >&2
  exit 0
}

command -v node >/dev/null || lacks node 'the scripts of the pages'
out=$(node --test assets/tests/*.test.js 2>&1) || { say "$out" >&2; exit 1; }

tsc=$state/typescript/node_modules/typescript/bin/tsc
[[ -f $tsc ]] || lacks typescript "the types of the pages' scripts"
node "$tsc" -p jsconfig.json
