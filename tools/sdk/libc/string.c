/*
 * C11 7.24. Declared by the system's <string.h>. Short copies dominate in
 * programs (big numbers, ASN.1), so they go by two overlapping moves, and
 * only long ones by the string instruction.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef long long vec __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint64_t word __attribute__((aligned(1), may_alias));
typedef uint32_t half __attribute__((aligned(1), may_alias));
typedef uint16_t quarter __attribute__((aligned(1), may_alias));

#define REP_MIN 1024 /* bytes from which rep movsb is the faster */

/* The first and the last sizeof(type) bytes, all loads before the stores. */
#define COPY_ENDS(type, dst, src, n)                                      \
	do {                                                              \
		type head_ = *(const type *)(src);                        \
		type tail_ = *(const type *)((src) + (n) - sizeof(type)); \
		*(type *)(dst) = head_;                                   \
		*(type *)((dst) + (n) - sizeof(type)) = tail_;            \
	} while (0)

/* Up to 32 bytes, which may overlap. */
static inline void copy_short(char *dst, const char *src, size_t n)
{
	if (n >= 16)
		COPY_ENDS(vec, dst, src, n);
	else if (n >= 8)
		COPY_ENDS(word, dst, src, n);
	else if (n >= 4)
		COPY_ENDS(half, dst, src, n);
	else if (n >= 2)
		COPY_ENDS(quarter, dst, src, n);
	else if (n)
		*dst = *src;
}

static void copy_up(char *dst, const char *src, size_t n)
{
	vec tail = *(const vec *)(src + n - 16);
	char *end = dst + n - 16;

	for (; dst < end; dst += 16, src += 16)
		*(vec *)dst = *(const vec *)src;
	*(vec *)end = tail;
}

static void copy_down(char *dst, const char *src, size_t n)
{
	vec head = *(const vec *)src;

	for (size_t i = n - 16; i && i<n; i = i> 16 ? i - 16 : 0)
		*(vec *)(dst + i) = *(const vec *)(src + i);
	*(vec *)dst = head;
}

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	void *to = dst;

	if (n <= 32)
		copy_short(dst, src, n);
	else if (n < REP_MIN)
		copy_up(dst, src, n);
	else
		asm volatile("rep movsb"
			     : "+D"(to), "+S"(src), "+c"(n)
			     :
			     : "memory");
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	if (n <= 32)
		copy_short(dst, src, n);
	else if ((uintptr_t)dst - (uintptr_t)src >= n)
		copy_up(dst, src, n);
	else
		copy_down(dst, src, n);
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	uint64_t pattern = 0x0101010101010101ULL * (unsigned char)c;
	vec v = { (long long)pattern, (long long)pattern };
	char *p = dst, *end = p + n;
	void *to = dst;

	if (n >= REP_MIN) {
		asm volatile("rep stosb"
			     : "+D"(to), "+c"(n)
			     : "a"(c)
			     : "memory");
	} else if (n >= 16) {
		for (; end - p > 16; p += 16)
			*(vec *)p = v;
		*(vec *)(end - 16) = v;
	} else if (n >= 8) {
		*(word *)p = pattern;
		*(word *)(end - 8) = pattern;
	} else {
		while (p < end)
			*(volatile char *)p++ = (char)c;
	}
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *p = a, *q = b;

	for (; n >= 8 && *(const word *)p == *(const word *)q; n -= 8) {
		p += 8;
		q += 8;
	}
	for (; n; n--, p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}

void *memchr(const void *s, int c, size_t n)
{
	const unsigned char *p = s;

	for (; n; n--, p++)
		if (*p == (unsigned char)c)
			return (void *)p;
	return NULL;
}

size_t strlen(const char *s)
{
	const char *end = s;

	while (*end) {
		end++;
		asm volatile("" : "+r"(end)); /* else this calls strlen */
	}
	return (size_t)(end - s);
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n && *a && *a == *b; n--) {
		a++;
		b++;
	}
	return n ? (unsigned char)*a - (unsigned char)*b : 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

char *strcpy(char *restrict dst, const char *restrict src)
{
	memcpy(dst, src, strlen(src) + 1);
	return dst;
}

char *strncpy(char *restrict dst, const char *restrict src, size_t n)
{
	size_t len = strnlen(src, n);

	memcpy(dst, src, len);
	memset(dst + len, 0, n - len);
	return dst;
}

char *strcat(char *restrict dst, const char *restrict src)
{
	strcpy(dst + strlen(dst), src);
	return dst;
}

char *strncat(char *restrict dst, const char *restrict src, size_t n)
{
	size_t at = strlen(dst), len = strnlen(src, n);

	memcpy(dst + at, src, len);
	dst[at + len] = '\0';
	return dst;
}

char *strdup(const char *s)
{
	size_t size = strlen(s) + 1;
	char *copy = malloc(size);

	return copy ? memcpy(copy, s, size) : NULL;
}

char *strchr(const char *s, int c)
{
	for (; *s != (char)c; s++)
		if (!*s)
			return NULL;
	return (char *)s;
}

char *strrchr(const char *s, int c)
{
	const char *last = NULL;

	do {
		if (*s == (char)c)
			last = s;
	} while (*s++);
	return (char *)last;
}

size_t strspn(const char *s, const char *set)
{
	size_t n = 0;

	while (s[n] && strchr(set, s[n]))
		n++;
	return n;
}

size_t strcspn(const char *s, const char *set)
{
	size_t n = 0;

	while (s[n] && !strchr(set, s[n]))
		n++;
	return n;
}

char *strpbrk(const char *s, const char *set)
{
	s += strcspn(s, set);
	return *s ? (char *)s : NULL;
}

char *strstr(const char *s, const char *what)
{
	size_t len = strlen(what);

	for (;; s++) {
		if (!strncmp(s, what, len))
			return (char *)s;
		if (!*s)
			return NULL;
	}
}

char *strtok(char *restrict s, const char *restrict set)
{
	static char *rest;

	if (!s)
		s = rest;
	if (!s)
		return NULL;
	s += strspn(s, set);
	if (!*s)
		return rest = NULL;
	rest = strpbrk(s, set);
	if (rest)
		*rest++ = '\0';
	return s;
}
