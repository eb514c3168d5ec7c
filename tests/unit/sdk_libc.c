/* See sdk_libc.h. The system's headers then declare the other names, too. */
#define _GNU_SOURCE
#define memcpy		    our_memcpy
#define memmove		    our_memmove
#define memset		    our_memset
#define memcmp		    our_memcmp
#define memchr		    our_memchr
#define strlen		    our_strlen
#define strnlen		    our_strnlen
#define strcmp		    our_strcmp
#define strncmp		    our_strncmp
#define strcpy		    our_strcpy
#define strncpy		    our_strncpy
#define strcat		    our_strcat
#define strncat		    our_strncat
#define strdup		    our_strdup
#define strchr		    our_strchr
#define strrchr		    our_strrchr
#define strspn		    our_strspn
#define strcspn		    our_strcspn
#define strpbrk		    our_strpbrk
#define strstr		    our_strstr
#define strtok		    our_strtok
#define getenv		    our_getenv
#define secure_getenv	    our_secure_getenv
#define __errno_location    our_errno_location
#define __ctype_b_loc	    our_ctype_b_loc
#define __ctype_tolower_loc our_ctype_tolower_loc
#define __ctype_toupper_loc our_ctype_toupper_loc
#define strtoul		    our_strtoul
#define strtol		    our_strtol
#define qsort		    our_qsort
#define gmtime_r	    our_gmtime_r

#include "tools/sdk/libc/string.c"
#include "tools/sdk/libc/stdlib.c"
#include "tools/sdk/libc/time.c"
