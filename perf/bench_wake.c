/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_wake.c - the pool is idle: one task is submitted and its future got;
 * then 50 us of sleep, so that the pool is idle again. 20,000 times.
 */
#include "bench.h"

enum { TIMES = 20000, PAUSE_US = 50 };

static vow_result
own_number(void *number)
{
    return vow_ok(vow_i64((int64_t)(intptr_t)number));
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
wake_pool(double *latencies)
{
    double *us = bench_array(TIMES, sizeof *us);
    vow_executor *pool = bench_pool();
    int times = bench_size(TIMES);

    for (int i = 0; i < times; i++) {
        bench_pause_us(PAUSE_US); /* it goes idle */
        us[i] = submit_one(pool, i + 1);
    }
    bench_latencies(us, (size_t)times, latencies);
    bench_free_pool(pool);
    free(us);
}

int
main(int argc, char **argv)
{
    static const struct bench wake = {"vow", {BENCH_LATENCIES("wake")}, wake_pool, 0};

    return bench_main(&wake, argc, argv);
}
