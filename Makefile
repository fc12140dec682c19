# Two commands set everything up from a machine with Python 3.10 to 3.12: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOST ?= 127.0.0.1
PORT ?= 7860
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test unit browser style check docs package docker-test clean

demo: $(VENV)/.runtime
	HOST=$(HOST) PORT=$(PORT) $(BIN)/python app.py

test: unit browser

unit: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not browser" -n auto --maxprocesses 4 --dist loadfile

browser: $(VENV)/.dev
	sh tests/browser/install_chromium.sh $(BIN)/playwright
	$(BIN)/python -m pytest -m browser

style: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

docs: $(VENV)/.dev
	$(BIN)/python -m docs.reference

package: $(VENV)/.dev
	$(BIN)/python -m build

# The whole image, built and run; needs buildah and root, and takes minutes. See docs/deployment.md.
docker-test:
	bash tests/docker/build.sh

$(VENV)/.runtime: requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(PIP) -e ".[bench,dev]"
	touch $@

clean:
	rm -rf $(VENV) runs build dist *.egg-info .pytest_cache .ruff_cache
