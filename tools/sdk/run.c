/*
 * Runs a protected program on the host, without Shoji: its pages lie where
 * core/program/abi.h says, at their rights, and its system calls are answered
 * here. For trying one's program out and for tests; it isolates nothing.
 *
 *   run PROGRAM.elf [-m MEMORY_KIB] [-s SLOT_KIB] [-b FILE] TYPE[:FILE]...
 *   run PROGRAM.elf ... --pipe
 *
 * Sends one message after the other, each of a type and with FILE's contents,
 * and writes the replies to standard output; the log goes to standard error.
 * -b is a registered buffer, which is written back at the end; -r a region's
 * size in KiB, of whatever name, without which there is none. With --pipe,
 * messages come by standard input and replies go by standard output, each as
 * le32 type or status, le32 length, data; it ends at the end of input.
 *
 * The exit status is the program's, 0 after the last message, 125 for a
 * mistake of the caller's and 128 + the signal's number for a fault.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <elf.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "core/program/abi.h"

#define PAGE   4096UL
#define WRONG  125
#define SECOND 1000000000ULL
#define STACK  (256 << 10)

/* One program at a time; the handler of its traps has no other way to it. */
static struct {
	struct program_start *start;
	const char *name;
	unsigned long fs; /* the host's FS base */
	char **messages;  /* that are left, or NULL: --pipe */
	bool open;
	uint64_t id;
	char *buffer;
	size_t buffer_size;
	size_t region_size;
} run;

static char trap_stack[1 << 16];

/* No function that runs with the program's FS base may use the host's. */
static void set_fs(unsigned long base)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(SYS_arch_prctl), "D"(ARCH_SET_FS), "S"(base)
			 : "rcx", "r11", "memory");
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* ---- input and output ---- */

