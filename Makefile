# Two commands matter: `make gate` runs the case study, `make test` every test.
# Both work from a clean clone, install what they need, and are quick the second time.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup system gate test lint format wheel bench mutants sample clean

help:  ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(STAMP)  ## create .venv with the pinned stack

$(STAMP): pyproject.toml constraints.txt
	@echo "creating $(VENV) with the pinned stack (5.5 GB, a few minutes the first time) ..."
	@$(PYTHON) -c 'import sys; sys.exit("modelchecks needs Python 3.11 or later, this is " + sys.version.split()[0] + "; say make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev,deepchecks]" --constraint constraints.txt
	@touch $@

system:  ## install Chromium and the data set, where apt-get is there and they are not
	@sh .github/scripts/system.sh

gate: $(STAMP)  ## train the three variants (once), run the gate, print the verdicts
	$(BIN)/python suites/casestudy gate

test: $(STAMP) system  ## every test: unit, property, inner pytest, browser
	$(BIN)/python -m pytest -n auto --dist worksteal

lint: $(STAMP)  ## lint, format, types, floors, suites, workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/modelchecks lint suites
	$(BIN)/python .github/scripts/lint_workflows.py

format: $(STAMP)  ## mend what a tool can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(STAMP)  ## build the wheel and try it away from the source tree
	@rm -rf build dist
	$(BIN)/python -m build --wheel --outdir dist .
	$(BIN)/python .github/scripts/try_wheel.py dist

# Evidently and NannyML pin other versions: OPPONENTS=/path/to/python of an environment with them.
bench: $(STAMP)  ## ratios on this machine, half an hour; PARTS="doors engine" for some
	$(BIN)/python tests/benchmarks/bench.py $(PARTS)

mutants: $(STAMP)  ## mutate what decides; half an hour, and what survives is listed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "cosmic-ray==8.7.0" --constraint constraints.txt
	$(BIN)/python tests/mutation/run.py

sample: $(STAMP) system  ## make reports/sample and the README's pictures anew
	$(BIN)/python .github/scripts/sample.py

clean:  ## remove what was made, but for .venv
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache suites/runs suites/data suites/.modelchecks
