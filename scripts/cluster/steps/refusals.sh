# shellcheck shell=bash
# What an operator gets wrong, and the one line that says so, where they look first.

# refused WORDS COMMAND...: fails, and one of its lines has the words.
refused() {
  local words=$1 said
  shift
  if said=$("$@" 2>&1); then
    fail "is not refused: $*"
  fi
  told "$words" "$said"
}
told() {
  grep -F -- "$1" <<<"$2" | head -n 1 | sed 's/^/  /' | cut -c 1-220 | grep . || fail "nothing says \"$1\", but: $2"
}

# What Kubernetes shows of a pod's container that has ended: its last line, or what it has left for this place.
last_words() {
  kube get pods --selector "app.kubernetes.io/instance=$release,app.kubernetes.io/component=worker" --output \
    'jsonpath={range .items[*].status.initContainerStatuses[*]}{.lastState.terminated.message}{.state.terminated.message}{"\n"}{end}{range .items[*].status.containerStatuses[*]}{.lastState.terminated.message}{.state.terminated.message}{"\n"}{end}'
}
last_words_are() { last_words | grep -F -- "$1" >/dev/null; }
worker_says() {
  wait_for 120 "a worker says \"$1\"" last_words_are "$1"
  told "$1" "$(last_words)"
}

step_wrong_values() {
  refused "additional properties 'prefech' not allowed" try --set pools.cpu.config.work.prefech=8
  refused 'all weights are 0' try --set 'pools.cpu.config.lanes.express=0,pools.cpu.config.lanes.standard=0,pools.cpu.config.lanes.bulk=0'
}

step_missing_secret() {
  refused "broker.secret.name: there is no Secret \"slip\" in the namespace \"$namespace\"" try --set broker.secret.name=slip
  refused 'database.secret.name: the Secret "servers" in the namespace' try --set database.secret.key=slip
}

step_no_database() {
  quietly kube create secret generic nowhere --from-literal=database-url='postgres://tagfleet:secret@nowhere.invalid:5432/tagfleet?sslmode=disable'
  refused 'no database connection' try --set database.secret.name=nowhere,migrations.timeoutSeconds=30
  withdraw
}

step_wrong_checksum() {
  local options
  second_set_options 0000000000000000000000000000000000000000000000000000000000000000
  quietly try "${options[@]}"
  worker_says "its SHA-256 is $(tools cat "/site/sets/$second_set.sha256"), not 0000"
  withdraw
}

step_no_cuda() {
  quietly try --set pools.cpu.config.runtime.device=cuda:0
  worker_says 'cannot start the worker: cuda:0 cannot be had'
  withdraw
}
