# mcpen's own targets. Each one sets up what it needs; "make help" lists them.

RELEASE ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
PREFIX  ?= /usr/local
# Code that mcpen never calls: manual pages, checkpoints.
TAGS    := urfave_cli_no_docs,runc_nocriu
GO      := $(CURDIR)/scripts/go
BUILD   := $(GO) build -trimpath -ldflags "-s -w -X main.release=$(RELEASE)"
TEST    := $(GO) test -tags $(TAGS)
# With the launcher in it, as it is shipped.
CARRY   := $(TAGS),mcpen_launcher
# $(call part,NAME,COMMAND) runs a part of the tests and says how long it took.
part     = @echo '$(2)'; from=$$(date +%s); $(2); code=$$?; echo "$(1): $$(($$(date +%s) - from)) s"; exit $$code
# What "mcpen run" turns into; mcpen carries it (see sandbox/launch).
CARRIED := cmd/mcpen/embedded/mcpen-launcher
# Packages whose goroutines meet: tested with the race detector too.
RACE    := ./sandbox/audit/... ./sandbox/guard/... ./sandbox/finding/... ./sandbox/internal/relay/... ./sandbox/internal/egress/... ./sandbox/internal/listeners/... ./sandbox/pack/...
# Not with it: gigabytes that one goroutine reads, at a tenth of the pace.
ONE     := ^Test(StoresAreBounded|ScanIsBounded|ScanIsBoundedOverAllTexts)$$

.PHONY: help build demo test suites races integration profiles tried lint fuzz bench tables vm vm-table fresh soak picture browser conformance eval install deb setup launcher clean

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## install what building and testing need (a C compiler, pkg-config, libseccomp)
	@scripts/setup.sh test

build: launcher ## build bin/mcpen
	$(BUILD) -tags $(CARRY) -o bin/mcpen ./cmd/mcpen

launcher:
	@scripts/setup.sh
	$(BUILD) -tags $(TAGS) -o $(CARRIED) ./cmd/mcpen-launcher

demo: build ## watch a server inside its sandbox: what is allowed, what is refused
	@scripts/demo.sh

test: setup launcher ## every test but the heavy ones below
	$(call part,vet,$(GO) vet -tags $(TAGS) ./...)
	@$(MAKE) --no-print-directory -j2 suites races

# The two halves of "make test" run side by side: many tests wait more than they work.
suites:
	$(call part,tests,$(GO) test -tags $(CARRY) -timeout 14m ./...)

races:
	$(call part,scripts without the launcher,$(TEST) -timeout 10m -run TestScripts ./cmd/mcpen)
	$(call part,races,$(TEST) -race -timeout 10m -skip "$(ONE)" $(RACE))

integration: build ## real servers from the registries
	$(TEST) -tags $(TAGS),integration -timeout 30m -run Real ./...

profiles: build ## the profiles that ship, each with its server from the registry, inside and outside
	$(TEST) -tags $(TAGS),integration -timeout 120m -run '^TestLibrary' ./profiles

tried: build ## thirty packages from the registries, each tried: hosts, the profile that is written, tools outside
	$(TEST) -tags $(TAGS),integration -timeout 90m -run '^TestRealTried$$' ./cmd/mcpen

lint: setup ## gofmt, vet, staticcheck, deadcode, exported names, govulncheck
	@scripts/lint.sh

fuzz: setup ## each fuzz target for FUZZTIME (default 30s)
	@scripts/fuzz.sh

bench: build ## start, ping and memory beside the peers that are installed, as ratios
	@scripts/bench.sh

tables: build ## run the bench and the suites, and write their figures into README and SECURITY
	$(GO) run ./scripts/tables

vm: ## real Debian machines under qemu: MACHINES="debian13 …" (default: all)
	@scripts/vm.sh $(MACHINES)

vm-table: ## write what the last runs of make vm found into SECURITY
	$(GO) run ./scripts/tables "$${MCPEN_VM:-$${XDG_CACHE_HOME:-$$HOME/.cache}/mcpen-vm}"

fresh: ## a new Debian with git and make alone: README's commands, and make test, with their times (root; SUITE=trixie)
	@scripts/fresh.sh $(SUITE)

soak: build ## ten minutes of mixed traffic, and ten each of changes in a writable folder as user and root (MCPEN_SOAK_WRITES=5m)
	$(TEST) -tags $(TAGS),soak -timeout 60m -run Soak -v ./...

picture: build ## the picture of a report in README
	@scripts/picture.sh

browser: build ## the page of a report in headless Chromium with axe-core: no request, no error, two widths, light and dark
	@scripts/browser.sh

conformance: build ## MCP's own suite, with and without mcpen between: the same, check by check
	@scripts/conformance.sh

eval: ## what the guard finds in a corpus of descriptions, where one is beside the checkout
	$(TEST) -tags $(TAGS),eval -run Eval -v ./sandbox/finding/

install: build ## install to PREFIX (default /usr/local)
	install -D -m 0755 bin/mcpen $(DESTDIR)$(PREFIX)/bin/mcpen

deb: build ## a Debian package in bin, with the AppArmor profile that Ubuntu asks for
	@scripts/deb.sh $(RELEASE)

clean:
	rm -rf bin $(CARRIED)
