# Thin on purpose: each target is one command anybody could type.
BUILD ?= build

build:
	@cmake -S . -B $(BUILD) >$(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }
	@cmake --build $(BUILD) --parallel

clean:
	rm -rf $(BUILD) $(BUILD).log

.PHONY: build clean
