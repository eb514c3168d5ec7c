/* The two ends of the function shoji_init(), whose middle is what libraries
 * have in .init: OPENSSL_cpuid_setup, which finds the CPU's features. */
	.section .shoji.init.first, "ax", @progbits
	sub $8, %rsp
	.section .shoji.init.last, "ax", @progbits
	add $8, %rsp
	ret
	.section .note.GNU-stack, "", @progbits
