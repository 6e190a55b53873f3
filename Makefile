# The only entrance, for people and for CI. GNU make 3.81 is enough.

SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# Our own contract, and what others publish.
PROTOS := protos/rerank/v1 protos/tei/v1 protos/weaviate_api/v1
PROTOC = PATH="$(CURDIR)/$(BIN):$$PATH" python -m grpc_tools.protoc -Iprotos \
	--python_out=$(1) --grpc_python_out=$(1) --mypy_out=quiet:$(1) \
	--mypy_grpc_out=quiet:$(1) $(addsuffix /*.proto,$(PROTOS))
LOCK := --upgrade --generate-hashes --universal --python-version 3.11 --no-header --no-annotate --quiet
CHECKED := gateway tests clients benchmarks deploy

.PHONY: help
help: ## Print this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-14s %s\n", $$1, $$2}'

.PHONY: setup
setup: $(READY) ## Make .venv and install everything, pinned by hash (once).

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Python's venv is missing: apt-get install python3-venv"; exit 2; }
	@echo "setting up .venv (about a minute, once)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: demo
demo: $(READY) ## Start a gateway and rerank real documents, before and after.
	@$(BIN)/python clients/demo/demo.py

.PHONY: trace-demo
trace-demo: $(READY) ## The same with traces, in good times and in bad, in a browser (needs the network once).
	@$(BIN)/python -m clients.trace_demo

.PHONY: run
run: $(READY) ## Serve on 127.0.0.1:50051 until Ctrl-C.
	@$(BIN)/rerank-gateway serve

.PHONY: test
test: $(READY) ## Run all tests, of two files at a time.
	@$(BIN)/python -m pytest -n 2 --dist loadfile

.PHONY: test-backends
test-backends: $(READY) ## Run the tests against real servers named in LLAMA_SERVER_URL, INFINITY_URL, TEI_URL, VLLM_URL.
	@$(BIN)/python -m pytest tests/real_servers

.PHONY: clients
clients: $(READY) ## Generate the code of every client anew (needs their toolchains).
	@clients/each generate

.PHONY: test-clients
test-clients: $(READY) ## Run the tests of every client, in its language (needs their toolchains).
	@clients/each test

.PHONY: check
check: format-check lint types proto-check architecture licences ## Run every check that CI runs beside the tests.

.PHONY: format
format: $(READY) ## Format Python and protobuf files.
	@$(BIN)/ruff check --quiet --fix-only $(CHECKED)
	@$(BIN)/ruff format $(CHECKED)
	@$(BIN)/buf format --write

.PHONY: format-check
format-check: $(READY)
	@$(BIN)/ruff format --check $(CHECKED)
	@$(BIN)/buf format --diff --exit-code

.PHONY: lint
lint: $(READY) ## Lint Python and protobuf files.
	@$(BIN)/ruff check $(CHECKED)
	@$(BIN)/buf lint

.PHONY: types
types: $(READY) ## Check types, strictly.
	@$(BIN)/mypy $(CHECKED)

.PHONY: proto
proto: $(READY) ## Generate the Python stubs beside the .proto files.
	@$(call PROTOC,protos)

.PHONY: proto-check
proto-check: $(READY) ## Check that the contract breaks nobody and its stubs are up to date.
	@$(BIN)/buf breaking --against protos/base.binpb
	@rm -rf build/stubs && mkdir -p build/stubs && $(call PROTOC,build/stubs)
	@for new in build/stubs/*/v1/*; do cmp "$$new" "protos/$${new#build/stubs/}" || \
		{ echo "the stubs are not up to date: make proto"; exit 1; }; done

.PHONY: proto-base
proto-base: $(READY) ## Take the contract as it is for the one that must not break (at a release).
	@$(BIN)/buf build --exclude-source-info -o protos/base.binpb

.PHONY: architecture
architecture: $(READY)
	@$(BIN)/python -m pytest -q tests/test_architecture.py

.PHONY: bench
bench: .venv/.ready-to-measure ## Measure what a call costs, beside its floor and its peers, and write a report (five minutes).
	@$(BIN)/python -m benchmarks.cost

.PHONY: bench-full
bench-full: .venv/.ready-to-measure ## The same with every payload and size, at length (forty minutes).
	@$(BIN)/python -m benchmarks.cost --full

.PHONY: bench-search
bench-search: .venv/.ready-to-measure ## Measure what a search of 100 000 documents costs (ten minutes).
	@$(BIN)/python -m benchmarks.retrieval

.PHONY: bench-telemetry
bench-telemetry: .venv/.ready-to-measure ## Measure what traces and metrics cost (a minute and a half).
	@$(BIN)/python -m benchmarks.telemetry

.PHONY: dashboards
dashboards: $(READY) ## Write the dashboards of deploy/observability anew.
	@$(BIN)/python -m deploy.observability.dashboards

.PHONY: image-check
image-check: $(READY) ## Build the image without an engine and run it as it is deployed (Linux, as root; three minutes, then one).
	@deploy/checks/image

.PHONY: helm-check
helm-check: ## Lint the Helm chart and hold what it makes to Kubernetes' schemas (needs Go, minutes the first time).
	@deploy/checks/helm

.PHONY: compose-check
compose-check: ## Hold the compose files to the Compose specification (needs Go).
	@deploy/checks/compose

.PHONY: audit
audit: ## Ask for known vulnerabilities in what we depend on; says NOT AUDITED where nobody can be asked.
	@deploy/checks/audit

.PHONY: licences
licences: $(READY) ## Hold the licences of what we depend on to a list.
	@$(BIN)/python deploy/checks/licences.py requirements.txt

.PHONY: sbom
sbom: $(READY) ## Write build/sbom.json: what is in the image, in CycloneDX.
	@deploy/checks/sbom

.PHONY: relevance
relevance: .venv/.ready-to-measure ## Measure what the built-in model gains on real collections (minutes).
	@$(BIN)/python -m benchmarks.relevance

.venv/.ready-to-measure: $(READY) benchmarks/requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/requirements.txt
	@touch $@

.PHONY: lock
lock: $(READY) ## Pin the newest allowed dependencies, with hashes for every platform.
	@$(BIN)/pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip compile $(LOCK) --all-extras --group dev -o requirements.txt pyproject.toml
	@$(BIN)/uv pip compile $(LOCK) --group pyproject.toml:bench -c requirements.txt \
		-o benchmarks/requirements.txt
	@$(BIN)/uv pip compile $(LOCK) --group pyproject.toml:deploy -o deploy/checks/requirements.txt
	@$(BIN)/uv pip compile $(LOCK) --extra embedded --extra local --extra shared --extra qdrant --extra weaviate --extra jwt --extra certificates -c requirements.txt \
		-o deploy/container/requirements.txt pyproject.toml
	@$(BIN)/uv pip compile $(LOCK) --group pyproject.toml:image -c requirements.txt \
		-o deploy/container/requirements-build.txt
	@cd clients/python && $(CURDIR)/$(BIN)/uv pip compile $(LOCK) --all-extras --group dev \
		-o requirements.txt pyproject.toml
	@cd clients/python && $(CURDIR)/$(BIN)/uv pip compile $(LOCK) --resolution lowest-direct \
		--group oldest -o requirements-oldest.txt
	@cd clients/python && $(CURDIR)/$(BIN)/uv pip compile $(LOCK) \
		--group pyproject.toml:generate -o requirements-generate.txt
	@cd clients/sdks && $(CURDIR)/$(BIN)/uv pip compile $(LOCK) -o requirements.txt requirements.in
	@cd clients/sdks && $(CURDIR)/$(BIN)/uv pip compile $(LOCK) \
		-o requirements-newest.txt requirements-newest.in

.PHONY: clean
clean: ## Remove everything that was made here, .venv included.
	@rm -rf .venv build dist .coverage .hypothesis .mypy_cache .ruff_cache
	@rm -rf clients/{python,sdks}/.venv* clients/python/build clients/java/target \
		clients/rust/target clients/typescript/{node_modules,dist}
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
