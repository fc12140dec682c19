# Two commands set everything up from a machine with Python 3.11 to 3.14: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOST ?= 127.0.0.1
PORT ?= 7860
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# On Linux pip takes a torch with CUDA, 5 GB instead of 1: where there is no NVIDIA GPU, the CPU build is tried first, from
# pip's own indexes and from TORCH_INDEX, if one is given. TORCH= leaves the choice to pip.
TORCH ?= $(shell test "$$(uname)" = Linux && ! command -v nvidia-smi > /dev/null && echo torch==2.13.0+cpu)
TORCH_INDEX ?=

.PHONY: demo test unit browser fuzz style check docs lock package docker-test clean

demo: $(VENV)/.runtime
	HOST=$(HOST) PORT=$(PORT) $(BIN)/python app.py

test: unit browser

# A third of their time the tests wait for processes that they start: three at once keep two cores busy.
unit: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not browser" -n 3 --dist loadfile --no-loadscope-reorder

browser: $(VENV)/.dev
	sh tests/browser/install_chromium.sh $(BIN)/playwright
	$(BIN)/python -m pytest -m browser -n auto --maxprocesses 2 --dist load --reruns 2 -rR tests/browser

# What the tests do with a few made-up inputs each, with many: half an hour of one core in all, and no test has a limit.
fuzz: $(VENV)/.dev
	MILR_FUZZ=10000 $(BIN)/python -m pytest --timeout 0 -n auto --dist load tests/fuzz

style: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: $(VENV)/.dev
	$(BIN)/python -m docs.reference

# Versions and hashes of the image's packages, for its Python; torch apart, whose wheels differ with the index.
lock: $(VENV)/.dev
	grep -v "^torch" requirements.txt | $(BIN)/uv pip compile - --quiet --upgrade --generate-hashes \
		--python-version 3.12 --python-platform x86_64-manylinux_2_28 --no-header --no-annotate \
		--output-file requirements-image.txt

package: $(VENV)/.dev
	$(BIN)/python -m build

# The whole image, built and run; needs buildah and root, and takes minutes. See docs/deployment.md.
docker-test:
	bash tests/docker/build.sh

$(VENV)/.runtime: requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -z "$(TORCH)" || $(PIP) $(if $(TORCH_INDEX),--extra-index-url "$(TORCH_INDEX)") "$(TORCH)" || echo "No $(TORCH): pip chooses one."
	$(PIP) -e .
	touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(PIP) -e ".[bench,dev]"
	touch $@

clean:
	rm -rf $(VENV) runs build dist *.egg-info .pytest_cache .ruff_cache
