/* What a task switch is for, by the exit, and what comes of it. */
#include "core/virt/task.h"

#include "core/arch/regs.h"

static bool by_software(const struct vevent *e)
{
	return e->type == VEVENT_SOFT_INT || e->type == VEVENT_SW_EXCEPTION ||
	       e->type == VEVENT_PRIV_SW_EXCEPTION;
}

void guest_task_switch(struct vcpu *v, const struct vmexit *exit)
{
	const struct vevent *e = &exit->delivering;
	bool event = exit->task.source == TASK_GATE && e->valid;
	struct task_request req = {
		.selector = exit->task.selector,
		.source = exit->task.source,
		.external = event && !by_software(e),
		.has_error = event && e->has_error,
		.error = e->error,
	};
	struct guest_mem_fault fault = { 0 };
	int rc;

	if (!event)
		req.insn_len = exit->insn_len;
	else if (by_software(e))
		req.insn_len = e->insn_len;
	rc = task_switch(v, &req, &fault);
	/* Before the trap of a TSS the event has been delivered. */
	if (!rc || fault.vector == VECTOR_DB)
		v->event.valid = false;
	if (rc)
		guest_inject_mem_fault(v, &fault);
}
