/*
 * What libcrypto names but a program cannot have: files, sockets, terminals,
 * shared memory, signals, coroutines. They fail as their manual pages say:
 * with -1, or with NULL. Anything else that is missing stops the link.
 */
.macro fails result, names:vararg
	.irp name, \names
	.section .text.\name, "ax", @progbits
	.globl \name
	.type \name, @function
\name:
	mov $\result, %rax
	ret
	.size \name, . - \name
	.endr
.endm

	fails -1, accept, bind, close, closedir, connect, fclose, fcntl
	fails -1, ferror, fflush, fileno, fputc, fputs, fseek, fstat, ftell
	fails -1, getaddrinfo, getcontext, getnameinfo, getsockname
	fails -1, getsockopt, ioctl, listen, madvise, mlock, mmap, mprotect
	fails -1, munmap, open, read, recvmsg, select, sendmsg, setcontext
	fails -1, setsockopt, shmat, shmdt, shmget, shutdown, sigaction
	fails -1, signal, socket, stat, syscall, sysconf, tcgetattr, tcsetattr
	fails -1, uname, usleep, write, _setjmp, _longjmp, makecontext
	fails -1, __isoc99_sscanf, __fprintf_chk, __vfprintf_chk, dladdr
	fails -1, dlclose, __xpg_strerror_r

	fails 0, dlopen, dlsym, dlerror, fopen, fopen64, fgets, fread, fwrite
	fails 0, opendir, readdir, gethostbyname, freeaddrinfo, gai_strerror
	fails 0, perror, sleep
	fails 1, feof

	.section .bss.streams, "aw", @nobits
	.globl stdin, stdout, stderr
	.balign 8
stdin:	.skip 8
stdout:	.skip 8
stderr:	.skip 8

	.section .note.GNU-stack, "", @progbits
