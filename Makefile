# Shoji. `make help` lists what can be made.

CONFIG  ?= tools/default.toml
CC      ?= gcc
ifeq ($(origin CC),default)
CC      := gcc
endif
CLANG   ?= clang
HOSTCC  ?= gcc
B       ?= build
V       ?=
# The accelerator of the machine tests; see README.md.
ACCEL   ?= tcg

Q := $(if $(V),,@)

# ---- the image ----------------------------------------------------------

CFLAGS_ALL := -std=gnu11 -O2 -g -I. -ffreestanding -fno-pie -mno-red-zone \
	-mcmodel=kernel -fno-stack-protector -fno-asynchronous-unwind-tables \
	-fno-omit-frame-pointer -fno-common -ffunction-sections \
	-fdata-sections -fcf-protection=none -fno-strict-aliasing \
	'-ffile-prefix-map=$(CURDIR)=.' \
	-Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes \
	-Wimplicit-fallthrough -Wno-unused-parameter -Werror
CFLAGS_CORE := $(CFLAGS_ALL) -mgeneral-regs-only

C_SRCS := $(wildcard boot/*.c core/*.c core/*/*.c core/*/*/*.c \
	drivers/*.c drivers/*/*.c crypto/*.c crypto/*/*.c)
S_SRCS := $(wildcard boot/*.S core/*.S core/*/*.S core/*/*/*.S crypto/*.S)
OBJS := $(C_SRCS:%.c=$(B)/%.o) $(S_SRCS:%.S=$(B)/%.S.o)

.PHONY: all
all: $(B)/shoji.elf

include crypto/libcrypto.mk

$(B)/crypto/%.o: crypto/%.c | setup-image
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_CORE) -MMD -MP -c -o $@ $<

$(B)/%.o: %.c | setup-image
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_CORE) -MMD -MP -c -o $@ $<

$(B)/%.S.o: %.S | setup-image
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_CORE) -MMD -MP -c -o $@ $<

# The configuration, checked and turned into a blob; rebuilt when CONFIG
# names another file or the file has changed.
$(B)/config.blob: $(CONFIG) tools/mkconfig $(B)/config.name | setup-image
	$(Q)/usr/bin/python3 tools/mkconfig $(CONFIG) -o $@ --deps $@.d \
		--programs $(B)/config.programs

$(B)/config.name: FORCE
	@mkdir -p $(@D)
	@echo '$(CONFIG)' | cmp -s - $@ || echo '$(CONFIG)' > $@

$(B)/core/config_blob.S.o: $(B)/config.blob
# They hold the keys: nobody else may read them.
$(B)/core/config_blob.S.o: core/config_blob.S
	@mkdir -p $(@D)
	$(Q)umask 077 && $(CC) $(CFLAGS_CORE) -MMD -MP -c -o $@ $<

$(B)/core/config_blob.S.o: CFLAGS_CORE += -DCONFIG_BLOB='"$(B)/config.blob"' \
	-DCONFIG_PROGRAMS='"$(B)/config.programs"'

$(B)/shoji.elf: $(OBJS) $(LIBCRYPTO_OBJ) boot/shoji.ld tools/mksymbols
	$(Q)umask 077 && tools/mksymbols '$(CC)' $(B) boot/shoji.ld $(OBJS) $(LIBCRYPTO_OBJ)

# The cipher of tools/volume: whole when it appears, since several of them may
# want it at once.
$(B)/tools/%.so: tools/%.c
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) -std=gnu11 -O2 -Wall -Wextra -Werror -shared -fPIC \
		-o $@.$$$$ $< -lcrypto && mv $@.$$$$ $@

-include $(OBJS:.o=.d) $(B)/config.blob.d

.PHONY: FORCE
FORCE:

include tools/sdk/sdk.mk
include tools/guest/guest.mk

# ---- tests --------------------------------------------------------------

UNIT_TESTS := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/*_test.c))
UNIT_SCRIPTS := $(wildcard tests/unit/*_test.py)
FUZZERS := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/*_fuzz.c))
FUZZ_SECONDS ?= 3600
# "units:" in the first comment of a test names what it is linked with, "libs:"
# the libraries.
units = $(shell sed -n 's/^.*units: *//p' $(1))
libs = $(shell sed -n 's/^.*libs: *//p' $(1))

SAN := -fsanitize=address,undefined -fno-sanitize-recover=all -g -O1
CFLAGS_HOST := -std=gnu11 -I. -Wall -Wextra -Wshadow -Wno-unused-parameter \
	-Werror

# $(call host_build,compiler and flags). -MMD would keep what the last source
# includes; $^ has all of that, too, and it is not to be linked.
define host_build
@mkdir -p $(@D)
$(Q)$(1) -MM -MP -MT $@ $< $(call units,$<) $(filter-out -l%,$(call libs,$<)) \
	> $@.d
$(Q)$(1) -o $@ $< $(call units,$<) $(call libs,$<)
endef
# What has no such record is built anew.
unknown = $(if $(wildcard $(1).d),,FORCE)

.SECONDEXPANSION:
$(B)/unit/%: tests/unit/%.c $$(call units,tests/unit/$$*.c) $$(call unknown,$$@)
	$(call host_build,$(HOSTCC) $(CFLAGS_HOST) $(SAN))

.PRECIOUS: $(B)/unit/% $(B)/fuzz/%

$(B)/fuzz/%: tests/fuzz/%.c $$(call units,tests/fuzz/$$*.c) $$(call unknown,$$@)
	$(call host_build,$(CLANG) $(CFLAGS_HOST) $(SAN) -fsanitize=fuzzer)

-include $(UNIT_TESTS:=.d) $(FUZZERS:=.d) $(wildcard $(B)/bench/*.d)

# What a run prints is kept in build/logs: one PASS or FAIL line per test. What
# hangs is ended; it takes seconds, a minute at most.
bound := timeout 1800

$(B)/logs/unit-%.log: $(B)/unit/%
	@mkdir -p $(@D)
	$(Q)tests/run-one $* $@ $(bound) $<

$(B)/logs/unit-%.py.log: tests/unit/%.py FORCE
	@mkdir -p $(@D)
	$(Q)tests/run-one $* $@ $(bound) /usr/bin/python3 $<

# Inputs that go where chance would not: tests/fuzz/seeds/TARGET/*.hex, digits
# and comments.
seeds = $(patsubst tests/fuzz/%.hex,$(B)/%,$(wildcard tests/fuzz/seeds/$(1)/*.hex))
comma := ,
seed_flag = $(patsubst %,-seed_inputs=%,$(subst $() ,$(comma),$(call seeds,$(1))))

$(B)/seeds/%: tests/fuzz/seeds/%.hex
	@mkdir -p $(@D)
	$(Q)sed 's/#.*//' $< | /usr/bin/python3 -c 'import sys; \
		sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read()))' > $@.new
	@mv $@.new $@

