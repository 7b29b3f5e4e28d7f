# Sourced by services.sh: a private RabbitMQ and the epmd (Erlang's port mapper) that belongs to it.
# shellcheck shell=bash
# shellcheck disable=SC2154  # instance_dir, *_PORT: set by the scripts that source this

rb_dir=$instance_dir/rabbitmq

# Not Debian's wrapper /usr/sbin/rabbitmq-server, which changes the user and works in the machine's own directories.
rb_bin() {
  local bin=/usr/lib/rabbitmq/bin
  [[ -x $bin/rabbitmq-server ]] || bin=$(dirname "$(realpath "$(command -v rabbitmq-server || say /none/rabbitmq)")")
  [[ -x $bin/rabbitmq-server ]] || die "RabbitMQ is missing: run scripts/setup.sh"
  say "$bin"
}

# The complete environment of the server and of its command-line tools: nothing of the machine's own RabbitMQ
# (/etc/rabbitmq, its cookie, its node, its epmd) is seen. `localhost` instead of the host name, which may not resolve.
rb_environment() {
  rb_env=(
    env -i
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH"
    LANG=C.UTF-8
    "HOME=$rb_dir"
    "ERL_EPMD_PORT=$EPMD_PORT"
    ERL_EPMD_ADDRESS=127.0.0.1
    RABBITMQ_NODENAME=tagfleet@localhost
    "RABBITMQ_NODE_PORT=$AMQP_PORT"
    "RABBITMQ_DIST_PORT=$DIST_PORT"
    "RABBITMQ_CONF_ENV_FILE=$rb_dir/rabbitmq-env.conf"
    "RABBITMQ_CONFIG_FILE=$rb_dir/rabbitmq.conf"
    "RABBITMQ_ADVANCED_CONFIG_FILE=$rb_dir/advanced.config"
    "RABBITMQ_ENABLED_PLUGINS_FILE=$rb_dir/enabled_plugins"
    "RABBITMQ_GENERATED_CONFIG_DIR=$rb_dir/generated"
    "RABBITMQ_SCHEMA_DIR=$rb_dir/schema"
    "RABBITMQ_MNESIA_BASE=$rb_dir/data"
    "RABBITMQ_LOG_BASE=$rb_dir/log"
    "RABBITMQ_PID_FILE=$rb_dir/pid.server"
    "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}"
    "RABBITMQ_CTL_ERL_ARGS=+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}"
    # Makes the start script replace itself by the server, so that its process is the one we know and kill.
    RUNNING_UNDER_SYSTEMD=true
  )
}

rabbitmq_configure() {
  mkdir -p "$rb_dir"/{data,log,generated,schema,epmd}
  say '[rabbitmq_management,rabbitmq_prometheus].' >"$rb_dir/enabled_plugins"
  : >"$rb_dir/rabbitmq-env.conf"
  say '[].' >"$rb_dir/advanced.config"
  cat >"$rb_dir/rabbitmq.conf" <<CONF
listeners.tcp.1 = 127.0.0.1:$AMQP_PORT
management.tcp.ip = 127.0.0.1
management.tcp.port = $MANAGEMENT_PORT
prometheus.tcp.ip = 127.0.0.1
prometheus.tcp.port = $PROMETHEUS_PORT
default_user = tagfleet
default_pass = tagfleet
default_user_tags.administrator = true
vm_memory_high_watermark.relative = 0.3
disk_free_limit.absolute = 200MB
CONF
}

rb_pid() { cat "$rb_dir/pid" 2>/dev/null || true; }
epmd_pid() { cat "$rb_dir/epmd/pid" 2>/dev/null || true; }
rabbitmq_running() { works_in "$(rb_pid)" "$rb_dir"; }
epmd_running() { works_in "$(epmd_pid)" "$rb_dir/epmd"; }

# The server opens its AMQP port last. Asked through the management interface, which answers only to a known user: a
# trial connection to the AMQP port itself would leave warnings in the server's log.
rabbitmq_answers() {
  [[ $(health_of_port 2>/dev/null) == HTTP/*' 200 '* ]]
}
# The first line of the answer; curl may not be there.
health_of_port() (
  exec 3<>"/dev/tcp/127.0.0.1/$MANAGEMENT_PORT" || exit 1
  printf 'GET /api/health/checks/port-listener/%s HTTP/1.0\r\nAuthorization: Basic %s\r\n\r\n' \
    "$AMQP_PORT" "$(printf tagfleet:tagfleet | base64)" >&3
  IFS= read -r -t 5 line <&3 && say "$line"
)
rabbitmq_answers_or_dead() { ! rabbitmq_running || rabbitmq_answers; }

# In the foreground of its own session: the daemon that `erl` starts by itself would have no pid file and outlive us.
epmd_start() {
  local epmd
  ! epmd_running || return 0
  epmd=$(command -v epmd || say /usr/lib/erlang/bin/epmd)
  [[ -x $epmd ]] || die "epmd is missing: run scripts/setup.sh"
  (cd "$rb_dir/epmd" && detached "${rb_env[@]}" "$epmd") </dev/null >"$rb_dir/epmd/log" 2>&1 &
  say $! >"$rb_dir/epmd/pid"
  wait_until 10 port_taken "$EPMD_PORT" || die "epmd does not start; log: $rb_dir/epmd/log"
}
port_taken() { ! port_free "$1"; }

rabbitmq_start() {
  local bin pids
  mkdir -p "$rb_dir"
  [[ -w $rb_dir ]] || die "$rb_dir belongs to $(stat -c %U "$rb_dir"): work as that user, or remove it"
  if ! rabbitmq_running; then
    bin=$(rb_bin)
    rabbitmq_configure
    rb_environment
    # A server whose start was cut off before its pid file was written.
    mapfile -t pids < <(workers_in "$rb_dir")
    ((${#pids[@]} == 0)) || kill -KILL "${pids[@]}" 2>/dev/null || true
    epmd_start
    (cd "$rb_dir" && detached "${rb_env[@]}" "$bin/rabbitmq-server") </dev/null >"$rb_dir/log/console" 2>&1 &
    say $! >"$rb_dir/pid"
    wait_until 5 rabbitmq_running || true # until the subshell has changed its directory
  fi
  wait_until 180 rabbitmq_answers_or_dead || die "RabbitMQ does not answer; logs: $rb_dir/log"
  rabbitmq_running || { tail -n 20 "$rb_dir/log/console" >&2; die "RabbitMQ does not start; logs: $rb_dir/log"; }
}

rabbitmq_stop() {
  local pid
  pid=$(rb_pid)
  works_in "$pid" "$rb_dir" || return 0
  kill -TERM "$pid"
  wait_until 60 gone "$pid" "$rb_dir" && return
  rabbitmq_kill
}

# With its helper processes: the server leads a session and a process group of its own. RabbitMQ 3.10 notes a new quorum
# queue on the disk only after half a second: one that is killed earlier comes back broken and refuses every message.
rabbitmq_kill() {
  local pid
  pid=$(rb_pid)
  works_in "$pid" "$rb_dir" || return 0
  kill -KILL -- "-$pid" 2>/dev/null || kill -KILL "$pid"
  wait_until 10 gone "$pid" "$rb_dir" || die "RabbitMQ, process $pid, does not die"
}

epmd_stop() {
  local pid
  pid=$(epmd_pid)
  works_in "$pid" "$rb_dir/epmd" || return 0
  kill -TERM "$pid"
  wait_until 10 gone "$pid" "$rb_dir/epmd" || die "epmd, process $pid, does not stop"
}
