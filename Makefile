# Two commands do everything: `make demo` and `make test`. Both make the environment if it is not there.
# CONTRIBUTING.md says what the others are for.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: bench-speed bench-questions demo test test-integration test-benchmarks test-browser test-lowest mutants soak check format dist docs clean bench-regret

# Bytecode is kept: where it is not, every worker compiles every test again, and takes three times as long to find them.
# A worker takes tests that stand side by side, so that what a file shares is made once, and at the end some of the others'.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q
ON_ALL_CORES := -n auto --dist worksteal

demo: $(STAMP)
	$(BIN)/regadvisor demo

test: $(STAMP)
	$(PYTEST) $(ON_ALL_CORES)

# With other processes and programs: kills, servers, pools of Dask and Ray; every page and example runs.
test-integration: $(STAMP)
	$(PYTEST) $(ON_ALL_CORES) tests/integration

test-benchmarks: $(STAMP)
	$(PYTEST) $(ON_ALL_CORES) benchmarks/tests

# The page in a real browser; Chromium comes from the system (on Debian: apt-get install chromium).
test-browser: $(VENV)/.browser
	$(PYTEST) -rs tests/test_browser.py

$(VENV)/.browser: $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[browser]'
	touch $@

# The tests with the oldest versions that pyproject.toml allows, torch apart (see below), in an environment of its
# own. Warnings are no errors there: old packages warn of new ones. make test-lowest [TESTS='tests/test_chart.py']
LOWEST := .venv-lowest
TESTS ?= tests/*.py regadvisor tests/integration
test-lowest: $(LOWEST)/.installed
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest -n auto -q -o filterwarnings= $(TESTS)

$(LOWEST)/.installed: pyproject.toml constraints.txt .ci/lowest.py
	$(PYTHON) -m venv --clear $(LOWEST)
	$(PYTHON) .ci/lowest.py > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python -m pip install --quiet $$(grep '^torch==' constraints.txt)
	$(LOWEST)/bin/python -m pip install --quiet -c $(LOWEST)/constraints.txt -e '.[parquet,polars]' \
		pytest pytest-xdist hypothesis
	touch $@

# The source archive and the wheel; then the wheel is installed apart and run.
dist: $(STAMP)
	rm -rf dist build
	$(BIN)/python -m build > /dev/null
	$(BIN)/python .ci/try_dist.py dist

# The site of the documentation, in docs/_build/html; the examples run. Warnings are errors.
docs: $(VENV)/.docs
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

$(VENV)/.docs: $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[docs]'
	touch $@

# One small change at a time to the code that decides: does a fast test see it? An hour or two on two cores; what
# was tried before is kept in mutants/, and only functions that changed are tried again. Then the score goes into
# benchmarks/RESULTS.md. To try survivors again after new tests, or a sample: see benchmarks/mutants.py.
# make mutants [ONLY='regadvisor.decision.decide*']
mutants: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/mutmut run $(ONLY)
	$(BIN)/python benchmarks/mutants.py --write

# What must not lose anything: 50 kills, dying workers, bad disks, 100,000 damaged files. About an hour; on Linux.
# make soak [ARGS="--kills 8 --only kills --write"]
soak: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/soak.py $(ARGS)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# make bench-regret DATA=folder OUT=folder [FAMILY=linear] [SETS=core] [SPLITS=5] [ARGS="--effort quick --write"]
FAMILY ?= mlp
SETS ?= core
SPLITS ?= 5
bench-regret: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/regret.py --data $(DATA) --out $(OUT) \
		--family $(FAMILY) --sets $(SETS) --splits $(SPLITS) $(ARGS)

# torch comes first and alone: a range, or another package asking for torch, may take a build of many gigabytes.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $$(grep '^torch==' constraints.txt)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $(STAMP)

# Where real data sets lie: `make bench-questions DATA=folder`. On an idle machine: bench-speed measures times.
DATA_OPTION := $(if $(DATA),--data $(DATA))

bench-speed: $(STAMP)
	$(BIN)/python benchmarks/speed.py all $(DATA_OPTION) --write

bench-questions: $(STAMP)
	$(BIN)/python benchmarks/questions.py $(DATA_OPTION) --write

clean:
	rm -rf $(VENV) $(LOWEST) build dist mutants docs/_build docs/generated docs/gallery docs/sg_execution_times.rst *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
