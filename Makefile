# Everything sets itself up: python3 (>= 3.11), make and a package index are enough.
PYTHON ?= python3
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
BIN := .venv/bin
export UV_PYTHON_DOWNLOADS = never
SAM := $(UV) tool run --from aws-sam-cli sam

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.PHONY: setup
setup: .venv/.installed ## Create .venv with the locked dependencies

.uv/bin/uv:
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet --disable-pip-version-check uv

.venv/.installed: pyproject.toml requirements-dev.txt $(if $(filter .uv/bin/uv,$(UV)),.uv/bin/uv)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON to one, for example: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
	$(UV) pip install --quiet --python .venv --require-hashes -r requirements-dev.txt
	$(UV) pip install --quiet --python .venv --no-deps -e .
	@touch $@

.PHONY: lock
lock: ## Resolve the dependency set anew into the two locked files
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o layers/desktop-images/requirements.txt
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --group dev -c layers/desktop-images/requirements.txt pyproject.toml -o requirements-dev.txt

.PHONY: run
run: setup ## Run the whole job on this machine, no account needed (EVENT=events/... announces one image by that event)
	$(BIN)/python -m local.run $(if $(EVENT),--event $(EVENT))

.PHONY: run-yandex
run-yandex: setup ## Run the packed functions as Yandex Cloud does, woken by each of its triggers
	UV=$(UV) $(BIN)/python -m local.run_yandex

.PHONY: emulator
emulator: setup ## Serve the emulated Yandex APIs on port 8080
	$(BIN)/python -m local.emulator --port 8080

.PHONY: openapi
openapi: setup ## Write docs/openapi.json anew from the code
	$(BIN)/python -m local.openapi

.PHONY: test
test: lint types ## Check style, types, architecture and template, then run all tests
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term $(PYTEST_ARGS)

.PHONY: lint
lint: setup ## Check style, import directions and the template
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache
	$(BIN)/cfn-lint template.yaml

.PHONY: types
types: setup ## Check types over code and tests
	$(BIN)/mypy

.PHONY: format
format: setup ## Rewrite the code in the project's style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: build
build: $(if $(filter .uv/bin/uv,$(UV)),.uv/bin/uv) ## Build the layer and the functions for Lambda into build/, without a container
	UV=$(UV) $(PYTHON) deploy/package.py build build

.PHONY: package-yandex
package-yandex: $(if $(filter .uv/bin/uv,$(UV)),.uv/bin/uv) ## Build the functions for Yandex Cloud into dist/yandex, without a container
	UV=$(UV) $(PYTHON) deploy/package.py yandex dist/yandex

.PHONY: deploy
deploy: build ## Build and deploy to AWS; asks for what it needs (DEPLOY_ARGS replaces --guided)
	UV=$(abspath $(shell command -v $(UV))) SAM_CLI_TELEMETRY=0 $(SAM) build
	SAM_CLI_TELEMETRY=0 $(SAM) deploy $(or $(DEPLOY_ARGS),--guided)

.PHONY: chaos
chaos: setup ## Copy 200 images while processes are killed and a fifth of all API calls fail
	$(BIN)/python -m local.chaos

.PHONY: docs
docs: setup ## Write the README's generated tables anew
	$(BIN)/python -m local.docs

.PHONY: bench
bench: setup ## Measure against what one would use instead
	@for benchmark in benchmarks/*.py; do echo "== $$benchmark"; $(BIN)/python $$benchmark || exit 1; done

.PHONY: clean
clean: ## Remove everything the other targets made
	rm -rf .venv .uv .aws-sam build dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
