/* The configuration blob, in writable pages that hold nothing else: it is
 * wiped after use. CONFIG_BLOB names the file that tools/mkconfig wrote. The
 * rest of its last page is not of zeros: see boot/shoji.ld. */
	.section .data.config, "aw", @progbits
	.balign 4096
	.globl config_blob, config_blob_end
config_blob:
	.incbin CONFIG_BLOB
config_blob_end:
	.balign 4096, 0x70

/* The embedded programs, which may hold keys of their own: they are wiped when
 * Shoji ends. */
	.globl config_images, config_images_end
config_images:
	.incbin CONFIG_PROGRAMS
config_images_end:
	.balign 4096, 0x70

	.section .note.GNU-stack, "", @progbits
