# Sourced by services.sh: the ports of an instance.
# shellcheck shell=bash
# shellcheck disable=SC2154  # root, state, instance_dir: set by the script that sources this

port_names=(POSTGRES_PORT AMQP_PORT MANAGEMENT_PORT PROMETHEUS_PORT DIST_PORT EPMD_PORT)

# /proc instead of a trial connection: it also shows a listener on another address.
port_free() {
  ! grep -qsE "^ *[0-9]+: [0-9A-F]+:$(printf %04X "$1") [0-9A-F]+:[0-9A-F]+ 0A" /proc/net/tcp /proc/net/tcp6
}

ports_free() {
  local port
  for port in "$@"; do
    port_free "$port" || return 1
  done
}

load_ports() {
  local name value
  [[ -f $instance_dir/ports ]] || return 1
  while IFS='=' read -r name value; do
    [[ $value =~ ^[0-9]+$ ]] && printf -v "$name" %s "$value"
  done <"$instance_dir/ports"
}

save_ports() {
  local name
  for name in "${port_names[@]}"; do
    say "$name=${!name}"
  done >"$instance_dir/ports.new"
  mv "$instance_dir/ports.new" "$instance_dir/ports"
}

# The first of ten neighbouring ports that nobody listens on and no other instance of this checkout has chosen.
# Below 32768, where no outgoing connection takes one while a server is stopped, and away from the servers' own
# default ports (25672 is RabbitMQ's).
free_block() {
  local base port
  while true; do
    base=$((20000 + 10 * (RANDOM % 1200)))
    ((base != 25670)) || continue
    ! grep -qsE "=${base%0}[0-9]\$" "$state"/instances/*/ports || continue
    for port in {0..9}; do
      port_free $((base + port)) || continue 2
    done
    say "$base"
    return
  done
}

# Sets the ports, kept from an earlier start. A server that is down moves when a stranger has taken its port.
ensure_ports() {
  local base lock
  exec {lock}>"$state/locks/.ports"
  flock "$lock"
  if ! load_ports || { ! postgres_running && ! port_free "$POSTGRES_PORT"; }; then
    POSTGRES_PORT=$(free_block)
  fi
  if [[ -z ${AMQP_PORT:-} ]] || ! { rabbitmq_running ||
    ports_free "$AMQP_PORT" "$MANAGEMENT_PORT" "$PROMETHEUS_PORT" "$DIST_PORT"; } ||
    ! { epmd_running || port_free "$EPMD_PORT"; }; then
    base=$(free_block)
    AMQP_PORT=$((base + 1)) MANAGEMENT_PORT=$((base + 2)) PROMETHEUS_PORT=$((base + 3))
    DIST_PORT=$((base + 4)) EPMD_PORT=$((base + 5))
  fi
  save_ports
  exec {lock}>&-
}
