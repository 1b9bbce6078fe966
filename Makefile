# "make" or "make help" lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

FUZZTIME ?= 60s
RUN ?=
ARGS ?=

# Everything but the end-to-end tests, which drive the plain binary and are not
# worth compiling with -race.
UNIT = $$(go list ./... | grep -v '^gitops-squared.io/gsq/e2e')
E2E  = $$(go list ./e2e/... | grep -v '/e2e/soak')

export GSQ_BINARY := $(CURDIR)/bin/gsq

##@ Daily use

.PHONY: help
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/gsq, static
	@CGO_ENABLED=0 scripts/quietly "go build" go build -trimpath -ldflags '-s -w' -o bin/gsq ./cmd/gsq

.PHONY: run
run: build ## run the server with its embedded registry (ARGS="--listen ...")
	@exec bin/gsq serve $(ARGS)

.PHONY: demo
demo: ## the whole loop, end to end, on real parts: about a minute once the tools are built
	@exec demo/demo.sh

.PHONY: clean
clean: ## delete what was built in the tree
	rm -rf bin

##@ Tests

.PHONY: test
test: ## everything that CI runs
	@exec scripts/steps tools static build test-race test-e2e test-observability

.PHONY: test-short
test-short: ## the tests without the race detector and without a cluster
	@go test -short $(UNIT)

.PHONY: test-race
test-race:
	@scripts/quietly "go test -race" go test -race -timeout 15m $(UNIT)

.PHONY: test-e2e
test-e2e: build tools
	@scripts/quietly "end-to-end tests" go test -count=1 -timeout 25m $(E2E)

.PHONY: test-observability
test-observability: build ## dashboard and alert rules, against the metrics of bin/gsq
	@scripts/quietly "dashboard and alert rules" go -C e2e/observability test -count=1 -timeout 5m .

.PHONY: e2e
e2e: build tools ## the end-to-end tests, verbose (RUN=regexp chooses)
	@go test -v -count=1 -timeout 60m $(E2E) $(if $(RUN),-run '$(RUN)')

.PHONY: soak
soak: build tools ## the long tests: ledger, backups and end-to-end, at random (RUN=regexp chooses)
	@go test -race -count=1 -timeout 6h ./internal/ledger -run '$(or $(RUN),TestModel|TestRandomFaults|TestCollectAtRandom)' -rapid.checks=1500 -random-seeds=200
	@go test -count=1 -timeout 6h ./internal/backup -run '$(or $(RUN),Kill|TamperedFolders|Vanishes)' -kill-stride 1 -all-ways
	@go test -v -count=1 -timeout 6h ./e2e/soak/... $(if $(RUN),-run '$(RUN)')

.PHONY: bench
bench: build tools ## measure against the registry's own limits, and write docs/benchmarks.md (ARGS="--quick")
	@go build -o bin/bench ./bench
	@exec bin/bench $(if $(ARGS),$(ARGS),--write-docs docs)

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (60s each)
	@exec scripts/fuzz '$(FUZZTIME)'

.PHONY: static
static: gofmt vet staticcheck govulncheck ## the static checks

.PHONY: gofmt vet staticcheck govulncheck
gofmt:
	@unformatted=$$(find . -name '*.go' -not -path './.cache/*' -not -path './.git/*' -exec gofmt -l {} +); \
	if [[ -n "$$unformatted" ]]; then echo "gofmt: run \"gofmt -w\" on:" $$unformatted; exit 1; fi
vet:
	@scripts/quietly "go vet" go vet ./...
staticcheck:
	@tools/build.sh lint >/dev/null
	@scripts/quietly "staticcheck" "$$(tools/build.sh --path staticcheck)" ./...
govulncheck:
	@exec scripts/govulncheck

##@ Tools and a local cluster (no container engine needed)

.PHONY: tools
tools: ## build etcd, kube-apiserver, kubectl, Flux, registry, oras, crane into a cache outside the tree
	@exec tools/build.sh

.PHONY: cluster-up
cluster-up: tools ## start a local control plane with Flux, and print its kubeconfig's path
	@exec go run ./e2e/cluster/localcluster up

.PHONY: cluster-down
cluster-down: ## stop it
	@exec go run ./e2e/cluster/localcluster down

##@ A kind cluster (needs docker, kind and kubectl)

.PHONY: setup port-forward demo-kind teardown
setup: ## create a kind cluster with Flux, the registry and gsq
	@exec scripts/kind setup
port-forward: ## reach gsq in it on 127.0.0.1:8080 and its registry on 127.0.0.1:5000
	@exec scripts/kind port-forward
demo-kind: ## the demo on it
	@exec scripts/kind demo
teardown: ## delete it
	@exec scripts/kind teardown
