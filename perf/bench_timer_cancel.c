/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_timer_cancel.c - a million timers with delays drawn uniformly from 1 to 60
 * seconds are armed, then cancelled in random order: as bare timers of a pool, whose
 * storage is an array; and as tasks for later, each with a future of its own.
 */
#include "bench.h"

enum { TIMERS = 1000000 };

static int timers;

static struct {
    vow_timer *timers;
    vow_future **futures;
    unsigned *order;
    vow_ns *delays;
} table;

static void
make_table(void)
{
    uint64_t seed = 7;

    table.timers = bench_array(TIMERS, sizeof *table.timers);
    table.futures = bench_array(TIMERS, sizeof *table.futures);
    table.order = bench_shuffled((unsigned)timers);
    table.delays = bench_array(TIMERS, sizeof *table.delays);
    for (int i = 0; i < timers; i++)
        table.delays[i] =
            vow_seconds(1) + (vow_ns)(bench_random(&seed) % (uint64_t)vow_seconds(59));
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

    for (int i = 0; i < timers; i++)
        table.timers[i] = zero;
    start = bench_ns();
    for (int i = 0; i < timers; i++)
        bench_check(vow_timer_arm(pool, &table.timers[i], vow_now() + table.delays[i]) ==
                    0);
    for (int i = 0; i < timers; i++)
        removed += vow_timer_disarm(&table.timers[table.order[i]]) == VOW_REMOVED;
    start = (bench_ns() - start) / timers;
    bench_check(removed > timers / 2);
    return start;
}

static double
tasks_for_later(vow_executor *pool)
{
    double start = bench_ns();

    for (int i = 0; i < timers; i++)
        table.futures[i] = vow_submit_after(pool, table.delays[i], never_runs, VOW_NIL);
    for (int i = 0; i < timers; i++) {
        vow_future *f = table.futures[table.order[i]];

        vow_future_cancel(f, NULL);
        vow_unref(f);
    }
    return (bench_ns() - start) / timers;
}

static void
cancel_all(double *ns_a_timer)
{
    vow_executor *pool = bench_pool();

    timers = bench_size(TIMERS);
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
