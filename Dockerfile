# The image of the fleet: scheduler, worker and console, ONNX Runtime, the default model set. `make image` builds it.
#
#   VARIANT=cpu    on distroless: no shell, no package manager
#   VARIANT=cuda   x86-64 only, with a BASE that has CUDA 13 and cuDNN 9: scripts/image.sh names it; not built and not run on a GPU yet

ARG RUST_IMAGE=docker.io/library/rust:1-bookworm
ARG BASE=gcr.io/distroless/cc-debian12:nonroot

# --- what building needs

FROM ${RUST_IMAGE} AS tools
# cmake and nasm build libjpeg-turbo with its fast paths; pip fetches ONNX Runtime and checks its hash.
RUN apt-get update -q \
 && apt-get install -qy --no-install-recommends cmake nasm python3-pip \
 && rm -rf /var/lib/apt/lists/*
# Writes the list of dependencies into each binary (section .dep-v0), where scanners find it: it cannot get lost or be that of another
# build, as a file beside it could.
RUN cargo install --locked --version 0.7.7 cargo-auditable

# --- ONNX Runtime

FROM tools AS onnxruntime
ARG VARIANT=cpu
WORKDIR /onnxruntime
# The same versions and hashes as in scripts/setup.sh; scripts/check-image.sh compares them.
RUN set -eu; \
    case "$VARIANT-$(uname -m)" in \
      cpu-x86_64) wheel=onnxruntime==1.31.1; hash=1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536 ;; \
      cpu-aarch64) wheel=onnxruntime==1.31.1; hash=0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc ;; \
      cuda-x86_64) wheel=onnxruntime-gpu==1.31.1; hash=05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7 ;; \
      *) echo "no ONNX Runtime is known for VARIANT=$VARIANT on $(uname -m)" >&2; exit 1 ;; \
    esac; \
    echo "$wheel --hash=sha256:$hash" >wheel.txt; \
    pip download -q --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
      --implementation cp --python-version 3.12 --platform "manylinux_2_28_$(uname -m)" -d . -r wheel.txt; \
    python3 -c 'import glob, zipfile; zipfile.ZipFile(glob.glob("*.whl")[0]).extractall("wheel")'; \
    mkdir library; \
    cp wheel/onnxruntime/LICENSE wheel/onnxruntime/ThirdPartyNotices.txt wheel/onnxruntime/capi/libonnxruntime.so.* library/; \
    if [ "$VARIANT" = cuda ]; then \
      cp wheel/onnxruntime/capi/libonnxruntime_providers_cuda.so wheel/onnxruntime/capi/libonnxruntime_providers_shared.so library/; \
    fi; \
    (cd library; ln -s libonnxruntime.so.* libonnxruntime.so); \
    rm -r wheel wheel.txt ./*.whl

# --- the binaries

FROM tools AS build
WORKDIR /build
# Nothing to debug with, for nodes have to fetch it: a panic tells its file and line all the same. And one unit per crate, which is smaller.
ENV CARGO_PROFILE_RELEASE_DEBUG=false CARGO_PROFILE_RELEASE_STRIP=symbols CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 CARGO_INCREMENTAL=0
# Dependencies first, from the manifests alone: this layer is built anew only when they change, not when our code does.
COPY Cargo.toml Cargo.lock ./
COPY shared/Cargo.toml shared/
COPY download/Cargo.toml download/
COPY scheduler/Cargo.toml scheduler/
COPY workers/Cargo.toml workers/
COPY console/Cargo.toml console/
COPY loadtest/Cargo.toml loadtest/
COPY tests/Cargo.toml tests/
RUN set -eu; \
    for crate in shared download scheduler workers console loadtest tests; do mkdir "$crate/src" && touch "$crate/src/lib.rs"; done; \
    for crate in scheduler workers console; do echo 'fn main() {}' >"$crate/src/main.rs"; done; \
    cargo auditable build --release --locked -p tagfleet-scheduler -p tagfleet-worker -p tagfleet-console; \
    rm -r shared/src download/src scheduler/src workers/src console/src
COPY migrations migrations
COPY shared shared
COPY download download
COPY scheduler scheduler
COPY workers workers
COPY console console
# Files keep the times of the checkout, which may be older than the empty ones that were just built.
RUN find shared download scheduler workers console migrations -type f -exec touch {} + \
 && cargo auditable build --release --locked -p tagfleet-scheduler -p tagfleet-worker -p tagfleet-console

# --- the image

FROM ${BASE} AS fleet
ARG VARIANT=cpu
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tagfleet" \
      org.opencontainers.image.description="Tags the pictures of classifieds marketplaces: scheduler, worker, console, default model set (${VARIANT})" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=onnxruntime /onnxruntime/library /opt/tagfleet/onnxruntime
COPY models/default /opt/tagfleet/models/default
COPY --from=build /build/target/release/tagfleet-scheduler /build/target/release/tagfleet-worker \
     /build/target/release/tagfleet-console /usr/local/bin/
# The library's place is a default only, and so is the model set's: the setting models.dir is "models/default", seen from here.
ENV ORT_DYLIB_PATH=/opt/tagfleet/onnxruntime/libonnxruntime.so
WORKDIR /opt/tagfleet
# By its number: Kubernetes cannot tell of a name that it is not root's.
USER 65532:65532
EXPOSE 8080 9090 9091 9092
ENTRYPOINT []
CMD ["tagfleet-worker", "run"]
