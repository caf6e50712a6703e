# Two commands for a machine with Python 3.11+ and make: `make demo`, `make test`. Everything else builds on them.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ONLY   ?=
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help demo install test test-long test-all check matrix bench learn tables lecture docs dist clean
help:
	@echo "make demo    set up, fit small models for a minute, and write a page of pictures"
	@echo "make test    set up and run the tests that are quick (ten minutes on two cores)"
	@echo "make test-long  the other tests, but those of \`make learn\` (half an hour); \`make test-all\` runs both"
	@echo "make check   style, types, layers"
	@echo "make matrix  the tests on the oldest and newest versions of every dependency, Python 3.11 and 3.13"
	@echo "             (QUICK=1 a subset, PYTHONS=\"python3.13\", VERSIONS=oldest, SKIP_MISSING=1, JOBS=1)"
	@echo "make bench   side-by-side timings to results/bench.json   (ONLY=name picks some)"
	@echo "make learn   slow training tests and records              (ONLY=expression picks some)"
	@echo "make dist    wheel and sdist of a tagged commit, tried in an empty environment (UNTAGGED=1: of any)"
	@echo "make tables  write docs/results.md from the records, and draw docs/images/architecture.png"
	@echo "make lecture run every figure of the lecture, and write its pages and notebooks"
	@echo "make docs    build the site to build/docs/html"

demo: $(VENV)/.installed
	$(BIN)/pushforward demo $(if $(OPEN),--open)

install: $(VENV)/.installed-dev

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m "not slow and not long" -n 2 --dist worksteal -q

test-long: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m "long and not slow" -n 2 --dist worksteal -q

test-all: test test-long

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if command -v npx > /dev/null; then npx --yes --package typescript@5.9.3 tsc -p jsconfig.json; \
	else echo "types of the pages are not checked: there is no npx"; fi

# Fresh environments in build/matrix, several GB with PyTorch's CUDA build; its CPU build:
# PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make matrix
PYTHONS  ?= python3.11 python3.13
VERSIONS ?= oldest newest
JOBS     ?= 2
matrix:
	$(PYTHON) tests/matrix.py --pythons $(PYTHONS) --versions $(VERSIONS) --jobs $(JOBS) \
		$(if $(QUICK),--quick) $(if $(SKIP_MISSING),--skip-missing)

bench: $(VENV)/.installed-bench
	$(BIN)/python -m benchmarks $(ONLY)

learn: $(VENV)/.installed-dev $(if $(filter-out table%,$(ONLY)),,.venv-tables/.installed)
	$(if $(ONLY),,$(BIN)/python -m pytest -m slow -q)
	$(BIN)/python -m studies $(ONLY)

# Models of other libraries for the studies of tables: they need older versions of pandas and NumPy.
.venv-tables/.installed:
	$(PYTHON) -m venv .venv-tables
	.venv-tables/bin/python -m pip install -q torch==2.13.0 ctgan==0.12.1 arfpy==0.1.1 imbalanced-learn==0.14.2 \
		"numpy<2.4" pyarrow
	touch $@

# The wheel and the source archive of a tagged commit in dist/, tried in an empty environment in build/dist.
# DEPENDENCIES=.venv takes the dependencies from there instead of the network.
dist: $(VENV)/.installed-dev
	$(BIN)/python tests/distribution.py $(if $(UNTAGGED),--untagged) \
		$(if $(DEPENDENCIES),--dependencies $(DEPENDENCIES))

tables: $(VENV)/.installed-dev
	$(BIN)/python -m docs.tables
	$(BIN)/python -m docs.drawing

lecture: $(VENV)/.installed-dev
	$(BIN)/python -m docs.lecture_pages $(ONLY)

# Sphinx has an environment of its own: it reads pages, not the package.
docs: $(VENV)/.installed-dev .venv-docs/.installed
	$(BIN)/python -m docs.site
	.venv-docs/bin/sphinx-build -W --keep-going -q -E -b html build/docs/source build/docs/html
	@echo "open build/docs/html/index.html"

.venv-docs/.installed: pyproject.toml constraints.txt
	test -x .venv-docs/bin/python || $(PYTHON) -m venv .venv-docs
	$(PYTHON) -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['docs'], sep='\n')" \
		| .venv-docs/bin/python -m pip install -q -c constraints.txt -r /dev/stdin
	touch $@

# constraints.txt pins the versions that the tests run with; users do not need it.
$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[studio,plots]'
	touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev,bench]'
	touch $@

clean:
	rm -rf $(VENV) .venv-docs build dist *.egg-info
