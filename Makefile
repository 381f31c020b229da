# Every target does the set-up that it needs; the first run of the cluster targets builds Kubernetes (see e2e/README.md).

VENV := .venv
PYTHON ?= python3
BIN := $(CURDIR)/$(VENV)/bin
CLUSTER ?= local
NAME ?= dev
K ?=
ROUNDS ?= 20
N ?= 100
REVIEWS ?= 10000
OUT ?=
COMPARE ?=
EXAMPLES ?= 3000
OPERATOR ?= python -m rayserve_operator
RAY_LOCK := e2e/images/ray/requirements.txt
LOCKS := requirements/operator.txt requirements/image.txt requirements/development.txt
UPGRADE ?=

.DEFAULT_GOAL := help
SHELL := /bin/bash

##@ The two commands

demo: $(VENV)/ready ## The main job on a real local cluster with real Ray: serve, update in place, roll blue/green
	$(BIN)/python -m scenarios.demo

test: check parity docs integration e2e-ci ## Every tier, as CI runs it

##@ While you work

check: format-check lint types layers generate-check unit ## The fast inner loop: style, types, layers, unit and simulation tests

format: $(VENV)/ready ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

format-check: $(VENV)/ready
	@echo "== format"; $(BIN)/ruff format --check .

lint: $(VENV)/ready
	@echo "== lint"; $(BIN)/ruff check .

types: $(VENV)/ready
	@echo "== types"; $(BIN)/mypy && cd e2e && $(BIN)/mypy

layers: $(VENV)/ready
	@echo "== layers"; $(BIN)/lint-imports --no-cache

unit: $(VENV)/ready ## Tests without a cluster (K=EXPR selects)
	@echo "== unit and simulation tests"; $(BIN)/pytest -q -n auto $(if $(K),-k "$(K)") tests benchmarks/tests
	@cd e2e && $(BIN)/pytest -q unit

parity: $(VENV)/ready $(VENV)-ray/ready ## Our model of Serve configs against Ray's own schema (EXAMPLES=3000)
	@echo "== parity with Ray"; EXAMPLES=$(EXAMPLES) $(BIN)/pytest -q tests/parity

mutants: $(VENV)/ready ## Mutation testing of planning/ (K=PART selects modules by their path)
	$(BIN)/python -m tests.mutants $(K)

generate: $(VENV)/ready ## Generate the CRDs, the chart's copies of them and its tables, and the pages of docs/ that are found from the code
	$(BIN)/python -m rayserve_operator.crdgen crds charts/rayserve-operator/files/crds
	$(BIN)/python -m tests.fields.table docs/fields.md
	$(BIN)/python -m tests.told.reference docs/conditions.md
	$(BIN)/python -m tests.cli.pictures docs/pictures
	$(BIN)/python -m tests.cli.reference docs/cli.md
	$(BIN)/python -m tests.lint.page docs/rules.md
	$(BIN)/python -m tests.observability.reference docs/metrics.md
	$(BIN)/python -m tests.chart.readme charts/rayserve-operator

generate-check: $(VENV)/ready
	@echo "== generated files"; $(BIN)/python -m rayserve_operator.crdgen --check crds charts/rayserve-operator/files/crds
	@$(BIN)/python -m tests.fields.table --check docs/fields.md
	@$(BIN)/python -m tests.told.reference --check docs/conditions.md
	@$(BIN)/python -m tests.cli.reference --check docs/cli.md
	@$(BIN)/python -m tests.cli.pictures --check docs/pictures
	@$(BIN)/python -m tests.lint.page --check docs/rules.md
	@$(BIN)/python -m tests.observability.reference --check docs/metrics.md
	@$(BIN)/python -m tests.chart.readme --check charts/rayserve-operator

lock: $(VENV)/ready ## Lock by version and hash what is installed from PyPI (UPGRADE=PACKAGE takes a newer one)
	$(BIN)/python -m tests.supply.locks $(if $(UPGRADE),--upgrade-package "$(UPGRADE)")

audit: $(VENV)/ready ## Known holes in what the image and the tools are made of (asks PyPI)
	@for lock in $(LOCKS); do echo "== audit of $$lock"; $(BIN)/pip-audit --strict --require-hashes --disable-pip --requirement $$lock || exit; done

docs: $(VENV)/ready ## Build the documentation's site into build/site; warnings and dead links are errors
	@echo "== docs"; NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

