/* The key that certifies this program's keys, DER; see sdk.mk. It is in the
 * object and in the program, which nobody else may read for that. */
	.section .rodata.certifier, "a", @progbits
	.globl certifier_key, certifier_key_end
	.globl certifier_cert, certifier_cert_end
certifier_key:
	.incbin CERTIFIER_KEY
certifier_key_end:
certifier_cert:
	.incbin CERTIFIER_CERT
certifier_cert_end:
	.section .note.GNU-stack, "", @progbits