.PRECIOUS: $(B)/seeds/%

# The short version: the same inputs each time, so time must not end it. A slow
# target says in its first comment how many ("runs:"). Addresses that vary find
# their way into the inputs.
fixed = $(shell setarch -R true 2> /dev/null && echo setarch -R)
runs = $(or $(shell sed -n 's/^.*runs: *//p' tests/fuzz/$(1).c),60000)
$(B)/logs/fuzz-%.log: $(B)/fuzz/% $$(call seeds,$$*)
	@mkdir -p $(@D)
	$(Q)tests/run-one $* $@ $(bound) $(fixed) $< -seed=1 \
		-runs=$(call runs,$*) $(call seed_flag,$*)

UNIT_LOGS := $(UNIT_TESTS:$(B)/unit/%=$(B)/logs/unit-%.log) \
	$(UNIT_SCRIPTS:tests/unit/%.py=$(B)/logs/unit-%.py.log)
FUZZ_LOGS := $(FUZZERS:$(B)/fuzz/%=$(B)/logs/fuzz-%.log)

.PHONY: setup setup-image layers format clang unit fuzz-short machine
setup:
	$(Q)tools/setup

setup-image:
	$(Q)tools/setup image

layers:
	$(Q)tools/check-layers

format:
	$(Q)find boot core crypto drivers tests tools -name '*.[ch]' | \
		xargs clang-format --dry-run -Werror

