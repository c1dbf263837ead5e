# Everything runs from .venv, which `make setup` builds from the locked packages.
PYTHON ?= python3
BIN := .venv/bin
DEMO_DIR ?= demo
WORKERS ?= auto
.DEFAULT_GOAL := help

.PHONY: help setup demo test lint docs screenshots format crash bench bench-peers bench-quick lock clean

help:  ## show what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 13

setup: .venv/.ready  ## make .venv with the locked packages and trikk in it

.venv/.ready: requirements/dev.txt requirements/uv.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "trikk needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@# So that the first command costs what the second does; what no command imports is half of it.
	@$(BIN)/python -m compileall -qq -j 0 -x 'site-packages/(.*/tests?|sympy|networkx|mypy|pip)/' $(CURDIR)/.venv/lib $(CURDIR)/src || true
	@touch $@

demo: setup  ## replay the nights into the lockdown of March 2020 over real people counts
	@$(BIN)/python examples/demo.py $(DEMO_DIR)

test: setup  ## run every test
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

lint: setup  ## check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: setup docs/.env/.ready  ## build the documentation into build/docs; a broken link fails
	PYTHONPATH=src docs/.env/bin/sphinx-build --quiet --fail-on-warning -c docs . build/docs

screenshots: setup  ## take pictures of the console over the demo's project (make demo), with Chromium
	$(BIN)/python -m tests.screenshots $(DEMO_DIR)

docs/.env/.ready: requirements/docs.txt
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python docs/.env
	$(BIN)/uv pip install --quiet --python docs/.env/bin/python --require-hashes -r requirements/docs.txt
	@touch $@

format: setup  ## put the code into the project's style
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

crash: setup  ## kill drivers, servers and commands at random moments, fuzz the REST API, and judge what is left
	$(BIN)/python -m pytest -q tests/targets/terraform/whole_environment.py --timeout 1800
	$(BIN)/python -m tests.crash --kills 500
	$(BIN)/python -m tests.crash_commands --kills 60
	$(BIN)/python -m tests.crash_server --kills 100 --serve
	$(BIN)/python -m tests.crash_triggers --ticks 20000
	$(BIN)/python -m tests.fuzz_server --seconds 600
	$(BIN)/python -m tests.crash_triggers --ticks 20000 --journal postgresql
	$(BIN)/python -m pytest tests/targets/examples_as_jobs.py tests/targets/examples_on_sagemaker_local.py
	TRIKK_LONG=1 $(BIN)/python -m pytest tests/execution/test_ray.py

bench: setup  ## measure trikk beside the same work by hand, and write the page
	$(BIN)/python -m benchmarks --page docs/benchmarks.md

bench-peers: setup  ## measure trikk beside other tools, for half an hour
	$(BIN)/python -m benchmarks --peers --page docs/benchmarks.md --json benchmarks/.work/peers.json

bench-quick: setup  ## compare with the last landed build in three minutes (AGAINST=a commit)
	$(BIN)/python -m benchmarks --against $(AGAINST)

lock: setup  ## write requirements/*.txt anew from pyproject.toml
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet --upgrade requirements/uv.in -o requirements/uv.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet --upgrade pyproject.toml --extra all --extra demo --extra pandera --extra great-expectations --group dev -o requirements/dev.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet --upgrade pyproject.toml --extra mlflow --extra sklearn -o requirements/mlflow.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet --upgrade pyproject.toml --group docs -o requirements/docs.txt
	for peer in evidently nannyml schemathesis browser hadolint sagemaker-sdk iac checkov ray; do $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet --upgrade requirements/$$peer.in -o requirements/$$peer.txt; done

clean:  ## remove what the commands above made
	rm -rf .venv $(DEMO_DIR) build dist benchmarks/.envs benchmarks/.work tests/.envs docs/.env
