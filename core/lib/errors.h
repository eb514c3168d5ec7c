/*
 * The error numbers that functions return negated. Same names and values as
 * in Linux's uapi, so that code under test on the host agrees with <errno.h>.
 */
#ifndef CORE_LIB_ERRORS_H
#define CORE_LIB_ERRORS_H

#define EPERM	  1
#define ENOENT	  2
#define EIO	  5
#define EAGAIN	  11
#define ENOMEM	  12
#define EFAULT	  14
#define EBUSY	  16
#define EEXIST	  17
#define ENODEV	  19
#define EINVAL	  22
#define ENOSPC	  28
#define ERANGE	  34
#define ENOSYS	  38
#define EOVERFLOW 75

#endif
