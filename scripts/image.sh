#!/usr/bin/env bash
# image.sh   builds the container image of this checkout, starts its programs once, and says how large it is
#
#   IMAGE=name:tag           tagfleet:VERSION otherwise, with -cuda for that variant
#   VARIANT=cuda             ONNX Runtime for GPUs, on NVIDIA's base; cpu otherwise
#   BUILDER=podman           docker, podman or buildah; otherwise the first of them that works here
#   BUILDER_OPTIONS='...'    for its `build`, e.g. --pull-never --network host, or --build-arg BASE=... for another base
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
cd "$root"
# shellcheck source=scripts/lib/builder.sh
. scripts/lib/builder.sh

# A node fetches the image before the first pod of an upgrade starts: with the CUDA libraries there is no keeping it small.
largest_mb=120
cuda_base=nvcr.io/nvidia/cuda:13.0.1-cudnn-runtime-ubuntu24.04

size_in_mb() {
  case $builder in
    # "98.7 MB", "1.2 GB": of a thousand each. A line for each name that the image has.
    buildah) buildah images --format '{{.Size}}' "$image" | awk 'NR == 1 { print int($1 * ($2 == "GB" ? 1000 : $2 == "MB" ? 1 : 0.001) + 0.5) }' ;;
    *) "$builder" image inspect --format '{{.Size}}' "$image" | awk '{ print int($1 / 1e6 + 0.5) }' ;;
  esac
}

# run_in_image COMMAND...: as a pod runs it, without root and (where the builder can) with nothing that can be written to.
run_in_image() {
  case $builder in
    buildah)
      local container status=0
      container=$(buildah from --pull-never "$image")
      buildah run "$container" -- "$@" || status=$?
      buildah rm "$container" >/dev/null
      return "$status"
      ;;
    *) "$builder" run --rm --read-only --cap-drop ALL --network none "$image" "$@" ;;
  esac
}

user_of_image() {
  case $builder in
    buildah) buildah inspect --type image --format '{{.OCIv1.Config.User}}' "$image" ;;
    *) "$builder" image inspect --format '{{.Config.User}}' "$image" ;;
  esac
}

variant=${VARIANT:-cpu}
case $variant in cpu) suffix='' ;; cuda) suffix=-cuda ;; *) die "VARIANT=$variant: cpu or cuda" ;; esac
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
image=${IMAGE:-tagfleet:$version$suffix}
revision=$(git rev-parse HEAD 2>/dev/null || say unknown)
[[ -z $(git status --porcelain 2>/dev/null) ]] || revision+=-modified
find_builder
[[ $variant != cuda ]] || builder_options+=(--build-arg "BASE=$cuda_base")

"$builder" build "${builder_options[@]}" --build-arg VARIANT="$variant" --build-arg VERSION="$version" --build-arg REVISION="$revision" --tag "$image" .

for program in tagfleet-scheduler tagfleet-worker tagfleet-console; do
  run_in_image "$program" --version || die "$image: $program does not start"
done
# By number: Kubernetes cannot tell of a name that it is not root's.
[[ $(user_of_image) =~ ^[1-9][0-9]*(:[0-9]+)?$ ]] || die "$image runs as '$(user_of_image)': not a numeric user other than root"
size=$(size_in_mb)
say "$image: $size MB"
[[ $variant != cpu ]] || ((size <= largest_mb)) || die "$image is larger than $largest_mb MB"
