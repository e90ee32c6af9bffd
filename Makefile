# One way in: `make test` is everything a change must pass, on a machine with Go alone. `make help` lists the rest.

GO       ?= go
FUZZTIME ?= 20s
# Packages in which goroutines share something run under the race detector; the others have nothing to race about. Of the
# programs only the tests in which a server runs: the rest runs whole programs, ten times slower under the detector, to
# see what they print.
RACED    := /(accounts|api|appstate|commands|eventlog|projections|transparency)(/|$$)
SERVING  := ^(TestServeClosesTheDay|TestAServerLeavesTheReadersAlone)$$
TIMEOUT  := 20m
# Screenshots of the pages as the tests saw them are kept here. The name does not begin with ANSWERABLE_: those are settings,
# and a server refuses one that it does not know.
export ARTIFACTS_DIR ?= $(CURDIR)/artifacts

.PHONY: help test tools format vet shape plain raced build demo bench fuzz

help:
	@echo 'make tools   a browser and a database server for the tests, where apt-get may install them'
	@echo 'make test    everything a change must pass: format, vet, shape of the code, all tests'
	@echo 'make demo    the demonstration, on http://127.0.0.1:8080'
	@echo 'make build   the programs, into this folder'
	@echo 'make bench   the benchmarks; results go to bench/out'
	@echo 'make fuzz    every fuzz target for FUZZTIME=$(FUZZTIME) each'

test: tools format vet shape plain raced
	@echo 'make test: all passed'

# A browser and a database server for the tests that want them. Only where it may, and what it cannot get is skipped later.
tools:
	@missing=; command -v chromium >/dev/null || missing="$$missing chromium"; ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$$missing postgresql"; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then echo "== installing$$missing"; \
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing fonts-dejavu-core >/dev/null; } || echo "not installed:$$missing"; fi

format:
	@echo '== gofmt'
	@bad=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
	if [ -n "$$bad" ]; then echo "not formatted (run gofmt -w):"; echo "$$bad"; exit 1; fi

vet:
	@echo '== go vet'
	$(GO) vet ./...

# The shape first: it is quick, and its list of skips says what the rest will not run here, and why.
shape:
	@echo '== the shape of the code, and what is skipped here'
	$(GO) test -count=1 ./internal/rules
	@$(GO) test -count=1 -run '^TestEverySkipSaysWhy$$' -v ./internal/rules | grep -o 'skips: .*' || echo 'skips: none'

plain:
	@echo '== tests of packages without shared state'
	$(GO) test -timeout $(TIMEOUT) $$($(GO) list ./... | grep -vE '$(RACED)')

raced:
	@echo '== tests of packages with shared state'
	@if [ "$$($(GO) env CGO_ENABLED)" = 1 ] && command -v "$$($(GO) env CC)" >/dev/null; then race=-race; else race=; \
	echo 'SKIPPED: the race detector, which needs cgo and a C compiler (gcc or clang); the same tests run without it'; fi; \
	set -ex; $(GO) test $$race -timeout $(TIMEOUT) $$($(GO) list ./... | grep -E '$(RACED)'); \
	[ -z "$$race" ] || $(GO) test $$race -timeout $(TIMEOUT) -run '$(SERVING)' ./cmd/answerable

build:
	$(GO) build -trimpath -o ./ ./cmd/...

demo:
	$(GO) run ./cmd/answerable demo

bench:
	@mkdir -p bench/out
	$(GO) test -run '^$$' -bench . -benchmem ./... | tee bench/out/go-bench.txt
	$(GO) run ./cmd/answerable bench --json | tee bench/out/bench.json

# go test takes one fuzz target at a time.
fuzz:
	@set -e; for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	    echo "== $$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p; \
	  done; \
	done
