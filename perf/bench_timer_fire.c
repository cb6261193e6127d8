/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_timer_fire.c - 100,000 timers of a pool, due uniformly within the next half
 * second: how late each one runs. A worker that is idle fires them, or the timer thread.
 */
#include <sched.h>
#include <stdatomic.h>

#include "firing.h"

static atomic_int fired;

static void
count(vow_task *task, int why)
{
    firing_note(task, why);
    atomic_fetch_add(&fired, 1);
}

static void
fire_all(double *us)
{
    vow_executor *pool = bench_pool();
    vow_future *pause = vow_sleep(NULL, vow_ms(520));

    firing_count = bench_size(FIRING_TIMERS);
    atomic_store(&fired, 0);
    firing_arm(pool, count);
    bench_check(vow_wait(pause, VOW_FOREVER));
    vow_unref(pause);
    while (atomic_load(&fired) < firing_count)
        sched_yield();
    firing_latencies(us);
    bench_free_pool(pool);
}

int
main(int argc, char **argv)
{
    static const struct bench timer_fire = {
        "vow", {BENCH_LATENCIES("timer_fire")}, fire_all, 0};

    return bench_main(&timer_fire, argc, argv);
}
