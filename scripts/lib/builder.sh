# Sourced by what builds images. Sets `builder`, the first of docker, podman and buildah that works here (or BUILDER), and `builder_options`
# of its `build` (BUILDER_OPTIONS).
# shellcheck shell=bash

# Docker's client is often there without its daemon.
builder_works() {
  case $1 in
    docker | podman) "$1" info >/dev/null 2>&1 ;;
    buildah) buildah images >/dev/null 2>&1 ;;
    *) die "BUILDER=$1: docker, podman or buildah" ;;
  esac
}

find_builder() {
  local candidate
  builder=${BUILDER:-}
  if [[ -n $builder ]]; then
    builder_works "$builder" || die "BUILDER=$builder does not work here: $builder info says why"
  else
    for candidate in docker podman buildah; do
      [[ -n $builder ]] || ! builder_works "$candidate" || builder=$candidate
    done
    [[ -n $builder ]] || die 'needs docker (and its daemon), podman or buildah'
  fi
  read -ra builder_options <<<"${BUILDER_OPTIONS:-}"
  # The others keep what they have built by themselves.
  [[ $builder != buildah ]] || builder_options=(--layers "${builder_options[@]}")
}
