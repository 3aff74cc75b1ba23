# Everything is set up in .venv; nothing else on the machine is touched.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
WORKERS ?= auto
PEERS ?= --quick

.PHONY: demo test test-all check bench docs clean

demo: .venv/core
	$(BIN)/vtrial run docetaxel-dose --open

# Most of the time goes to compiling: here without the optimisation of LLVM and the larger
# kernels of XLA, which are for long runs; test-all compiles as a run does. So do, here,
# tests that ask for the last bit of what is shipped.
QUICK = --xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false

test: .venv/dev
	XLA_FLAGS="$$XLA_FLAGS $(QUICK)" \
	  $(BIN)/python -m pytest -n $(WORKERS) --durations=10 -m "not as_shipped"
	$(BIN)/python -m pytest -n $(WORKERS) -m as_shipped

test-all: .venv/dev
	$(BIN)/python -m pytest -n $(WORKERS) --slow --durations=20

check: .venv/dev .venv/docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/python -m pytest tests/test_rooms.py tests/test_exports.py -p no:cacheprovider
	$(MAKE) docs

bench: .venv/bench
	$(BIN)/python -m benchmarks.walk
	$(BIN)/python -m benchmarks.latency
	$(BIN)/python -m benchmarks.bodies --quick
	$(BIN)/python -m benchmarks.tables --quick
	$(BIN)/python -m benchmarks.limit
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.fitting
	$(BIN)/python -m benchmarks.peers $(PEERS)

docs: .venv/docs
	$(BIN)/sphinx-build -q -W -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "vtrial needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/core: .venv/python pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e .
	@touch $@

.venv/dev: .venv/core
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

# What cannot be installed here is left out of the comparison, which says so.
.venv/bench: .venv/core
	for peers in bench bench-lsoda; do \
	  $(PIP) install -c constraints.txt -e ".[$$peers]" || echo "left out: $$peers"; \
	done
	@touch $@

.venv/docs: .venv/core
	$(PIP) install -c constraints.txt -e '.[docs]'
	@touch $@

clean:
	rm -rf .venv build dist results docs/_build
