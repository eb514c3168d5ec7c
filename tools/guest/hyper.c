#define _GNU_SOURCE /* REG_RIP */
#include "tools/guest/hyper.h"

#include <cpuid.h>
#include <string.h>

#ifdef _WIN32
#include <windows.h>
#else
#include <signal.h>
#include <time.h>
#include <ucontext.h>
#endif

#define CALL_BYTES 3	       /* of VMCALL and of VMMCALL */
#define AMD_EBX	   0x68747541U /* "Auth"enticAMD */
#define HYGON_EBX  0x6f677948U /* "Hygo"nGenuine */

static bool use_vmmcall;

static bool is_call(const unsigned char *p)
{
	return p[0] == 0x0f && p[1] == 0x01 && (p[2] == 0xc1 || p[2] == 0xd9);
}

/* ---- the first call, which may be an undefined instruction ---- */

#ifdef _WIN32

static LONG CALLBACK skip_call(EXCEPTION_POINTERS *e)
{
	CONTEXT *c = e->ContextRecord;

	if (!is_call((const unsigned char *)c->Rip))
		return EXCEPTION_CONTINUE_SEARCH;
	c->Rip += CALL_BYTES;
	c->Rbx = 0;
	return EXCEPTION_CONTINUE_EXECUTION;
}

static int64_t call_guarded(struct shoji_regs *r)
{
	void *handler = AddVectoredExceptionHandler(1, skip_call);
	int64_t result = shoji_hypercall(use_vmmcall, r);

	RemoveVectoredExceptionHandler(handler);
	return result;
}

static void pause_us(uint64_t us)
{
	Sleep((DWORD)((us + 999) / 1000));
}

static uint64_t now_ms(void)
{
	return GetTickCount64();
}

#else

/* #UD is what a machine without a hypervisor answers with; some hypervisors
 * rather inject #GP. */
static const int signals[] = { SIGILL, SIGSEGV };
static struct sigaction old_action[2];

/* A fault of another thread is none of ours. */
static void skip_call(int number, siginfo_t *info, void *context)
{
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;

	if (!is_call((const unsigned char *)r[REG_RIP])) {
		sigaction(number, &old_action[number == SIGSEGV], NULL);
		return; /* and it happens again */
	}
	r[REG_RIP] += CALL_BYTES;
	r[REG_RBX] = 0;
}

static int64_t call_guarded(struct shoji_regs *r)
{
	struct sigaction action = { .sa_sigaction = skip_call,
				    .sa_flags = SA_SIGINFO };
	sigset_t mask, old_mask;
	int64_t result;

	sigemptyset(&mask);
	for (int i = 0; i < 2; i++) {
		sigaddset(&mask, signals[i]);
		sigaction(signals[i], &action, &old_action[i]);
	}
	/* of a fault that is blocked the process dies */
	pthread_sigmask(SIG_UNBLOCK, &mask, &old_mask);
	result = shoji_hypercall(use_vmmcall, r);
	pthread_sigmask(SIG_SETMASK, &old_mask, NULL);
	for (int i = 0; i < 2; i++)
		sigaction(signals[i], &old_action[i], NULL);
	return result;
}

static void pause_us(uint64_t us)
{
	struct timespec t = { (time_t)(us / 1000000),
			      (long)(us % 1000000) * 1000 };

	nanosleep(&t, NULL);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

#endif

/* Another hypervisor may return something: only the signature counts. */
static bool ask(void)
{
	struct shoji_regs r = { .rax = SHOJI_MAGIC | SHOJI_QUERY };
	unsigned int eax, ebx, ecx, edx;

	__cpuid(0, eax, ebx, ecx, edx);
	use_vmmcall = ebx == AMD_EBX || ebx == HYGON_EBX;
	call_guarded(&r);
	return r.rbx == SHOJI_SIGNATURE && r.rcx == SHOJI_ABI_VERSION;
}

bool hyper_present(void)
{
	static enum {
		UNKNOWN,
		ABSENT,
		PRESENT
	} state;

	if (state == UNKNOWN)
		state = ask() ? PRESENT : ABSENT;
	return state == PRESENT;
}

int64_t hyper_call(enum shoji_number number, struct shoji_regs *r)
{
	r->rax = SHOJI_MAGIC | (uint64_t)number;
	return shoji_hypercall(use_vmmcall, r);
}

static uint64_t address(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

int hyper_record(enum shoji_number number, uint64_t index, void *record,
		 size_t size)
{
	struct shoji_regs r = { .rbx = address(record),
				.rcx = size,
				.rdx = index };
	int64_t result;

	memset(record, 0, size);
	result = hyper_call(number, &r);
	return result < 0 ? (int)result : 0;
}

int hyper_find(const char *name)
{
	struct shoji_program p;
	int error;

	for (int i = 0;; i++) {
		error = hyper_record(SHOJI_PROGRAM, (uint64_t)i, &p, sizeof(p));
		if (error)
			return error;
		if (!strncmp(p.name, name, sizeof(p.name)))
			return i;
	}
}

/* ---- messages ---- */

static void give_up(uint64_t handle)
{
	struct shoji_regs r = { .rbx = handle };

	hyper_call(SHOJI_CANCEL, &r);
}

static int64_t start(const struct hyper_message *m, struct shoji_regs *r)
{
	*r = (struct shoji_regs){
		.rbx = m->program,
		.rcx = address(m->request),
		.rdx = m->request_len,
		.rsi = address(m->reply),
		.rdi = m->reply_size,
		.r8 = m->type,
		.r9 = m->buffer,
	};
	return hyper_call(SHOJI_SEND, r);
}

static int64_t go_on(const struct hyper_message *m, uint64_t handle,
		     struct shoji_regs *r)
{
	*r = (struct shoji_regs){
		.rbx = handle,
		.rsi = address(m->reply),
		.rdi = m->reply_size,
	};
	return hyper_call(SHOJI_WAIT, r);
}

static bool late(const struct hyper_message *m, uint64_t since)
{
	return m->timeout_ms && now_ms() - since >= m->timeout_ms;
}

int64_t hyper_send(struct hyper_message *m)
{
	uint64_t since = m->timeout_ms ? now_ms() : 0, handle = 0;
	struct shoji_regs r;
	int64_t result = start(m, &r);

	for (;;) {
		if (result == -SHOJI_EAGAIN)
			handle = r.rdx;
		else if (result != -SHOJI_EBUSY)
			break;
		if (late(m, since)) {
			if (handle)
				give_up(handle);
			return -SHOJI_EAGAIN;
		}
		if (r.rcx)
			pause_us(r.rcx);
		result = handle ? go_on(m, handle, &r) : start(m, &r);
	}
	if (result == -SHOJI_ENOSPC)
		give_up(r.rdx);
	m->status = r.rdx;
	return result;
}

void hyper_sleep(uint64_t ms)
{
	pause_us(ms * 1000);
}

const char *hyper_error(int64_t error)
{
	switch (-error) {
	case SHOJI_EPERM:
		return "not allowed for this caller";
	case SHOJI_ENOENT:
		return "no such program, or it does not run";
	case SHOJI_EIO:
		return "the program was stopped over it";
	case SHOJI_EAGAIN:
		return "no answer in time";
	case SHOJI_EFAULT:
		return "not ordinary memory";
	case SHOJI_EBUSY:
		return "no room for the message";
	case SHOJI_EINVAL:
		return "longer than the program's messages";
	case SHOJI_ENOSPC:
		return "the reply is too long";
	case SHOJI_ENOSYS:
		return "this Shoji does not know the call";
	default:
		return "unknown error";
	}
}
