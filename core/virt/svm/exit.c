#include "core/virt/svm/svm.h"

#include "core/arch/cpuid.h"
#include "core/arch/regs.h"
#include "core/lib/string.h"

/*
 * The event that was on its way when the exit came. INT n, INT3 and INTO
 * have not moved RIP: executing them again is their re-injection.
 */
static void decode_delivering(const struct vmcb *b, struct vevent *event)
{
	u64 info = b->exitintinfo;
	u8 type = info >> 8 & 7, vector = info & 0xff;

	*event = (struct vevent){ 0 };
	if (!(info & VMCB_EVENT_V) || type == VEVENT_SOFT_INT)
		return;
	if (type == VEVENT_EXCEPTION && (vector == 3 || vector == 4))
		return;
	event->valid = true;
	event->vector = vector;
	event->type = type;
	event->has_error = info & VMCB_EVENT_EV;
	event->error = info >> 32;
}

/* APM vol. 2, 15.10.2. Without decode assists the segment is not told, and
 * some machines leave out the address size as well. */
static void decode_ioio(const struct svm *svm, const struct vmcb *b,
			struct vmexit *exit)
{
	u64 info = b->exitinfo1;

	exit->kind = VMEXIT_IO;
	exit->insn_len = b->exitinfo2 - b->rip;
	exit->io.port = info >> 16;
	exit->io.size = info >> 4 & 7;
	exit->io.write = !(info & IOIO_IN);
	exit->io.string = info & IOIO_STR;
	exit->io.rep = info & IOIO_REP;
	exit->io.addr_size = (info >> 7 & 7) << 1;
	exit->io.seg = 0xff;
	if (svm->features & CPUID_SVM_EDX_DECODE)
		exit->io.seg = info >> 10 & 7;
}

static void decode_npf(const struct svm *svm, const struct vmcb *b,
		       struct vmexit *exit)
{
	u64 info = b->exitinfo1;

	exit->kind = VMEXIT_NESTED_FAULT;
	exit->fault.gpa = b->exitinfo2;
	exit->fault.write = info & NPF_WRITE;
	exit->fault.exec = info & NPF_FETCH;
	exit->fault.read = !(info & (NPF_WRITE | NPF_FETCH));
	exit->fault.table = info & NPF_TABLE;
	exit->fault.n_bytes = 0;
	if (svm->features & CPUID_SVM_EDX_DECODE &&
	    b->n_bytes_fetched <= INSN_MAX) {
		exit->fault.n_bytes = b->n_bytes_fetched;
		memcpy(exit->fault.bytes, b->insn_bytes, INSN_MAX);
	}
}

static void decode_exception(const struct vmcb *b, struct vmexit *exit)
{
	u8 vector = b->exitcode - VMEXIT_CODE_EXCP;

	exit->kind = VMEXIT_EXCEPTION;
	exit->exception = (struct vevent){
		.valid = true,
		.vector = vector,
		.type = VEVENT_EXCEPTION,
		.has_error = BIT(vector) & VECTORS_WITH_ERROR,
		.error = b->exitinfo1,
	};
	if (vector == VECTOR_PF)
		exit->info = b->exitinfo2;
}

/* Those without operands, or whose operands are no more than this. */
static const struct {
	u32 code;
	enum vmexit_kind kind;
} kinds[] = {
	{ VMEXIT_CODE_INTR, VMEXIT_INTR },
	{ VMEXIT_CODE_NMI, VMEXIT_NMI },
	{ VMEXIT_CODE_INIT, VMEXIT_INIT },
	{ VMEXIT_CODE_CPUID, VMEXIT_CPUID },
	{ VMEXIT_CODE_INVD, VMEXIT_INVD },
	{ VMEXIT_CODE_SHUTDOWN, VMEXIT_SHUTDOWN },
	{ VMEXIT_CODE_VMMCALL, VMEXIT_HYPERCALL },
	{ VMEXIT_CODE_INVLPGA, VMEXIT_VIRT_INSN },
	{ VMEXIT_CODE_VMRUN, VMEXIT_VIRT_INSN },
	{ VMEXIT_CODE_VMLOAD, VMEXIT_VIRT_INSN },
	{ VMEXIT_CODE_VMSAVE, VMEXIT_VIRT_INSN },
	{ VMEXIT_CODE_STGI, VMEXIT_VIRT_INSN },
	{ VMEXIT_CODE_CLGI, VMEXIT_VIRT_INSN },
	{ VMEXIT_CODE_SKINIT, VMEXIT_VIRT_INSN },
	/* QEMU writes it in 32 bits */
	{ (u32)VMEXIT_CODE_INVALID, VMEXIT_INVALID },
};

static enum vmexit_kind find_kind(u32 code)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].code == code)
			return kinds[i].kind;
	return VMEXIT_UNKNOWN;
}

void svm_decode_exit(struct svm *svm, struct vmcb *b, struct vmexit *exit)
{
	exit->raw = b->exitcode;
	exit->info = b->exitinfo1;
	exit->insn_len =
		svm->features & CPUID_SVM_EDX_NRIPS ? b->nrip - b->rip : 0;
	decode_delivering(b, &exit->delivering);

	switch (b->exitcode) {
	case VMEXIT_CODE_EXCP ... VMEXIT_CODE_EXCP + 31:
		decode_exception(b, exit);
		break;
	case VMEXIT_CODE_IRET:
		b->intercept1 &= ~INTERCEPT_IRET;
		svm->iret_step = true;
		exit->kind = VMEXIT_HANDLED;
		break;
	case VMEXIT_CODE_IOIO:
		decode_ioio(svm, b, exit);
		break;
	case VMEXIT_CODE_MSR:
		exit->kind = b->exitinfo1 ? VMEXIT_WRMSR : VMEXIT_RDMSR;
		break;
	case VMEXIT_CODE_NPF:
		decode_npf(svm, b, exit);
		break;
	default:
		exit->kind = find_kind(b->exitcode);
		break;
	}
}
