#!/usr/bin/env bash
# monitoring-test.sh [OPTIONS]   proves the chart's alerts and dashboards: a real Prometheus, a real fleet under load, each alert made to
# fire by its fault, each expression asked. OPTIONS are those of `tagfleet-loadtest monitoring`; --draw docs/img draws the dashboards.
#
# Prometheus is taken from the PATH, or else Debian's package is unpacked into .tagfleet/prometheus (nothing is installed or started),
# or else built with Go. Where none of that can be had it says so, and is skipped. The fleet is that of target/debug.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
cd "$root"

go_version=v0.304.3
folder=$state/prometheus

has() { command -v "$1" >/dev/null 2>&1; }

# Sets `prometheus` to the program, and puts promtool on the PATH.
find_prometheus() {
  if has prometheus && has promtool; then
    prometheus=$(command -v prometheus)
    return
  fi
  if [[ ! -x $folder/usr/bin/prometheus ]]; then
    mkdir -p "$folder"
    say 'fetching Prometheus into .tagfleet/prometheus'
    from_debian >"$folder/log" 2>&1 || from_go >>"$folder/log" 2>&1 || return 1
  fi
  prometheus=$folder/usr/bin/prometheus
  PATH=$folder/usr/bin:$PATH
}

from_debian() {
  has apt-get && has dpkg-deb || return 1
  (cd "$folder" && apt-get download prometheus && dpkg-deb -x prometheus_*.deb . && rm -f prometheus_*.deb)
}

from_go() {
  has go || return 1
  GOBIN=$folder/usr/bin GOFLAGS=-buildvcs=false go install \
    "github.com/prometheus/prometheus/cmd/prometheus@$go_version" "github.com/prometheus/prometheus/cmd/promtool@$go_version"
}

# What the binaries export, as tests/tests/fleet/metrics.rs saw it last: names, units, help texts.
check_metrics() {
  local file found=0
  for file in target/metrics/*.prom; do
    [[ -f $file ]] || continue
    promtool check metrics <"$file" >&2 || die "$file: not as Prometheus would have it"
    found=$((found + 1))
  done
  if ((found)); then say "promtool: the metrics of $found programs are as they should be"; else say 'skipped: promtool check metrics: the fleet tests have not run here'; fi
}

main() {
  if ! find_prometheus; then
    say 'skipped: monitoring: no Prometheus, and no way to get it (.tagfleet/prometheus/log)'
    return
  fi
  local rules=charts/tagfleet/ci/golden/rules.json dir=$folder/rules
  mkdir -p "$dir" && cp "$rules" "$dir/rules.yaml" && cp charts/tagfleet/ci/alerts/*.yaml "$dir/"
  promtool check rules "$dir/rules.yaml" >"$dir/log" 2>&1 && promtool test rules "$dir"/{test,days}.yaml >>"$dir/log" 2>&1 ||
    { cat "$dir/log" >&2; die 'the rules do not hold'; }
  say 'promtool: the rules hold'
  check_metrics
  target/debug/tagfleet-loadtest monitoring --prometheus "$prometheus" "$@"
}

main "$@"
