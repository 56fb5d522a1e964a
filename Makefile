PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test lint bench clean

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV) || { echo "no venv: try 'apt install python3-venv'"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

run: $(VENV)/.ready ## serve the demo on http://127.0.0.1:8080
	$(BIN)/python deploy/demo/run.py

lint: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint ## format, lint, types, import contracts, tests
	$(BIN)/pytest -n 3 --dist loadfile

bench: $(VENV)/.ready ## ratios against nginx, HAProxy and Caddy
	$(BIN)/python -m tests.bench

clean:
	rm -rf $(VENV) build *.egg-info