static bool read_all(int fd, void *to, size_t len)
{
	for (char *p = to; len;) {
		ssize_t n = read(fd, p, len);

		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static void write_all(const void *from, size_t len)
{
	for (const char *p = from; len;) {
		ssize_t n = write(1, p, len);

		if (n <= 0)
			err(WRONG, "standard output");
		p += n;
		len -= (size_t)n;
	}
}

static void *map_file(const char *name, size_t *size, int flags)
{
	int fd = open(name, flags == MAP_SHARED ? O_RDWR : O_RDONLY);
	struct stat st;
	void *p;

	if (fd < 0 || fstat(fd, &st))
		err(WRONG, "%s", name);
	*size = (size_t)st.st_size;
	p = mmap(NULL, *size ? *size : 1, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (p == MAP_FAILED)
		err(WRONG, "%s", name);
	close(fd);
	return p;
}

/* TYPE[:FILE] */
static size_t take_argument(const char *text, uint32_t *type)
{
	char *end;
	size_t size;
	void *file;

	*type = (uint32_t)strtoul(text, &end, 0);
	if (!*end)
		return 0;
	if (*end != ':')
		errx(WRONG, "%s: not TYPE:FILE", text);
	file = map_file(end + 1, &size, MAP_PRIVATE);
	if (size > run.start->slot_size)
		errx(WRONG, "%s: longer than %u bytes", end + 1,
		     run.start->slot_size);
	memcpy((void *)PROGRAM_MAIL, file, size);
	munmap(file, size ? size : 1);
	return size;
}

static size_t take_pipe(uint32_t *type)
{
	uint32_t head[2];

	if (!read_all(0, head, sizeof(head)))
		exit(0);
	if (head[1] > run.start->slot_size ||
	    !read_all(0, (void *)PROGRAM_MAIL, head[1]))
		errx(WRONG, "a message is too long or cut short");
	*type = head[0];
	return head[1];
}

static bool input_waits(uint64_t deadline)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };
	uint64_t time = now();
	int ms = deadline == PROGRAM_FOREVER ? -1
		 : deadline <= time	     ? 0
				    : (int)((deadline - time) / 1000000);

	return run.messages || poll(&in, 1, ms) > 0;
}

/* ---- system calls ---- */

static int64_t do_log(const char *text, size_t len)
{
	if (len > PROGRAM_LOG_MAX)
		return -PROGRAM_EINVAL;
	fprintf(stderr, "%s: %.*s\n", run.name, (int)len, text);
	return 0;
}

static int64_t do_reply(uint64_t id, uint64_t len, uint64_t status)
{
	uint32_t head[2] = { (uint32_t)status, (uint32_t)len };

	if (!run.open || id != run.id)
		return -PROGRAM_ENOENT;
	if (len > run.start->slot_size)
		return -PROGRAM_EINVAL;
	run.open = false;
	if (!run.messages)
		write_all(head, sizeof(head));
	else if (status)
		fprintf(stderr, "%s: status %lu\n", run.name, status);
	write_all((void *)PROGRAM_MAIL, len);
	return 0;
}

static int64_t do_receive(struct program_message *m, uint64_t deadline,
			  uint64_t id, uint64_t len, uint64_t status)
{
	if (do_reply(id, len, status) == -PROGRAM_EINVAL)
		return -PROGRAM_EINVAL;
	if (run.open)
		errx(WRONG, "this runner has one message at a time");
	if (!input_waits(deadline))
		return -PROGRAM_EAGAIN;
	if (run.messages && !*run.messages)
		exit(0);
	*m = (struct program_message){
		.id = ++run.id,
		.sender = PROGRAM_FROM_USER,
		.data = PROGRAM_MAIL,
		.buffer_size = run.buffer_size,
		.caller = 1,
	};
	m->length = run.messages ? take_argument(*run.messages++, &m->type)
				 : take_pipe(&m->type);
	run.open = true;
	return 0;
}

static int64_t do_buffer(uint64_t id, uint64_t off, void *to, const void *from,
			 uint64_t len)
{
	if (!run.open || id != run.id)
		return -PROGRAM_ENOENT;
	if (off > run.buffer_size || len > run.buffer_size - off || len > 65536)
		return -PROGRAM_EINVAL;
	memcpy(to ? to : run.buffer + off, to ? run.buffer + off : from, len);
	return 0;
}

static int64_t do_sleep(uint64_t deadline)
{
	uint64_t time = now();
	struct timespec t;

	if (deadline > time) {
		t.tv_sec = (time_t)((deadline - time) / SECOND);
		t.tv_nsec = (long)((deadline - time) % SECOND);
		nanosleep(&t, NULL);
	}
	return 0;
}

static int64_t do_random(void *to, size_t len)
{
	if (len > PROGRAM_RANDOM_MAX)
		return -PROGRAM_EINVAL;
	return getrandom(to, len, 0) == (ssize_t)len ? 0 : -PROGRAM_EIO;
}

static int64_t system_call(greg_t *r)
{
	uint64_t a = (uint64_t)r[REG_RDI], b = (uint64_t)r[REG_RSI];
	uint64_t c = (uint64_t)r[REG_RDX], d = (uint64_t)r[REG_R10];

	switch (r[REG_RAX]) {
	case PROGRAM_EXIT:
		exit((int)a);
	case PROGRAM_LOG:
		return do_log((const char *)a, b);
	case PROGRAM_CLOCK:
		return (int64_t)now();
	case PROGRAM_RANDOM:
		return do_random((void *)a, b);
	case PROGRAM_RECEIVE:
		return do_receive((struct program_message *)a, b, c, d,
				  (uint64_t)r[REG_R8]);
	case PROGRAM_REPLY:
		return do_reply(a, b, c);
	case PROGRAM_SLEEP:
		return do_sleep(a);
	case PROGRAM_BUFFER_READ:
		return do_buffer(a, b, (void *)c, NULL, d);
	case PROGRAM_BUFFER_WRITE:
		return do_buffer(a, b, NULL, (const void *)c, d);
	case PROGRAM_MAP:
		r[REG_RDX] = (greg_t)run.region_size;
		return run.region_size ? (int64_t)PROGRAM_REGIONS
				       : -PROGRAM_ENOENT;
	case PROGRAM_SEND: /* there is no other program */
	case PROGRAM_WAIT:
	case PROGRAM_CANCEL:
	case PROGRAM_FIND:
		return -PROGRAM_ENOENT;
	default:
		return -PROGRAM_ENOSYS;
	}
}

/* Every system call is a UD2 and a NOP here; see patch_calls(). */
static void on_trap(int number, siginfo_t *info, void *context)
{
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	const unsigned char *rip = (const unsigned char *)r[REG_RIP];

	set_fs(run.fs);
	if (number != SIGILL || rip[0] != 0x0f || rip[1] != 0x0b ||
	    rip[2] != 0x90) {
		fprintf(stderr, "%s: %s at 0x%llx, address 0x%llx\n", run.name,
			strsignal(number), r[REG_RIP],
			(long long)info->si_addr);
		_exit(128 + number);
	}
	r[REG_RAX] = system_call(r);
	r[REG_RIP] += 3;
	set_fs((unsigned long)run.start);
}

/* ---- the program's memory ---- */

static void *map_at(uint64_t at, size_t size, int rights)
{
	void *p =
		mmap((void *)at, size, rights,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (p != (void *)at)
		err(WRONG, "no memory at 0x%lx", at);
	return p;
}

static void map_segment(const char *file, const Elf64_Phdr *p, uint64_t bias)
{
	uint64_t start = bias + p->p_vaddr;
	uint64_t first = start & ~(PAGE - 1);
	size_t size = (start + p->p_memsz - first + PAGE - 1) & ~(PAGE - 1);
	int rights = (p->p_flags & PF_R ? PROT_READ : 0) |
		     (p->p_flags & PF_W ? PROT_WRITE : 0) |
		     (p->p_flags & PF_X ? PROT_EXEC : 0);

	map_at(first, size, PROT_READ | PROT_WRITE);
	memcpy((void *)start, file + p->p_offset, p->p_filesz);
	if (mprotect((void *)first, size, rights))
		err(WRONG, "mprotect");
}

static const char *section(const char *file, const Elf64_Shdr *s)
{
	return file + s->sh_offset;
}

/*
 * VMCALL and VMMCALL do not trap everywhere (the host may itself run under a
 * hypervisor), so those of shoji_call() in this copy become UD2 and NOP.
 */
static void patch_symbol(char *file, const Elf64_Ehdr *e, const Elf64_Sym *sym)
{
	const Elf64_Shdr *s = (const Elf64_Shdr *)(file + e->e_shoff);
	unsigned char *p = (unsigned char *)file + s[sym->st_shndx].sh_offset +
			   sym->st_value - s[sym->st_shndx].sh_addr;

	for (size_t i = 0; i + 3 <= sym->st_size; i++)
		if (p[i] == 0x0f && p[i + 1] == 0x01 &&
		    (p[i + 2] == 0xc1 || p[i + 2] == 0xd9))
			memcpy(p + i, "\x0f\x0b\x90", 3);
}

static void patch_calls(char *file, const Elf64_Ehdr *e)
{
	const Elf64_Shdr *s = (const Elf64_Shdr *)(file + e->e_shoff);

	for (int i = 0; i < e->e_shnum; i++) {
		const Elf64_Sym *sym = (const Elf64_Sym *)section(file, &s[i]);

		for (size_t n = 0; s[i].sh_type == SHT_SYMTAB &&
				   n < s[i].sh_size / sizeof(*sym);
		     n++)
			if (!strcmp(section(file, &s[s[i].sh_link]) +
					    sym[n].st_name,
				    "shoji_call"))
				patch_symbol(file, e, &sym[n]);
	}
}

static uint64_t load(const char *name, uint64_t *bias)
{
	size_t size;
	char *file = map_file(name, &size, MAP_PRIVATE);
	const Elf64_Ehdr *e = (const Elf64_Ehdr *)file;
	const Elf64_Phdr *p;

	if (size < sizeof(*e) || memcmp(file, ELFMAG, SELFMAG) ||
	    (e->e_type != ET_EXEC && e->e_type != ET_DYN))
		errx(WRONG, "%s: not an ELF program", name);
	*bias = e->e_type == ET_DYN ? PROGRAM_PIE_BASE : 0;
	patch_calls(file, e);
	p = (const Elf64_Phdr *)(file + e->e_phoff);
	for (int i = 0; i < e->e_phnum; i++)
		if (p[i].p_type == PT_LOAD)
			map_segment(file, &p[i], *bias);
	return *bias + e->e_entry;
}

static void make_areas(uint64_t bias, size_t memory, size_t slot)
{
	struct program_start *s =
		map_at(PROGRAM_START, PAGE, PROT_READ | PROT_WRITE);

	*s = (struct program_start){
		.self = PROGRAM_START,
		.version = PROGRAM_ABI_VERSION,
		.bias = bias,
		.heap = PROGRAM_HEAP,
		.heap_size = memory,
		.mail = PROGRAM_MAIL,
		.slots = 1,
		.slot_size = (uint32_t)slot,
		.stack_size = STACK,
		.slice_ns = 500000,
		.memory = memory,
	};
	do_random(&s->canary, sizeof(s->canary));
	snprintf(s->name, sizeof(s->name), "%.31s", run.name);
	mprotect(s, PAGE, PROT_READ);
	map_at(PROGRAM_HEAP, memory, PROT_READ | PROT_WRITE);
	if (run.region_size)
		map_at(PROGRAM_REGIONS, run.region_size,
		       PROT_READ | PROT_WRITE);
	map_at(PROGRAM_MAIL, slot, PROT_READ | PROT_WRITE);
	map_at(PROGRAM_STACK_TOP - STACK, STACK, PROT_READ | PROT_WRITE);
	run.start = s;
}

static void catch_traps(void)
{
	static const int numbers[] = { SIGILL, SIGSEGV, SIGBUS, SIGFPE,
				       SIGTRAP };
	stack_t stack = { .ss_sp = trap_stack, .ss_size = sizeof(trap_stack) };
	struct sigaction action = { .sa_sigaction = on_trap,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigaltstack(&stack, NULL);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		sigaction(numbers[i], &action, NULL);
}

static void enter(uint64_t entry)
{
	set_fs((unsigned long)run.start);
	__asm__ volatile("mov %1, %%rsp\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "jmp *%0"
			 :
			 : "a"(entry), "b"(PROGRAM_STACK_TOP), "D"(run.start)
			 : "memory");
	__builtin_unreachable();
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int main(int argc, char **argv)
{
	size_t memory = 8192, slot = 64;
	bool pipe = false;
	uint64_t entry, bias;
	int option;

	while ((option = getopt(argc, argv, "m:s:b:r:-:")) != -1)
		switch (option) {
		case 'm':
			memory = strtoul(optarg, NULL, 0);
			break;
		case 's':
			slot = strtoul(optarg, NULL, 0);
			break;
		case 'b':
			run.buffer =
				map_file(optarg, &run.buffer_size, MAP_SHARED);
			break;
		case 'r':
			run.region_size = strtoul(optarg, NULL, 0) << 10;
			break;
		case '-':
			pipe = !strcmp(optarg, "pipe");
			break;
		default:
			return WRONG;
		}
	if (optind == argc || (!pipe && optind + 1 == argc))
		errx(WRONG, "usage: run PROGRAM.elf [-m KIB] [-s KIB] "
			    "[-b FILE] [-r KIB] TYPE[:FILE]... | --pipe");
	run.name = base_name(argv[optind]);
	run.messages = pipe ? NULL : argv + optind + 1;
	syscall(SYS_arch_prctl, ARCH_GET_FS, &run.fs);
	entry = load(argv[optind], &bias);
	make_areas(bias, memory << 10, slot << 10);
	catch_traps();
	enter(entry);
}
