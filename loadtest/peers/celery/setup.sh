#!/usr/bin/env bash
# setup.sh   a virtual environment with the peer's packages, in .tagfleet/peer/venv; prints its path
#
# Does nothing where it is there and has the packages of requirements.txt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
root=$(cd ../../.. && pwd)
venv=$root/.tagfleet/peer/venv

if ! cmp -s requirements.txt "$venv/requirements.txt"; then
  echo "installing the peer's packages into .tagfleet/peer/venv" >&2
  [[ -x $venv/bin/python ]] || python3 -m venv "$venv" >&2
  "$venv/bin/pip" install -q --disable-pip-version-check --only-binary=:all: -r requirements.txt >&2
  cp requirements.txt "$venv/requirements.txt"
fi
printf '%s\n' "$venv"
