# Every target needs only .venv, which `make setup` makes; `make` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --warn-undefined-variables
bin := .venv/bin
# Where it is set, every process of every test would compile our modules anew: a tenth of a second each.
unexport PYTHONDONTWRITEBYTECODE
# `make up PORT=8090` takes another port than 8080.
PORT ?=
needs_machine := acceptance or browser or docker or mariadb or postgres or slow or spark
pytest := $(bin)/python -m pytest -rs

# `make chaos SEED=7` draws what an earlier run drew.
SEED ?=

# Its name holds the folder, so that a copied or moved clone sets itself up again.
stamp := .venv/.ready-$(shell pwd -P | cksum | cut -d ' ' -f 1)

.PHONY: help setup demo up test test-fast test-servers test-spark test-acceptance test-deps chaos lint format bench constraints clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.* ## /\1\t/p' Makefile | sort | while IFS=$$'\t' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

setup: $(stamp) ## make .venv, with every version pinned

# Older than its sources after a pull that changes a version: then, and only then, this runs again.
$(stamp): pyproject.toml constraints.txt scripts/setup
	@scripts/setup
	@touch $@

demo: setup ## run the example pipeline twice and see what is reused
	@$(bin)/refrain demo $(if $(PORT),--port $(PORT))

up: setup ## start Airflow with the examples and the plugin
	@$(bin)/refrain up $(if $(PORT),--port $(PORT))

# Tests on a real Airflow and on Spark wait more than they work: those that need other servers run beside them.
test: test-fast test-deps ## all tests: the fast ones first, then those that need servers, Spark or Airflow side by side
	@echo "Servers, Spark and Airflow, side by side; what the tests of each print comes when they have ended."
	@$(MAKE) --no-print-directory -j 3 --output-sync=target test-servers test-spark test-acceptance

test-fast: setup ## the fast tests only
	$(pytest) -n auto -m "not ($(needs_machine))"

test-servers: setup
	$(pytest) -m "($(needs_machine)) and not acceptance and not spark" || [ $$? -eq 5 ]

test-spark: setup
	$(pytest) -m "spark and not acceptance" || [ $$? -eq 5 ]

test-acceptance: setup
	$(pytest) -m acceptance || [ $$? -eq 5 ]

test-deps: # Chromium and the database servers, where they can be installed
	@scripts/test-deps

chaos: setup ## kills, full disks, damage and crowds in their long form, with figures; forty minutes or more
	REFRAIN_TEST_CHAOS=long REFRAIN_TEST_SEED=$(SEED) $(pytest) -s --timeout 0 tests/chaos

lint: setup ## style, types and import contracts
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy
	$(bin)/lint-imports

format: setup ## let ruff format and mend
	$(bin)/ruff format .
	$(bin)/ruff check --fix .

bench: setup ## measure, side by side with peers
	$(bin)/python -m bench

constraints: ## pin the newest versions that pyproject.toml allows (UPGRADE= keeps the pinned ones)
	@[ -x $(bin)/uv ] || { echo "constraints: no .venv yet; run make setup first" >&2; exit 1; }
	$(bin)/uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.10 \
		--generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make constraints" \
		$(UPGRADE) --quiet --output-file constraints.txt

UPGRADE ?= --upgrade

clean: ## remove caches and builds (not .venv)
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage htmlcov
	find refrain operators plugins dags tests bench scripts -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
