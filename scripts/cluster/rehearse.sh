#!/usr/bin/env bash
# rehearse.sh   the judges of the cluster test (cluster/lib.sh), tried on a fleet of processes and private servers: each must hold of a scrape
#               that is whole, and must not hold of one that is not
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"
cd "$root"
# shellcheck source=scripts/cluster/lib.sh
. scripts/cluster/lib.sh

exports=$(scripts/services.sh env)
eval "$exports"
PATH=$root/target/debug:$PATH
work=$state/rehearsal
run=$RANDOM
prefix=rehearsal-$run
database=rehearsal_$run
# shellcheck disable=SC2034
{
  management_url=$TAGFLEET_RABBITMQ_MANAGEMENT_URL
  database_admin_url=$TAGFLEET_DATABASE_URL
  database_url=${TAGFLEET_DATABASE_URL%/*}/$database
  list=$work/site/list.txt
}

# In place of pods.
tools() { "$@"; }
kube() {
  until [[ $1 == -- ]]; do shift; done
  shift
  "$@"
}

processes=()
finish() {
  # Before its queues and tables: what is gone under a worker is an outage.
  ((${#processes[@]} == 0)) || kill "${processes[@]}" 2>/dev/null || true
  wait
  forget_queues || true
  admin_sql "DROP DATABASE IF EXISTS $database" || true
}

start() {
  "$@" >"$work/${1#tagfleet-}.log" 2>&1 &
  processes+=($!)
}
serves() { grep -o 'http://[0-9.:]*' "$work/loadtest.log" >/dev/null; }

something_waits() { ! nothing_waits; }

# holds_not WHAT COMMAND...: the judge sees it.
holds_not() {
  local what=$1
  shift
  if ("$@") >/dev/null 2>&1; then
    fail "$what, and nobody has seen it"
  fi
}

rm -rf "$work" && mkdir -p "$work/site/pictures"
tagfleet-loadtest draw --count 6 --out "$work/site/pictures" 2>/dev/null
(cd "$work/site/pictures" && rm -f labels.csv && ls >../list.txt)
admin_sql "CREATE DATABASE $database"
trap finish EXIT
export TAGFLEET__BROKER__URL=$TAGFLEET_AMQP_URL TAGFLEET__BROKER__PREFIX=$prefix TAGFLEET__DATABASE__URL=$database_url
tagfleet-scheduler migrate 2>"$work/migrate.log"
start tagfleet-loadtest origin --dir "$work/site" --port 0
wait_for 20 'the origin' serves
origin=$(grep -o 'http://[0-9.:]*' "$work/loadtest.log")
TAGFLEET__ADMIN__LISTEN=127.0.0.1:0 start tagfleet-scheduler run
TAGFLEET__ADMIN__LISTEN=127.0.0.1:0 TAGFLEET__DOWNLOAD__ALLOW_NETWORKS=127.0.0.0/8 start tagfleet-worker run
wait_for 60 'the exchange of events' listen

count=20
scrape=$(new_scrape)
publish "$scrape" "$count" "${scrape%%-*}="
settled "$scrape" "$count" 60 20
say "a scrape of $count is whole: $(announced "$scrape") (announcements, images, outcomes)"
[[ $(redeliveries) == 0 ]] || fail "$(redeliveries) redeliveries without a fault"

holds_not 'an image is missing' settled "$scrape" $((count + 1)) 1 1
sql "UPDATE scrape_images SET outcome = 'defaulted', reason = 'inference' WHERE seq = 0"
holds_not 'an image was not seen' settled "$scrape" "$count" 1 1
sql "UPDATE scrape_images SET outcome = 'matched', reason = NULL WHERE seq = 0"
settled "$scrape" "$count" 1 1
management POST "/exchanges/%2f/$prefix.dead/publish" '{"routing_key": "", "payload": "{}", "payload_encoding": "string", "properties": {}}' >/dev/null
wait_for 20 'the dead letter is counted' something_waits
holds_not 'a dead letter is left' settled "$scrape" "$count" 1 1
say 'the judges see an image that is missing, one that was not seen, and a dead letter'
