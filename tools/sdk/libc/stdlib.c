/* C11 7.22 as far as programs and libcrypto want it; memory is malloc.c's. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* secure_getenv() */
#endif
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* There is no environment. */
char *getenv(const char *name)
{
	return NULL;
}

char *secure_getenv(const char *name)
{
	return NULL;
}

/* One thread, so one errno. */
int *__errno_location(void)
{
	static int error;

	return &error;
}

/* ---- characters: the C locale ---- */

static unsigned short class_of(int c)
{
	bool upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z';
	bool digit = c >= '0' && c <= '9', print = c >= ' ' && c <= '~';
	bool hex = digit || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
	bool space = c == ' ' || (c >= '\t' && c <= '\r');
	unsigned int bits = 0;

	bits |= upper ? _ISupper | _ISalpha | _ISalnum : 0;
	bits |= lower ? _ISlower | _ISalpha | _ISalnum : 0;
	bits |= digit ? _ISdigit | _ISalnum : 0;
	bits |= hex ? _ISxdigit : 0;
	bits |= space ? _ISspace : 0;
	bits |= c == ' ' || c == '\t' ? _ISblank : 0;
	bits |= print ? _ISprint : 0;
	bits |= print && c != ' ' ? _ISgraph : 0;
	bits |= print && c != ' ' && !(bits & _ISalnum) ? _ISpunct : 0;
	bits |= c < ' ' || c == 127 ? _IScntrl : 0;
	return (unsigned short)bits;
}

/* Indexed from -128 to 255. */
const unsigned short **__ctype_b_loc(void)
{
	static unsigned short table[384];
	static const unsigned short *middle;

	if (!middle) {
		for (int c = 0; c < 128; c++)
			table[c + 128] = class_of(c);
		middle = table + 128;
	}
	return &middle;
}

/* The 26 letters from @first on become others, @distance away. */
static const int32_t *other_case(int32_t table[384], char first, int distance)
{
	int32_t *middle = table + 128;

	/* a char that is negative, but EOF */
	for (int c = -128; c < 256; c++)
		middle[c] = c < -1 ? c + 256 : c;
	for (int c = first; c < first + 26; c++)
		middle[c] += distance;
	return middle;
}

const int32_t **__ctype_tolower_loc(void)
{
	static int32_t table[384];
	static const int32_t *middle;

	if (!middle)
		middle = other_case(table, 'A', 'a' - 'A');
	return &middle;
}

const int32_t **__ctype_toupper_loc(void)
{
	static int32_t table[384];
	static const int32_t *middle;

	if (!middle)
		middle = other_case(table, 'a', 'A' - 'a');
	return &middle;
}

/* ---- numbers ---- */

static unsigned int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0');
	if (c >= 'a' && c <= 'z')
		return (unsigned int)(c - 'a') + 10;
	if (c >= 'A' && c <= 'Z')
		return (unsigned int)(c - 'A') + 10;
	return UINT_MAX;
}

struct number {
	uint64_t value;
	const char *end; /* behind it, or the start of the text */
	bool negative;
	bool over; /* past 2^64 - 1 */
};

static struct number parse(const char *s, int base)
{
	struct number n = { .end = s };
	unsigned int d;

	while (*s == ' ' || (*s >= '\t' && *s <= '\r'))
		s++;
	n.negative = *s == '-';
	if (*s == '-' || *s == '+')
		s++;
	if ((base == 0 || base == 16) && s[0] == '0' &&
	    (s[1] == 'x' || s[1] == 'X') && digit_of(s[2]) < 16) {
		s += 2;
		base = 16;
	}
	if (!base)
		base = *s == '0' ? 8 : 10;
	for (; (d = digit_of(*s)) < (unsigned int)base; n.end = ++s)
		if (__builtin_mul_overflow(n.value, (uint64_t)base, &n.value) ||
		    __builtin_add_overflow(n.value, d, &n.value))
			n.over = true;
	return n;
}

unsigned long strtoul(const char *restrict s, char **restrict end, int base)
{
	struct number n = parse(s, base);

	if (end)
		*end = (char *)n.end;
	if (n.over) {
		errno = ERANGE;
		return ULONG_MAX;
	}
	return n.negative ? 0 - n.value : n.value;
}

long strtol(const char *restrict s, char **restrict end, int base)
{
	struct number n = parse(s, base);
	uint64_t most = (uint64_t)LONG_MAX + n.negative;

	if (end)
		*end = (char *)n.end;
	if (n.over || n.value > most) {
		errno = ERANGE;
		return n.negative ? LONG_MIN : LONG_MAX;
	}
	return (long)(n.negative ? 0 - n.value : n.value);
}

/* ---- sorting: a heap, in place, never quadratic ---- */

struct sort {
	char *base;
	size_t size;
	int (*compare)(const void *, const void *);
};

static void swap(const struct sort *s, size_t i, size_t j)
{
	char *a = s->base + i * s->size, *b = s->base + j * s->size;

	for (size_t n = 0; n < s->size; n++) {
		char c = a[n];

		a[n] = b[n];
		b[n] = c;
	}
}

static bool below(const struct sort *s, size_t i, size_t j)
{
	return s->compare(s->base + i * s->size, s->base + j * s->size) < 0;
}

static void sift(const struct sort *s, size_t at, size_t count)
{
	for (size_t child; (child = 2 * at + 1) < count; at = child) {
		if (child + 1 < count && below(s, child, child + 1))
			child++;
		if (!below(s, at, child))
			return;
		swap(s, at, child);
	}
}

void qsort(void *base, size_t count, size_t size,
	   int (*compare)(const void *, const void *))
{
	struct sort s = { base, size, compare };

	for (size_t i = count / 2; i-- > 0;)
		sift(&s, i, count);
	for (size_t n = count; n-- > 1;) {
		swap(&s, 0, n);
		sift(&s, 0, n);
	}
}
