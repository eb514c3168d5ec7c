/* Extended page tables (SDM vol. 3, 28.3) and TLB flushes (28.4.3). */
#include "core/virt/vmx/vmx.h"

#include "core/arch/x86.h"
#include "core/virt/vmx/vmcs.h"

#define EPT_RWX	       7ULL
#define EPT_LARGE      BIT(7)
#define EPT_TYPE_SHIFT 3
#define EPTP_TYPE_WB   6ULL
#define EPTP_4_LEVELS  (3ULL << 3)

static struct table_format format = {
	.nonleaf = EPT_RWX,
	.present = EPT_RWX,
	.large = EPT_LARGE,
	.max_level = 1,
};

const struct table_format *vmx_nested_format(void)
{
	format.max_level = 1;
	if (vmx_caps->ept_cap & EPT_CAP_2M)
		format.max_level = vmx_caps->ept_cap & EPT_CAP_1G ? 3 : 2;
	return &format;
}

/* An entry that can be written or executed, but not read, is misconfigured
 * (28.3.3.1), so either brings reading with it. The low bits of enum
 * nested_access are the table's. */
u64 vmx_nested_attr(unsigned int access, enum mem_type type)
{
	if (!access)
		return 0;
	return access | NESTED_R | (u64)type << EPT_TYPE_SHIFT;
}

u64 vmx_eptp(hpa_t root)
{
	return root | EPTP_4_LEVELS | EPTP_TYPE_WB;
}

void vmx_invept(u64 eptp)
{
	if (vmx_caps->ept_cap & EPT_CAP_SINGLE)
		invept(INVEPT_SINGLE, eptp);
	else
		invept(INVEPT_ALL, 0);
}

void vmx_flush(struct vmx_cpu *x)
{
	if (x->flush_nested)
		vmx_invept(x->eptp);
	/* Without VPID every entry does this. */
	if (x->flush_linear && vmx_caps->proc2 & PROC2_VPID)
		invvpid(INVVPID_SINGLE, VMX_VPID, 0);
	x->flush_nested = false;
	x->flush_linear = false;
}
