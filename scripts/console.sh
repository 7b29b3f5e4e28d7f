#!/usr/bin/env bash
# console.sh tools   fetches what tests of the console need into .tagfleet/console: a small login provider, schemathesis
# console.sh         runs schemathesis against a console and a worker of its own, on the running private servers
#
# Tools come from PyPI, once. Where they cannot be had this says so and skips, or fails where CI is set. Needs the binaries
# (cargo build --bins).
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
cd "$root"

venv=$state/console
packages=(oidc-provider-mock==0.3.4 schemathesis==4.32.5)

install_tools() {
  cmp -s <(printf '%s\n' "${packages[@]}") "$venv/packages.txt" && return
  python3 -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || return 1
  say "installing ${packages[*]} into .tagfleet/console"
  python3 -m venv --clear "$venv" && "$venv/bin/pip" install -q --disable-pip-version-check "${packages[@]}" || return 1
  # Last, so that an installation that was cut off is begun anew.
  printf '%s\n' "${packages[@]}" >"$venv/packages.txt"
}

binary() { printf '%s/target/debug/tagfleet-%s' "$root" "$1"; }
psql() { scripts/services.sh psql -qAt "$@"; }

# One picture with a history, so that there is something to be found; its id is that of no URL.
fill() {
  psql -d "$database" <<'SQL'
INSERT INTO model_sets (digest, name, attributes, loaded_at)
VALUES ('d', 'd', '[{"name": "color", "classes": ["red", "blue"], "default": null}]', now());
SELECT ensure_partition(now()::date);
INSERT INTO scrapes (scrape_id, advertiser_id, lane, state, day, finished_at, listed, outcomes, tagged_at, announced_at)
VALUES ('s', 'a', 'express', 'tagged', now()::date, now(), 3, '{"inferred": 3}', now(), now());
INSERT INTO scrape_images (day, scrape, seq, image_id, url, outcome, tags)
SELECT now()::date, s.key, n, ('00000000-0000-0000-0000-00000000000' || n)::uuid, 'http://img.test/' || n, 'inferred',
       '{"color": null}' FROM scrapes s, generate_series(0, 2) n;
INSERT INTO fixes (image_id, attribute, value, fixed_by) VALUES ('00000000-0000-0000-0000-000000000001', 'color', 'red', 'a');
SQL
}

clean_up() {
  local pid
  for pid in ${console:-} ${worker:-}; do kill "$pid" 2>/dev/null && wait "$pid" || true; done
  psql -c "DROP DATABASE IF EXISTS $database WITH (FORCE)" >/dev/null || true
}

# A console of its own, with a database and queues of its own; prints where it listens.
start_console() {
  local log=$state/console.log exports i
  exports=$(scripts/services.sh env) && eval "$exports"
  psql -c "CREATE DATABASE $database" >/dev/null
  trap clean_up EXIT
  export TAGFLEET__DATABASE__URL=${TAGFLEET_DATABASE_URL%/*}/$database TAGFLEET__BROKER__URL=$TAGFLEET_AMQP_URL
  # The same queues each time: nobody has to take them away.
  export TAGFLEET__BROKER__PREFIX=tagfleet_contract TAGFLEET__ADMIN__LISTEN=127.0.0.1:0
  export TAGFLEET__LOG__FORMAT=json
  "$(binary scheduler)" migrate 2>/dev/null
  fill
  token=$("$(binary console)" token create schemathesis --right read --right fix --right classify --right submit --right operate 2>/dev/null)
  # Both are read below before a process that was just begun may have opened them.
  : >"$log" && : >"$state/console-worker.log"
  # It asks faster than any person.
  TAGFLEET__HTTP__LISTEN=127.0.0.1:0 TAGFLEET__LIMITS__WRITES_PER_MINUTE=1000000 TAGFLEET__LIMITS__REFUSALS_PER_MINUTE=1000000 \
    "$(binary console)" run 2>"$log" &
  console=$!
  # For what is to be classified.
  TAGFLEET__RUNTIME__LIBRARY=$ORT_DYLIB_PATH TAGFLEET__MODELS__SESSIONS=1 "$(binary worker)" run 2>"$state/console-worker.log" &
  worker=$!
  for ((i = 0; i < 600; i++)); do
    address=$(sed -n 's/.*"console open on \(http:[^"]*\)".*/\1/p' "$log")
    [[ -z $address ]] || ! grep -q 'consuming .*questions' "$state/console-worker.log" || return 0
    kill -0 "$console" 2>/dev/null && kill -0 "$worker" 2>/dev/null || break
    sleep 0.1
  done
  die "the console or its worker did not start: $(cat "$log" "$state/console-worker.log")"
}

main() {
  if ! install_tools; then
    say 'skipped: schemathesis and the login: no Python 3.11 with venv, or no way to PyPI' >&2
    [[ -z ${CI:-} ]] || exit 1
    return
  fi
  [[ ${1:-} != tools ]] || return 0
  database=tagfleet_contract_$$
  start_console
  # In $state, because it leaves a folder of its own. scripts/schemathesis.toml says how it judges.
  (cd "$state" && "$venv/bin/schemathesis" --config-file "$root/scripts/schemathesis.toml" run "$address/openapi.json" \
    --header "Authorization: Bearer $token" --checks all --max-examples "${EXAMPLES:-30}" --seed 7 --workers 1 \
    --request-timeout 30 --no-color) || die 'schemathesis found failures'
}

main "$@"
