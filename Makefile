# Everything below runs in one virtual environment, made by the first command that needs it.
#
#   PYTHON=python3.12   the interpreter that makes the environment (3.10 or later)
#   VENV=path           the environment; an existing one is reused, and completed

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2

PY := $(VENV)/bin/python
STAMP := $(VENV)/.eqmodels-installed

# Two test processes of one thread each beat one process of two threads on small networks.
PYTEST_PARALLEL := OMP_NUM_THREADS=1 $(PY) -m pytest -n $(WORKERS)
SHAPE_CHECKS := --jaxtyping-packages=eqmodels,beartype.beartype

# escnn without a Fortran compiler: its own requirements but py3nj, which only SO(3) needs, and then escnn alone.
# Its requirement lie_learn asks for numpy below 2, which has wheels up to Python 3.12: above it, escnn is left out.
ESCNN := escnn==1.0.11
ESCNN_REQUIRES := autograd joblib lie_learn pymanopt scipy "numpy<2"

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-slow lint format bench clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(STAMP) ## set everything up in .venv (or in VENV)

$(STAMP): pyproject.toml
	@test -x $(PY) || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "Python 3.10 or later is needed; '$(PYTHON)' is not. Name another one: make venv PYTHON=python3.12"; exit 1; }
	$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV) || { \
		$(PYTHON) -m pip install --user virtualenv && $(PYTHON) -m virtualenv $(VENV); }
	$(PY) -m pip install --quiet "pip>=23"
	@if $(PY) -c 'import sys; sys.exit(sys.version_info >= (3, 13))'; then set -x; \
		$(PY) -m pip install --editable ".[dev,export,report,timm]" $(ESCNN_REQUIRES) && \
		$(PY) -m pip install --no-deps $(ESCNN); \
	else \
		echo "escnn is left out: it needs numpy below 2, which has no wheel for this Python"; set -x; \
		$(PY) -m pip install --editable ".[dev,export,report,timm]"; \
	fi
	@touch $@

demo: venv ## set up, then run the main job on data that is in the package
	$(PY) -m eqmodels demo

# FX and torch.compile cannot see through run-time shape checks: what traces a network runs without them.
test: lint ## set up, then every check that must pass
	$(PYTEST_PARALLEL) $(SHAPE_CHECKS) -m "not slow and not tracing"
	$(PY) -m pytest -m "tracing and not slow" tests

test-slow: venv ## the long checks that `make test` leaves out
	$(PYTEST_PARALLEL) -m slow tests

lint: venv ## style, types and the import contract
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

format: venv ## rewrite the code in the project's style
	$(PY) -m ruff check --fix-only .
	$(PY) -m ruff format .

bench: venv ## run the benchmarks of speed and rewrite README's section of them
	@set -e; for script in build train_step inference pretraining_step state_size readme; do \
		echo "== benchmarks.speed.$$script"; $(PY) -m benchmarks.speed.$$script; done

clean: ## remove .venv, caches and builds
	rm -rf .venv build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
