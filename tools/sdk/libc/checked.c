/* What gcc -D_FORTIFY_SOURCE makes of calls in libcrypto. */
#include <stdlib.h>
#include <string.h>

void *__memcpy_chk(void *dst, const void *src, size_t n, size_t room);
void *__memset_chk(void *dst, int c, size_t n, size_t room);
long __fdelt_chk(long fd);

void *__memcpy_chk(void *dst, const void *src, size_t n, size_t room)
{
	if (n > room)
		abort();
	return memcpy(dst, src, n);
}

void *__memset_chk(void *dst, int c, size_t n, size_t room)
{
	if (n > room)
		abort();
	return memset(dst, c, n);
}

/* Of FD_SET: there are no descriptors. */
long __fdelt_chk(long fd)
{
	abort();
}
