# Everything a developer runs. `make demo` and `make test` need nothing but Python 3.11 to 3.13 and set up the rest.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Many tests wait for processes: a few at a time take half as long, also on two cores.
TEST_PROCESSES ?= 4
ADAPTERS ?= .venv-adapters
# Linux has plain wheels with CUDA, of gigabytes, and others without; macOS has one kind.
TORCH ?= torch==2.13.0$(if $(filter Linux,$(shell uname -s)),+cpu)

# The tests start hundreds of processes: where this is set, as in many images, each compiles every module anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo kernels test test-adapters test-chaos test-compose coverage check bench format

help: ## What there is to run.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(VENV)/ready ## The main job: real photographs, a server, two workers, three epochs of training.
	$(BIN)/headrace demo

kernels: $(VENV)/ready ## Compile all kernels, once on this machine: or else every process of the tests does, side by side.
	$(BIN)/python -m headrace.pipeline.warm

test: kernels ## Every test but those marked slow.
	$(BIN)/python -m pytest -m "not slow" --numprocesses=$(TEST_PROCESSES) --dist=worksteal

$(ADAPTERS)/ready: pyproject.toml
	$(PYTHON) -m venv $(ADAPTERS)
	$(ADAPTERS)/bin/python -m pip install --quiet --upgrade pip
	$(ADAPTERS)/bin/python -m pip install --quiet '$(TORCH)' 2>/dev/null || \
	  $(ADAPTERS)/bin/python -m pip install --quiet --extra-index-url https://download.pytorch.org/whl/cpu '$(TORCH)'
	$(ADAPTERS)/bin/python -m pip install --quiet --editable '.[demo,jax,test]'
	@touch $@

test-adapters: $(ADAPTERS)/ready ## The PyTorch and JAX adapters and their examples, with the real frameworks on the CPU.
	$(ADAPTERS)/bin/python -m pytest tests/adapters headrace/torch.py headrace/jax.py

test-compose: $(VENV)/ready ## docker-compose.yml on a real Docker engine, with faults; docs/containers.md says what it needs.
	$(BIN)/python -m pytest tests/containers -m slow

test-chaos: $(VENV)/ready ## Every fault at every place, with real processes; HEADRACE_CHAOS_SEED=n is another seed.
	$(BIN)/python -m pytest tests/chaos -m chaos

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
