# GNU make. `make help` lists the targets.
CARGO ?= cargo
export CARGO

# The servers' addresses and the libraries, for a program that a recipe runs.
ENV = exports=$$(scripts/services.sh env) && eval "$$exports"
LOADTEST = target/release/tagfleet-loadtest

.DEFAULT_GOAL := help
.PHONY: help setup services demo test compatibility chart image cluster-images cluster-test fmt lint bench bench-grid chaos
.PHONY: monitoring-test fuzz train test-training stop clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: ## Install what is missing: packages, ONNX Runtime
	@scripts/setup.sh

services: ## Start the private PostgreSQL and RabbitMQ
	@scripts/setup.sh --quiet
	@scripts/services.sh start

release: services
	$(CARGO) build --release --workspace --bins
.PHONY: release

demo: release ## Tag an inventory with the whole fleet, twice (IMAGES=DIR for your own pictures)
	@$(ENV) && $(LOADTEST) demo $(if $(IMAGES),--images '$(IMAGES)')

test: ## Run everything that must hold before a commit
	@scripts/test.sh

compatibility: ## Build the version before this one and see both work together on today's schema
	@scripts/compatibility.sh

chart: ## Check the Helm chart (UPDATE=1: write its README.md, schema and golden files first)
	@UPDATE='$(UPDATE)' scripts/chart.sh

image: ## Build the container image (IMAGE=name:tag, VARIANT=cuda, BUILDER=docker|podman|buildah, BUILDER_OPTIONS=...)
	@IMAGE='$(IMAGE)' VARIANT='$(VARIANT)' BUILDER='$(BUILDER)' BUILDER_OPTIONS='$(BUILDER_OPTIONS)' scripts/image.sh

cluster-images: ## Build the images of the cluster test (REGISTRY=..., LOAD='command "$$1"', PICTURES=DIR)
	@scripts/cluster/images.sh

cluster-test: ## Prove chart and fleet on the Kubernetes of KUBECONFIG, faults and upgrades included: scripts/cluster-test.sh
	@scripts/cluster-test.sh $(STEPS)

fmt: ## Format the Rust code
	$(CARGO) fmt --all

lint: ## Run clippy; warnings are errors
	$(CARGO) clippy --workspace --all-targets -- -D warnings

bench: release ## Measure the fleet (SCENARIO=name, WITHOUT=name, OPTIONS='...'); plot: target/bench/results.svg
	@$(ENV) && $(LOADTEST) bench $(SCENARIO) $(addprefix --without ,$(WITHOUT)) $(OPTIONS)

# The browser of `make test`, and the figures of docs/CONSOLE.md.
bench-grid: services ## Measure the console's grid with 10,000 pictures in a browser: keys and frames
	$(CARGO) build --workspace --bins --features tagfleet-shared/failpoints
	@$(ENV) && $(CARGO) test -q -p tagfleet-tests --features tagfleet-shared/failpoints --bench grid

# Debug binaries with the points where a process can be killed: those of `make test`. A release build has none.
chaos: ## Do to a fleet what a bad night does, and count (MINUTES=5 SEED=number); report: target/chaos/report.txt
	@scripts/setup.sh --quiet
	$(CARGO) build --workspace --bins --features tagfleet-shared/failpoints
	@target/debug/tagfleet-loadtest chaos $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) $(OPTIONS)

monitoring-test: ## Prove alerts and dashboards: a real Prometheus, a fleet under load, every fault (DRAW=1: into docs/img; CLUSTER=1: on one)
ifdef CLUSTER
	@scripts/monitoring-cluster.sh
else
	@scripts/setup.sh --quiet
	$(CARGO) build --workspace --bins --features tagfleet-shared/failpoints
	@scripts/monitoring-test.sh $(if $(DRAW),--draw docs/img)
endif

fuzz: ## Feed made-up input to what reads strangers' (SECONDS=60 each): fuzz/README.md
	@scripts/fuzz.sh '$(or $(SECONDS),60)'

worker:
	@scripts/setup.sh --quiet
	$(CARGO) build --release -p tagfleet-worker
.PHONY: worker

train: worker ## Train a model set on your pictures (DATA=DIR [INITIAL=FILE] [OUT=DIR] [OPTIONS='...'])
	@if [ -z '$(DATA)' ]; then echo 'make train needs DATA=DIR; see models/training/README.md' >&2; exit 2; fi
	@scripts/training.sh run --data '$(DATA)' --initial '$(or $(INITIAL),models/default/vehicle.onnx)' \
		--out '$(or $(OUT),models/mine)' --work .tagfleet/trained $(OPTIONS)

test-training: worker ## Train on twenty drawn pictures (the first time PyTorch is fetched: 6 GB)
	@scripts/training.sh test

stop: ## Stop the demo's processes and the private servers
	@if [ -x $(LOADTEST) ]; then $(LOADTEST) stop || true; fi
	@scripts/services.sh stop-all

clean: stop ## Stop, and delete the servers' data, downloads and builds
	@scripts/services.sh remove-all
	rm -rf .tagfleet
	$(CARGO) clean
