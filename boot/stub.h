/*
 * The page of conventional memory that the guest keeps for Shoji: real-mode
 * code that starts the guest as after POST, and the entry of INT 15h that asks
 * Shoji for the memory map.
 *
 * All of it is the guest's: it may overwrite it, then only its own INT 15h
 * breaks. Physical 4F0h, the BIOS's inter-application area, gets "SHOJ" and
 * 4F4h the INT 15h vector that goes with it: so the boot loader's second pass
 * knows itself (tools/grub/09_shoji), and not after a reset, where POST writes
 * a new vector.
 */
#ifndef BOOT_STUB_H
#define BOOT_STUB_H

#define STUB_START_IP	  0x00 /* the guest's first instruction */
#define STUB_PARK_IP	  0x04 /* where a CPU waits for its SIPI */
#define STUB_INT15_IP	  0x10
#define STUB_HYPERCALL_IP 0x40 /* the VMCALL or VMMCALL, 3 bytes */

#define STUB_SIGNATURE	  0x4a4f4853 /* "SHOJ" */

#ifndef __ASSEMBLER__

#include "core/lib/types.h"

/*
 * Writes the stub to @page, which is the conventional memory at @low_page, and
 * puts its INT 15h and the signature into the memory at address 0, @bios.
 * @intel: VMCALL, else VMMCALL. Once, when the trampoline is not needed any more.
 *
 * The guest starts at CS:IP = (low_page >> 4):STUB_START_IP, everything else as
 * after INIT, paging and protection off. At STUB_HYPERCALL_IP in that segment
 * AX is E820h, E801h, E881h or 88xxh as the caller of INT 15h left it; the
 * answer goes to the registers and CF to the flags image at SS:[SP+4], then RIP
 * moves past the 3 bytes.
 */
void stub_install(void *bios, void *page, hpa_t low_page, u8 boot_drive,
		  bool intel);

#endif
#endif
