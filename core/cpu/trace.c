#include "core/cpu/trace.h"

#include "core/lib/range.h"

struct frame { /* what PUSH RBP; MOV RBP, RSP leaves */
	u64 rbp;
	u64 rip;
};

size_t trace_walk(u64 rbp, u64 low, u64 high, u64 *pc, size_t max)
{
	size_t n = 0;

	while (n < max && rbp >= low && rbp % 8 == 0 &&
	       range_ok(rbp - low, sizeof(struct frame), high - low)) {
		const struct frame *f = (const struct frame *)rbp;

		if (!f->rip)
			break;
		pc[n++] = f->rip;
		low = rbp + sizeof(*f);
		rbp = f->rbp;
	}
	return n;
}
