# Two commands a newcomer needs: `make demo` and `make test`. Both set .venv up if it is missing.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
export ASSAY_DATA ?= $(if $(wildcard ../shared/data),$(abspath ../shared/data),)
export PYTHONHASHSEED := 0

.PHONY: help setup demo curve test test-slow lint compile openapi bench serve report clean lock

help: ## Show this list.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(VENV)/.ready: pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[train,serve,dev,bench]'
	$(BIN)/pip check
	touch $@

setup: $(VENV)/.ready ## Make .venv with the locked versions.

demo: setup ## Run the main job end to end on the simulated store; about 6 minutes on 2 cores.
	$(BIN)/assay run --noise 0.3 --budget 0.3 --out runs/demo --seed $(or $(SEED),0)
	@echo "report: runs/demo/report.html"

curve: setup ## Draw the budget curve of the simulated store; about 10 minutes on 2 cores.
	$(BIN)/assay curve --noise 0.3 --out runs/curve --seed $(or $(SEED),0)
	@echo "report: runs/curve/report.html"

test: setup ## Run all tests but the slow ones.
	OMP_NUM_THREADS=1 $(BIN)/pytest -m 'not slow' -n 2 --dist loadgroup

test-slow: setup ## Run the slow tests.
	$(BIN)/pytest -m slow

lint: setup ## Check style and types, and that the committed pipelines are the compiled ones.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy components pipelines serving examples
	$(BIN)/assay compile --out build/pipelines >/dev/null
	for file in build/pipelines/*.yaml; do cmp $$file pipelines/$$(basename $$file) || exit 1; done

compile: setup ## Compile the pipelines to the YAML that Kubeflow runs.
	$(BIN)/assay compile

openapi: setup ## Write docs/openapi.json, the document of the service's routes.
	env -i PATH="$$PATH" HOME="$$HOME" $(BIN)/python -m assay.serving.api.openapi > docs/openapi.json

bench: setup ## Run one benchmark: make bench NAME=x [QUICK=1].
	@test -n "$(NAME)" || { echo "name one: $$(ls benchmarks/*.py | xargs -n1 basename | sed 's/.py//' | xargs)"; exit 2; }
	QUICK=$(QUICK) $(BIN)/python benchmarks/$(NAME).py

serve: setup ## Serve the champion on 127.0.0.1:3000.
	$(BIN)/assay serve

report: setup ## Show the results of the demo, and where its report is.
	$(BIN)/assay report --out $(or $(OUT),runs/demo)

lock: setup ## Write requirements.lock from .venv.
	{ echo "# Every version that 'make setup' installs; written by 'make lock'. No index, no hashes: on another"; \
	  echo "# machine the same version of torch is another file."; \
	  $(BIN)/pip freeze --exclude-editable | sed -E 's/\+cpu$$//' | grep -v ' @ '; } > requirements.lock.partial
	mv requirements.lock.partial requirements.lock

clean: ## Remove what was built; runs/ and .venv stay.
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
