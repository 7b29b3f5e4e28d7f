#!/usr/bin/env bash
# check-runbook.sh   docs/RUNBOOK.md has a section for each alert of the chart and a row for each reason of a dead letter
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

failed=0
need() { # need WHAT PATTERN
  grep -qE -- "$2" docs/RUNBOOK.md || { printf 'docs/RUNBOOK.md: %s is missing\n' "$1" >&2; failed=1; }
}

alerts=$(grep -oE 'alert: Tagfleet\w+' charts/tagfleet/templates/_rules.tpl | cut -d' ' -f2)
[[ -n $alerts ]] || { echo 'check-runbook.sh finds no alerts: has their file moved?' >&2; exit 1; }
for alert in $alerts; do need "the alert $alert" "^### $alert\$"; done

# Words of a parked job, of a refused event, of a job that nobody can read, and the broker's own.
reasons=$(
  grep -A2 'pub const PARKED' shared/src/outcome.rs | grep -oE '"\w+"' | tr -d '"'
  grep -oE 'reason: "\w+"' scheduler/src/halt.rs | cut -d'"' -f2
  grep -ohE 'dead_letter\(received, "\w+"' workers/src/worker/*.rs | cut -d'"' -f2
  echo delivery_limit
)
(($(wc -w <<<"$reasons") >= 10)) || { echo 'check-runbook.sh finds too few reasons: has their file moved?' >&2; exit 1; }
for reason in $reasons; do need "the reason $reason" "^\| \`$reason\` \|"; done
exit $failed
