# Sourced by services.sh: a private PostgreSQL.
# shellcheck shell=bash
# shellcheck disable=SC2154  # root, instance, instance_dir, *_PORT: set by the scripts that source this

pg_link=$instance_dir/postgres

# Where it really lives; see postgres_home.
pg_dir() { realpath -m "$pg_link"; }
pg_data() { say "$(pg_dir)/data"; }
pg_pid() { head -n 1 "$pg_link/data/postmaster.pid" 2>/dev/null || true; }

# The programs of the version that made the data, else the newest.
pg_bin() {
  local version bin
  version=$(cat "$pg_link/data/PG_VERSION" 2>/dev/null || true)
  if [[ -n $version && -x /usr/lib/postgresql/$version/bin/initdb ]]; then
    say "/usr/lib/postgresql/$version/bin"
    return
  fi
  bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
  if [[ ! -x $bin/initdb ]]; then
    bin=$(dirname "$(realpath "$(command -v initdb || say /none/initdb)")")
  fi
  [[ -x $bin/initdb ]] || die "PostgreSQL is missing: run scripts/setup.sh"
  if [[ -n $version && $("$bin/postgres" --version) != *" $version"* ]]; then
    die "the data is of PostgreSQL $version, which is not installed: scripts/services.sh remove"
  fi
  say "$bin"
}

# PostgreSQL refuses to run as root, so root runs it as another user.
pg_user() {
  local user
  if ((EUID != 0)); then
    id -un
  elif [[ -d $pg_link/data ]]; then
    stat -c %U "$pg_link/data"
  else
    for user in postgres nobody; do
      if id "$user" >/dev/null 2>&1; then
        say "$user"
        return
      fi
    done
    die "root cannot run PostgreSQL, and there is no user postgres"
  fi
}

# setpriv and not su or sudo: no PAM session, no process in between.
as_pg_user() {
  local user
  if ((EUID != 0)); then
    "$@"
  else
    user=$(pg_user)
    setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups -- "$@"
  fi
}

# The checkout may lie where that other user cannot go (below /root, for one): then a directory of /var/lib takes the
# data, and the instance has a link to it.
postgres_home() {
  local user home
  [[ ! -d $pg_link ]] || return 0
  rm -f "$pg_link" # a link to nothing
  mkdir "$pg_link"
  ((EUID == 0)) || return 0
  user=$(pg_user)
  chown "$user:" "$pg_link"
  if ! as_pg_user test -w "$pg_link"; then
    rmdir "$pg_link"
    home=/var/lib/tagfleet-$(printf %s "$root" | sha256sum | cut -c 1-12)/$instance
    mkdir -p "$home"
    chown "$user:" "$home"
    ln -s "$home" "$pg_link"
  fi
}

# The data appears under its name only when it is complete, so an interrupted start is repeated from the beginning.
postgres_create() {
  local dir bin
  dir=$(pg_dir)
  [[ ! -d $dir/data ]] || return 0
  bin=$(pg_bin)
  rm -rf "$dir/data.new"
  say tagfleet >"$dir/password"
  say "include '../tagfleet.conf'" >"$dir/include"
  : >"$dir/tagfleet.conf"
  {
    as_pg_user "$bin/initdb" -D "$dir/data.new" -U tagfleet -A scram-sha-256 --pwfile="$dir/password" \
      --encoding=UTF8 --locale=C.UTF-8 --no-sync
    cat "$dir/include" >>"$dir/data.new/postgresql.conf"
    say 'CREATE DATABASE tagfleet' | as_pg_user "$bin/postgres" --single -D "$dir/data.new" postgres
    sync -f "$dir/data.new"
  } >"$dir/create.log" 2>&1 || { tail -n 20 "$dir/create.log" >&2; die "PostgreSQL cannot create its data"; }
  rm "$dir/password" "$dir/include"
  mv "$dir/data.new" "$dir/data"
}

# Durable like a production server: what a test proves about crashes must be true. And with its usual settings for
# memory and checkpoints, or a benchmark would measure the defaults of a server for the smallest of machines.
postgres_configure() {
  cat >"$(pg_dir)/tagfleet.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $POSTGRES_PORT
unix_socket_directories = ''
max_connections = 400
shared_buffers = $(pg_buffers_mb)MB
max_wal_size = 2GB
fsync = on
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '
log_lock_waits = on
CONF
}

# An eighth of the machine's memory, which it takes as its pages are used.
pg_buffers_mb() {
  awk '/^MemTotal:/ { mb = int($2 / 8192); print (mb < 256 ? 256 : mb > 2048 ? 2048 : mb) }' /proc/meminfo
}

postgres_running() { works_in "$(pg_pid)" "$(pg_data)"; }

postgres_answers() { "$1/pg_isready" -q -h 127.0.0.1 -p "$POSTGRES_PORT"; }

# After a kill -9 of the postmaster its children notice and leave by themselves, but one that is busy may not, and a new
# postmaster must not start beside it. And a pid file whose number now belongs to a stranger would keep it from starting.
postgres_clear() {
  local data pids
  data=$(pg_data)
  if ! wait_until 5 none_in "$data"; then
    mapfile -t pids < <(workers_in "$data")
    kill -KILL "${pids[@]}" 2>/dev/null || true
    wait_until 5 none_in "$data" || die "processes ${pids[*]} in $data do not end"
  fi
  rm -f "$data/postmaster.pid"
}
none_in() { [[ -z $(workers_in "$1") ]]; }

postgres_start() {
  local dir bin
  postgres_home
  dir=$(pg_dir)
  [[ -w $dir ]] || die "$dir belongs to $(stat -c %U "$dir"): work as that user, or remove it"
  bin=$(pg_bin)
  if ! postgres_running; then
    postgres_create
    postgres_configure
    postgres_clear
    ! find "$dir/log" -size +20M 2>/dev/null | grep -q . || mv "$dir/log" "$dir/log.old"
    # The server's working directory is its data; pg_ctl's must only be one that the user may enter.
    (cd / && as_pg_user_detached "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -s -w -t 120 start) </dev/null >&2 ||
      { tail -n 20 "$dir/log" >&2; die "PostgreSQL does not start; log: $dir/log"; }
  fi
  wait_until 120 postgres_answers "$bin" || die "PostgreSQL does not answer; log: $dir/log"
}

# A session of its own, or a Ctrl-C during the start would interrupt the new server as well.
as_pg_user_detached() {
  local user
  if ((EUID != 0)); then
    detached -w "$@"
  else
    user=$(pg_user)
    detached -w setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups -- "$@"
  fi
}

# A fast shutdown: clients are disconnected, everything is written.
postgres_stop() {
  local pid data
  pid=$(pg_pid) data=$(pg_data)
  works_in "$pid" "$data" || return 0
  kill -INT "$pid"
  wait_until 60 gone "$pid" "$data" && return
  kill -QUIT "$pid"
  wait_until 10 gone "$pid" "$data" || die "PostgreSQL, process $pid, does not stop"
}

postgres_kill() {
  local pid data
  pid=$(pg_pid) data=$(pg_data)
  works_in "$pid" "$data" || return 0
  kill -KILL "$pid"
  wait_until 10 gone "$pid" "$data" || die "PostgreSQL, process $pid, does not die"
}

postgres_remove() {
  local home
  if [[ -L $pg_link ]]; then
    home=$(readlink "$pg_link")
    # Only what postgres_home made, whatever the link says.
    [[ $home != /var/lib/tagfleet-*/"$instance" ]] || rm -rf "$home"
    rmdir "${home%/*}" 2>/dev/null || true
  fi
}
