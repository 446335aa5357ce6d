PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test docs clean

demo: .venv/.ready
	$(BIN)/conv4rec demo --out out

test: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist worksteal
	$(MAKE) docs

docs: .venv/.ready
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs out/docs

.venv/.ready: pyproject.toml tests/constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint tests/constraints.txt --editable '.[test,docs]'
	touch $@

clean:
	rm -rf .venv out
