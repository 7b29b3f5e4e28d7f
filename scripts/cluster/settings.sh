# Sourced by cluster-test.sh and cluster/images.sh: what a run is told, and its defaults.
# shellcheck shell=bash disable=SC2034

# The images. A registry that the cluster pulls from, or any name that LOAD gives to its nodes.
registry=${REGISTRY:-localhost}
tag=${TAG:-cluster-test}
fleet_image=$registry/tagfleet:$tag
next_image=$registry/tagfleet:$tag-next
tools_image=$registry/tagfleet-cluster-tools:$tag

# The servers, as pods reach them. The database's user may create databases.
broker_url=${BROKER_URL:-}
management_url=${MANAGEMENT_URL:-}
database_admin_url=${DATABASE_ADMIN_URL:-}
# NAMESPACE/POD of each, on a persistent volume: to be killed. Empty: they are left alone.
rabbitmq_pod=${RABBITMQ_POD:-}
postgres_pod=${POSTGRES_POD:-}
# A Prometheus that takes every PodMonitor, as pods reach it. Empty: nothing is asked of one.
prometheus_url=${PROMETHEUS_URL:-}

# The model set and the migration that only the test knows.
second_set=second-set
next_migration=1000
