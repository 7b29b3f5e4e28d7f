#!/usr/bin/env bash
# chart.sh             checks the Helm chart: lint, what it renders, schemas, golden files, values that must be refused
# UPDATE=1 chart.sh    first writes what is made of values.yaml (README.md, values.schema.json) and the golden files
#
# Tools that are missing are fetched into .tagfleet: Python packages from PyPI, and where there is Go, Helm, kube-score and the
# operators' definitions (some minutes, once). What cannot be had is skipped, and said.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
cd "$root"

helm_version=v3.19.0
kube_score_version=v1.20.0
# The module, and the folder in it with the definitions of the kinds that the chart makes.
crd_modules=(
  'github.com/kedacore/keda/v2@v2.21.0 config/crd/bases keda.sh_scaledobjects keda.sh_triggerauthentications'
  'github.com/prometheus-operator/prometheus-operator@v0.85.0 example/prometheus-operator-crd monitoring.coreos.com_podmonitors monitoring.coreos.com_prometheusrules'
  'github.com/external-secrets/external-secrets@v0.20.4 config/crds/bases external-secrets.io_externalsecrets'
  'sigs.k8s.io/gateway-api@v1.3.0 config/crd/standard gateway.networking.k8s.io_httproutes'
)
# Of Grafana 10.4, 11.6 and the next one: the SDK numbers each release of itself before that of Grafana. Of 12 there is none: its types are
# Grafana's own, in TypeScript.
grafana_versions=('1769699796!10.4.0' '1759917919!11.6.0' '1769699241')
grafana_packages=(@grafana/schema@12.4.11 typescript@5.9.3)
python_packages=(kubernetes-validate==1.37.0 PyYAML==6.0.3 jsonschema==4.26.0)
# What Helm takes for the cluster's version; the schemas are those of four.
kube_version=1.34.0
# Ours differ, and why: an image is never moved to another tag; pods spread by topology; nothing is written but into volumes with a limit
# of their own; a pool has as few pods as it is told to.
score_ignored=(
  --ignore-test container-image-pull-policy
  --ignore-test deployment-has-host-podantiaffinity
  --ignore-test statefulset-has-host-podantiaffinity
  --ignore-test container-ephemeral-storage-request-and-limit
  --ignore-test horizontalpodautoscaler-replicas
)

chart=charts/tagfleet
venv=$state/chart
crds=$state/chart-crds
rendered=$state/chart-rendered
golden=(minimal multi-pool-gpu everything air-gapped)
failed=0

has() { command -v "$1" >/dev/null 2>&1; }
fail() {
  printf '%s\n' "$*" >&2
  failed=1
}

# --- tools

install_python() {
  cmp -s <(printf '%s\n' "${python_packages[@]}") "$venv/packages.txt" && return
  has python3 && python3 -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || return 1
  say "installing ${python_packages[*]} into .tagfleet/chart"
  python3 -m venv --clear "$venv" && "$venv/bin/pip" install -q --disable-pip-version-check "${python_packages[@]}" || return 1
  # Last, so that an installation that was cut off is begun anew.
  printf '%s\n' "${python_packages[@]}" >"$venv/packages.txt"
}

# go_tool NAME PACKAGE@VERSION: a program in .tagfleet/bin.
go_tool() {
  [[ $(cat "$state/bin/$1.version" 2>/dev/null) == "$2" && -x $state/bin/$1 ]] && return
  has go || return 1
  say "building $2 into .tagfleet/bin"
  GOBIN=$state/bin GOFLAGS=-buildvcs=false go install "$2" >"$state/$1.log" 2>&1 || return 1
  say "$2" >"$state/bin/$1.version"
}

fetch_crds() {
  local module folder files dir file
  cmp -s <(printf '%s\n' "${crd_modules[@]}") "$crds/modules.txt" && return
  has go || return 1
  mkdir -p "$crds"
  for module in "${crd_modules[@]}"; do
    read -r module folder files <<<"$module"
    dir=$(cd "$crds" && GOFLAGS=-mod=mod go mod download -json "$module" | sed -n 's/.*"Dir": "\(.*\)",*/\1/p')
    [[ -n $dir ]] || return 1
    for file in $files; do install -m 644 "$dir/$folder/$file.yaml" "$crds/" || return 1; done
  done
  printf '%s\n' "${crd_modules[@]}" >"$crds/modules.txt"
}

# --- checks

# A password that the chart draws for a try-out is another one each time.
render() {
  "$helm" template tagfleet "$chart" --namespace fleet --kube-version "$kube_version" "$@" 2>&1 |
    sed -E 's/(password: |tagfleet:)[A-Za-z0-9]{24}/\1drawn/'
}

