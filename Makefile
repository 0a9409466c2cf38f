# What a person types. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help setup demo run test check fmt faults simulate bench clean

BIN := .venv/bin
READY := .venv/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet

# Without a home directory pip would keep its downloads at the root of the disk.
ifeq ($(strip $(HOME)),)
export PIP_NO_CACHE_DIR := 1
endif

# An environment whose Python has gone, or that was moved here from another folder, is made anew.
ifneq ($(wildcard $(READY)),)
ifneq ($(shell $(BIN)/python -c 'print(1)' 2>/dev/null)$(shell cat $(READY)),1$(CURDIR))
$(shell rm -f $(READY))
endif
endif

help: ## list these targets
	@echo "Patchbay. Start with: make demo"
	@echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

setup: $(READY) ## make the Python environment in .venv (every other target does so by itself)
	@echo "The environment is ready: .venv"

demo: $(READY) ## play the main story in a sandbox and keep serving; with ONCE=1 play, check and exit
	@$(BIN)/patchbay demo $(if $(ONCE),--once)

run: $(READY) ## start the hub
	@$(BIN)/patchbay serve

test: $(READY) ## run the tests but for the storms of faults, on every core; ARGS="-k name" for some of them
	@$(BIN)/pytest -n auto --dist loadfile -m "not faults" $(ARGS)

check: $(READY) ## style, format, types, and the direction of imports
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet || { echo "Some files are not formatted. Run: make fmt"; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fmt: $(READY) ## format the code and mend what can be mended by itself
	@$(BIN)/ruff check --fix --quiet || true
	@$(BIN)/ruff format

faults: $(READY) ## kill processes 400 times over 40,000 deliveries, and all other faults (a quarter of an hour); SEED=…
	@$(if $(SEED),PATCHBAY_FAULT_SEED=$(SEED)) $(BIN)/pytest tests/faults $(ARGS)
	@$(if $(SEED),PATCHBAY_FAULT_SEED=$(SEED)) $(BIN)/python -m tests.faults.storm

simulate: $(READY) ## play histories of the delivery engine and of money; HISTORIES=… MONEY=… SEED=…
	@$(BIN)/python -m tests.simulation --histories $(or $(HISTORIES),5000) $(if $(SEED),--seed $(SEED))
	@MONEY_HISTORIES=$(or $(MONEY),200) $(if $(SEED),MONEY_SEED=$(SEED)) $(BIN)/pytest -q tests/simulation/money $(ARGS)

bench: $(READY) ## measure, beside other senders (half an hour; ARGS=--quick for a first look)
	@$(BIN)/python -m benchmarks $(ARGS)
	@$(BIN)/python -m benchmarks.delivery $(ARGS)
	@$(BIN)/python -m benchmarks.webhooks $(ARGS)
	@$(BIN)/python -m benchmarks.reconciliation $(ARGS)

clean: ## remove the environment, caches and the demo's leavings; never data/
	@rm -rf .venv .demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "Clean. Your data/ is untouched."

$(READY): constraints.txt pyproject.toml
	@python=; found=; \
	for name in python3.11 python3.12 python3.13 python3.14 python3; do \
	  version=$$("$$name" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue; \
	  found="$$found $$name ($$version)"; \
	  "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || continue; \
	  python=$$name; break; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Patchbay needs Python 3.11 or newer; found:$${found:- none}." >&2; exit 1; \
	fi; \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	  echo "$$python cannot make environments. On Debian or Ubuntu: apt install python3-venv" >&2; exit 1; \
	fi; \
	echo "Setting up .venv with Python $$version (once; about a minute)…"; \
	"$$python" -m venv --clear .venv
	@$(PIP) install --require-hashes -r constraints.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@printf %s "$(CURDIR)" > $@
