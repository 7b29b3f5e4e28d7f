# shellcheck shell=bash
# Install from nothing, into a namespace that enforces the restricted Pod Security Standard; a scrape of 500 pictures; helm test.

step_install() {
  quietly kubectl create namespace "$namespace"
  quietly kubectl label namespace "$namespace" pod-security.kubernetes.io/enforce=restricted pod-security.kubernetes.io/warn=restricted
  if kube run root --image "$tools_image" --dry-run=server >/dev/null 2>&1; then
    fail 'the namespace takes a pod that may run as root: this cluster enforces no Pod Security Standard'
  fi
  quietly kube apply --filename <(sed "s|TOOLS_IMAGE|$tools_image|" scripts/cluster/origin.yaml)
  quietly kube wait --for=condition=Ready pod/origin pod/tools --timeout=120s
  admin_sql "CREATE DATABASE $database"
  quietly kube create secret generic servers --from-literal=broker-url="$broker_url" --from-literal=database-url="$database_url" \
    --from-literal=management-url="${management_url%/%2f}/%2f"

  local said
  said=$(try --wait --timeout 5m 2>&1) || fail "helm: $said"
  [[ $said != *'would violate PodSecurity'* ]] || fail "$said"
  listen
  local known applied
  known=$(find migrations -name 'V*.sql' | wc -l)
  applied=$(sql 'SELECT count(*) FROM refinery_schema_history')
  expect "the hook has applied all $known migrations" [ "$applied" = "$known" ]
  expect 'the hook is gone' [ -z "$(kube get jobs --output name)" ]
}

# A person's first scrape.
step_tag_500() {
  local scrape count
  scrape=$(new_scrape)
  count=$(tools wc -l "$list" | cut -d ' ' -f 1)
  publish "$scrape" "$count"
  settled "$scrape" "$count"
  say "  $(sql "SELECT string_agg(n, ', ') FROM (SELECT concat_ws(' ', outcome, count(*)) AS n FROM tagged_images
      WHERE scrape_id = '$scrape' GROUP BY outcome ORDER BY outcome) AS of")"
  local announcements
  announcements=$(metrics_of scheduler 9091 | awk '/^tagfleet_scheduler_announcements_total /{ sum += $2 } END { print sum + 0 }')
  expect "the schedulers have announced it: $announcements" [ "$announcements" -ge 1 ]
}

step_helm_test() {
  quietly helm --namespace "$namespace" test "$release" --timeout 4m
  kube logs "pod/$release-test" --container outcome | grep -E '\|(inferred|cached|matched)\|' >/dev/null ||
    fail "helm test: no picture was seen: $(kube logs "pod/$release-test" --container outcome)"
}

# Its pages, and an answer to a program, through its Service.
step_console() {
  local token status
  token=$(kube exec "deployment/$release-console" -- tagfleet-console token create cluster-test --right read 2>/dev/null | tail -n 1)
  status=$(tools curl --silent --output /dev/null --write-out '%{http_code}' --header "Authorization: Bearer $token" "http://$release-console/v1/scrapes")
  expect "the console's API answers: $status" [ "$status" = 200 ]
  status=$(tools curl --silent --output /dev/null --write-out '%{http_code}' "http://$release-console/v1/scrapes")
  expect "nobody comes in without a token: $status" [ "$status" = 401 ]
}

# What the PodMonitor brings to a Prometheus.
step_metrics() {
  if [[ -z $prometheus_url || $has_operator == false ]]; then
    say '  skipped: no Prometheus (PROMETHEUS_URL), or no operator'
    return
  fi
  local process
  for process in scheduler worker console; do
    wait_for 90 "Prometheus has the series of the ${process}s" scraped "$process"
  done
}
scraped() {
  tools curl --fail --silent --get "$prometheus_url/api/v1/query" --data-urlencode "query=tagfleet_$1_build_info{namespace=\"$namespace\"}" |
    grep "\"tagfleet_$1_build_info\"" >/dev/null
}
