# Sourced by cluster-test.sh: how a step talks to the cluster and to the servers, and what it may say of the fleet.
# shellcheck shell=bash

release=tagfleet
# The settings of the test's fleet: slow on purpose (so many pictures a second and worker), so that work is in flight when something is
# done to it, on any machine.
images_per_second=50
# The names of the pictures, in the pod of the tools.
list=/site/list.txt

# --- the cluster

kube() { kubectl --namespace "$namespace" "$@"; }

# quietly COMMAND...: its output only where it fails.
quietly() {
  local out
  out=$("$@" 2>&1) || {
    printf '%s\n' "$out" >&2
    return 1
  }
}

# wait_for SECONDS WHAT COMMAND...: asks until the command succeeds. Not faster: each question is a process or two, on the nodes too.
wait_for() {
  local seconds=$1 what=$2 deadline=$((SECONDS + $1))
  shift 2
  until "$@" 2>/dev/null; do
    ((SECONDS < deadline)) || fail "$what: not within $seconds s"
    sleep 0.5
  done
}

# What the run is about went wrong: the step ends, and with it the run.
fail() {
  say "FAILED: $*" >&2
  exit 1
}

# expect WHAT COMMAND...
expect() {
  local what=$1
  shift
  "$@" || fail "$what"
}

kube_version() { kubectl version --output json | sed -n 's/.*"gitVersion": "\(.*\)".*/\1/p' | tail -n 1; }
pods_of() { kube get pods --selector "app.kubernetes.io/instance=$release,app.kubernetes.io/component=$1" --field-selector status.phase=Running --output name; }
workers_ready() { kube get deployment "$release-worker-cpu" --output 'jsonpath={.status.readyReplicas}'; }
workers_wanted() { kube get deployment "$release-worker-cpu" --output 'jsonpath={.spec.replicas}'; }
rolled_out() { kube rollout status deployment --selector "app.kubernetes.io/instance=$release" --timeout "${1:-180s}"; }

# Restarts by a probe. A pod may be unready as long as a server is away; it must not be restarted for that.
restarts_by_probes() {
  local events
  events=$(kube get events --field-selector reason=Killing --output 'jsonpath={range .items[*]}{.involvedObject.name}: {.message}{"\n"}{end}')
  grep -E 'failed (liveness|startup) probe' <<<"$events" || true
}
# Restarts of containers, for whatever reason, of the pods that there are.
restarts() {
  local counts
  counts=$(kube get pods --selector "app.kubernetes.io/instance=$release" --output 'jsonpath={.items[*].status.containerStatuses[*].restartCount}')
  say $((0 $(printf ' + %s' ${counts:-0})))
}

# The metrics of every pod of a component, one after another.
metrics_of() {
  local port=$2 address
  for address in $(kube get pods --selector "app.kubernetes.io/instance=$release,app.kubernetes.io/component=$1" \
    --field-selector status.phase=Running --output 'jsonpath={.items[*].status.podIP}'); do
    tools curl --fail --silent --max-time 5 "http://$address:$port/metrics"
  done
}

# --- the servers

tools() { kube exec --stdin pod/tools -- "$@"; }
admin_sql() { tools psql "$database_admin_url" --no-psqlrc --no-align --tuples-only --quiet --set ON_ERROR_STOP=1 --command "$1"; }
sql() { tools psql "$database_url" --no-psqlrc --no-align --tuples-only --quiet --set ON_ERROR_STOP=1 --command "$1"; }

# management METHOD PATH [JSON]: RabbitMQ's management API.
management() {
  tools curl --fail --silent --max-time 10 --request "$1" --header 'Content-Type: application/json' ${3:+--data "$3"} "${management_url%/%2f}/api$2"
}

# queues FILTER: a number that jq makes of the fleet's own queues.
queues() {
  management GET /queues/%2f | tools jq --raw-output --arg prefix "$prefix." \
    "[.[] | select(.name | startswith(\$prefix)) | select(.name != \$prefix + \"listener\")] | $1"
}
forget_queues() {
  local kind name
  for kind in queues exchanges; do
    for name in $(management GET "/$kind/%2f" | tools jq --raw-output --arg prefix "$prefix." '.[].name | select(startswith($prefix))'); do
      management DELETE "/$kind/%2f/$name"
    done
  done
}
messages_left() { queues 'map(.messages // 0) | add'; }
job_messages() { queues 'map(select(.name | test("[.]jobs[.]")) | .messages // 0) | add'; }
# How often the broker delivered a job once more: it counts the first delivery of a copy as new.
redeliveries() { queues 'map(select(.name | test("[.]jobs[.]")) | .message_stats.redeliver // 0) | add'; }
nothing_waits() { [[ $(messages_left) == 0 ]]; }

# --- scrapes

