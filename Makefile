# Everything a newcomer, a developer and CI run. `make help` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# A swiftly toolchain is found even when the shell's profile has not been read again yet.
SWIFT ?= $(shell command -v swift 2>/dev/null || echo $(HOME)/.local/share/swiftly/bin/swift)
# Release programs carry the Swift runtime with them: they start on a machine without a toolchain.
RELEASE := -c release --static-swift-stdlib
PYTHON ?= python3
# Options handed through, for example: make bench BENCH="--only small --quick"
BENCH ?=
FUZZ_SECONDS ?= 60
# Bare `make fuzz` runs every target.
FUZZ_TARGET ?= all

.PHONY: test-fleet help up build release deps check format test test-swift test-programs test-strict test-h2spec test-security test-scenario test-websocket test-plugins test-corpora test-ui test-admin test-access bench fuzz clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: ## install what is missing, build release, run control plane, gateway, web UI and two small services until Ctrl-C
	@scripts/deps.sh build
	@$(MAKE) --no-print-directory release
	@scripts/up.sh

build: ## build everything for debugging
	$(SWIFT) build

release: ## build .build/release/seaway and .build/release/seaway-proxy
	$(SWIFT) build $(RELEASE) --product seaway
	$(SWIFT) build $(RELEASE) --product seaway-proxy

deps: ## install the packages that building, testing and benchmarks need
	@scripts/deps.sh all

check: ## format, imports, traps, shell and Python syntax
	$(SWIFT) format lint --strict --recursive --parallel $(wildcard Package.swift Sources Tests Fuzz Benchmarks)
	$(PYTHON) scripts/tidy.py
	@for f in scripts/*.sh .ci/run; do bash -n $$f || exit 1; done
	@$(PYTHON) -m compileall -q -x '/[.]venv/' scripts Tests Benchmarks Fuzz Examples

format: ## rewrite the Swift sources in the project's format
	$(SWIFT) format --in-place --recursive --parallel $(wildcard Package.swift Sources Tests Fuzz Benchmarks)

test: test-swift release test-programs test-strict test-h2spec test-security test-scenario test-websocket test-plugins test-corpora test-ui test-admin test-access test-fleet ## everything that CI runs

test-swift:
	$(SWIFT) test

test-programs: # what may be linked, and how large it may be
	$(PYTHON) scripts/binaries.py .build/release

test-ui: # the web UI in headless Chromium, every page and every form
	$(PYTHON) Tests/UI/run.py

test-plugins: # every plugin through the built gateway
	$(PYTHON) Tests/Plugins/run.py

test-strict: # raw sockets against the built gateway: request and response framing
	$(PYTHON) Tests/Strict/run.py --proxy seaway
	$(PYTHON) Tests/Strict/run.py --proxy seaway-streaming

test-h2spec: # HTTP/2 by h2spec's list, in clear and over TLS
	$(PYTHON) Tests/H2Spec/run.py --strict

test-security: # the checklist T-01 to T-33, one test for each number
	$(PYTHON) Tests/Security/run.py

test-admin: # Kong's Admin API, asked by tables, by clients and by its own description
	$(PYTHON) Tests/Admin/run.py

test-access: # who may do what on both APIs, logins, and the Resource API
	$(PYTHON) Tests/Access/run.py

test-fleet: # control planes and gateways together: failures, selection, rollouts, monitoring, a newcomer
	$(PYTHON) Tests/Fleet/run.py

test-corpora: # every input that ever mattered to a parser
	@SWIFT="$(SWIFT)" Fuzz/run.sh all replay

test-scenario: # real clients and upstreams around the built gateway, topic by topic
	$(PYTHON) Tests/Scenario/run.py

test-websocket: # what WebSocket peers see of each other, with the gateway in between and without
	$(PYTHON) Tests/WebSocket/run.py

bench: ## compare with nginx, HAProxy, Envoy and Traefik (BENCH="--only small --quick")
	@scripts/deps.sh all
	$(SWIFT) build $(RELEASE)
	$(PYTHON) Benchmarks/bench.py $(BENCH)

fuzz: ## feed random bytes to every parser (FUZZ_SECONDS=600 FUZZ_TARGET=http1-request)
	@SWIFT="$(SWIFT)" Fuzz/run.sh $(FUZZ_TARGET) $(FUZZ_SECONDS)

clean: ## remove what was built
	rm -rf .build Benchmarks/.build
