#include "core/virt/guest.h"
#include "core/lib/panic.h"
void guest_task_switch(struct vcpu *v, const struct vmexit *exit)
{
	(void)v;
	(void)exit;
	panic("task switch");
}
