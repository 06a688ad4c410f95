# Every target makes the virtual environment by itself when it is missing or pyproject.toml changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test dashboard format clean

demo: $(INSTALLED)  ## Run the main job on simulated patients and one real CT, into ./demo
	$(BIN)/screening demo --folder demo

test: $(INSTALLED)  ## Run all checks: format, lint, types, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

dashboard: $(INSTALLED)  ## Open the dashboard on the demo's database
	$(BIN)/screening dashboard --database demo

format: $(INSTALLED)  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## Remove the demo's output; the virtual environment stays
	rm -rf demo

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test]"
	touch $(INSTALLED)
