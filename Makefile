# Thin on purpose: each target is one command anybody could type.
BUILD ?= build
MAKEFLAGS += --no-print-directory
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
# Spec files wait for servers, limits, clocks and the disk for two thirds of their time.
TEST_JOBS ?= $(shell expr 2 \* $$(nproc))

build: deps
	@cmake -S . -B $(BUILD) >$(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }
	@cmake --build $(BUILD) --parallel $(JOBS)

# The core for Lua 5.4 with address and undefined-behaviour sanitizers.
build-asan: deps
	@cmake -S . -B $(BUILD)/asan -DCAMPAIGN_LUA=5.4 -DCAMPAIGN_SANITIZE=address,undefined >$(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }
	@cmake --build $(BUILD)/asan --parallel $(JOBS)
	@ln -sfn ../luajit $(BUILD)/asan/luajit # the sandbox's child runs on LuaJIT, with the plain core

deps:
	@tools/deps

deps-test:
	@tools/deps test

# Specs on both Luas, the core under sanitizers and valgrind, static checks; ctest's summary comes last. The specs talk to real servers,
# several files at a time: one that fails is run once more, and both runs are shown.
test: deps-test build build-asan
	@rm -rf $(BUILD)/results
	@ctest --test-dir $(BUILD) --output-on-failure --parallel $(TEST_JOBS) --timeout 600 --repeat until-pass:2

lint:
	@tools/lint

# Every fault at every place, against a recorder of its own (docs/faults.md); the specs run a part of it.
fault-matrix: deps-test build
	@BUILD=$(BUILD) tools/fault-matrix

# Ends and errors at numbered points of a reference import, two shards at a time (docs/faults.md). TORTURE passes options on.
torture: deps-test build
	@BUILD=$(BUILD) tools/torture --shard 1/2 $(TORTURE) & first=$$!; BUILD=$(BUILD) tools/torture --shard 2/2 $(TORTURE); second=$$?; \
	wait $$first && exit $$second

torture-full: deps-test build
	@$(MAKE) torture TORTURE=--full
	@BUILD=$(BUILD) tools/torture-syscalls --shard 1/2 $(SYSCALLS) & first=$$!; BUILD=$(BUILD) tools/torture-syscalls --shard 2/2 $(SYSCALLS); \
	second=$$?; wait $$first && exit $$second

# Which rules of docs/contracts/rules.md the last test run covered.
rules: build
	@lua5.4 tools/rules.lua $(BUILD)

# Switches each rule of the sandbox off in turn; its test must then fail.
rules-mutation: deps-test build
	@lua5.4 tools/rules_mutation.lua $(BUILD)

PLATFORMS = outbound tuzhan hypers longlong

# Types for editors and references, written from the platforms' data and checked in; specs compare them.
types: build
	@for p in $(PLATFORMS); do CAMPAIGN_BUILD=$(BUILD) bin/campaign describe $$p --format types -o lua/campaign/types/$$p.lua || exit 1; done

docs: build
	@for p in $(PLATFORMS); do CAMPAIGN_BUILD=$(BUILD) bin/campaign describe $$p --format markdown -o docs/platforms/$$p.md || exit 1; done

demo: build
	@tools/demo

bench-deps:
	@tools/deps bench

bench: build bench-deps
	@bench/run

# Every goal of speed and memory, with the peers: bench/RESULTS.md and build/bench/goals.tsv. A quarter of an hour.
goals: build bench-deps
	@bench/goals

install: build
	@cmake --install $(BUILD) --prefix "$(PREFIX)"

# What the last install of this build wrote, and the folders of its own that are empty then.
MANIFEST = $(BUILD)/install_manifest.txt
uninstall:
	@[ -f $(MANIFEST) ] || { echo "make: nothing is known that was installed from $(BUILD)" >&2; exit 1; }
	@sed 's|^|$(DESTDIR)|' $(MANIFEST) | xargs -d '\n' rm -f
	@sed -n 's|/[^/]*$$||; /\/\(lua\/5[.][14]\|share\/doc\)\/campaign\(\/\|$$\)/ s|^|$(DESTDIR)|p' $(MANIFEST) | sort -ru | while IFS= read -r folder; do \
	  [ ! -d "$$folder" ] || rmdir --ignore-fail-on-non-empty "$$folder" || exit 1; done
	@rm $(MANIFEST)

clean:
	rm -rf $(BUILD) $(BUILD).log build.luarocks

.PHONY: bench bench-deps build build-asan clean demo deps deps-test docs fault-matrix goals install lint rules rules-mutation test torture torture-full types uninstall
