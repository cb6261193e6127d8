/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_timer_fire.c - 100,000 timers of a pool, due uniformly within the next half
 * second: how late each one runs. The timer thread posts them to the pool's workers.
 */
#include "bench.h"

#include <sched.h>
#include <stdatomic.h>

enum { TIMERS = 100000 };

static struct {
    vow_timer timer;
    double late; /* us */
} * table;
static atomic_int fired;
static int timers;

static void
note_lateness(vow_task *task, int why)
{
    vow_timer *timer = (vow_timer *)(void *)task; /* its first member */
    vow_ns late = vow_clock_now(NULL) - timer->when;
    size_t i = (size_t)((char *)timer - (char *)table) / sizeof *table;

    bench_check(why == 0 && late >= 0);
    table[i].late = (double)late / 1e3;
    atomic_fetch_add(&fired, 1);
}

static void
arm_all(vow_executor *pool)
{
    static const vow_timer zero = {.task.run = note_lateness};
    uint64_t seed = 9;

    for (int i = 0; i < timers; i++) {
        vow_ns delay = (vow_ns)(bench_random(&seed) % 500000000);

        table[i].timer = zero;
        bench_check(vow_timer_arm(pool, &table[i].timer, vow_clock_now(NULL) + delay) ==
                    0);
    }
}

static void
fire_all(double *us)
{
    static double late[TIMERS];
    vow_executor *pool = bench_pool();
    vow_future *pause = vow_sleep(NULL, vow_ms(520));

    if (table == NULL)
        table = bench_array(TIMERS, sizeof *table);
    timers = bench_size(TIMERS);
    atomic_store(&fired, 0);
    arm_all(pool);
    bench_check(vow_wait(pause, VOW_FOREVER));
    vow_unref(pause);
    while (atomic_load(&fired) < timers)
        sched_yield();
    for (int i = 0; i < timers; i++)
        late[i] = table[i].late;
    bench_latencies(late, (size_t)timers, us);
    bench_free_pool(pool);
}

int
main(int argc, char **argv)
{
    static const struct bench timer_fire = {
        "vow", {BENCH_LATENCIES("timer_fire")}, fire_all, 0};

    return bench_main(&timer_fire, argc, argv);
}
