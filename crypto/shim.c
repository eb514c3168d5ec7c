/* What libcrypto imports besides core/lib/string.h; see imports.txt. */
#include "core/lib/panic.h"

char *getenv(const char *name);
noreturn void __stack_chk_fail(void);

/* Asked for OPENSSL_ia32cap, which would mask CPU features. */
char *getenv(const char *name)
{
	return NULL;
}

void __stack_chk_fail(void)
{
	panic("libcrypto: the stack is corrupt");
}
