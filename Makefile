# Needs Go 1.26, make and a C compiler for the race detector; every other tool is pinned in go.mod.

GO ?= go
FUZZTIME ?= 10s
SCENARIO ?=
CRASH_CUTS ?= 1000
BENCH ?=

.DEFAULT_GOAL := help
.PHONY: help build demo demo-recording demo-webhooks test race crash fuzz bench lint generate generated check conformance-java conformance-woven

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build the flux binary into bin/
	$(GO) build -o bin/flux ./cmd/flux

demo: ## run a whole system on 20,000 real flights
	$(GO) run ./cmd/flux demo

demo-recording: ## fail, explain, replay, resume: a payments service with PostgreSQL and Redis; also as built by flux go
	$(GO) run ./examples/payments/demo
	$(GO) run ./examples/payments/demo -instrumented

demo-webhooks: ## fail, explain, replay, resume: signed webhooks that are processed once, with nothing but Go
	$(GO) run ./examples/webhooks/demo

test: ## run all tests
	$(GO) test -timeout 10m ./...

race: ## run all tests under the race detector
	$(GO) test -race -timeout 15m ./...

crash: ## cut the power CRASH_CUTS times in every TestCrash…, then look for lost or torn data
	FLUX_CRASH_CUTS=$(CRASH_CUTS) $(GO) test -timeout 10m -count 1 -run '^TestCrash' ./...

conformance-java: ## run the official Java clients against Flux; SCENARIO='…' narrows it. Needs a JDK 21 and Maven
	GO=$(GO) scripts/conformance-java '$(SCENARIO)'

conformance-woven: ## build a program that never imports Flux with flux go, record it, replay it; minutes the first time
	FLUX_TEST_WOVEN=1 $(GO) test -timeout 9m -count 1 ./conformance/woven

fuzz: ## run every fuzz target for FUZZTIME
	GO=$(GO) scripts/fuzz $(FUZZTIME)

bench: ## measure Flux beside its peers; BENCH='-quick -only P1,P2' narrows it
	$(GO) run ./bench $(BENCH)

lint: ## vet, staticcheck, gofumpt, tidiness of go.mod, and the rules of internal/lint
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	@unformatted=$$($(GO) tool gofumpt -l .) || exit 1; \
	if [ -n "$$unformatted" ]; then echo "gofumpt -w wants to change:"; echo "$$unformatted"; exit 1; fi
	$(GO) mod tidy -diff
	$(GO) test -count 1 ./internal/lint

generate: ## rewrite the Go code generated from api/
	$(GO) run ./internal/protogen

generated: ## fail when generate would change a file
	$(GO) run ./internal/protogen -check

check: ## everything CI does
	.ci/run
