#include "boot/stub.h"
#include "core/lib/bytes.h"
#include "core/lib/string.h"

#define VECTOR_INT15  (4 * 0x15)
#define SIGNATURE_AT  0x4f0
#define VMMCALL_BYTE3 0xd9 /* 0f 01 d9; VMCALL is 0f 01 c1 */

/* boot/stub.S */
extern const u8 stub_begin[], stub_end[];
extern const u8 stub_boot_drive[], stub_old_int15[], stub_call[];

void stub_install(void *bios, void *page, hpa_t low_page, u8 boot_drive,
		  bool intel)
{
	u8 *low = bios, *stub = page;
	u32 old_int15 = load_le32(low + VECTOR_INT15);
	u32 new_int15 = (u32)(low_page >> 4) << 16 | STUB_INT15_IP;

	memset(stub, 0, PAGE_SIZE);
	memcpy(stub, stub_begin, (size_t)(stub_end - stub_begin));
	stub[stub_boot_drive - stub_begin] = boot_drive;
	store_le32(stub + (stub_old_int15 - stub_begin), old_int15);
	if (!intel)
		stub[stub_call - stub_begin + 2] = VMMCALL_BYTE3;

	store_le32(low + VECTOR_INT15, new_int15);
	store_le32(low + SIGNATURE_AT, STUB_SIGNATURE);
	store_le32(low + SIGNATURE_AT + 4, new_int15);
}
