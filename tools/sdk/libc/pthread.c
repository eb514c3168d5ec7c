/*
 * The part of POSIX threads that libcrypto calls, for one thread: locks are
 * free, once is once, and keys are an array. Its types are the system's.
 */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>

#define KEYS 64

static const void *values[KEYS];
static unsigned int keys;

int pthread_once(pthread_once_t *once, void (*fn)(void))
{
	if (*once != PTHREAD_ONCE_INIT)
		return 0;
	*once = PTHREAD_ONCE_INIT + 1;
	fn();
	return 0;
}

/* Destructors never run: the thread ends with the program. */
int pthread_key_create(pthread_key_t *key, void (*destroy)(void *))
{
	if (keys == KEYS)
		return EAGAIN;
	*key = keys++;
	return 0;
}

int pthread_key_delete(pthread_key_t key)
{
	return 0;
}

void *pthread_getspecific(pthread_key_t key)
{
	return key < keys ? (void *)values[key] : NULL;
}

int pthread_setspecific(pthread_key_t key, const void *value)
{
	if (key >= keys)
		return EINVAL;
	values[key] = value;
	return 0;
}

pthread_t pthread_self(void)
{
	return 1;
}

int pthread_rwlock_init(pthread_rwlock_t *restrict lock,
			const pthread_rwlockattr_t *restrict attr)
{
	return 0;
}

int pthread_rwlock_destroy(pthread_rwlock_t *lock)
{
	return 0;
}

int pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
	return 0;
}

int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
	return 0;
}

int pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
	return 0;
}
