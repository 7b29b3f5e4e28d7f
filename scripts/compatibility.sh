#!/usr/bin/env bash
# compatibility.sh   builds the version before this one, N-1, and sees its programs work beside today's: minutes
#
# The commit is that of tests/data/n-1/commit. After a release it moves on: write the new one there, and make the files
# beside it anew (docs/OPERATIONS.md).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo=${CARGO:-cargo}
commit=$(cat tests/data/n-1/commit)
tree=$PWD/target/n-1/tree

git cat-file -e "$commit^{commit}" 2>/dev/null || {
  echo "the commit $commit of the version before is not in this clone: git fetch --unshallow" >&2
  exit 1
}
if [[ $(git -C "$tree" rev-parse HEAD 2>/dev/null) != "$(git rev-parse "$commit")" ]]; then
  git worktree remove --force "$tree" 2>/dev/null || true
  git worktree add --detach "$tree" "$commit"
fi
scripts/setup.sh --quiet
scripts/services.sh start
exports=$(scripts/services.sh env)
eval "$exports"
echo "==> the version before, $commit"
(cd "$tree" && CARGO_TARGET_DIR=$PWD/../build "$cargo" build --locked -p tagfleet-scheduler -p tagfleet-worker)
echo '==> both together'
"$cargo" build --features tagfleet-shared/failpoints --workspace --bins
TAGFLEET_N_MINUS_1=$PWD/target/n-1/build/debug "$cargo" test --features tagfleet-shared/failpoints \
  -p tagfleet-tests --test fleet compatibility
