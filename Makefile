# Every target makes the virtual environment by itself when it is missing or pyproject.toml changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test dashboard weights format clean

demo: $(INSTALLED)  ## Run the main job on simulated patients and one real CT, into ./demo
	$(BIN)/screening demo --folder demo

test: $(INSTALLED)  ## Run all checks: format, lint, types, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile

dashboard: $(INSTALLED)  ## Open the dashboard on the demo's database
	$(BIN)/screening dashboard --database demo

weights: $(INSTALLED)  ## Make the bundled weights anew, into ./build/weights; goes on where it was interrupted
	mkdir -p build/weights
	test -f build/weights/pairs.npz || $(BIN)/python -m screening.simulation.pairs \
		--patients 3200 --seed 2020 --sites 32 --institution 1 --output build/weights/pairs.npz
	test -f build/weights/redensified.npz || $(BIN)/python -m screening.simulation.redensified \
		--variants 20 --seed 1 --output build/weights/redensified.npz
	cd build/weights && ../../$(BIN)/python -m models.training pairs.npz --beside redensified.npz \
		--output bmd_cnn_simulated_4.safetensors --seed 1 --members 2 --steps 3000 \
		--calibration-share 0.15 --validation-share 0.04 --data-kind simulated \
		--reference "simulated DXA, Hologic-type L1-L4 scale" --device cpu

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
