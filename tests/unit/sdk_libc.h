/* The C library of programs under other names, so that a test can compare it
 * with the system's. */
#ifndef TESTS_UNIT_SDK_LIBC_H
#define TESTS_UNIT_SDK_LIBC_H

#include <stddef.h>
#include <time.h>

void *our_memcpy(void *dst, const void *src, size_t n);
void *our_memmove(void *dst, const void *src, size_t n);
void *our_memset(void *dst, int c, size_t n);
int our_memcmp(const void *a, const void *b, size_t n);
void *our_memchr(const void *s, int c, size_t n);
size_t our_strlen(const char *s);
size_t our_strnlen(const char *s, size_t max);
int our_strcmp(const char *a, const char *b);
int our_strncmp(const char *a, const char *b, size_t n);
char *our_strcpy(char *dst, const char *src);
char *our_strncpy(char *dst, const char *src, size_t n);
char *our_strcat(char *dst, const char *src);
char *our_strncat(char *dst, const char *src, size_t n);
char *our_strchr(const char *s, int c);
char *our_strrchr(const char *s, int c);
size_t our_strspn(const char *s, const char *set);
size_t our_strcspn(const char *s, const char *set);
char *our_strpbrk(const char *s, const char *set);
char *our_strstr(const char *s, const char *what);
char *our_strtok(char *s, const char *set);
int *our_errno_location(void);
const unsigned short **our_ctype_b_loc(void);
const int **our_ctype_tolower_loc(void);
const int **our_ctype_toupper_loc(void);
unsigned long our_strtoul(const char *s, char **end, int base);
long our_strtol(const char *s, char **end, int base);
void our_qsort(void *base, size_t count, size_t size,
	       int (*compare)(const void *, const void *));
struct tm *our_gmtime_r(const time_t *t, struct tm *tm);

#endif
