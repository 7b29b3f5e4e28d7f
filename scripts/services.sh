#!/usr/bin/env bash
# services.sh VERB   private PostgreSQL and RabbitMQ of this checkout, for development and tests
#
#   start     starts both (what runs already stays as it is) and waits until they answer
#   stop      stops both, and nothing else
#   status    says what runs; fails unless both answer
#   env       prints the shell exports that tests and programs need: eval "$(scripts/services.sh env)"
#   remove    ends both and deletes their data
#   stop-all, remove-all     the same for every instance of this checkout
#   start-postgres, stop-postgres, restart-postgres, kill-postgres      one server; kill is kill -9
#   start-rabbitmq, stop-rabbitmq, restart-rabbitmq, kill-rabbitmq
#   psql ARGUMENTS, rabbitmqctl ARGUMENTS     the servers' own tools, connected; rabbitmq-queues, rabbitmq-diagnostics as well
#
# TAGFLEET_INSTANCE=NAME (default: dev) names a pair with its own data and ports, for a test that restarts servers.
# TAGFLEET_DATABASE_URL, TAGFLEET_AMQP_URL: where set, instance dev uses that server instead of starting one.
set -euo pipefail
umask 022 # the user who runs PostgreSQL must be able to pass

# shellcheck source=scripts/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
PATH=$PATH:/usr/sbin:/sbin
instance=${TAGFLEET_INSTANCE:-dev}
[[ $instance =~ ^[a-z0-9][a-z0-9_-]{0,39}$ ]] || die "TAGFLEET_INSTANCE must be a short name of a-z, 0-9, _ and -"
instance_dir=$state/instances/$instance
# shellcheck source=scripts/lib/ports.sh
. "$root/scripts/lib/ports.sh"
# shellcheck source=scripts/lib/postgres.sh
. "$root/scripts/lib/postgres.sh"
# shellcheck source=scripts/lib/rabbitmq.sh
. "$root/scripts/lib/rabbitmq.sh"

database_url() { say "postgres://tagfleet:tagfleet@127.0.0.1:$POSTGRES_PORT/tagfleet"; }
amqp_url() { say "amqp://tagfleet:tagfleet@127.0.0.1:$AMQP_PORT/%2f"; }
management_url() { say "http://tagfleet:tagfleet@127.0.0.1:$MANAGEMENT_PORT"; }

# A URL in the environment is somebody's own server, unless it came from `env`, which notes what it exports.
given() { [[ $instance == dev && -n $1 && $1 != "$2" ]]; }
database_given() { given "${TAGFLEET_DATABASE_URL:-}" "${TAGFLEET_PRIVATE_DATABASE_URL:-}"; }
amqp_given() { given "${TAGFLEET_AMQP_URL:-}" "${TAGFLEET_PRIVATE_AMQP_URL:-}"; }
# Without the password.
shown() { sed -E 's,//[^/@]*@,//,' <<<"$1"; }

postgres_line() {
  say "PostgreSQL $(cat "$pg_link/data/PG_VERSION") on 127.0.0.1:$POSTGRES_PORT, process $(pg_pid)"
}
rabbitmq_line() {
  say "RabbitMQ on 127.0.0.1:$AMQP_PORT (management $MANAGEMENT_PORT, metrics $PROMETHEUS_PORT), process $(rb_pid)"
}

start_postgres() {
  if database_given; then
    say "PostgreSQL: using TAGFLEET_DATABASE_URL, $(shown "$TAGFLEET_DATABASE_URL")"
  else
    postgres_start
    postgres_line
  fi
}

start_rabbitmq() {
  if amqp_given; then
    say "RabbitMQ: using TAGFLEET_AMQP_URL, $(shown "$TAGFLEET_AMQP_URL")"
  else
    rabbitmq_start
    rabbitmq_line
  fi
}

start() {
  local postgres rabbitmq failed=0
  ensure_ports
  start_postgres &
  postgres=$!
  start_rabbitmq &
  rabbitmq=$!
  wait "$postgres" || failed=1
  wait "$rabbitmq" || failed=1
  return $failed
}

stop() {
  local postgres rabbitmq failed=0
  postgres_stop &
  postgres=$!
  (rabbitmq_stop && epmd_stop) &
  rabbitmq=$!
  wait "$postgres" || failed=1
  wait "$rabbitmq" || failed=1
  ((failed)) || say "stopped: PostgreSQL and RabbitMQ of instance $instance"
  return $failed
}

