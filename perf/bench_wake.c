/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_wake.c - the pool is idle: one task is submitted and its future got;
 * then 50 us of sleep, so that the pool is idle again. 20,000 times, the half and
 * the slowest hundredth.
 */
#include "bench.h"

enum { TIMES = 20000, PAUSE_NS = 50000 };

static vow_result
own_number(void *number)
{
    return vow_ok(vow_i64((int64_t)(intptr_t)number));
}

static void
pause_until_idle(void)
{
    struct timespec pause = {0, PAUSE_NS};

    bench_check(nanosleep(&pause, NULL) == 0);
}

/* Returns microseconds from the submit to the value. */
static double
submit_one(vow_executor *pool, intptr_t number)
{
    double start = bench_ns(), end;
    vow_future *f = vow_submit(pool, own_number, vow_ptr((void *)number));
    int64_t got = vow_get(f).value.as.i64;

    end = bench_ns();
    bench_check(got == number);
    vow_unref(f);
    return (end - start) / 1e3;
}

static void
wake_pool(double *p50_and_p99)
{
    double *us = bench_array(TIMES, sizeof *us);
    vow_executor *pool = bench_pool();

    for (int i = 0; i < TIMES; i++) {
        pause_until_idle();
        us[i] = submit_one(pool, i + 1);
    }
    p50_and_p99[0] = bench_quantile(us, TIMES, 0.50);
    p50_and_p99[1] = bench_quantile(us, TIMES, 0.99);
    bench_free_pool(pool);
    free(us);
}

int
main(int argc, char **argv)
{
    static const struct bench wake = {
        "vow", {{"wake_p50", "us"}, {"wake_p99", "us"}}, wake_pool, 0};

    return bench_main(&wake, argc, argv);
}
