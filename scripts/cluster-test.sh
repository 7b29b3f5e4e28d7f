#!/usr/bin/env bash
# cluster-test.sh [STEP...]   proves chart and fleet on the Kubernetes that KUBECONFIG names (make cluster-test): installs into a namespace
#                             of its own, does to the fleet what operators and accidents do, and removes everything at the end
#
# Each step is judged by the fleet's own database, broker and metrics. The images are those of `make cluster-images`; the servers are
# yours, and are told in the environment, as pods reach them:
#
#   DATABASE_ADMIN_URL=postgres://USER:PASSWORD@HOST:5432/postgres   a user that may create databases: each run has its own
#   BROKER_URL=amqp://USER:PASSWORD@HOST:5672/%2f                    each run has a prefix of its own
#   MANAGEMENT_URL=http://USER:PASSWORD@HOST:15672                   of the same RabbitMQ
#   RABBITMQ_POD=NAMESPACE/POD POSTGRES_POD=NAMESPACE/POD            are killed, where they are told
#   PROMETHEUS_URL=http://HOST:9090                                  takes PodMonitors; KEDA asks it for the age of jobs
#   REGISTRY=... TAG=...                                             of the images
#   KEEP=1                                                           leaves everything as it is, also after a failure
#
# Without a cluster it says so, and is skipped.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
cd "$root"
# shellcheck source=scripts/cluster/settings.sh
. scripts/cluster/settings.sh
# shellcheck source=scripts/cluster/lib.sh
. scripts/cluster/lib.sh
for file in scripts/cluster/steps/*.sh; do
  # shellcheck source=/dev/null
  . "$file"
done

# In this order: most of them work on what those before have left.
steps=(
  install tag_500 helm_test console metrics
  scaling
  pods_deleted node_drained broker_killed database_killed
  other_settings other_model_set next_schema_beside_old_pods next_release rollback uninstall
  wrong_values missing_secret no_database wrong_checksum no_cuda
)

if [[ -z ${KUBECONFIG:-} ]] || ! command -v kubectl >/dev/null || ! kubectl get --raw /readyz >/dev/null 2>&1; then
  say 'skipped: no cluster'
  exit 0
fi
command -v helm >/dev/null || die 'needs helm'
[[ -n $broker_url && -n $management_url && -n $database_admin_url ]] || die 'needs DATABASE_ADMIN_URL, BROKER_URL and MANAGEMENT_URL'

run=${RUN:-$(date -u +%H%M%S)}
namespace=tagfleet-test-$run
prefix=tagfleet-test-$run
database=tagfleet_test_$run
database_url=$(sed -E "s|(://[^/]+/)[^?]*|\1$database|" <<<"$database_admin_url")
origin=http://origin.$namespace
has_operator=false
! kubectl get crd podmonitors.monitoring.coreos.com prometheusrules.monitoring.coreos.com >/dev/null 2>&1 || has_operator=true
cordoned=
mkdir -p "$state"

remove_everything() {
  [[ -z $cordoned ]] || quietly kubectl uncordon "$cordoned" || true
  if [[ -n ${KEEP:-} ]]; then
    say "left as it is: RUN=$run"
    return
  fi
  helm --namespace "$namespace" uninstall "$release" --wait --timeout 2m >/dev/null 2>&1 || true
  forget_queues 2>/dev/null || say "queues $prefix.* could not be deleted" >&2
  admin_sql "DROP DATABASE IF EXISTS $database WITH (FORCE)" >/dev/null 2>&1 || true
  kubectl delete namespace "$namespace" --ignore-not-found --timeout 120s >/dev/null 2>&1 || say "namespace $namespace could not be deleted" >&2
}
trap remove_everything EXIT

times=()
begun=$EPOCHREALTIME
seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%8.1f s", b - a }'; }
for step in "${@:-${steps[@]}}"; do
  [[ $(type -t "step_$step") == function ]] || die "no step $step; there are ${steps[*]}"
  say "==> $step"
  started=$EPOCHREALTIME
  "step_$step"
  times+=("$(seconds_since "$started")  $step")
done
restarted=$(restarts_by_probes)
expect "no probe restarted a pod: $restarted" [ -z "$restarted" ]

printf '\nall steps passed on Kubernetes %s\n' "$(kube_version)"
printf '%s\n' "${times[@]}" "$(seconds_since "$begun")  in all"
