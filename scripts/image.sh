#!/usr/bin/env bash
# image.sh   builds the container image of this checkout and says how large it is
#
#   IMAGE=name:tag     tagfleet:VERSION otherwise, with -cuda for that variant
#   VARIANT=cuda       ONNX Runtime for GPUs, on NVIDIA's base; cpu otherwise
#   BUILDER=podman     docker, podman or buildah; otherwise the first of them that is there
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
cd "$root"

variant=${VARIANT:-cpu}
case $variant in cpu) suffix='' ;; cuda) suffix=-cuda ;; *) die "VARIANT=$variant: cpu or cuda" ;; esac
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
image=${IMAGE:-tagfleet:$version$suffix}
revision=$(git rev-parse HEAD 2>/dev/null || say unknown)
[[ -z $(git status --porcelain 2>/dev/null) ]] || revision+=-modified

builder=${BUILDER:-}
for candidate in docker podman buildah; do
  [[ -n $builder ]] || ! command -v "$candidate" >/dev/null || builder=$candidate
done
[[ -n $builder ]] || die 'needs docker, podman or buildah'

"$builder" build --build-arg VARIANT="$variant" --build-arg VERSION="$version" --build-arg REVISION="$revision" --tag "$image" .
case $builder in
  buildah) size=$(buildah images --format '{{.Size}}' "$image") ;;
  *) size=$("$builder" image inspect --format '{{.Size}}' "$image" | awk '{ printf "%.0f MB", $1 / 1e6 }') ;;
esac
say "$image: $size"
