/* The loops are string instructions: a loop in C would be turned back into a
 * call of the very function it implements. */
#include "core/lib/string.h"
#include "core/lib/types.h"

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	void *to = dst;
	size_t words = n / 8, rest = n % 8;

	asm volatile("rep movsq"
		     : "+D"(to), "+S"(src), "+c"(words)
		     :
		     : "memory");
	asm volatile("rep movsb"
		     : "+D"(to), "+S"(src), "+c"(rest)
		     :
		     : "memory");
	return dst;
}

static void copy_backwards(void *dst, const void *src, size_t n)
{
	u8 *to = (u8 *)dst + n - 1;
	const u8 *from = (const u8 *)src + n - 1;

	asm volatile("std; rep movsb; cld"
		     : "+D"(to), "+S"(from), "+c"(n)
		     :
		     : "memory", "cc");
}

void *memmove(void *dst, const void *src, size_t n)
{
	if ((uintptr_t)dst - (uintptr_t)src < n)
		copy_backwards(dst, src, n);
	else
		memcpy(dst, src, n);
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	u64 pattern = 0x0101010101010101ULL * (u8)c;
	void *to = dst;
	size_t words = n / 8, rest = n % 8;

	asm volatile("rep stosq"
		     : "+D"(to), "+c"(words)
		     : "a"(pattern)
		     : "memory");
	asm volatile("rep stosb"
		     : "+D"(to), "+c"(rest)
		     : "a"(pattern)
		     : "memory");
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *p = a, *q = b;

	for (; n; n--, p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}

size_t strlen(const char *s)
{
	const char *end = s;

	while (*end) {
		end++;
		asm volatile("" : "+r"(end));
	}
	return (size_t)(end - s);
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (u8)*a - (u8)*b;
}

void wipe(void *p, size_t n)
{
	memset(p, 0, n);
	asm volatile("" : : "r"(p) : "memory");
}
