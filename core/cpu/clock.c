#include "core/cpu/clock.h"

#include "core/arch/x86.h"
#include "core/cpu/time.h"

#define MEASURE_US 20000

static u64 start;
static u64 hz;

void clock_init(void)
{
	start = rdtsc();
	delay_us(MEASURE_US);
	hz = (rdtsc() - start) * (1000000 / MEASURE_US);
	if (!hz)
		hz = 1;
}

static u64 scale(u64 value, u64 to, u64 from)
{
	return value / from * to + value % from * to / from;
}

u64 clock_to_ns(u64 ticks)
{
	return hz ? scale(ticks, 1000000000, hz) : 0;
}

u64 clock_to_ticks(u64 ns)
{
	return scale(ns, hz, 1000000000);
}

u64 clock_ns(void)
{
	return clock_to_ns(rdtsc() - start);
}
