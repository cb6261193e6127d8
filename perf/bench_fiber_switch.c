/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_fiber_switch.c - fibers of one thread that give each other the thread in turn:
 * two of them, and a hundred. A figure is the time from one to the next.
 */
#include "bench.h"

enum { SWITCHES = 10000000, FEW = 2, MANY = 100 };

struct crowd {
    int turns;       /* of each */
    int begun, size; /* of the fibers; only they touch them */
    double start;
};

static vow_result
take_turns(void *crowd)
{
    struct crowd *c = crowd;

    if (++c->begun == c->size)
        c->start = bench_ns();
    while (c->begun < c->size)
        vow_fiber_yield();
    for (int i = 0; i < c->turns; i++)
        vow_fiber_yield();
    return vow_ok(vow_i64((int64_t)(bench_ns() - c->start)));
}

/* The last of them has seen all turns. */
static double
ns_a_switch(int size)
{
    vow_executor *fibers = vow_fibers_new(NULL);
    struct crowd c = {.turns = bench_size(SWITCHES) / size, .size = size};
    vow_future *f[MANY];
    int64_t longest = 0;

    bench_check(fibers != NULL);
    for (int i = 0; i < size; i++)
        f[i] = vow_submit(fibers, take_turns, vow_ptr(&c));
    for (int i = 0; i < size; i++) {
        int64_t took = vow_get(f[i]).value.as.i64;

        longest = took > longest ? took : longest;
        vow_unref(f[i]);
    }
    vow_unref(vow_executor_close(fibers, VOW_DRAIN));
    vow_executor_unref(fibers);
    return (double)longest / c.turns / size;
}

static void
run(double *values)
{
    values[0] = ns_a_switch(FEW);
    values[1] = ns_a_switch(MANY);
}

int
main(int argc, char **argv)
{
    static const struct bench fiber_switch = {
        "vow",
        {{"fiber_switch", "ns/switch"}, {"fiber_switch_many", "ns/switch"}},
        run,
        0};

    return bench_main(&fiber_switch, argc, argv);
}
