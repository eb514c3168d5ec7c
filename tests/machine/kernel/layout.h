/* Where things lie in low memory, and struct run by offset, for the assembly.
 * All of it is below what GRUB and the BIOS need once the kernel runs. */
#ifndef LAYOUT_H
#define LAYOUT_H

#define RM_IVT	    0x6000  /* interrupt vectors in real mode */
#define RUN	    0x7000  /* struct run */
#define SNIPPET	    0x10000 /* what is run, and the page after it */
#define SNIPPET_SEG 0x1000
#define STACK_RM    0x5ff0
#define STACK_0	    0x21000 /* ring 0, below 4 GiB modes */
#define STACK_3	    0x23000

#define RUN_GPR	    0	/* u64[16] by encoding, in and out */
#define RUN_RIP	    128 /* in: where to start; out: of the exception */
#define RUN_FLAGS   136
#define RUN_CR2	    144
#define RUN_VECTOR  152
#define RUN_ERROR   156
#define RUN_MODE    160
#define RUN_RING    164
#define RUN_CS	    168

#define MODE_REAL   0
#define MODE_PM32   1 /* no paging */
#define MODE_PG32   2
#define MODE_PAE    3
#define MODE_COMPAT 4
#define MODE_LONG   5
#define MODES	    6

#define SEL_CODE64  0x08
#define SEL_DATA    0x10
#define SEL_CODE32  0x18
#define SEL_USER64  0x23
#define SEL_USERDS  0x2b
#define SEL_USER32  0x33
#define SEL_CODE16  0x38
#define SEL_DATA16  0x40
#define SEL_TSS64   0x48
#define SEL_TSS32   0x58
#define SEL_FREE    0x60 /* six descriptors for the tests */
#define SEL_TSS_AP  0x90 /* 16 bytes for each APIC ID */
#define APS	    8
#define AP_STACK    0x4000 /* of it 4 KiB each for IST 1 and 2 */

#define DONE	    0x40 /* INT DONE ends what is run */

#endif
