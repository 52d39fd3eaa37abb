# Few verbs; `make help` prints them. Everything runs from .venv, installed with uv from a hashed lock.
# the first that is new enough and can make a venv; a name alone may be a shim without a Python behind it
PYTHON ?= $(shell for one in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$one -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$one && break; done)
PY := .venv/bin/python
JOBS ?= 2
# what a campaign has played so far; one that was stopped goes on from there
CAMPAIGN_FOLDER ?= /tmp/orgbridge-campaign
.DEFAULT_GOAL := help
.PHONY: help setup run test check style bench campaign lock

help:  ## print this
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/ready  ## install into .venv (Python 3.11 or newer with venv)

run: setup  ## start the app; its address and, the first time, a code for the first admin are printed
	$(PY) app.py

test: setup .venv/s3server/ready  ## run every test (JOBS=2 processes side by side)
	$(PY) -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder

check: style  ## style, and the tests of rooms and of the schema
	$(PY) -m pytest -q tests/rooms tests/db/test_schema.py

style: setup  ## format, lint, types
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

bench: setup .venv/s3server/ready  ## measure, and write benchmarks/RESULTS.md
	$(PY) -m benchmarks

campaign: setup  ## break 5,000 generated runs, judge each, and write benchmarks/CAMPAIGN.md
	$(PY) -m benchmarks.campaign --cases 5000 --folder $(CAMPAIGN_FOLDER)

lock: setup  ## renew requirements.lock from requirements-dev.txt
	$(PY) -m uv pip compile -q --system-certs --generate-hashes --upgrade requirements-dev.txt -o requirements.lock
	$(PY) -m uv pip compile -q --system-certs --generate-hashes --upgrade requirements-s3server.txt -o requirements-s3server.lock

.venv/ready: requirements.lock
	@test -n "$(PYTHON)" || { echo "Orgbridge needs Python 3.11 or newer with venv (Debian: apt install python3-venv)."; exit 1; }
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check uv
	$(PY) -m uv pip install --quiet --system-certs --compile-bytecode --require-hashes -r requirements.lock
	touch $@

# tests and benchmarks alone need it; the app is started without it
.venv/s3server/ready: .venv/ready requirements-s3server.lock
	$(PY) -m uv pip install --quiet --system-certs --require-hashes --target .venv/s3server -r requirements-s3server.lock
	touch $@