check_rendering() {
  local values name
  rm -rf "$rendered" && mkdir -p "$rendered"
  for values in "$chart"/ci/*.yaml; do
    name=$(basename "$values" .yaml)
    "$helm" lint --strict --quiet --kube-version "$kube_version" "$chart" --values "$values" >"$rendered/$name.lint" 2>&1 ||
      fail "$values: $(cat "$rendered/$name.lint")"
    render --values "$values" >"$rendered/$name.yaml" || fail "$values: $(cat "$rendered/$name.yaml")"
  done
}

check_golden() {
  local name
  for name in "${golden[@]}"; do
    if [[ -n ${UPDATE:-} ]]; then
      mkdir -p "$chart/ci/golden" && cp "$rendered/$name.yaml" "$chart/ci/golden/$name.yaml"
    fi
    diff -u "$chart/ci/golden/$name.yaml" "$rendered/$name.yaml" >&2 ||
      fail "$chart/ci/golden/$name.yaml: the chart renders something else; if that is right: make chart UPDATE=1"
  done
}

# Each file begins with the line that it must be refused with.
check_refusals() {
  local values expected said
  for values in "$chart"/ci/refused/*.yaml; do
    expected=$(sed -n '1s/^# //p' "$values")
    if said=$(render --values "$chart/ci/minimal.yaml" --values "$values"); then
      fail "$values: is not refused"
    elif [[ $said != *"$expected"* ]]; then
      fail "$values: is refused with other words than \"$expected\": $said"
    fi
  done
}

check_score() {
  local values name
  for values in "$chart"/ci/*.yaml; do
    name=$(basename "$values" .yaml)
    "$state/bin/kube-score" score --kubernetes-version "v${kube_version%.*}" --output-format ci "${score_ignored[@]}" \
      "$rendered/$name.yaml" >"$rendered/$name.score" || fail "$(grep -v '^\[OK\]\|SKIPPED' "$rendered/$name.score" | sed "s|^|$name: |")"
  done
}

# The rules alone, for scripts/monitoring-test.sh, which has no Helm and reads no YAML.
check_rules() {
  "$venv/bin/python" scripts/chart/alerts.py "$rendered/everything.yaml" >"$rendered/rules.json"
  [[ -z ${UPDATE:-} ]] || cp "$rendered/rules.json" "$chart/ci/golden/rules.json"
  cmp -s "$chart/ci/golden/rules.json" "$rendered/rules.json" ||
    fail "$chart/ci/golden/rules.json: the chart renders something else; if that is right: make chart UPDATE=1"
}

check_alerts() {
  local dir=$rendered/alerts
  mkdir -p "$dir" && cp "$chart"/ci/alerts/*.yaml "$dir/"
  cp "$rendered/rules.json" "$dir/rules.yaml"
  promtool check rules "$dir/rules.yaml" >"$dir/log" 2>&1 && promtool test rules "$dir"/{test,days}.yaml >>"$dir/log" 2>&1 ||
    fail "alerts: $(cat "$dir/log")"
}

# Made of scripts/dashboards; Grafana's own types have to understand them.
check_dashboards() {
  local version folder=$state/grafana folders=()
  [[ -z ${UPDATE:-} ]] || python3 scripts/dashboards/build.py write
  python3 scripts/dashboards/build.py check || failed=1
  for version in "${grafana_versions[@]}"; do
    folders+=("$folder/$version")
    [[ -e $folder/$version/done ]] || {
      rm -rf "${folder:?}/$version"
      "$venv/bin/pip" install -q --disable-pip-version-check --no-deps --target "$folder/$version" "grafana-foundation-sdk==$version" \
        >"$state/grafana.log" 2>&1 && touch "$folder/$version/done"
    } || { say "skipped: the dashboards against Grafana's schema: no grafana-foundation-sdk $version (.tagfleet/grafana.log)"; return; }
  done
  "$venv/bin/python" scripts/dashboards/schema.py "${folders[@]}" || failed=1
}

# The same with the types of Grafana 12.
check_dashboards_in_typescript() {
  local folder=$state/grafana/typescript
  if ! cmp -s <(printf '%s\n' "${grafana_packages[@]}") "$folder/packages.txt"; then
    rm -rf "$folder" && mkdir -p "$folder" && say '{}' >"$folder/package.json"
    has npm && has node && npm install --prefix "$folder" --ignore-scripts --no-audit --no-fund "${grafana_packages[@]}" >"$state/grafana.log" 2>&1 || {
      say "skipped: the dashboards against Grafana 12: no Node, or no way to npm's packages (.tagfleet/grafana.log)"
      return
    }
    # Last, so that an installation that was cut off is begun anew.
    printf '%s\n' "${grafana_packages[@]}" >"$folder/packages.txt"
  fi
  python3 scripts/dashboards/typescript.py "$folder" || failed=1
}

# --- all of them

main() {
  local python=false options=() files=() file
  mkdir -p "$state/bin" "$rendered"
  if install_python; then python=true; else say 'skipped: documents, schemas and rules: no Python 3.11 with venv, or no way to PyPI'; fi
  if fetch_crds; then options=(--crds "$crds"); else say "skipped: the operators' definitions: no Go, or no way to its modules"; fi

  if $python; then
    [[ -z ${UPDATE:-} ]] || "$venv/bin/python" scripts/chart/documents.py write
    "$venv/bin/python" scripts/chart/documents.py check || failed=1
    check_dashboards
    check_dashboards_in_typescript
  fi

  helm=$(command -v helm || true)
  if go_tool helm "helm.sh/helm/v3/cmd/helm@$helm_version"; then helm=$state/bin/helm; fi
  if [[ -n $helm ]]; then
    check_rendering
    check_golden
    check_refusals
    files=("$rendered"/*.yaml)
    if $python; then check_rules; fi
    if $python && has promtool; then check_alerts; else say 'skipped: the alerts: no promtool (of Prometheus)'; fi
    if go_tool kube-score "github.com/zegl/kube-score/cmd/kube-score@$kube_score_version"; then
      check_score
    else
      say 'skipped: kube-score: no Go, or it could not be built (.tagfleet/kube-score.log)'
    fi
  else
    say 'skipped: helm lint, rendering, rules, refusals, kube-score: no Helm, and no Go to build it with (.tagfleet/helm.log); the golden files stand in'
    for file in "${golden[@]}"; do files+=("$chart/ci/golden/$file.yaml"); done
  fi
  if $python; then
    (cd scripts/chart && HELM=$helm "$venv/bin/python" -m unittest -q 2>"$rendered/tests.log") || fail "$(cat "$rendered/tests.log")"
    "$venv/bin/python" scripts/chart/manifests.py "${options[@]}" "${files[@]}" || failed=1
  fi
  ((failed == 0)) || die 'the chart has problems'
  say 'chart: all checks passed'
}

main "$@"
