# Everything below runs in two virtual environments, made by the first command that needs them: one of the newest
# releases of everything, and one of the oldest that the package takes, with escnn, which needs numpy below 2.
#
#   PYTHON=python3.12   the interpreter that makes them (3.11 or later)
#   VENV=path           the environment of the newest; an existing one is reused, and completed
#   VENV_OLDEST=path    the environment of the oldest (made by Python 3.11 or 3.12, which numpy 1 has wheels for)

PYTHON ?= python3
VENV ?= .venv
VENV_OLDEST ?= $(VENV)-oldest
VENV_DOCS ?= $(VENV)-docs
VENV_RELEASE ?= $(VENV)-release
WORKERS ?= 2

PY := $(VENV)/bin/python
OLD := $(VENV_OLDEST)/bin/python
STAMP := $(VENV)/.eqmodels-installed
STAMP_OLDEST := $(VENV_OLDEST)/.eqmodels-installed
STAMP_DOCS := $(VENV_DOCS)/.installed
STAMP_RELEASE := $(VENV_RELEASE)/.installed
# Compiled when it is imported, as most of it never is, and kept: otherwise every process would compile PyTorch anew, which
# takes 12 seconds.
unexport PYTHONDONTWRITEBYTECODE
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --no-compile

# Two test processes of one thread each beat one process of two threads on small networks.
PARALLEL := OMP_NUM_THREADS=1
SHAPE_CHECKS := --jaxtyping-packages=eqmodels,beartype.beartype
# Neighbours share what their file sets up.
SPREAD := -n $(WORKERS) --dist worksteal

# What calls layers, heads and functions of images, which `make test` runs once, with the shapes checked: with all tests of
# whole networks, shapes would be checked for half an hour.
SHAPE_TESTS := tests/data tests/heads tests/layers tests/objectives tests/tasks tests/transforms tests/test_fields.py \
	tests/test_groups.py tests/test_irreps.py tests/test_space_groups.py

# What shows that the oldest versions will do: laws, layers, tracing and export, files, pictures, processes, and all that
# needs escnn with its neighbours; but for laws of one size, name or option after another, in which versions do not differ.
OLDEST_TESTS := tests/laws tests/plain_pytorch tests/export tests/storage tests/layers tests/architecture/test_spawn.py \
	tests/hub/test_load.py tests/transforms/test_preprocessing.py tests/transforms/test_resizing.py \
	$(shell grep -rl 'mark\.escnn' tests --include='test_*.py')
OLDEST_LEAVES_OUT := tests/laws/test_equivariance.py::test_at_every_size \
	tests/laws/test_equivariance.py::test_at_odd_and_even_sizes_under_the_imagenet_stem \
	tests/laws/test_equivariance.py::test_a_network_without_a_group_claims_nothing \
	tests/export/test_plain.py::test_at_every_size tests/export/test_plain.py::test_with_every_option \
	tests/export/test_plain.py::test_every_registered_model_keeps_its_children_and_outputs \
	tests/layers/test_basis.py::test_in_sampled_networks_the_variance_stays

# escnn without a Fortran compiler: its own requirements but py3nj, which only SO(3) needs, and then escnn alone.
ESCNN_REQUIRES := autograd joblib lie_learn pymanopt "numpy<2"
# Its predecessor, whose networks are converted too: pure Python, and what it requires is there by then. Pinned here, as no
# extra has it: who has such a network has it.
E2CNN := e2cnn==0.2.3

.DEFAULT_GOAL := help
.PHONY: help venv venv-oldest demo test test-newest test-shapes test-oldest test-slow coverage lint style types format bench \
	docs release-check page page-assets page-test clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(STAMP) ## set everything up in .venv (or in VENV): the newest releases

venv-oldest: $(STAMP_OLDEST) ## the same in .venv-oldest: the oldest releases that are declared, and escnn

$(STAMP): pyproject.toml
	@test -x $(PY) || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or later is needed; '$(PYTHON)' is not. Name another one: make venv PYTHON=python3.12"; exit 1; }
	$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV) || { \
		$(PYTHON) -m pip install --user virtualenv && $(PYTHON) -m virtualenv $(VENV); }
	$(PY) $(PIP_INSTALL) --editable ".[data,dev,e3,peers,report]"
	@touch $@

$(STAMP_OLDEST): pyproject.toml .ci/oldest.txt
	@test -x $(OLD) || for python in $(PYTHON) python3.11 python3.12; do \
		$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null || continue; \
		$$python -m venv $(VENV_OLDEST) || { \
			$$python -m pip install --user virtualenv && $$python -m virtualenv $(VENV_OLDEST); }; \
		break; done
	@test -x $(OLD) || { echo "The oldest versions need Python 3.11 or 3.12, for which numpy 1 has wheels, and neither" \
		"'$(PYTHON)' nor python3.11 nor python3.12 is one. Name one: make venv-oldest PYTHON=path"; exit 1; }
	$(OLD) $(PIP_INSTALL) --constraint .ci/oldest.txt --editable ".[data,dev,e3,peers,report]" $(ESCNN_REQUIRES)
	$(OLD) $(PIP_INSTALL) --constraint .ci/oldest.txt --no-deps escnn $(E2CNN)
	@touch $@

