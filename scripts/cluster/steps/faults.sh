# shellcheck shell=bash
# Pods deleted at random, a node drained, the broker and the database killed. Every image comes to its one outcome, and no pod is restarted
# because a server was away.

step_pods_deleted() {
  local before
  before=$(redeliveries)
  with_jobs_in_flight 7000 delete_pods_for 60
  quietly rolled_out
  # What the step `scaling` relies on: the broker counts what killed workers had in their hands.
  wait_for 30 'the broker tells of redeliveries, now that workers were killed' more_redeliveries_than "$before"
}
more_redeliveries_than() { (($(redeliveries) > $1)); }
# delete_pods_for SECONDS: as fast as new ones come.
delete_pods_for() {
  local end=$((SECONDS + $1)) deleted=0 component pods pod grace
  while ((SECONDS < end)); do
    component=worker
    ((RANDOM % 3)) || component=scheduler
    mapfile -t pods < <(pods_of "$component")
    ((${#pods[@]} > 0)) || continue
    pod=${pods[RANDOM % ${#pods[@]}]}
    # A drain, or a kill a second later.
    grace=()
    ((RANDOM % 2)) || grace=(--grace-period=1)
    # It may have gone meanwhile, in a roll-out perhaps.
    quietly kube delete "$pod" --wait=false --ignore-not-found "${grace[@]}"
    deleted=$((deleted + 1))
    wait_for 90 "a $component is ready again" some_ready "$component"
  done
  say "  $deleted pods deleted in $1 s"
}
some_ready() { kube get pods --selector "app.kubernetes.io/instance=$release,app.kubernetes.io/component=$1" --output 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}' | grep True >/dev/null; }

# With one node nothing can come back before it is open again: the budgets must then hold the drain up.
step_node_drained() {
  local node
  node=$(kube get pods --selector "app.kubernetes.io/instance=$release,app.kubernetes.io/component=worker" --output 'jsonpath={.items[0].spec.nodeName}')
  with_jobs_in_flight 3000 drain "$node"
  quietly rolled_out
}
drain() {
  local node=$1 least_workers=9 least_schedulers=9 now status=0
  cordoned=$node
  kubectl drain "$node" --pod-selector "app.kubernetes.io/instance=$release" --ignore-daemonsets --delete-emptydir-data --timeout 45s \
    >"$state/cluster-drain.log" 2>&1 &
  while kill -0 $! 2>/dev/null; do
    now=$(available worker-cpu)
    ((now >= least_workers)) || least_workers=$now
    now=$(available scheduler)
    ((now >= least_schedulers)) || least_schedulers=$now
  done
  wait $! || status=$?
  quietly kubectl uncordon "$node"
  cordoned=
  # Where all other nodes are closed the budgets hold it up until it gives up.
  if (($(kubectl get nodes --field-selector spec.unschedulable=false --output name | wc -l) > 1)); then
    expect "kubectl drain ended with $status" [ "$status" = 0 ]
  fi
  say "  kubectl drain ended with $status; at least $least_workers of 2 workers and $least_schedulers of 2 schedulers were available"
  grep evict "$state/cluster-drain.log" >/dev/null || fail "nothing was evicted: $(cat "$state/cluster-drain.log")"
  ((least_workers >= 1 && least_schedulers >= 1)) || fail 'the budgets were not respected'
}
# Kubernetes leaves a 0 out.
available() {
  local pods
  pods=$(kube get deployment "$release-$1" --output 'jsonpath={.status.availableReplicas}')
  say "${pods:-0}"
}

step_broker_killed() { server_killed "$rabbitmq_pod" RABBITMQ_POD; }
step_database_killed() { server_killed "$postgres_pod" POSTGRES_POD; }
# server_killed NAMESPACE/POD VARIABLE
server_killed() {
  if [[ -z $1 ]]; then
    say "  skipped: $2 is not set"
    return
  fi
  local before after restarted
  before=$(restarts)
  with_jobs_in_flight 3000 kill_server "${1%%/*}" "${1#*/}"
  quietly rolled_out
  restarted=$(restarts_by_probes)
  expect "no probe restarted a pod: $restarted" [ -z "$restarted" ]
  after=$(restarts)
  expect "no process ended by itself: $before restarts before, $after after" [ "$after" = "$before" ]
}
kill_server() {
  local uid
  uid=$(kubectl --namespace "$1" get pod "$2" --output 'jsonpath={.metadata.uid}')
  quietly kubectl --namespace "$1" delete pod "$2" --grace-period=1
  wait_for 120 "a new $2" is_new_and_ready "$1" "$2" "$uid"
}
is_new_and_ready() {
  [[ $(kubectl --namespace "$1" get pod "$2" --output 'jsonpath={.metadata.uid} {.status.conditions[?(@.type=="Ready")].status}') =~ ^([^ ]+)\ True$ ]] &&
    [[ ${BASH_REMATCH[1]} != "$3" ]]
}
