# Programs for the guest: build/guest/shojictl (Linux, static), shojictl.exe
# (Windows) and shoji-pkcs11.so (Linux).

MINGW ?= x86_64-w64-mingw32-gcc
GUEST_WARN := -std=gnu11 -O2 -g -I. '-ffile-prefix-map=$(CURDIR)=.' -Wall \
	-Wextra -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes \
	-Wimplicit-fallthrough -Wno-unused-parameter -Werror
GUEST_HDRS := $(wildcard tools/guest/*.h tools/guest/pkcs11/*.h) \
	tools/sdk/sign.h core/program/hypercall.h core/lib/bytes.h \
	core/lib/types.h

CTL_SRCS := $(wildcard tools/guest/shojictl*.c) tools/guest/hyper.c
PKCS11_CFLAGS := $(GUEST_WARN) -fPIC -fvisibility=hidden \
	-shared -pthread -Wl,-z,defs
PKCS11_SRCS := tools/guest/pkcs11/module.c tools/guest/pkcs11/token.c \
	tools/guest/pkcs11/der.c

.PHONY: guest
guest: $(B)/guest/shojictl $(B)/guest/shojictl.exe $(B)/guest/shoji-pkcs11.so

$(B)/guest/shojictl: $(CTL_SRCS) $(GUEST_HDRS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_WARN) -static -o $@ $(CTL_SRCS)

$(B)/guest/shojictl.exe: $(CTL_SRCS) $(GUEST_HDRS)
	@mkdir -p $(@D)
	$(Q)$(MINGW) $(GUEST_WARN) -static -o $@ $(CTL_SRCS)

$(B)/guest/shoji-pkcs11.so: $(PKCS11_SRCS) tools/guest/hyper.c \
		tools/guest/pkcs11/transport_shoji.c $(GUEST_HDRS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(PKCS11_CFLAGS) -o $@ $(filter %.c,$^)

# The same module on the host, where it talks to a program in tools/sdk/run.
$(B)/tests/pkcs11-socket.so: $(PKCS11_SRCS) tests/unit/transport_socket.c \
		$(GUEST_HDRS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(PKCS11_CFLAGS) -o $@ $(filter %.c,$^)

$(B)/logs/unit-pkcs11_test.py.log: $(B)/tests/pkcs11-socket.so $(B)/sdk/run \
	$(B)/programs/sign.elf
$(B)/logs/unit-pkcs11_test.py.log: export B := $(B)
$(B)/logs/unit-shojictl_test.py.log: $(B)/guest/shojictl \
	$(B)/guest/shojictl.exe
$(B)/logs/unit-shojictl_test.py.log: export B := $(B)

# The sign program's counterpart in the tests' guests.
$(B)/tests/signer: tests/machine/sdk/signer.c tools/guest/hyper.c \
		tools/sdk/examples/sign/sign.c tools/sdk/examples/sign/keys.c \
		tests/unit/sign_certifier.h tools/sdk/examples/sign/sign.h \
		$(GUEST_HDRS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_WARN) -o $@ $(filter %.c,$^) -lcrypto

# The buffer example's.
$(B)/tests/reverse: tests/machine/sdk/reverse.c tools/guest/hyper.c $(GUEST_HDRS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_WARN) -static -o $@ $(filter %.c,$^)

# How late the guest's timer is, beside a load.
$(B)/tests/latency: tests/machine/sdk/latency.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_WARN) -static -o $@ $<
