# Everything a developer runs. `make demo` and `make test` need nothing but Python 3.11 to 3.13 and set up the rest.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test coverage check bench format

help: ## What there is to run.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(VENV)/ready ## The main job: real photographs, a server, two workers, three epochs of training.
	$(BIN)/headrace demo

test: $(VENV)/ready ## Every test but those marked slow.
	$(BIN)/python -m pytest -m "not slow"

coverage: $(VENV)/ready ## The tests again, and which branches they took.
	$(BIN)/python -m pytest -m "not slow" --cov --cov-report=term-missing:skip-covered

check: $(VENV)/ready ## Format, lint, types, the architecture of imports.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/ready ## The benchmark table, beside PyTorch's DataLoader.
	$(BIN)/python bench/run.py

format: $(VENV)/ready ## Mend format and what lint can mend by itself.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
