/* SPDX-License-Identifier: MIT */
/*
 * perf/firing.h - 100,000 timers, due uniformly within the next half second, and how late
 * each one runs: what the benchmarks of a pool's timers and of a loop's have in common.
 */
#ifndef PERF_FIRING_H
#define PERF_FIRING_H

#include "bench.h"

enum { FIRING_TIMERS = 100000 };

static struct firing {
    vow_timer timer;
    double late; /* us */
} * firing_table;
static int firing_count;

/* By the function of each timer. */
static void
firing_note(vow_task *task, int why)
{
    struct firing *f = (struct firing *)(void *)task; /* its first member's first */
    vow_ns late = vow_clock_now(NULL) - f->timer.when;

    bench_check(why == 0 && late >= 0);
    f->late = (double)late / 1e3;
}

static void
firing_arm(vow_executor *on, void (*run)(vow_task *task, int why))
{
    const vow_timer unarmed = {.task.run = run};
    uint64_t seed = 9;

    if (firing_table == NULL)
        firing_table = bench_array(FIRING_TIMERS, sizeof *firing_table);
    for (int i = 0; i < firing_count; i++) {
        vow_timer *timer = &firing_table[i].timer;
        vow_ns delay = (vow_ns)(bench_random(&seed) % 500000000);

        *timer = unarmed;
        bench_check(vow_timer_arm(on, timer, vow_clock_now(NULL) + delay) == 0);
    }
}

/* When all have run. */
static void
firing_latencies(double *us)
{
    static double late[FIRING_TIMERS];

    for (int i = 0; i < firing_count; i++)
        late[i] = firing_table[i].late;
    bench_latencies(late, (size_t)firing_count, us);
}

#endif
