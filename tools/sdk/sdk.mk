# Protected programs: $(B)/programs/NAME.elf from the sources in a folder of
# the same name, with the SDK's start-up code and C library. A folder whose
# program wants libcrypto has a file named "libcrypto".
#
# make programs             the examples
# make program DIR=folder   one's own

SDK_CFLAGS := -std=gnu11 -O2 -g -I. -fPIE -fstack-protector-strong \
	-fno-asynchronous-unwind-tables -fno-common -ffunction-sections \
	-fdata-sections -fcf-protection=none '-ffile-prefix-map=$(CURDIR)=.' \
	-Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes \
	-Wimplicit-fallthrough -Wno-unused-parameter -Werror
# The C library must not be turned into calls of itself, and start-up code
# runs before there is a stack to protect.
SDK_LIB_CFLAGS := $(SDK_CFLAGS) -ffreestanding -fno-stack-protector \
	-fno-strict-aliasing -fno-builtin
# ET_EXEC, or with PIE=1 a static PIE.
PIE ?=
SDK_LDFLAGS := $(if $(PIE),-pie --no-dynamic-linker -z text \
	-Ttext-segment=0,-static)
# A reference that is weak in libcrypto.
SDK_LINK := --gc-sections -z noexecstack -z max-page-size=4096 --build-id=none \
	-u getentropy -T tools/sdk/program.ld

SDK_LIB_SRCS := tools/sdk/shoji.c tools/sdk/start.c tools/sdk/init.S \
	core/lib/fmt.c $(wildcard tools/sdk/libc/*.[cS])
SDK_LIB_OBJS := $(SDK_LIB_SRCS:%=$(B)/sdk/%.o)
SDK_CRYPTO := $(B)/sdk/tools/sdk/crypto.c.o

SDK_EXAMPLES := $(wildcard tools/sdk/examples/*)
PROGRAMS := $(SDK_EXAMPLES:tools/sdk/examples/%=$(B)/programs/%.elf)

.PHONY: programs program
programs: $(PROGRAMS)

$(SDK_LIB_OBJS): SDK_CFLAGS := $(SDK_LIB_CFLAGS)

$(B)/sdk/%.c.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(SDK_CFLAGS) -MMD -MP -c -o $@ $<

# What has a secret is nobody else's to read.
$(B)/sdk/%.S.o: %.S
	@mkdir -p $(@D)
	$(Q)umask 077 && $(CC) $(SDK_CFLAGS) -MMD -MP -c -o $@ $<

# Programs are linked anew when they are to be of the other kind.
$(B)/sdk/ldflags: FORCE
	@mkdir -p $(@D)
	@echo '$(SDK_LDFLAGS)' | cmp -s - $@ || echo '$(SDK_LDFLAGS)' > $@

# A program from a folder: $(call sdk_program,name,folder)
define sdk_program
$(1)_objs := $$(patsubst %,$(B)/sdk/%.o,$$(wildcard $(2)/*.c $(2)/*.S)) \
	$(if $(wildcard $(2)/libcrypto),$(SDK_CRYPTO) $(LIBCRYPTO))
$(B)/programs/$(1).elf: $$($(1)_objs) $(SDK_LIB_OBJS) tools/sdk/program.ld \
		$(B)/sdk/ldflags
	@mkdir -p $$(@D)
	$$(Q)umask 077 && $$(LD) $$(SDK_LDFLAGS) $$(SDK_LINK) -o $$@ \
		$$(filter %.o,$$^) $$(filter %.a,$$^)
-include $$(patsubst %.o,%.d,$$(filter %.o,$$($(1)_objs)))
endef
$(foreach d,$(SDK_EXAMPLES),$(eval $(call sdk_program,$(notdir $d),$d)))
-include $(SDK_LIB_OBJS:.o=.d)

# One's own, in any folder of the tree.
ifneq ($(DIR),)
DIR := $(patsubst %/,%,$(DIR))
$(eval $(call sdk_program,$(notdir $(DIR)),$(DIR)))
program: $(B)/programs/$(notdir $(DIR)).elf
endif

# ---- the sign program's certifying key -----------------------------------

# A test key, made for this build folder. Another one: CERTIFIER=path, where
# path.key.der and path.cert.der are.
CERTIFIER ?= $(B)/certifier
SIGN_CERTIFIER := $(B)/sdk/tools/sdk/examples/sign/certifier.S.o

$(SIGN_CERTIFIER): $(CERTIFIER).key.der $(CERTIFIER).cert.der
$(SIGN_CERTIFIER): SDK_CFLAGS += \
	-DCERTIFIER_KEY='"$(CERTIFIER).key.der"' \
	-DCERTIFIER_CERT='"$(CERTIFIER).cert.der"'

$(B)/certifier.key.der:
	@mkdir -p $(@D)
	$(Q)umask 077 && openssl genpkey -quiet -algorithm EC -outform DER \
		-pkeyopt ec_paramgen_curve:P-256 -out $@

$(B)/certifier.cert.der: $(B)/certifier.key.der
	$(Q)openssl req -x509 -new -key $< -keyform DER -outform DER -out $@ \
		-sha256 -days 36500 -subj "/CN=Shoji test certifier"

# ---- programs on the host ------------------------------------------------

$(B)/sdk/run: tools/sdk/run.c core/program/abi.h
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) -std=gnu11 -O2 -g -I. -Wall -Wextra -Wshadow -Werror \
		-fPIE -pie -fno-stack-protector -o $@ $<
