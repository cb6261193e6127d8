/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_parallel_for.c - a loop over an array on a pool: how much faster it is than
 * the same loop on one thread, if all indices cost alike, if later ones cost more, if one
 * costs next to nothing; and what a loop costs that has two indices.
 */
#include "bench.h"

#include "ranges.h"

struct work {
    range_body *body;
    void *array;
};

static vow_executor *pool;

static vow_error *
call(size_t first, size_t end, void *ctx)
{
    const struct work *w = ctx;

    w->body(first, end, w->array);
    return NULL;
}

static void
loop(size_t n, range_body *body, void *array)
{
    struct work w = {body, array};
    vow_future *f = vow_parallel_for(pool, NULL, 0, n, call, vow_ptr(&w));

    bench_check(vow_get(f).value.as.u64 == n);
    vow_unref(f);
}

static vow_result
loop_inside(void *us)
{
    const int loops = bench_size(RANGE_LOOPS);
    double start = bench_ns();

    for (int i = 0; i < loops; i++)
        loop(2, range_nothing, NULL);
    *(double *)us = (bench_ns() - start) / loops / 1000;
    return vow_ok(VOW_NIL);
}

/* On a thread of the pool, as a loop in a loop. */
static double
measure_inside(void)
{
    double us = 0;
    vow_future *f = vow_submit(pool, loop_inside, vow_ptr(&us));

    bench_check(vow_get(f).error == NULL);
    vow_unref(f);
    return us;
}

static void
measure(double *values)
{
    pool = bench_pool();
    range_measure_for(loop, values);
    values[4] = measure_inside();
    bench_free_pool(pool);
}

int
main(int argc, char **argv)
{
    static const struct bench loops = {
        "vow", {RANGE_FOR_FIGURES, {"parallel_for_inside", "us"}}, measure, 0};

    return bench_main(&loops, argc, argv);
}
