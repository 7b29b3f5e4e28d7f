# Sourced by the scripts: where things are, and small helpers.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
# Everything that the scripts install or run for this checkout lies here; git ignores it.
state=$root/.tagfleet

say() { printf '%s\n' "$*"; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# wait_until SECONDS COMMAND...: polls until the command succeeds.
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}

# works_in PID DIR: is PID a living process whose working directory is DIR? Every server runs in a directory of its
# own, so this tells it from a stranger that got the number of a stale pid file.
works_in() {
  [[ ${1:-} =~ ^[0-9]+$ ]] && [[ $(readlink "/proc/$1/cwd" 2>/dev/null) == "$2" ]]
}
gone() { ! works_in "$@"; }

# workers_in DIR: the processes whose working directory is DIR, known from a pid file or not.
workers_in() {
  local pid cwd
  { find /proc -mindepth 2 -maxdepth 2 -name cwd -printf '%h %l\n' 2>/dev/null || true; } |
    while read -r pid cwd; do
      [[ $cwd != "$1" ]] || say "${pid#/proc/}"
    done
}

# detached COMMAND...: replaces the calling subshell by a process that outlives a Ctrl-C at the terminal and holds none
# of our open files: neither a lock, nor the pipe in which a caller waits for our end of file.
detached() {
  local fd
  for fd in /proc/self/fd/*; do
    fd=${fd##*/}
    ((fd <= 2 || fd == 255)) || eval "exec $fd>&-"
  done
  exec setsid "$@"
}
