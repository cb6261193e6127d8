/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_timer_fire_loop.c - 100,000 timers of an event loop, due uniformly within the
 * next half second: how late each one runs. One thread arms them and then runs the loop.
 */
#include "firing.h"

static vow_loop *loop;
static int fired;

static void
count(vow_task *task, int why)
{
    firing_note(task, why);
    if (++fired == firing_count)
        vow_loop_stop(loop);
}

static void
fire_all(double *us)
{
    firing_count = bench_size(FIRING_TIMERS);
    fired = 0;
    loop = vow_loop_new(NULL);
    bench_check(loop != NULL);
    firing_arm(vow_loop_executor(loop), count);
    bench_check(vow_loop_run(loop) == 0);
    firing_latencies(us);
    vow_loop_unref(loop);
}

int
main(int argc, char **argv)
{
    static const struct bench timer_fire_loop = {
        "vow", {BENCH_LATENCIES("timer_fire_loop")}, fire_all, 0};

    return bench_main(&timer_fire_loop, argc, argv);
}
