/*
 * How late a timer wakes a process of the highest priority: one that sleeps
 * until fixed points of time, as cyclictest does.
 *
 *   latency NAME PERIOD_US COUNT
 *
 * Prints "@@ latency NAME ..." with the worst delay, the one that 1 in 1000 is
 * worse than (COUNT is below 12000), the mean, the points that came and went
 * while it was late, and how many delays were below 2^n us.
 */
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define BINS 20
#define TOP  12

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
	struct timespec t = { (time_t)(ns / 1000000000),
			      (long)(ns % 1000000000) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))
		;
}

static int bin(uint64_t ns)
{
	int n = 0;

	for (uint64_t us = ns / 1000; us && n < BINS - 1; us >>= 1)
		n++;
	return n;
}

/* The largest so far, in order. */
static void keep(uint64_t *top, uint64_t late)
{
	for (int i = 0; i < TOP; i++) {
		uint64_t other = top[i];

		if (late > other) {
			top[i] = late;
			late = other;
		}
	}
}

int main(int argc, char **argv)
{
	const struct sched_param priority = { .sched_priority = 90 };
	uint64_t period, count, next, late, sum = 0, missed = 0;
	uint64_t bins[BINS] = { 0 }, top[TOP] = { 0 };

	if (argc != 4)
		return 1;
	period = strtoull(argv[2], NULL, 10) * 1000;
	count = strtoull(argv[3], NULL, 10);
	if (count / 1000 >= TOP)
		return 1;
	if (sched_setscheduler(0, SCHED_FIFO, &priority) ||
	    mlockall(MCL_CURRENT | MCL_FUTURE)) {
		perror("latency");
		return 1;
	}
	next = now_ns();
	for (uint64_t i = 0; i < count; i++) {
		next += period;
		sleep_until(next);
		late = now_ns() - next;
		sum += late;
		keep(top, late);
		bins[bin(late)]++;
		for (; late >= period; late -= period) {
			next += period;
			missed++;
		}
	}
	printf("@@ latency %s: worst %llu ns, tail %llu ns, mean %llu ns, "
	       "%llu wakes, %llu missed, below 2^n us:",
	       argv[1], (unsigned long long)top[0],
	       (unsigned long long)top[count / 1000],
	       (unsigned long long)(sum / count), (unsigned long long)count,
	       (unsigned long long)missed);
	for (int i = 0; i < BINS; i++)
		printf(" %llu", (unsigned long long)bins[i]);
	printf("\n");
	return 0;
}
