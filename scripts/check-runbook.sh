#!/usr/bin/env bash
# check-runbook.sh   docs/RUNBOOK.md has a section of the usual shape for each alert of the chart and each reason of a dead letter, and
# names only panels that there are. Whether its commands run is for tests/tests/fleet/runbook.rs, and on a cluster for
# scripts/monitoring-cluster.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python3 scripts/runbook.py check