install-manifests: $(VENV)/ready ## Generate manifests/install from the chart (needs the built helm, see cluster-up)
	PATH="$$($(BIN)/python -c 'from localcluster import binaries; print(binaries.search_path())'):$$PATH" \
	  $(BIN)/python -m scenarios.install_manifests

##@ On a real API server, and on real Ray

integration: $(VENV)/ready ## Tests on a real kube-apiserver
	$(BIN)/pytest -q e2e/integration

e2e-ci: $(VENV)/ready
	$(BIN)/pytest -m ci $(if $(K),-k "$(K)") e2e/scenarios

e2e: $(VENV)/ready ## All scenarios on a real node with real Ray (K=EXPR selects)
	$(BIN)/pytest $(if $(K),-k "$(K)") e2e/scenarios

bench-startup: $(VENV)/ready ## Apply to first answer, in ratio to the same pods started by hand
	$(BIN)/python -m scenarios.bench_startup

bench: export OPERATOR := $(OPERATOR)
bench: $(VENV)/ready ## N=100 RayServices without nodes or Ray, in ratio to no operator (OUT=FILE, K=SCENARIO, OPERATOR="…")
	$(BIN)/python -m benchmarks -n $(N) $(if $(OUT),--out "$(OUT)") $(if $(K),--only "$(K)") $(if $(COMPARE),--compare "$(COMPARE)")

bench-admission: $(VENV)/ready ## What the webhook costs who applies and the operator, for docs/admission.md (REVIEWS=10000)
	$(BIN)/python -m benchmarks.admission --reviews $(REVIEWS) --page docs/admission.md $(if $(OUT),--out "$(OUT)")

bench-memory: $(VENV)/ready ## What each RayService costs in memory, without a cluster (N=100, COPIES=10000, SHARDS=4, OUT=FILE)
	$(BIN)/python -m benchmarks.memory -n $(N) $(if $(COPIES),--copies $(COPIES)) $(if $(SHARDS),--shards $(SHARDS)) $(if $(OUT),--out "$(OUT)")

soak: $(VENV)/ready ## Rollouts of every kind, ROUNDS=20 times, for docs/rollouts-soak.md (two hours; K=PART selects)
	$(BIN)/python -m scenarios.soak $(ROUNDS) $(K)

pictures: export PICTURES := $(CURDIR)/docs/pictures
pictures: $(VENV)/ready ## The dashboards and the live view of a rollout, from a real run, for docs/
	$(BIN)/pytest e2e/scenarios/test_observability.py e2e/scenarios/test_shifting.py::test_traffic_moves_in_steps
	$(BIN)/python -m tests.cli.reference docs/cli.md

##@ A local cluster to play with

cluster-up: $(VENV)/ready ## Start a real local cluster (NAME=dev)
	$(BIN)/localcluster up $(NAME)

cluster-down: $(VENV)/ready ## Stop it
	$(BIN)/localcluster down $(NAME)

cluster-status: $(VENV)/ready ## Which local clusters run
	$(BIN)/localcluster status

cluster-shell: $(VENV)/ready ## A shell inside it, with kubectl and helm
	$(BIN)/localcluster shell $(NAME)

##@ Set-up

$(VENV)/ready: pyproject.toml e2e/pyproject.toml requirements/development.txt
	@echo "== setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { echo "python3-venv is missing; as root on Debian: apt-get install python3-venv"; \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -q && apt-get install -y -q python3-venv && $(PYTHON) -m venv $(VENV); }
	$(BIN)/pip install --quiet --require-hashes --requirement requirements/development.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable . --editable ./e2e
	@touch $@

$(VENV)-ray/ready: $(RAY_LOCK) $(VENV)/ready
	@echo "== setting up $(VENV)-ray"
	@$(PYTHON) -m venv --clear $(VENV)-ray
	$(VENV)-ray/bin/pip install --quiet --require-hashes --requirement $(RAY_LOCK)
	@touch $@

clean: ## Remove the virtual environments and tool caches (the built binaries and images stay)
	rm -rf $(VENV) $(VENV)-ray .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

help: ## This text
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*##/ {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo test check format format-check lint types layers unit parity mutants generate generate-check lock audit docs \
	install-manifests integration e2e e2e-ci bench bench-admission bench-memory bench-startup soak pictures cluster-up cluster-down cluster-status cluster-shell clean help
