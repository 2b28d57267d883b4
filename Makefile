# One command per need. `make` alone lists them. Everything happens inside .venv and the state folder (.ballast).
#
#   make run MARKET=replay:../shared/data      MARKET is short for BALLAST_MARKET; any other BALLAST_* variable passes through.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

ifdef MARKET
export BALLAST_MARKET := $(MARKET)
endif
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.PHONY: help install run up down test check format bench docs doctor vendor clean-state

help:
	@echo 'Ballast: market data in, a scored vault out.'
	@echo
	@echo '  make run          play the whole asset graph once (MARKET=simulated | replay:DIR | live)'
	@echo '  make test         all tests, on a PostgreSQL of their own'
	@echo '  make up           start Dagster, MLflow, the API and the devnet; make down stops them'
	@echo '  make check        formatting, lint, types, import rules, dbt project'
	@echo '  make bench        figures of this machine as JSON'
	@echo '  make docs         the documentation as a site, in docs/_build'
	@echo '  make doctor       what is wrong with this set-up, and the way out'
	@echo '  make vendor       fetch the charting library of the page again and check it (needs npm)'
	@echo '  make clean-state  delete databases, models and logs of all markets (asks first)'
	@echo
	@echo 'Everything else: .venv/bin/ballast --help'

# The stamp is written last: an interrupted installation is simply done again.
install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo 'Ballast needs Python 3.11, 3.12 or 3.13: none found as $(PYTHON). Name one with PYTHON=...' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else f"Ballast needs Python 3.11, 3.12 or 3.13: $(PYTHON) is {v[0]}.{v[1]}. Name another with PYTHON=...")'
	@echo 'Installing the locked packages into $(VENV) (a few minutes the first time) ...'
	@test -x $(BIN)/pip && $(BIN)/pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install -qq -r requirements.lock
	@$(BIN)/pip install -qq --no-deps -e .
	@touch $@

run: install
	@$(BIN)/ballast run

up: install
	@$(BIN)/ballast up

down: install
	@$(BIN)/ballast down

doctor: install
	@$(BIN)/ballast doctor

bench: install
	@$(BIN)/ballast bench

docs: install
	@$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build
	@echo 'docs/_build/index.html'

test: install
	@$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist worksteal

check: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/architecture
	@$(BIN)/ballast dbt-parse
	@$(MAKE) docs

format: install
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

vendor:
	@serving/page/vendor/fetch.sh

clean-state: install
	@$(BIN)/ballast clean-state
