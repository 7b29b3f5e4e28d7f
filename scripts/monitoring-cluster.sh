#!/usr/bin/env bash
# monitoring-cluster.sh   proves the chart's monitoring on a real cluster, as `make monitoring-test CLUSTER=1` does: the operator takes the
# PodMonitor and the PrometheusRule; every pod of scheduler and workers is a target that is up; two alerts reach the Alertmanager, and
# leave it when their fault is mended: an event that nobody can work on (TagfleetDeadLetters), and no workers while an image waits
# (TagfleetLaneWithoutWorker). The kubectl commands of docs/RUNBOOK.md are run as well.
#
# It needs a release of the chart with monitoring.podMonitor and monitoring.rules, and takes its workers away for some minutes: not for a
# fleet that somebody needs. It takes a quarter of an hour, for alerts have to last.
#
# KUBECONFIG             the cluster; where there is none, or it does not answer: skipped, and said
# NAMESPACE, RELEASE     where the chart is installed, and as what; default: fleet, tagfleet
# PATIENCE               seconds that each step may take; default: 900
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
cd "$root"

namespace=${NAMESPACE:-fleet}
release=${RELEASE:-tagfleet}
patience=${PATIENCE:-900}
export NAMESPACE=$namespace RELEASE=$release

kube() { kubectl --namespace "$namespace" "$@"; }
of() { say "app.kubernetes.io/instance=$release,app.kubernetes.io/component=$1"; }

# await WHAT COMMAND...: until it succeeds.
await() {
  local what=$1 since=$SECONDS
  shift
  until "$@"; do
    ((SECONDS - since < patience)) || die "not within $patience s: $what"
    sleep 2
  done
  say "$what: after $((SECONDS - since)) s"
}

# json PROGRAM: a Python program that has what was said on stdin as `data`.
json() {
  python3 -c "import json, os, re, sys
data, namespace, release = json.load(sys.stdin), os.environ['NAMESPACE'], os.environ['RELEASE']
$1"
}

# --- Prometheus and Alertmanager, by way of the API server: nothing has to be forwarded

# path_to NAME PORT: where the API server leads to the operator's first pod of this name.
path_to() {
  local found
  found=$(kubectl get pods --all-namespaces --selector "app.kubernetes.io/name=$1" --field-selector status.phase=Running \
    --output 'jsonpath={range .items[*]}{.metadata.namespace}/pods/{.metadata.name}{"\n"}{end}' | head -n 1)
  [[ -n $found ]] || die "no pod of $1: is the Prometheus operator here?"
  say "/api/v1/namespaces/$found:$2/proxy"
}
prometheus() { kubectl get --raw "$prometheus_path/api/v1/$1"; }
alerts() { kubectl get --raw "$alertmanager_path/api/v2/alerts?active=true"; }

# --- what is proved

# The names of the pods that run, one a line.
pods() {
  local component
  for component in scheduler worker; do
    kube get pods --selector "$(of "$component")" --field-selector status.phase=Running --output 'jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}'
  done | sort
}

