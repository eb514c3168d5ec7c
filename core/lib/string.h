/* The memory and string functions of C11 7.24 that a freestanding image
 * needs; the compiler may call the first four by itself. */
#ifndef CORE_LIB_STRING_H
#define CORE_LIB_STRING_H

#include <stddef.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);

/* memset that the compiler may not drop: for key material. */
void wipe(void *p, size_t n);

#endif
