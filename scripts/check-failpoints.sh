#!/usr/bin/env bash
# check-failpoints.sh   no build has the points where a chaos run kills a process, nor a clock that it can set, unless it is
#                       asked for on the command line: no crate enables the feature, and the release binaries, where there
#                       are any, know no point
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

failed=0
if grep -nH failpoints Cargo.toml ./*/Cargo.toml | grep -v '^./shared/Cargo.toml:[0-9]*:failpoints = \["dep:rustix"\]$' | grep -v ':#' >&2; then
  echo 'the feature failpoints is for the command lines of make test and make chaos alone' >&2
  failed=1
fi
# The harness knows the names; the fleet's own binaries must not.
for binary in target/release/tagfleet-{worker,scheduler,console}; do
  if [[ -f $binary ]] && grep -aqE '/failpoints/|/clock/ahead|worker\.job_received|scheduler\.page_listed' "$binary"; then
    echo "$binary was built with failpoints" >&2
    failed=1
  fi
done
exit "$failed"
