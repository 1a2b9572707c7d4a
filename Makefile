# `make help` lists the verbs. Each does the set-up that it needs, again only when the lock changed.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test chart cluster image bench page faults soak sbom audit check check-lock lock clean

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## Make .venv from the lock (PYTHON=python3.12 chooses the interpreter)

demo: $(READY) ## Photos in, masks out, on a real Kafka (PHOTOS="a.jpg folder" for your own)
	@$(BIN)/maskline demo $(PHOTOS)

# Three processes on two cores, for most tests wait. A file's tests run in one of them, in order.
# Bytecode is kept: otherwise each process compiles all modules again.
test: export PYTHONDONTWRITEBYTECODE =
test: $(READY) ## Run all tests, with a real Kafka and S3 (ARGS="-k lane" for some of them)
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(ARGS)

chart: $(READY) ## Check the Helm chart, with helm and Kubernetes' schemas
	@$(BIN)/python -m pytest tests/chart $(ARGS)

cluster: $(READY) ## Install the chart on a real Kubernetes API server (built once, by Go)
	@$(BIN)/python -m tests.cluster.kubernetes
	@$(BIN)/python -m pytest --timeout=2400 tests/cluster $(ARGS)

image: $(READY) ## Build the image and run it as a pod would (buildah and podman, as root)
	@$(BIN)/python -m pytest --timeout=1200 tests/image $(ARGS)

bench: $(READY) ## Measure speed and memory
	@$(BIN)/python -m tests.benchmarks $(ARGS)

page: $(READY) ## Pictures of the live page in every state, in build/page
	@$(BIN)/python -m tests.page $(ARGS)

faults: $(READY) ## Kill, freeze and cut off parts of a running line: does it keep its promise?
	@$(BIN)/python -m tests.laboratory $(ARGS)

soak: $(READY) ## The same for 30 minutes (ARGS="--minutes 240" for longer)
	@$(BIN)/python -m tests.laboratory --minutes 30 $(ARGS)

sbom: $(READY) ## The bill of material, in build/sbom (ARGS="--image NAME" of an image of podman's)
	@$(BIN)/python -m tests.supply $(ARGS)

audit: $(READY) ## Known holes in what ships, or that the advisories can't be read
	@$(BIN)/python -m tests.supply.audit

check: $(READY) check-lock ## Style, types, fresh locks, fresh generated files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet tests/unit/schemas/test_export.py

lock: $(READY) ## Lock what pyproject.toml asks for (ARGS=--upgrade for the newest of everything)
	$(call compile,.)

clean: ## Remove all that was made here, .venv included
	rm -rf $(VENV) maskline-demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

check-lock: $(READY)
	@rm -rf build/lock && mkdir -p build/lock && cp -R pyproject.toml requirements build/lock
	$(call compile,build/lock)
	@diff -r requirements build/lock/requirements || \
	  { echo "The lock is not what pyproject.toml asks for: run make lock."; exit 1; }

# The other two are parts of the first: what runs is what was tested.
define compile
	@echo "Locking in $(1)/requirements ..."
	@$(LOCK) --directory $(1) pyproject.toml --extra dev --group build -o requirements/dev.lock
	@$(LOCK) --directory $(1) pyproject.toml --extra tracing -c requirements/dev.lock -o requirements/runtime.lock
	@$(LOCK) --directory $(1) --group build -c requirements/dev.lock -o requirements/build.lock
	@$(LOCK) --directory $(1) --group go -o requirements/go.lock
	@$(LOCK) --directory $(1) --group gpu --no-deps -o requirements/onnxruntime-gpu.lock
	@$(LOCK) --directory $(1) --group chart --no-deps -o requirements/chart.lock
endef
LOCK = $(abspath $(BIN))/uv pip compile --quiet --universal --python-version 3.11 \
       --generate-hashes --no-header --no-emit-index-url $(ARGS)

# --only-binary: building a package would fetch its build tools without a hash.
$(READY): $(BIN)/python requirements/dev.lock
	@echo "Installing requirements/dev.lock into $(VENV) (about 200 MB the first time) ..."
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes \
	  --only-binary :all: -r requirements/dev.lock
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation \
	  --quiet --editable .
	@touch $@

$(BIN)/python:
	@command -v $(PYTHON) > /dev/null || { echo "There is no $(PYTHON): install Python 3.11 or\
	 newer, or name one that is here: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { $(PYTHON) --version;\
	 echo "Maskline needs Python 3.11 or newer. Name one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { echo "$(PYTHON) can't make virtual\
	 environments: its module venv or ensurepip is missing. On Debian and Ubuntu:\
	 apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
