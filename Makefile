# Two commands: `make demo` and `make test`. Both set everything up first.
.DEFAULT_GOAL := help
SHELL := /bin/bash
STAMP := .venv/.ready
INPUTS := $(wildcard requirements/*.txt) $(wildcard interfaces/*/*) $(wildcard interfaces/*/msg/*) tools/setup.sh \
	tools/build_interfaces.py setup.py setup.cfg

.PHONY: help setup demo test lint bench soak clean

help:            ## this list
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

setup: $(STAMP)  ## make .venv: ROS 2, runtimes, torch (CPU), messages
$(STAMP): $(INPUTS)
	@tools/setup.sh

demo: setup      ## a camera topic in, masks out, over real ROS 2, on this CPU; pictures in out/demo (MODEL=NAME)
	@./env.sh python -m demo $(if $(MODEL),--model "$(MODEL)")

# One process a folder: with ROS, OpenVINO, TensorRT-RTX and torch's training in a single one, native code crashed.
test: setup      ## all tests but the slow ones (ARGS="-m slow": those; ARGS="test/nodes -k name": some)
ifeq ($(ARGS),)
	@status=0; for part in $(sort $(dir $(wildcard test/*/__init__.py))) "$(wildcard test/test_*.py)"; do \
	  ./env.sh python -m pytest -m "not slow" $$part || status=1; done; exit $$status
else
	@./env.sh python -m pytest $(ARGS)
endif

SECONDS ?= 600
soak: setup      ## a camera for SECONDS=600, 200 cycles, 10,000 malformed messages over DDS; prints figures
	@EVITSAM_SOAK_SECONDS=$(SECONDS) ./env.sh python -m pytest -s -q test/nodes/test_malformed.py
	@EVITSAM_SOAK_SECONDS=$(SECONDS) ./env.sh python -m pytest -s -q test/soak

lint: setup      ## ruff
	@./env.sh ruff check .

bench: setup     ## the project's own figures as ratios, with their floors (out/bench.json; ARGS="--quick": a minute)
	@mkdir -p out
	@./env.sh python -m bench --out out/bench.json --gate bench/ratios.yaml $(ARGS)

clean:           ## remove what setup, tests and demo made
	rm -rf .venv .venv-peer build install log out .pytest_cache .ruff_cache .hypothesis *.egg-info
