# SPDX-License-Identifier: Apache-2.0
# A thin front: Meson builds, the scripts in tools/ do the rest. Every target first makes sure that
# the packages in tools/packages.txt are there.
BUILD ?= build
# Warnings are errors here; `make WERROR=false` for a compiler that knows newer ones.
WERROR ?= true
# `make SETUP=true` skips the look at the packages.
SETUP ?= tools/setup.sh
OPTIONS ?=
PREFIX ?= /usr/local

# One at a time in each folder: suites that run side by side want the same builds.
configure = flock $(1).lock tools/configure.sh $(1) -Dwerror=$(WERROR) $(2) $(OPTIONS)
ninja = flock $(1).lock ninja -C $(1) --quiet

export BUILD

.PHONY: all setup gcc asan clang coverage coverage-build check soak demo bench install clean
all: gcc

setup:
	@$(SETUP)

gcc: setup
	@$(call configure,$(BUILD),-Dprefix=$(PREFIX))
	@$(call ninja,$(BUILD))

asan: setup
	@CC=clang $(call configure,$(BUILD)-asan,-Doptimization=1 -Db_sanitize=address$(,)undefined -Db_lundef=false)
	@$(call ninja,$(BUILD)-asan)

clang: setup
	@CC=clang $(call configure,$(BUILD)-clang)
	@$(call ninja,$(BUILD)-clang)

# Every suite, or those named: make check SUITES="unit layers"
check: gcc
	@tools/check.py $(SUITES)

# What takes hours: tests/soak/run.
soak: gcc
	@tests/soak/run

demo: gcc
	@tools/demo

bench: gcc
	@bench/run

# Line coverage of the unit tests, per file.
coverage: coverage-build
	@tools/coverage.sh $(BUILD)-coverage --txt

# Without optimisation gcc guesses wrongly about what is initialised: no errors from warnings here.
coverage-build: setup
	@$(call configure,$(BUILD)-coverage,-Dwerror=false -Doptimization=0 -Db_coverage=true)
	@$(call ninja,$(BUILD)-coverage)

install: gcc
	meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-clang $(BUILD)-coverage $(BUILD)*.lock

, := ,
