/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_timer_fire_loop.c - 100,000 timers of an event loop, due uniformly within the
 * next half second: how late each one runs. One thread arms them and then runs the loop.
 */
#include "bench.h"

enum { TIMERS = 100000 };

static struct {
    vow_timer timer;
    double late; /* us */
} * table;
static vow_loop *loop;
static int timers, fired;

static void
note_lateness(vow_task *task, int why)
{
    vow_timer *timer = (vow_timer *)(void *)task; /* its first member */
    vow_ns late = vow_clock_now(NULL) - timer->when;
    size_t i = (size_t)((char *)timer - (char *)table) / sizeof *table;

    bench_check(why == 0 && late >= 0);
    table[i].late = (double)late / 1e3;
    if (++fired == timers)
        vow_loop_stop(loop);
}

static void
arm_all(vow_executor *on)
{
    static const vow_timer zero = {.task.run = note_lateness};
    uint64_t seed = 9;

    for (int i = 0; i < timers; i++) {
        vow_ns delay = (vow_ns)(bench_random(&seed) % 500000000);

        table[i].timer = zero;
        bench_check(vow_timer_arm(on, &table[i].timer, vow_clock_now(NULL) + delay) == 0);
    }
}

static void
fire_all(double *us)
{
    static double late[TIMERS];

    if (table == NULL)
        table = bench_array(TIMERS, sizeof *table);
    timers = bench_size(TIMERS);
    fired = 0;
    loop = vow_loop_new(NULL);
    arm_all(vow_loop_executor(loop));
    bench_check(vow_loop_run(loop) == 0);
    for (int i = 0; i < timers; i++)
        late[i] = table[i].late;
    bench_latencies(late, (size_t)timers, us);
    vow_loop_unref(loop);
}

int
main(int argc, char **argv)
{
    static const struct bench timer_fire_loop = {
        "vow", {BENCH_LATENCIES("timer_fire_loop")}, fire_all, 0};

    return bench_main(&timer_fire_loop, argc, argv);
}
