# Every command of the project. `make` alone lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help

# Any Python from 3.11 to 3.13 that runs: an installed name may be a shim for a version that is not there.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python; do \
	if $$name -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; \
	then echo $$name; break; fi; done)

VENV := .venv
BIN := $(VENV)/bin
LOCAL := $(VENV)/.installed-local
DEV := $(VENV)/.installed-dev
STAGE ?= dev
NAME ?=
PROJECT ?=
MODE ?= live
PLAN ?= scale
WORKERS ?= 2

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Where compiled files may not be kept, each of the stack's and the tests' many processes compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test prove lint bench browser package deploy reset create-project rebuild-analytics

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(LOCAL) ## Start the local stack and stay in front of it (PORT, GROWTHOS_HOME)
	@exec $(BIN)/python -m infra.local run

test: $(DEV) ## Run all tests but the long ones
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not prove and not bench and not alone and not browser"
	$(BIN)/python -m pytest -n 0 -m alone

prove: $(DEV) ## Run the long property, fault and load tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m prove

lint: $(DEV) ## Check format, style, types, layers and file lengths
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	@long=$$(git ls-files -co --exclude-standard '*.py' | xargs wc -l 2>/dev/null | awk '$$1 > 400 && $$2 != "total"'); \
	if [ -n "$$long" ]; then echo "files over 400 lines:"; echo "$$long"; exit 1; fi

browser: $(DEV) ## Look at mails and pages in Chromium; screenshots go to build/browser (needs Debian's chromium)
	@$(BIN)/python -m pip install --quiet -r requirements-browser.txt
	@command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium; }
	$(BIN)/python -m pytest -n 0 -m browser tests/browser

bench: $(DEV) ## Measure the budgets of the architecture and print them as a table
	$(BIN)/python -m pytest -n 0 -m bench -s -q --show-capture=no

package: $(LOCAL) ## Build the deployable artifact (STAGE)
	$(BIN)/python -m infra.package --stage $(STAGE)

deploy: $(LOCAL) ## Deploy the artifact to AWS (STAGE)
	$(BIN)/python -m infra.deploy --stage $(STAGE)

reset: $(LOCAL) ## Delete the local stack's state
	@$(BIN)/python -m infra.local reset

# By the environment, as they were given: neither make nor the shell is to find anything to run in a name.
unexport NAME MODE PLAN
create-project: export PROJECT_NAME = $(value NAME)
create-project: export PROJECT_MODE = $(value MODE)
create-project: export PROJECT_PLAN = $(value PLAN)
create-project: $(LOCAL) ## Make a project on the running local stack (NAME, MODE=live|test, PLAN=free|growth|scale)
	@$(BIN)/python -m infra.local create-project --name="$$PROJECT_NAME" --mode="$$PROJECT_MODE" --plan="$$PROJECT_PLAN"

unexport PROJECT
rebuild-analytics: export PROJECT_ID = $(value PROJECT)
rebuild-analytics: $(LOCAL) ## Write a project's analytics anew from the table, on the running local stack (PROJECT)
	@$(BIN)/python -m infra.local rebuild-analytics --project="$$PROJECT_ID"

$(VENV)/bin/python:
	@if [ -z "$(PYTHON)" ]; then echo "GrowthOS needs Python 3.11, 3.12 or 3.13; none was found" >&2; exit 1; fi
	$(PYTHON) -m venv $(VENV)

$(LOCAL): $(VENV)/bin/python requirements.txt requirements-local.txt
	$(BIN)/python -m pip install --quiet -r requirements-local.txt
	@touch $@

$(DEV): $(VENV)/bin/python requirements.txt requirements-local.txt requirements-dev.txt
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	@touch $(LOCAL) $@