# The same image by the other compiler, for its warnings.
clang:
	$(Q)$(MAKE) --no-print-directory CC=$(CLANG) B=$(B)/clang all programs \
		$(B)/clang/guest/shojictl $(B)/clang/guest/shoji-pkcs11.so

unit: $(UNIT_LOGS)
fuzz-short: $(FUZZ_LOGS)

machine: all
	@mkdir -p $(B)/logs
	$(Q)B=$(B) ACCEL=$(ACCEL) tests/run-one machine $(B)/logs/machine.log \
		tests/machine/run > /dev/null
	$(Q)cat $(B)/logs/machine.log

.PHONY: check test fuzz bench size run install uninstall clean help
check: setup
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) layers format all programs guest clang unit
	$(Q)tests/summary $(B)/logs/unit-*.log

test: setup
	$(Q)rm -rf $(B)/logs
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) layers format all programs guest clang
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) unit fuzz-short
	$(Q)$(MAKE) --no-print-directory machine
	$(Q)tests/summary $(B)/logs/*.log

# Each target for FUZZ_SECONDS, from what earlier runs have found.
fuzz: setup
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) $(FUZZERS) $(call seeds,*)
	$(Q)set -e; $(foreach f,$(FUZZERS),mkdir -p $f.corpus; \
		$f -max_total_time=$(FUZZ_SECONDS) $(call seed_flag,$(notdir $f)) \
		$f.corpus;)

BENCHES := $(addprefix $(B)/bench/,xts ahci ide alloc)

bench: setup
	$(Q)$(MAKE) --no-print-directory all $(BENCHES) $(B)/sdk/run programs
	$(Q)$(B)/bench/xts
	$(Q)$(B)/bench/ahci
	$(Q)$(B)/bench/alloc
	$(Q)B=$(B) /usr/bin/python3 tests/bench/sign_rate.py
	$(Q)B=$(B) ACCEL=$(ACCEL) /usr/bin/python3 tests/bench/bench.py

# That they still run, in a few rounds.
$(B)/logs/unit-bench_test.py.log: $(BENCHES) $(B)/sdk/run $(B)/programs/sign.elf
$(B)/logs/unit-bench_test.py.log: export B := $(B)

# The host's optimiser, no sanitizers: the shipped sources at their speed.
$(B)/bench/%: tests/bench/%.c $$(call units,tests/bench/$$*.c) $$(call unknown,$$@)
	$(call host_build,$(HOSTCC) $(CFLAGS_HOST) -O2 -g)

size: setup
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tools/size

run: setup
	$(Q)B=$(B) tools/run

install:
	$(Q)DESTDIR='$(DESTDIR)' IMAGE='$(B)/shoji.elf' \
		WANTED='$(if $(filter file,$(origin CONFIG)),,$(CONFIG))' \
		tools/install install

uninstall:
	$(Q)DESTDIR='$(DESTDIR)' tools/install uninstall

clean:
	rm -rf $(B)

help:
	@sed -n 's/^#help //p' Makefile

#help make [CONFIG=file.toml]  build/shoji.elf for a configuration
#help make run                 a demo: an encrypted Linux in an emulated PC
#help make programs, guest     protected programs' examples; tools for the guest
#help make program DIR=folder  a protected program of one's own
#help make check               layers, format, warnings of GCC and Clang, unit tests
#help make test                everything: check, short fuzzing, whole machines
#help make fuzz                long fuzzing: FUZZ_SECONDS for each target
#help make bench               exits, CPU seconds and bytes per second, as ratios
#help make size                code lines by part against their budgets
#help make install, uninstall  the image and its GRUB script; DESTDIR is honoured
#help make clean               removes build/
