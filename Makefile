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
	-ffile-prefix-map=$(CURDIR)=. \
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

$(B)/crypto/%.o: crypto/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_CORE) -MMD -MP -c -o $@ $<

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_CORE) -MMD -MP -c -o $@ $<

$(B)/%.S.o: %.S
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_CORE) -MMD -MP -c -o $@ $<

# The configuration, checked and turned into a blob; rebuilt when CONFIG
# names another file or the file has changed.
$(B)/config.blob: $(CONFIG) tools/mkconfig $(B)/config.name
	$(Q)/usr/bin/python3 tools/mkconfig $(CONFIG) -o $@

$(B)/config.name: FORCE
	@mkdir -p $(@D)
	@echo '$(CONFIG)' | cmp -s - $@ || echo '$(CONFIG)' > $@

$(B)/core/config_blob.S.o: $(B)/config.blob
$(B)/core/config_blob.S.o: CFLAGS_CORE += -DCONFIG_BLOB='"$(B)/config.blob"'

$(B)/shoji.elf: $(OBJS) $(LIBCRYPTO_OBJ) boot/shoji.ld tools/mksymbols
	$(Q)tools/mksymbols '$(CC)' $(B) boot/shoji.ld $(OBJS) $(LIBCRYPTO_OBJ)

-include $(OBJS:.o=.d)

.PHONY: FORCE
FORCE:

# ---- tests --------------------------------------------------------------

UNIT_TESTS := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/*_test.c))
FUZZERS := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/*_fuzz.c))
# "units:" in the first comment of a test names what it is linked with.
units = $(shell sed -n 's/^.*units: *//p' $(1))
libs = $(shell sed -n 's/^.*libs: *//p' $(1))

SAN := -fsanitize=address,undefined -fno-sanitize-recover=all -g -O1
CFLAGS_HOST := -std=gnu11 -I. -Wall -Wextra -Wshadow -Wno-unused-parameter \
	-Werror -mno-red-zone

.SECONDEXPANSION:
$(B)/unit/%: tests/unit/%.c tests/unit/test.h $$(call units,tests/unit/$$*.c) $(wildcard core/*/*.h core/*/*/*.h drivers/*/*.h crypto/*.h crypto/*/*.h)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(CFLAGS_HOST) $(SAN) -o $@ $(filter %.c,$^) $(call libs,$<)

$(B)/fuzz/%: tests/fuzz/%.c $$(call units,tests/fuzz/$$*.c) $(wildcard core/*/*.h core/*/*/*.h drivers/*/*.h crypto/*.h crypto/*/*.h)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(CFLAGS_HOST) $(SAN) -fsanitize=fuzzer -o $@ \
		$(filter %.c,$^) $(call libs,$<)

.PHONY: unit fuzzers
unit: $(UNIT_TESTS)
fuzzers: $(FUZZERS)
