# make            check and test everything
# make setup      install what running restock needs, into .venv
# make setup-dev  install what developing restock needs as well
# make demo       bring the example feed into the example shop
# make up         start a Prefect server, a worker and the deployments on this machine; PORT=4300 chooses another port
# make down       end them; what they knew is kept
# make test       run the tests; ARGS="-k spool -x" goes to pytest
# make bench      measure the speed claims; writes docs/benchmarks.md; ARGS="--rows 1000000", or "--help" for the rest
# make bench-peers  the same for other tools, which get an environment of their own
# make pollock    judge the CSV reader on all files of a Pollock checkout: PATH=folder
# make nights     the long tests of Prefect: automations, missed nights, servers away, many workers, 10,000 chunks
# make torture    the long proof under random faults; SEED=7 SECONDS=1800 repeats one
# make lint       check style, formatting and types; `make fix` mends what can be mended
# make clean      remove .venv and everything else that can be made again
#
# Needs git, make and Python 3.11 to 3.14; PYTHON=/path/to/python chooses one. Works with the make 3.81 of macOS.

VENV := .venv
RUN := $(VENV)/bin/python
PEERS := $(VENV)-peers
ARGS ?=

.DEFAULT_GOAL := all
.PHONY: all setup setup-dev demo up down test nights torture bench bench-peers pollock lint fix clean

all: lint test

setup: $(VENV)/.installed ; @:
setup-dev: $(VENV)/.installed-dev ; @:

demo: setup
	@$(RUN) -m example_app.demo

up: setup
	@PORT="$(PORT)" $(RUN) -m flows.station up

down: setup
	@$(RUN) -m flows.station down

test: setup-dev
	@$(RUN) -m pytest -n auto $(ARGS)

bench: setup-dev
	@$(RUN) -m benchmarks --write $(ARGS)

bench-peers: setup-dev $(PEERS)/.installed
	@$(RUN) -m benchmarks --write --peers $(PEERS)/bin/python $(ARGS)

# PATH means the checkout here, as everybody calls it; what runs below is named by its own path.
ifeq ($(origin PATH),command line)
CHECKOUT := $(PATH)
override PATH := /usr/local/bin:/usr/bin:/bin
endif

pollock: setup-dev
	@$(RUN) -m benchmarks.pollock "$(or $(CHECKOUT),$(error Name the checkout: make pollock PATH=folder))"

nights: setup-dev
	@RESTOCK_TEST_NIGHTS=1 $(RUN) -m pytest tests/operations $(ARGS)

torture: setup-dev
	@PYTHONPATH=.:tests $(RUN) -m torture $(if $(SEED),--seed $(SEED)) $(if $(SECONDS),--seconds $(SECONDS))

lint: setup-dev
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy

fix: setup-dev
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .
	@$(RUN) -m flows.cli feed schema > feeds.schema.json

clean:
	@rm -rf $(VENV) $(PEERS) build *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are newer than the lock they were installed from. Development needs are a superset, in the same versions.
$(VENV)/.installed: requirements.lock pyproject.toml
	$(call install,requirements.lock)
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock requirements.lock pyproject.toml
	$(call install,requirements-dev.lock)
	@touch $(VENV)/.installed $@

$(PEERS)/.installed: benchmarks/peers.lock
	@echo "Setting up $(PEERS) ..."
	@$(RUN) -m venv --clear $(PEERS)
	@$(PEERS)/bin/python -m pip install -qq --disable-pip-version-check --no-input --no-deps --require-hashes -r $<
	@touch $@

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
CANDIDATES = $(if $(PYTHON),$(PYTHON),python3.14 python3.13 python3.12 python3.11 python3)
# Errors of pip are shown; its warnings are about the machine, not about restock.
PIP := $(RUN) -m pip install -qq --disable-pip-version-check --no-input

# The first candidate that is new enough and can make virtual environments, or else what stands in the way.
find_python = $(shell found=too-old; \
	for name in $(CANDIDATES); do \
		"$$name" -c '$(SUPPORTED)' >/dev/null 2>&1 || continue; \
		if "$$name" -c 'import ensurepip, venv' >/dev/null 2>&1; then found="$$name"; break; fi; \
		found=no-venv; \
	done; echo "$$found")

too-old := Install Python 3.11 or newer, up to 3.14 (Debian: apt install python3 python3-venv; macOS: brew install python@3.13)
no-venv := Install the venv module of Python (Debian: apt install python3-venv)

venv_works = $(shell $(RUN) -c '$(SUPPORTED)' 2>/dev/null && $(RUN) -m pip --version >/dev/null 2>&1 && echo yes)

# Make's own error says it in one line, where a failing command would be followed by a second one from make.
checked_python = $(if $(filter too-old no-venv,$(1)),$(error $($(1)), then run make again),$(1))

define install
@echo "Setting up $(VENV) (a few minutes the first time) ..."
@$(if $(venv_works),:,"$(call checked_python,$(find_python))" -m venv --clear $(VENV))
@$(PIP) --no-deps --require-hashes -r $(1)
@$(PIP) --no-deps --no-build-isolation -e .
endef
