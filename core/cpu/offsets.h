/* Places in struct cpu that assembly uses; cpu.c asserts them. */
#ifndef CORE_CPU_OFFSETS_H
#define CORE_CPU_OFFSETS_H

#define CPU_OFFSET_SELF	     64
#define CPU_OFFSET_NMI_SEEN  88
#define CPU_OFFSET_STOP	     92
#define CPU_OFFSET_NMI_FIRST 104 /* then nmi_bytes, nmi_target */

#endif
