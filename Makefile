# mien: `make run` reads a photo, `make test` runs the tests; `make help` lists the rest.
PYTHON ?= python3
VENV   ?= .venv
IMAGE  ?= examples/astronaut.jpg
BIN    := $(VENV)/bin
CORE   := $(VENV)/.core-installed
DEV    := $(VENV)/.dev-installed
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q

.DEFAULT_GOAL := help
.PHONY: help run test check format docs model-card wheel lock sbom audit web-assets clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: $(CORE)  ## read the faces of IMAGE and write an annotated picture
	$(BIN)/mien predict "$(IMAGE)" --annotate annotated

test: $(DEV)  ## run all tests; the core must be covered to 90 %
	$(BIN)/python -m pytest tests/ -n auto --maxprocesses 4 --dist loadfile --cov=mien --cov-report=
	$(BIN)/python -m coverage report --include='src/mien/*.py' --fail-under=90 --skip-covered

check: $(DEV)  ## format, lint, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV)  ## put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(DEV)  ## build the site into site/, strictly
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

model-card: $(DEV)  ## write docs/model-card.md anew from the card of the model that ships
	$(BIN)/mien export --hub build/hub
	cp build/hub/README.md docs/model-card.md

wheel: | $(BIN)/python  ## build the wheel, install it into an empty environment and read IMAGE there
	rm -rf build/wheel && mkdir -p build/wheel
	$(PIP) wheel . --no-deps -w build/wheel
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/python -m pip --disable-pip-version-check -q install build/wheel/mien-*.whl
	build/wheel/venv/bin/mien predict "$(IMAGE)"

COMPILE = $(BIN)/python -m uv pip compile pyproject.toml --universal --python-version 3.10 \
	    --no-header --no-annotate --no-strip-extras --generate-hashes --upgrade -q

lock: $(DEV)  ## pin the requirements to their newest versions, with hashes
	$(COMPILE) -o requirements/core.txt
	$(COMPILE) --extra serve --extra grpc -c requirements/core.txt -o requirements/serve.txt
	$(COMPILE) --extra train --extra serve --extra grpc --extra app --extra video --extra litert --extra scale \
	    --extra docs --extra dev -c requirements/serve.txt -o requirements/dev.txt

sbom: $(DEV)  ## write what the service consists of to build/sbom.json (CycloneDX)
	mkdir -p build
	$(BIN)/cyclonedx-py requirements requirements/serve.txt --pyproject pyproject.toml --of JSON -o build/sbom.json

audit: $(DEV)  ## look the service's packages up among known vulnerabilities (needs the network)
	$(BIN)/pip-audit --require-hashes --disable-pip -r requirements/serve.txt

web-assets:  ## fetch what the page /local runs in the browser (needs npm)
	$(PYTHON) scripts/fetch_web_assets.py

clean:  ## remove what was built, the environment included
	rm -rf $(VENV) build dist site htmlcov .coverage annotated
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	    { echo "mien needs Python 3.10 or newer: make PYTHON=python3.12 run"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(CORE): requirements/core.txt pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes -r requirements/core.txt
	$(PIP) install --no-deps -e .
	@touch $@

$(DEV): requirements/dev.txt $(CORE)
	$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@
