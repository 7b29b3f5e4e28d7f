# What the cluster test has beside the fleet: the origin of the pictures and of model sets (lighttpd), and what it asks servers with. It
# also stands in for the chart's `fetchImage` and `test.image`. scripts/cluster/images.sh brings the folder.
ARG BASE=docker.io/library/debian:bookworm-slim
FROM ${BASE}
RUN apt-get update -q \
 && apt-get install -qy --no-install-recommends ca-certificates curl jq lighttpd postgresql-client \
 && rm -rf /var/lib/apt/lists/*
COPY origin.conf /etc/origin.conf
COPY site /site
USER 65532:65532
CMD ["sleep", "infinity"]