status() {
  local failed=0
  load_ports || die "instance $instance was never started"
  if database_given; then
    start_postgres
  elif postgres_running && postgres_answers "$(pg_bin)"; then
    postgres_line
  else
    say "PostgreSQL is down" && failed=1
  fi
  if amqp_given; then
    start_rabbitmq
  elif rabbitmq_running && rabbitmq_answers; then
    rabbitmq_line
  else
    say "RabbitMQ is down" && failed=1
  fi
  return $failed
}

print_env() {
  local ort=${ORT_DYLIB_PATH:-}
  load_ports || die "instance $instance was never started: scripts/services.sh start"
  if database_given; then
    export_line TAGFLEET_DATABASE_URL "$TAGFLEET_DATABASE_URL"
  else
    export_line TAGFLEET_DATABASE_URL "$(database_url)"
    export_line TAGFLEET_PRIVATE_DATABASE_URL "$(database_url)"
  fi
  if amqp_given; then
    export_line TAGFLEET_AMQP_URL "$TAGFLEET_AMQP_URL"
  else
    export_line TAGFLEET_AMQP_URL "$(amqp_url)"
    export_line TAGFLEET_RABBITMQ_MANAGEMENT_URL "$(management_url)"
    export_line TAGFLEET_PRIVATE_AMQP_URL "$(amqp_url)"
  fi
  [[ -n $ort && -e $ort ]] || ort=$state/onnxruntime/libonnxruntime.so
  [[ ! -e $ort ]] || export_line ORT_DYLIB_PATH "$ort"
  [[ ! -x $state/venv/bin/python ]] || export_line TAGFLEET_PYTHON "$state/venv/bin/python"
}
export_line() { printf 'export %s=%q\n' "$1" "$2"; }

# What is deleted need not be written first.
remove() {
  postgres_kill
  postgres_clear
  rabbitmq_kill
  epmd_stop
  postgres_remove
  rm -rf "$instance_dir"
  say "removed: instance $instance"
}

each_instance() {
  local dir
  for dir in "$state"/instances/*/; do
    [[ ! -d $dir ]] || TAGFLEET_INSTANCE=$(basename "$dir") "$root/scripts/services.sh" "$1"
  done
}

# One server at a time, and not one that was given to us.
one() {
  local action=$1 server=$2
  case $server in
    postgres) ! database_given || die "PostgreSQL is the one of TAGFLEET_DATABASE_URL, and not mine to $action" ;;
    rabbitmq) ! amqp_given || die "RabbitMQ is the one of TAGFLEET_AMQP_URL, and not mine to $action" ;;
  esac
  case $action in
    start) ensure_ports && "start_$server" ;;
    stop | kill) "${server}_$action" ;;
    restart)
      "${server}_stop"
      ensure_ports
      "start_$server"
      ;;
  esac
}

# Two callers at the same time: the second waits, and then finds everything done.
lock_instance() {
  local fd
  mkdir -p "$instance_dir" "$state/locks"
  exec {fd}>"$state/locks/$instance"
  flock "$fd"
}

main() {
  case ${1:-} in
    start | stop | remove)
      lock_instance
      "$1"
      ;;
    start-postgres | stop-postgres | restart-postgres | kill-postgres | \
      start-rabbitmq | stop-rabbitmq | restart-rabbitmq | kill-rabbitmq)
      lock_instance
      one "${1%-*}" "${1#*-}"
      ;;
    status) status ;;
    env) print_env ;;
    stop-all) each_instance stop ;;
    remove-all) each_instance remove ;;
    psql)
      load_ports || die "instance $instance was never started"
      PGPASSWORD=tagfleet exec "$(pg_bin)/psql" -h 127.0.0.1 -p "$POSTGRES_PORT" -U tagfleet -d tagfleet "${@:2}"
      ;;
    rabbitmqctl | rabbitmq-queues | rabbitmq-diagnostics)
      load_ports || die "instance $instance was never started"
      rb_environment
      exec "${rb_env[@]}" "$(rb_bin)/$1" "${@:2}"
      ;;
    *)
      sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
      exit 2
      ;;
  esac
}

main "$@"
