# Every target works in a fresh clone: it makes .venv itself, and again when what requirements.lock says has changed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LOCKED := $(VENV)/locked-$(shell sha256sum requirements.lock | cut -c1-16)
STAMP  := $(VENV)/installed-$(shell cat requirements.lock pyproject.toml | sha256sum | cut -c1-16)

.PHONY: demo test benchmark long lint format venv lock wheel clean
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

.PHONY: help
help:
	@echo "make demo       learn digits on the generated hardware in a simulator, checked word for word"
	@echo "make test       lint, types and every test that takes seconds"
	@echo "make long       the tests that take minutes"
	@echo "make benchmark  measure, into build/benchmark.json"
	@echo "make format     ruff's formatter and its safe fixes"
	@echo "make lock       resolve requirements.lock anew"
	@echo "make clean      remove everything that was made"

demo: $(STAMP)
	$(BIN)/fregen demo -o build/demo

test: lint
	$(BIN)/python -m pytest -m "not long" -n 2 --dist worksteal

long: $(STAMP)
	$(BIN)/python -m pytest -m long

benchmark: $(STAMP)
	@mkdir -p build
	$(BIN)/fregen benchmark -o build/benchmark.json

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(STAMP)
	$(BIN)/python -m build --no-isolation --outdir build/dist .

venv: $(STAMP)

# The hashes make every package the one that was tested; the project itself is built by the locked hatchling.
$(LOCKED):
	@echo "making $(VENV) from requirements.lock: about a minute, most of it downloads"
	rm -rf $(VENV)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fregen needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@touch $@

$(STAMP): $(LOCKED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

lock:
	@mkdir -p build
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	{ echo '# Every package that make installs, with its hash: written by "make lock" from pyproject.toml, not by hand.'; \
	  build/lock/bin/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-header --no-annotate \
	    --python-version 3.11 --extra dev pyproject.toml; } > build/requirements.lock
	mv build/requirements.lock requirements.lock

clean:
	rm -rf build $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
