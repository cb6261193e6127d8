/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_timer_cancel.c - a million timers with delays drawn uniformly from 1 to 60
 * seconds are armed, then cancelled in random order: as bare timers of a pool, whose
 * storage is an array; and as tasks for later, each with a future of its own.
 */
#include "bench.h"

enum { TIMERS = 1000000 };

static struct {
    vow_timer *timers;
    vow_future **futures;
    unsigned *order;
    vow_ns *delays;
} table;

/* A step of splitmix64. */
static uint64_t
next_random(uint64_t *x)
{
    uint64_t z = *x += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void
make_table(void)
{
    uint64_t seed = 7;

    table.timers = bench_array(TIMERS, sizeof *table.timers);
    table.futures = bench_array(TIMERS, sizeof *table.futures);
    table.order = bench_array(TIMERS, sizeof *table.order);
    table.delays = bench_array(TIMERS, sizeof *table.delays);
    for (unsigned i = 0; i < TIMERS; i++) {
        unsigned other = (unsigned)(next_random(&seed) % (i + 1));

        table.order[i] = table.order[other];
        table.order[other] = i;
        table.delays[i] =
            vow_seconds(1) + (vow_ns)(next_random(&seed) % (uint64_t)vow_seconds(59));
    }
}

static void
never_due(vow_task *task, int why)
{
    (void)task;
    (void)why;
}

static vow_result
never_runs(void *ctx)
{
    (void)ctx; /* it does on a machine so busy that a second goes by meanwhile */
    return vow_ok(VOW_NIL);
}

static double
bare_timers(vow_executor *pool)
{
    static const vow_timer zero = {.task.run = never_due};
    int removed = 0;
    double start;

    for (int i = 0; i < TIMERS; i++)
        table.timers[i] = zero;
    start = bench_ns();
    for (int i = 0; i < TIMERS; i++)
        bench_check(vow_timer_arm(pool, &table.timers[i], vow_now() + table.delays[i]) ==
                    0);
    for (int i = 0; i < TIMERS; i++)
        removed += vow_timer_disarm(&table.timers[table.order[i]]) == VOW_REMOVED;
    start = (bench_ns() - start) / TIMERS;
    bench_check(removed > TIMERS / 2);
    return start;
}

static double
tasks_for_later(vow_executor *pool)
{
    double start = bench_ns();

    for (int i = 0; i < TIMERS; i++)
        table.futures[i] = vow_submit_after(pool, table.delays[i], never_runs, VOW_NIL);
    for (int i = 0; i < TIMERS; i++) {
        vow_future *f = table.futures[table.order[i]];

        vow_future_cancel(f, NULL);
        vow_unref(f);
    }
    return (bench_ns() - start) / TIMERS;
}

static void
cancel_all(double *ns_a_timer)
{
    vow_executor *pool = bench_pool();

    if (table.timers == NULL)
        make_table();
    ns_a_timer[0] = bare_timers(pool);
    ns_a_timer[1] = tasks_for_later(pool);
    bench_free_pool(pool);
}

int
main(int argc, char **argv)
{
    static const struct bench timer_cancel = {
        "vow",
        {{"timer_cancel", "ns/timer"}, {"timer_cancel_future", "ns/timer"}},
        cancel_all,
        0};

    return bench_main(&timer_cancel, argc, argv);
}
