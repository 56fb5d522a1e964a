PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Stories that only a kernel with cgroups of its own can tell: each file in a guest.
GUESTS ?= tests/spec/test_app_cgroups.py tests/spec/test_app_delegation.py

.PHONY: run test test-guest lint bench clean

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

test-guest: $(GUESTS:%=guest/%) ## limits by cgroups, each file of GUESTS in a guest (-j2: two at a time)

guest/%: $(VENV)/.ready
	$(BIN)/python -m tests.guest $(BIN)/pytest -q -p no:cacheprovider $*

bench: $(VENV)/.ready ## ratios against nginx, HAProxy and Caddy
	$(BIN)/python -m tests.bench

clean:
	rm -rf $(VENV) build *.egg-info
