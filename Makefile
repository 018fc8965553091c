# Two commands: `make demo` and `make test`. Both set everything up first.
.DEFAULT_GOAL := help
SHELL := /bin/bash
# One environment, .venv, in steps: what unit tests need, what the demo needs, and on top of both the rest.
UNIT_STAMP := .venv/.ready-unit
DEMO_STAMP := .venv/.ready-demo
WEB_STAMP := .venv/.ready-web
STAMP := .venv/.ready
LINT_STAMP := .venv/.ready-lint
DEMO_INPUTS := $(addprefix requirements/,ros.txt runtime.txt interfaces.txt cmake.txt) \
	$(wildcard interfaces/*/*) $(wildcard interfaces/*/msg/*) $(wildcard interfaces/*/srv/*) tools/setup.sh tools/build_interfaces.py setup.py setup.cfg
DOCS_STAMP := .venv-docs/.ready
INPUTS := $(filter-out $(DEMO_INPUTS) requirements/lint.txt requirements/docs.txt,$(wildcard requirements/*.txt))

.PHONY: help setup setup-demo setup-unit demo live test test-unit lint docs reference bench soak clean

help:            ## this list
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/'

setup-demo: $(DEMO_STAMP)  ## make .venv with what the demo needs: ROS 2, ONNX Runtime, messages
$(DEMO_STAMP): $(DEMO_INPUTS)
	@tools/setup.sh demo

setup-unit: $(UNIT_STAMP)  ## make .venv with what the unit tests need: no ROS, no torch
$(UNIT_STAMP): requirements/runtime.txt requirements/unit.txt tools/setup.sh
	@tools/setup.sh unit

setup: $(STAMP)  ## make .venv with everything: also OpenVINO, torch (CPU), TensorRT, tests, training
$(STAMP): $(DEMO_STAMP) $(INPUTS)
	@tools/setup.sh

demo: setup-demo  ## a camera topic in, masks out, over real ROS 2, on this CPU; pictures in out/demo (MODEL=NAME)
	@./env.sh python -m demo $(if $(MODEL),--model "$(MODEL)")

$(WEB_STAMP): $(DEMO_STAMP) requirements/web.txt
	@tools/setup.sh web

live: $(WEB_STAMP)  ## a page to click on, with a photograph as the camera (WEBCAM=0, SOURCE=FILE, PORT=8765, MODEL=NAME)
	@./env.sh python -m demo.live $(if $(WEBCAM)$(SOURCE),--source "$(or $(WEBCAM),$(SOURCE))") \
	  $(if $(PORT),--port "$(PORT)") $(if $(MODEL),--model "$(MODEL)")

test: setup      ## all tests but the slow ones (ARGS="-m slow": those; ARGS="test/nodes -k name": some)
ifeq ($(ARGS),)
	@./env.sh python tools/run_tests.py
else
	@./env.sh python -m pytest $(ARGS)
endif

test-unit: setup-unit  ## tests that need neither ROS, torch nor an inference runtime, in a minute
	@./env.sh python -m pytest -p test.unit -m "not slow and not ros" $(or $(ARGS),-q test)

SECONDS ?= 600
soak: setup      ## a camera for SECONDS=600, 200 cycles, 10,000 malformed messages over DDS; prints figures
	@EVITSAM_SOAK_SECONDS=$(SECONDS) ./env.sh python -m pytest -s -q test/nodes/test_malformed.py
	@EVITSAM_SOAK_SECONDS=$(SECONDS) ./env.sh python -m pytest -s -q test/soak

$(LINT_STAMP): $(STAMP) requirements/lint.txt
	@./env.sh python -m pip --disable-pip-version-check install -q -r requirements/lint.txt
	@touch $@

lint: $(LINT_STAMP)  ## style, types and spelling: ruff, mypy, codespell
	@./env.sh ruff check .
	@./env.sh ruff format --check .
	@./env.sh python -m mypy
	@./env.sh python -m codespell_lib

$(DOCS_STAMP): requirements/docs.txt
	@[ -x .venv-docs/bin/python ] || $(or $(PYTHON),python3) -m venv .venv-docs
	@.venv-docs/bin/python -m pip --disable-pip-version-check install -q -r requirements/docs.txt
	@touch $@

docs: $(DOCS_STAMP)  ## the documentation site in out/site, with its links checked
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/python -m mkdocs build --strict
	@echo "open out/site/index.html, or serve it: .venv-docs/bin/python -m mkdocs serve"

reference: setup ## write docs/reference/ from the code
	@./env.sh python -m tools.docs

bench: setup     ## the project's own figures as ratios (out/bench.json; ARGS=--quick: a minute; ARGS=--store: this processor)
	@mkdir -p out
	@./env.sh python -m bench --json out/bench.json --check bench/ratios.yaml $(ARGS)

clean:           ## remove what setup, tests and demo made
	rm -rf .venv .venv-peer .venv-docs build install log out .pytest_cache .ruff_cache .hypothesis *.egg-info
