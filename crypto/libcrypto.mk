# OpenSSL's libcrypto for the image: the few functions of LIBCRYPTO_API cut out
# of the distribution's static library. Everything else becomes local or goes.
#
# Most of these are internal symbols of OpenSSL 3.0, so the cut fails with a
# clear message when the library has no such function, and also when the
# result wants something from outside that crypto/imports.txt does not list.

LIBCRYPTO ?= /usr/lib/x86_64-linux-gnu/libcrypto.a
LIBCRYPTO_OBJ := $(B)/libcrypto.o
LD ?= ld
NM ?= nm
OBJCOPY ?= objcopy

LIBCRYPTO_API := \
	aesni_set_encrypt_key aesni_set_decrypt_key \
	aesni_xts_encrypt aesni_xts_decrypt \
	vpaes_set_encrypt_key vpaes_set_decrypt_key \
	vpaes_encrypt vpaes_decrypt \
	AES_set_encrypt_key AES_set_decrypt_key AES_encrypt AES_decrypt \
	CRYPTO_xts128_encrypt \
	SHA256_Init SHA256_Update SHA256_Final \
	OPENSSL_cpuid_setup OPENSSL_ia32cap_P

# The linker's own name for the table that its relaxations make empty.
LIBCRYPTO_LINKER := _GLOBAL_OFFSET_TABLE_

$(LIBCRYPTO): | setup-image
	@[ -e $@ ] || { echo "$@ is missing:" \
		"install libssl-dev, or set LIBCRYPTO" >&2; exit 1; }

# A package's file keeps the time when it was packed: after an upgrade it can
# be older than what was made of its predecessor.
LIBCRYPTO_ID = stat -Lc '%n %s %Y' $(LIBCRYPTO)
$(LIBCRYPTO_OBJ).id: $(LIBCRYPTO) FORCE
	@mkdir -p $(@D)
	@$(LIBCRYPTO_ID) | cmp -s - $@ || $(LIBCRYPTO_ID) >$@

$(LIBCRYPTO_OBJ): $(LIBCRYPTO_OBJ).id crypto/libcrypto.mk crypto/imports.txt
	@mkdir -p $(@D)
	@$(NM) -A --defined-only $(LIBCRYPTO) 2>/dev/null | \
		awk '{ print $$NF }' | LC_ALL=C sort -u >$@.all
	@for s in $(LIBCRYPTO_API); do grep -qx $$s $@.all || { \
		echo "$(LIBCRYPTO): no function $$s: not OpenSSL 3.0?" >&2; \
		exit 1; }; done
	$(Q)$(LD) -r -d --gc-sections $(addprefix -u ,$(LIBCRYPTO_API)) \
		-o $@.cut $(LIBCRYPTO)
	$(Q)$(OBJCOPY) --strip-debug --remove-section=.init \
		--remove-section=.rela.init --remove-section='.note.*' \
		--remove-section=.eh_frame --remove-section=.rela.eh_frame \
		$(addprefix --keep-global-symbol=,$(LIBCRYPTO_API)) $@.cut
	@$(NM) -u $@.cut | awk '{ print $$NF }' | \
		grep -vx '$(LIBCRYPTO_LINKER)' | \
		grep -vxFf crypto/imports.txt >$@.extra; \
	if [ -s $@.extra ]; then echo "$(LIBCRYPTO) wants" \
		`cat $@.extra` "which crypto/imports.txt does not list" >&2; \
		exit 1; fi
	@rm -f $@.all $@.extra; mv $@.cut $@