demo: venv ## set up, then run the main job on data that is in the package
	$(PY) -m eqmodels demo

# What mypy finds comes a minute late, but it takes one core, and the tests leave one idle where they wait.
test: style ## set up, then every check that must pass
	@$(MAKE) --no-print-directory --jobs=2 types test-newest
	@$(MAKE) --no-print-directory test-shapes
	@$(MAKE) --no-print-directory test-oldest

test-newest: venv ## every test but those of escnn and of test-shapes, with the newest releases
	$(PARALLEL) $(PY) -m pytest $(SPREAD) -m "not (slow or escnn)" $(addprefix --shapes-checked-elsewhere=,$(SHAPE_TESTS))

# Half as long again: what traces lines asks at every call of a function, PyTorch's own too.
coverage: venv ## the tests of both, and the lines of the package that they reach: at least 95 in 100
	$(PY) -m coverage erase
	$(PARALLEL) $(PY) -m pytest $(SPREAD) --cov --cov-report= -m "not (slow or escnn)"
	$(PY) -m coverage report

# Checks at run time take several times as long as what they check, and FX and torch.compile cannot see through them.
test-shapes: venv ## the tests of single functions and layers, with every shape in a signature checked
	$(PARALLEL) $(PY) -m pytest $(SPREAD) $(SHAPE_CHECKS) -m "not (slow or escnn)" $(SHAPE_TESTS)

test-oldest: venv-oldest ## the tests of escnn, and those that show that the oldest releases will do
	$(PARALLEL) $(OLD) -m pytest $(SPREAD) -m "not slow" $(sort $(OLDEST_TESTS)) $(addprefix --deselect=,$(OLDEST_LEAVES_OUT))

test-slow: venv venv-oldest ## the long checks that `make test` leaves out
	$(PARALLEL) $(PY) -m pytest $(SPREAD) -m "slow and not escnn" tests
	$(PARALLEL) $(OLD) -m pytest $(SPREAD) -m "slow and escnn" tests

lint: style types ## style, the import contracts and types

style: venv ## what is checked in seconds: ruff's rules, its format, the import contracts
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(VENV)/bin/lint-imports

types: venv ## mypy, strict
	$(PY) -m mypy

format: venv ## rewrite the code in the project's style
	$(PY) -m ruff check --fix-only .
	$(PY) -m ruff format .

bench: venv ## run the benchmarks of speed and of reading, and rewrite their sections of the docs
	@set -e; for script in build train_step inference pretraining_step state_size consumers engines readme; do \
		echo "== benchmarks.speed.$$script"; $(PY) -m benchmarks.speed.$$script; done
	$(PY) -m benchmarks.data.throughput
	$(PY) -m benchmarks.data.scale

$(STAMP_DOCS): .ci/docs.txt
	@test -x $(VENV_DOCS)/bin/python || $(PYTHON) -m venv $(VENV_DOCS)
	$(VENV_DOCS)/bin/python $(PIP_INSTALL) --requirement .ci/docs.txt
	@touch $@

# Docstrings are read, and nothing is imported, so that it needs neither PyTorch nor a network.
docs: $(STAMP_DOCS) ## build the documentation site into build/site, every warning an error, and check its links
	NO_MKDOCS_2_WARNING=1 $(VENV_DOCS)/bin/python -m mkdocs build --quiet
	$(VENV_DOCS)/bin/python -m tools.links build/site

$(STAMP_RELEASE): .ci/release.txt
	@test -x $(VENV_RELEASE)/bin/python || $(PYTHON) -m venv $(VENV_RELEASE)
	$(VENV_RELEASE)/bin/python $(PIP_INSTALL) --requirement .ci/release.txt
	@touch $@

# Its environments are made by the Python of this one: 3.11 or 3.12 has wheels of the oldest versions.
release-check: $(STAMP_RELEASE) ## build the archives into dist, check them, install the wheel and run README there
	$(VENV_RELEASE)/bin/python -m tools.release

# What runs networks in a page is 14 MB, and neither in the package nor here.
page-assets: ## fetch, by npm, what the live demo runs on
	npm install --no-save --no-package-lock --ignore-scripts onnxruntime-web@1.30.0

page: venv page-assets ## measure the small benchmark, and write its page and the live demo into runs/bench
	$(PY) -m eqmodels bench
	$(PY) -m eqmodels page --demo runs/bench

page-test: page ## look at both in a browser; needs Debian's chromium and chromium-driver
	$(PY) $(PIP_INSTALL) selenium
	npm install --no-save --no-package-lock --ignore-scripts onnxruntime-web@1.30.0 axe-core@4.14.1
	PAGES=runs/bench SHOTS=runs/shots $(PY) -m pytest tests/peers/pages_in_browser.py

clean: ## remove the environments, caches and builds
	rm -rf .venv .venv-oldest .venv-docs .venv-release node_modules build dist .coverage* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