targets_are_up() {
  local wanted up
  wanted=$(pods)
  [[ -n $wanted ]] || die "no pods of release $release in namespace $namespace"
  up=$(prometheus 'targets?state=active' | json '
for target in data["data"]["activeTargets"]:
    labels = target["labels"]
    if labels.get("namespace") == namespace and target["scrapePool"].split("/")[:3] == ["podMonitor", namespace, release] and target["health"] == "up":
        print(labels["pod"])' | sort)
  # A console is scraped too, where there is one.
  [[ -z $(comm -23 <(printf '%s\n' "$wanted") <(printf '%s\n' "$up")) ]]
}

# Every alert of the chart is a rule of Prometheus, and every rule can be evaluated.
rules_are_loaded() {
  prometheus rules | json '
chart = set(re.findall(r"alert: (Tagfleet\w+)", open("charts/tagfleet/templates/_rules.tpl").read()))
groups = [group for group in data["data"]["groups"] if group["name"] in (release, release + "-recordings") and f"/{namespace}-" in group["file"]]
rules = [rule for group in groups for rule in group["rules"]]
sys.exit(bool(chart - {rule["name"] for rule in rules} or any(rule["health"] != "ok" for rule in rules)))'
}

# arrived ALERT: Alertmanager has it, of this namespace, with the section of the runbook that is about it.
arrived() {
  alerts | ALERT=$1 json '
name = os.environ["ALERT"]
ours = [each for each in data if each["labels"].get("alertname") == name and each["labels"].get("namespace") == namespace]
sys.exit(not any(each["annotations"].get("runbook", "").endswith(f"section {name}") for each in ours))'
}
# gone ALERT: Alertmanager answers, and has it no more. One that does not answer says nothing.
gone() {
  alerts | ALERT=$1 json '
name = os.environ["ALERT"]
sys.exit(any(each["labels"].get("alertname") == name and each["labels"].get("namespace") == namespace for each in data))'
}

# publish SCRAPE ADVERTISER: an event of one image, which nobody can download.
publish() {
  printf '{"scrape_id": "%s", "advertiser_id": "%s", "finished_at": "%s", "lane": "express", "images": [{"url": "http://nowhere.invalid/1.jpg"}]}' \
    "$1" "$2" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" | scheduler publish -
}
scheduler() { kube exec --stdin "deployment/$release-scheduler" --container scheduler -- tagfleet-scheduler "$@"; }

dead_letters() {
  local scrape=monitoring-$EPOCHSECONDS
  # The same id from two advertisers: `publish` sends nothing that is malformed, and this is refused as well.
  publish "$scrape" monitoring-test >/dev/null
  publish "$scrape" monitoring-test-too >/dev/null
  await 'TagfleetDeadLetters is in the Alertmanager' arrived TagfleetDeadLetters
  scheduler dead show --reason scrape_id_taken --limit 1 >/dev/null
  scheduler dead drop --reason scrape_id_taken --yes
  await 'TagfleetDeadLetters is no more' gone TagfleetDeadLetters
}

# Takes the workers away, and holds back KEDA, which would bring them back.
without_workers() {
  kube get deployments --selector "$(of worker)" --output 'jsonpath={range .items[*]}{.metadata.name} {.spec.replicas}{"\n"}{end}' >"$state/workers"
  if kube get scaledobjects >/dev/null 2>&1; then
    kube annotate scaledobjects --all --overwrite autoscaling.keda.sh/paused-replicas=0 >/dev/null
  fi
  trap with_workers EXIT
  kube scale deployments --selector "$(of worker)" --replicas 0 >/dev/null
}
with_workers() {
  local name replicas
  while read -r name replicas; do kube scale deployment "$name" --replicas "$((replicas > 0 ? replicas : 1))" >/dev/null; done <"$state/workers"
  if kube get scaledobjects >/dev/null 2>&1; then
    kube annotate scaledobjects --all autoscaling.keda.sh/paused-replicas- >/dev/null
  fi
  trap - EXIT
}

lane_without_worker() {
  without_workers
  publish "monitoring-alone-$EPOCHSECONDS" monitoring-test >/dev/null
  await 'TagfleetLaneWithoutWorker is in the Alertmanager' arrived TagfleetLaneWithoutWorker
  with_workers
  await 'TagfleetLaneWithoutWorker is no more' gone TagfleetLaneWithoutWorker
}

# Whatever docs/RUNBOOK.md says that a person should type. A kind that this cluster does not know is nothing that the runbook could help.
runbook_runs() {
  local line pod said count=0
  pod=$(pods | head -n 1)
  while read -r line; do
    line=${line//POD/$pod}
    line=${line//deploy\/tagfleet-scheduler/deploy\/$release-scheduler}
    if ! said=$(eval "kube ${line#kubectl }" 2>&1 </dev/null) && [[ $said != *"doesn't have a resource type"* && $said != *'previous terminated container'* &&
      $line != *'tagfleet-scheduler status' ]]; then
      die "docs/RUNBOOK.md: $line: $said"
    fi
    count=$((count + 1))
  done < <(python3 scripts/runbook.py commands kubectl)
  say "docs/RUNBOOK.md: $count commands of kubectl run"
}

main() {
  if [[ -z ${KUBECONFIG:-} ]] || ! command -v kubectl >/dev/null || ! kubectl get --raw /readyz >/dev/null 2>&1; then
    say 'skipped: no cluster'
    return
  fi
  mkdir -p "$state"
  prometheus_path=$(path_to prometheus 9090)
  alertmanager_path=$(path_to alertmanager 9093)
  await 'every pod of scheduler and workers is a target that is up' targets_are_up
  await 'every alert of the chart is a rule of Prometheus' rules_are_loaded
  runbook_runs
  dead_letters
  lane_without_worker
  say 'monitoring on a cluster: all is as it should be'
}

main "$@"
