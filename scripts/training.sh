#!/usr/bin/env bash
# training.sh setup            PyTorch and what else training needs, pinned, into .tagfleet/training/
# training.sh run [OPTION...]  models/training/train.py with these options
# training.sh test             trains on twenty drawn pictures and checks what comes of it
#
# PyPI's PyTorch is 6 GB installed on Linux, because it brings CUDA; it runs on a CPU as well. So nothing else of the
# project needs it, and only this script fetches it.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

recipe=$root/models/training
venv=$state/training
done_mark=$venv/requirements.txt

setup() {
  cmp -s "$recipe/requirements.txt" "$done_mark" && return
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "needs Python 3.11 or newer"
  say "installing PyTorch into .tagfleet/training (some minutes, 6 GB) ..."
  python3 -m venv --clear "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$recipe/requirements.txt"
  # Last, so that an installation that was cut off is begun anew.
  cp "$recipe/requirements.txt" "$done_mark"
}

# Memory that glibc gives back to the system after each step must be had anew for the next: twice the time of a step.
keep_memory() {
  export MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=8000000000 MALLOC_TOP_PAD_=200000000
}

case ${1:-} in
  setup) setup ;;
  run)
    shift
    setup
    keep_memory
    exec "$venv/bin/python" "$recipe/train.py" "$@"
    ;;
  test)
    setup
    keep_memory
    cd "$recipe"
    exec "$venv/bin/python" -W ignore -m unittest
    ;;
  *) die "usage: training.sh setup | run [OPTION...] | test" ;;
esac
