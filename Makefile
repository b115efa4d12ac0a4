.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo up down test lint bench lock clean

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
BENCH := .venv-bench
export PATH := $(CURDIR)/$(BIN):$(PATH)
PIP := $(BIN)/python -m pip --disable-pip-version-check

help:  ## List the commands
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 12

setup: $(VENV)/.run  ## Make the virtual environment with what a user needs

setup-dev: $(VENV)/.dev

demo: setup  ## Start everything, run a real job of every worker, stop
	$(BIN)/atelier demo

up: setup  ## Start everything and leave it running; `make down` stops it
	$(BIN)/atelier weights pull
	$(BIN)/atelier up

down:  ## Stop what `make up` started
	$(BIN)/atelier down

test: setup-dev  ## Everything CI checks, except the linters
	$(BIN)/atelier weights pull
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not chaos"
	$(BIN)/python -m pytest -n auto -rP -m "chaos and not alone"
	$(BIN)/python -m pytest -rP -m "chaos and alone"

lint: setup-dev  ## Format, style, types, import directions, deployment files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/hadolint deploy/*.Dockerfile

bench: setup-dev $(BENCH)/.done  ## NAME=overhead: measure it here, beside its peers
	$(BIN)/atelier weights pull
	$(BIN)/python -m bench $(NAME) $(ARGS)

lock: $(VENV)/.dev  ## Choose the newest allowed versions again (needs uv)
	uv pip compile -q --universal -p 3.11 --no-header --no-annotate pyproject.toml -o requirements/base.txt
	uv pip compile -q --universal -p 3.11 --no-header --no-annotate --extra cpu pyproject.toml -o requirements/cpu.txt
	uv pip compile -q --universal -p 3.11 --no-header --no-annotate --extra gpu pyproject.toml -o requirements/gpu.txt
	uv pip compile -q --universal -p 3.11 --no-header --no-annotate --extra cpu --extra dev pyproject.toml -o requirements/dev.txt
	uv pip compile -q --universal -p 3.11 --no-header --no-annotate -c requirements/dev.txt --extra worker pyproject.toml requirements/bench.in -o requirements/bench.txt

clean:  ## Remove the virtual environment and caches; your data in .atelier stays
	rm -rf $(VENV) $(BENCH) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: install python3.11 and python3.11-venv, or say make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python's venv module is needed: install the package python3.11-venv"; exit 1; }

# The files .run and .dev remember which locks are installed.
$(VENV)/.run: requirements/cpu.txt pyproject.toml | $(BIN)/python
	@echo "Installing the locked dependencies (PyTorch is large: several GB the first time) ..."
	@test -f $(VENV)/.dev || $(PIP) install -r requirements/cpu.txt
	@$(PIP) install --quiet --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo "Installing the locked dependencies and the test tools ..."
	@$(PIP) install -r requirements/dev.txt
	@$(PIP) install --quiet --no-deps --editable .
	@touch $(VENV)/.run $@

# The peers have an environment of their own, which shares the large packages with ours.
$(BENCH)/.done: requirements/bench.txt $(VENV)/.dev
	@$(BIN)/python -m venv $(BENCH)
	@$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" > $$($(BENCH)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/shared.pth
	@$(BENCH)/bin/python -m pip --disable-pip-version-check --quiet install -r requirements/bench.txt
	@touch $@
