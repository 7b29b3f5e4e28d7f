#!/usr/bin/env bash
# check-metrics.sh   docs/METRICS.md and the dashboards are what their sources make of them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python3 scripts/metrics.py check
python3 scripts/dashboards/build.py check
