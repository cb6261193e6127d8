/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_batch.c - 20,000 tasks of about 50 us of pure CPU each, got one by
 * one in order; how much faster that is than the same loop on one thread.
 */
#include "bench.h"

enum { TASKS = 20000, BURN_STEPS = 40000 };

static int tasks;

/* One multiplication and one addition after another, each waiting for the last. */
static uint64_t
burn(uint64_t x)
{
    for (int i = 0; i < BURN_STEPS; i++)
        x = x * 6364136223846793005u + 1442695040888963407u;
    return x;
}

static vow_result
burn_task(void *seed)
{
    return vow_ok(vow_u64(burn((uint64_t)(uintptr_t)seed)));
}

static uint64_t
burn_here(void)
{
    uint64_t sum = 0;

    for (int i = 0; i < tasks; i++)
        sum += burn((uint64_t)i);
    return sum;
}

static uint64_t
burn_in_pool(vow_executor *pool, vow_future **futures)
{
    uint64_t sum = 0;

    for (intptr_t i = 0; i < tasks; i++)
        futures[i] = vow_submit(pool, burn_task, vow_ptr((void *)i));
    for (int i = 0; i < tasks; i++) {
        sum += vow_get(futures[i]).value.as.u64;
        vow_unref(futures[i]);
    }
    return sum;
}

static void
compare(double *times_faster)
{
    vow_future **futures = bench_array(TASKS, sizeof *futures);
    vow_executor *pool = bench_pool();
    double start = bench_ns(), middle, end;
    uint64_t here, there;

    tasks = bench_size(TASKS);
    here = burn_here();
    middle = bench_ns();
    there = burn_in_pool(pool, futures);
    end = bench_ns();
    bench_check(here == there);
    *times_faster = (middle - start) / (end - middle);

    bench_free_pool(pool);
    free(futures);
}

int
main(int argc, char **argv)
{
    static const struct bench batch = {"vow", {{"batch", "x"}}, compare, 0};

    return bench_main(&batch, argc, argv);
}
