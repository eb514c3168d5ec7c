/* The task switches of task.c, on the guest itself. */
#include "core/virt/guest.h"

#include "core/arch/regs.h"
#include "core/mm/walk.h"
#include "core/virt/task.h"

/* What came of an access: 0, or *@f as *@fault. */
static int outcome(int rc, const struct guest_mem_fault *f,
		   struct task_fault *fault)
{
	if (!rc)
		return 0;
	*fault = (struct task_fault){ f->vector, true, f->error, f->cr2 };
	return TASK_FAULT;
}

static int task_probe_write(void *ctx, u32 linear, u32 size,
			    struct task_fault *fault)
{
	struct guest_mem_fault f;

	return outcome(
		guest_probe(ctx, linear, size, WALK_WRITE | GUEST_SYSTEM, &f),
		&f, fault);
}

static int task_read(void *ctx, u32 linear, void *dst, u32 size,
		     struct task_fault *fault)
{
	struct guest_mem_fault f;

	return outcome(
		guest_mem(ctx, linear, dst, size, WALK_READ | GUEST_SYSTEM, &f),
		&f, fault);
}

static int task_write(void *ctx, u32 linear, const void *src, u32 size,
		      struct task_fault *fault)
{
	struct guest_mem_fault f;

	return outcome(guest_mem(ctx, linear, (void *)src, size,
				 WALK_WRITE | GUEST_SYSTEM, &f),
		       &f, fault);
}

static int task_push(void *ctx, u32 offset, const void *src, u32 size,
		     struct task_fault *fault)
{
	struct guest_mem_fault f;
	u64 linear;
	int rc = guest_linear(ctx, SEG_SS, offset, size, WALK_WRITE, &linear,
			      &f);

	if (!rc)
		rc = guest_mem(ctx, linear, (void *)src, size, WALK_WRITE, &f);
	return outcome(rc, &f, fault);
}

static u64 task_get(void *ctx, enum vreg reg)
{
	struct vcpu *v = ctx;

	return v->guest->ops->get(v, reg);
}

static void task_set(void *ctx, enum vreg reg, u64 value)
{
	struct vcpu *v = ctx;

	v->guest->ops->set(v, reg, value);
}

static void task_get_seg(void *ctx, unsigned int seg, struct vseg *s)
{
	struct vcpu *v = ctx;

	v->guest->ops->get_seg(v, seg, s);
}

static void task_set_seg(void *ctx, unsigned int seg, const struct vseg *s)
{
	struct vcpu *v = ctx;

	v->guest->ops->set_seg(v, seg, s);
}

static bool by_software(const struct vevent *e)
{
	return e->type == VEVENT_SOFT_INT || e->type == VEVENT_SW_EXCEPTION ||
	       e->type == VEVENT_PRIV_SW_EXCEPTION;
}

void guest_task_switch(struct vcpu *v, const struct vmexit *exit)
{
	const struct task_ops ops = {
		task_read, task_write,	 task_probe_write, task_push, task_get,
		task_set,  task_get_seg, task_set_seg,	   v,
	};
	const struct vevent *e = &exit->delivering;
	bool event = exit->task.source == TASK_GATE && e->valid;
	struct task_request req = {
		.selector = exit->task.selector,
		.source = exit->task.source,
		.external = event && !by_software(e),
		.has_error = event && e->has_error,
		.error = e->error,
	};
	struct emul_cpu cpu = { .rip = v->rip, .rflags = v->rflags };
	struct task_fault fault = { 0 };
	int rc;

	if (!event)
		req.insn_len = exit->insn_len;
	else if (by_software(e))
		req.insn_len = e->insn_len;
	__builtin_memcpy(cpu.gpr, v->gpr, sizeof(cpu.gpr));
	rc = task_switch(&ops, &req, &cpu, &fault);
	__builtin_memcpy(v->gpr, cpu.gpr, sizeof(cpu.gpr));
	v->rip = cpu.rip;
	v->rflags = cpu.rflags;
	/* Before the trap of a TSS the event has been delivered. */
	if (!rc || fault.vector == VECTOR_DB)
		v->event.valid = false;
	if (!rc)
		return;
	if (fault.vector == VECTOR_PF)
		task_set(v, VREG_CR2, fault.cr2);
	guest_fault_error(v, fault.vector, fault.error);
}
