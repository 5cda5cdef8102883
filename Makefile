# Every target sets up what it needs first: from a bare checkout, `make demo` and `make test` work with
# only Python (>= 3.11) and make on the machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNS ?= runs
.DEFAULT_GOAL := help
# `docs` and `crds` are also folders, and to make them is to run whenever it is asked for.
.PHONY: docs crds charts dashboards dashboard-pictures help demo test check lint format types contracts cluster-tools cluster-demo images lock setup site setup-dev clean

help:  ## Say what can be made.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# --- set-up --------------------------------------------------------------------------------------
$(VENV)/.uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else \
	  "TicketSmith needs Python 3.11 to 3.13, and $(PYTHON) is " + sys.version.split()[0] + ": name another with make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

$(VENV)/.runner: $(VENV)/.uv requirements/runner.txt pyproject.toml
	@echo "Installing what a round needs (PyTorch is large: some minutes the first time) ..."
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/runner.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/build.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runner requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@

setup: $(VENV)/.runner  ## Install what runs experiments into .venv.
setup-dev: $(VENV)/.dev  ## The same, with the tools that check the code.

# --- use -----------------------------------------------------------------------------------------
demo: setup  ## Run the quickstart experiment (digits, 3 seeds, controls) and write its report.
	$(BIN)/ticketsmith run examples/quickstart.yaml --runs $(RUNS)

# DEMO="--all-seeds --no-keep" gives it options; docs/cluster-demo.md has them.
cluster-demo: cluster-tools images  ## Show it on a cluster of one node: Helm, Prometheus, three examples (root).
	@PYTHONPATH=scripts:tests/cluster $(BIN)/python -m cluster_demo $(DEMO)

# --- check ---------------------------------------------------------------------------------------
format: setup-dev  ## Format the code.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup-dev
	$(BIN)/mypy

contracts: setup-dev
	$(BIN)/lint-imports

check: lint types contracts  ## The fast part: format, lint, types, import contracts, quick tests.
	$(BIN)/pytest -m "not slow and not browser" -n auto

cluster-tools: setup-dev  ## Build Kubernetes for the tests into ~/.cache (8 minutes on 2 cores, once).
	$(BIN)/python tests/cluster/tools/build.py

images: setup-dev  ## Build both images, and fill the store of the tests' node (root; 10 minutes on 2 cores, once).
	$(BIN)/python tests/cluster/node_images.py

test: lint types contracts  ## Everything: real data, a real browser, a real Kubernetes.
	@# Side by side, for one waits for compilers and the other for disks. Where images cannot be made, tests of a real node
	@# are skipped; in CI they fail.
	$(BIN)/python tests/cluster/node_images.py & images=$$!; \
	  $(BIN)/python tests/cluster/tools/build.py; built=$$?; wait $$images; exit $$built
	$(BIN)/pytest -n auto --dist loadfile

docs: setup-dev crds charts  ## Write the generated pages, and the CRD, anew.
	$(BIN)/python -m ticketsmith.experiment.reference > docs/experiment.md
	$(BIN)/python -m ticketsmith.cli.reference > docs/reference/cli.md
	$(BIN)/python -m ticketsmith_operator.reference > docs/reference/operator.md
	$(BIN)/python -m lottery_tickets.reference > docs/reference/library.md

site: setup-dev  ## Build the documentation site into site/, with warnings as errors.
	$(BIN)/mkdocs build --strict

crds: setup-dev  ## Write the CustomResourceDefinition anew from the models.
	$(BIN)/python -m ticketsmith_operator.crd > crds/ticketsmith.dev_pruningexperiments.yaml
	$(BIN)/python scripts/chart_files.py charts/ticketsmith-crds/templates/pruningexperiments.yaml

charts: setup-dev  ## Write what the charts repeat from elsewhere, and what is made of them, anew.
	$(BIN)/python scripts/chart_files.py

dashboards: setup-dev  ## Write the Grafana dashboards, and their tables in the docs, anew from scripts/dashboards.
	PYTHONPATH=scripts $(BIN)/python -m dashboards

dashboard-pictures: cluster-tools  ## Draw the pictures of the dashboards in the docs anew (6 minutes).
	PYTHONPATH=scripts:tests/cluster:tests/dashboards $(BIN)/python -m dashboards.pictures

lock: setup-dev  ## Write the lock files anew from pyproject.toml.
	PATH="$(CURDIR)/$(BIN):$$PATH" requirements/lock.sh

clean:  ## Remove the virtual environment and the caches; runs/ stays.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