# publish SCRAPE COUNT [SUFFIX]: an inventory of COUNT pictures of the origin, published by the fleet's own program. Pictures beyond those
# that there are, and all with a suffix, have a query that makes them others.
publish() {
  local scrape=$1 count=$2 suffix=${3:-}
  tools sh -ec '
    awk -v count="$2" -v suffix="$3" -v site="$5" "{ file[NR - 1] = \$0 }
      END { for (i = 0; i < count; i++) { turn = int(i / NR); print site \"/pictures/\" file[i % NR] (suffix == \"\" && turn == 0 ? \"\" : \"?\" suffix turn) } }" "$6" |
      jq --raw-input "{url: .}" | jq --slurp --arg scrape "$1" --arg now "$4" \
        "{scrape_id: \$scrape, advertiser_id: (\"cluster-test-\" + \$scrape), finished_at: \$now, images: .}"
  ' sh "$scrape" "$count" "$suffix" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$origin" "$list" |
    quietly kube exec --stdin "deployment/$release-scheduler" --container scheduler -- tagfleet-scheduler publish -
}

# A queue that gets every scrape.tagged.
listen() {
  management PUT "/queues/%2f/$prefix.listener" '{"durable": true}' >/dev/null
  management POST "/bindings/%2f/e/$prefix.events/q/$prefix.listener" '{"routing_key": "scrape.tagged"}' >/dev/null
}

new_scrape() { cat /proc/sys/kernel/random/uuid; }
ended() { sql "SELECT coalesce(max(ended), 0) FROM scrape_overview WHERE scrape_id = '$1'"; }
is_tagged() { [[ $(sql "SELECT state FROM scrape_overview WHERE scrape_id = '$1'") == tagged ]]; }
has_begun() { (($(ended "$1") > $2)); }

# Announcements of a scrape: how many different ones, and what they count.
announced() {
  management POST "/queues/%2f/$prefix.listener/get" '{"count": 10000, "ackmode": "ack_requeue_true", "encoding": "auto"}' |
    tools jq --raw-output --arg scrape "$1" \
      '[.[].payload | fromjson | select(.scrape_id == $scrape)] | "\(map(.event_id) | unique | length) \(.[0].images // 0) \(.[0].outcomes // {} | add // 0)"'
}
is_announced() { [[ $(announced "$1") == "1 $2 $2" ]]; }

# settled SCRAPE COUNT [SECONDS [SECONDS]]: what must hold of every scrape, whatever was done meanwhile. Each image has its one outcome and was
# seen, in rows, sums and announcement alike; and no job is left anywhere.
settled() {
  local scrape=$1 count=$2 seconds=${3:-180} soon=${4:-60} rows
  wait_for "$seconds" "scrape $scrape is tagged" is_tagged "$scrape"
  wait_for "$soon" "one announcement of $scrape counts $count" is_announced "$scrape" "$count"
  rows=$(sql "SELECT count(*) || ' ' || count(DISTINCT image_id) || ' ' || count(*) FILTER (WHERE outcome IN ('inferred', 'cached', 'matched'))
                FROM tagged_images WHERE scrape_id = '$scrape'")
  [[ $rows == "$count $count $count" ]] ||
    fail "scrape $scrape: rows, images and images seen are $rows, not $count each: $(sql "SELECT string_agg(n, ', ') FROM (
      SELECT concat_ws(' ', outcome, reason, count(*)) AS n FROM tagged_images WHERE scrape_id = '$scrape' GROUP BY outcome, reason) AS of")"
  [[ $(ended "$scrape") == "$count" ]] || fail "scrape $scrape: $(ended "$scrape") outcomes are counted, not $count"
  wait_for "$soon" 'every queue is empty, that of dead letters too' nothing_waits
}

# with_jobs_in_flight COUNT COMMAND...: does it while a scrape is at work, which must come out whole.
with_jobs_in_flight() {
  local count=$1 scrape before after
  shift
  scrape=$(new_scrape)
  publish "$scrape" "$count" "${scrape%%-*}="
  wait_for 60 'the first images have their outcome' has_begun "$scrape" $((count / 50))
  before=$(ended "$scrape")
  "$@"
  after=$(ended "$scrape" 2>/dev/null || say '?')
  say "  of $count images $before had their outcome before, $after after"
  settled "$scrape" "$count" 300
}

# --- the release

# Sets `options`, those that every installation of the test has.
chart=charts/tagfleet
fleet_options() {
  options=(
    --values scripts/cluster/values.yaml
    --set "image.registry=$registry,image.tag=${fleet_tag:-$tag},test.image.registry=$registry,test.image.tag=$tag"
    --set "fetchImage.registry=$registry,fetchImage.tag=$tag"
    --set "config.broker.prefix=$prefix"
    --set "test.images={$origin/pictures/0001.jpg}"
    --set "pools.cpu.config.download.allow_hosts={${origin#http://}}"
    --set "pools.cpu.config.download.per_host_rate=$images_per_second"
    --set "monitoring.podMonitor.enabled=$has_operator,monitoring.rules.enabled=$has_operator"
  )
}

# try ARGUMENTS...: helm upgrade to these values.
try() {
  local options
  fleet_options
  helm --namespace "$namespace" upgrade --install "$release" "$chart" "${options[@]}" "$@"
}
# The same, until every pod is new and ready.
deploy() { quietly try --wait --timeout 5m "$@"; }
withdraw() { quietly helm --namespace "$namespace" uninstall "$release" --wait --timeout 3m; }
