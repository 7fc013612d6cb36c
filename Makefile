.PHONY: help setup web web-lint types screenshots pictures up down images chart install demo lint lint-python docs-check verify golden test-fast test fuzz bench
.DEFAULT_GOAL := help
SHELL := /bin/bash
NODE := PYTHONPATH=tests PYTHONDONTWRITEBYTECODE=1 python3 -m cluster.node

BIN := .venv/bin
# KUBECONFIG=... make test uses an existing cluster.
OWN := $(if $(KUBECONFIG),,yes)
export KUBECONFIG ?= $(CURDIR)/.cluster/kubeconfig
export PATH := $(CURDIR)/.cluster/bin:$(PATH)
# If set, as in many containers, each of the hundreds of test processes would compile all its imports again.
unexport PYTHONDONTWRITEBYTECODE

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: ## Start a one-node Kubernetes cluster (CLUSTER=kind: with Docker) and write .cluster/kubeconfig
	@$(NODE) up

down: ## Stop the cluster and remove its files, except compiled programs and caches
	@$(NODE) down

images: web ## Build the operator and step images and load them into the cluster
	@$(NODE) images

.venv/.made: pyproject.toml uv.lock
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: python3 is %d.%d; podgraph needs 3.11 or newer" % sys.version_info[:2])'
	@test -x $(BIN)/uv || { python3 -m venv .venv && $(BIN)/python -m pip install --quiet uv; }
	@UV_PROJECT_ENVIRONMENT=.venv $(BIN)/uv sync --quiet --frozen --all-extras --compile-bytecode
	@touch $@

setup: .venv/.made web ## Create .venv with all dependencies, and build the web page

web: ## Build the web page from operator/web, and find or install a browser for its tests
	@$(NODE) page

WEB := operator/web
# npm writes this file when it has installed package-lock.json.
$(WEB)/node_modules/.package-lock.json: $(WEB)/package.json $(WEB)/package-lock.json
	@cd $(WEB) && npm ci --silent && touch node_modules/.package-lock.json

# Without npm, or with an older Node.js, `make web` fails with a message.
web-lint: $(if $(shell command -v npm),$(WEB)/node_modules/.package-lock.json) ## Run tsc, eslint, prettier and vitest on operator/web
ifeq ($(shell command -v npm),)
	@echo "note: npm is not installed; the web page is not linted"
else
	@cd $(WEB) && npm run --silent types > /dev/null && npx tsc --noEmit
	@cd $(WEB) && npm run --silent format:check && npm run --silent lint
	@cd $(WEB) && npm run --silent test > node_modules/.vitest.log 2>&1 || { cat node_modules/.vitest.log; exit 1; }
endif

types: .venv/.made ## Write the OpenAPI document from which the page's types are generated
	@PYTHONPATH=operator $(BIN)/python -m podgraph.server.document > operator/web/openapi.json

screenshots: setup ## Write pictures of the page's screens, light and dark, to .screenshots/
	@PYTHONPATH=operator:tests $(BIN)/python -m web.screenshots

pictures: screenshots ## Redraw the two SVG pictures of README.md
	@mkdir -p operator/web/pictures && cp .screenshots/*.svg operator/web/pictures/

chart: ## Generate the chart's copy of crds/
	@python3 charts/generate.py

install: $(if $(OWN),up) images ## Build the images and install the chart with them
	@helm upgrade --install podgraph charts/podgraph --namespace podgraph-system --create-namespace --take-ownership --wait --timeout 120s \
	  --set image.tag=dev --set stepImage=podgraph/step:dev --set storage.createClaim.enabled=true > .cluster/install.log \
	  || { cat .cluster/install.log; kubectl -n podgraph-system logs deployment/podgraph --tail=20; exit 1; }
	@cmp --silent .cluster/state/loaded-operator .cluster/state/installed-operator || { \
	  kubectl -n podgraph-system rollout restart deployment podgraph && \
	  kubectl -n podgraph-system rollout status deployment podgraph --timeout 120s; } > .cluster/install.log || \
	  { cat .cluster/install.log; kubectl -n podgraph-system logs deployment/podgraph --tail=20; exit 1; }
	@cp .cluster/state/loaded-operator .cluster/state/installed-operator 2> /dev/null || true

demo: setup install ## Start a cluster, install podgraph and run Jobs
	@$(BIN)/python tests/demo.py

# The oldest Python that mypy knows; tests/unit/test_python39.py does the rest of the way to 3.9.
IN_STEP_IMAGES := $(addprefix -p podgraph.,definition selection flow run_config protocol runtime)

lint: setup web-lint lint-python ## ruff, mypy, import-linter, web-lint, and that nothing generated is stale
	@$(BIN)/uv lock --check --quiet
	@PYTHONPATH=operator $(BIN)/python -m podgraph.server.document | cmp --silent - operator/web/openapi.json \
	  || { echo "error: operator/web/openapi.json is stale: run make types"; exit 1; }

# What the hooks of .pre-commit-config.yaml run as well: it needs neither npm nor the built page.
lint-python: .venv/.made
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary && $(BIN)/mypy --no-error-summary --python-version 3.10 $(IN_STEP_IMAGES)
	@$(BIN)/lint-imports --no-logo > .venv/imports.log || { cat .venv/imports.log; exit 1; }
	@python3 charts/generate.py --check

# The tests that hold pages, examples, CRDs and golden manifests against the code; they take seconds.
DOCS := $(addprefix tests/unit/test_,docs.py readme.py crds.py examples.py golden.py package.py python39.py)

docs-check: .venv/.made ## That the pages for readers, the examples, CRDs and golden manifests agree with the code
	@$(BIN)/pytest -q $(DOCS)

verify: lint docs-check ## All checks without a cluster and without the whole suite: lint, types, layers, generated files, docs

golden: .venv/.made ## Write the manifests in tests/examples/golden anew; read what changed in them
	@PYTHONPATH=operator:tests $(BIN)/python -m golden

WITHOUT_CLUSTER := $(BIN)/pytest -q -n auto --dist worksteal --doctest-modules operator tests -m "not cluster and not browser"

test-fast: lint ## Run all tests that need neither a cluster nor a browser, on all cores
	@$(WITHOUT_CLUSTER)

test: lint $(if $(OWN),demo) ## Run the demo and all tests on a real cluster (with KUBECONFIG=...: only the tests, on that cluster)
	@$(WITHOUT_CLUSTER)
	@$(BIN)/pytest -m "browser and not cluster" tests
	@$(BIN)/pytest -m cluster tests

fuzz: setup ## Test with random inputs (PODGRAPH_FUZZ=10000: number of examples per test)
	@PODGRAPH_FUZZ=$${PODGRAPH_FUZZ:-10000} $(BIN)/pytest -q -n auto --dist worksteal tests/fuzz

# All parts of the bench except `local` and `page` need a cluster.
bench: setup $(if $(and $(OWN),$(filter-out local page,$(or $(ONLY),all))),up images) ## Benchmark against peers and write .bench/ (BENCH=quick: 5 minutes; ONLY="gap jobs")
	@PYTHONPATH=operator:tests $(BIN)/python -m bench $(ONLY)
