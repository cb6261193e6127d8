/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_parallel_for.c - a loop over an array on a pool: how much faster it is than
 * the same loop on one thread, if all indices cost alike, if later ones cost more, if one
 * costs next to nothing; and what a loop costs that has two indices. The caller takes part,
 * as in the peers; `_async` is the loop that has a future instead, for which he waits.
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

    bench_check(vow_parallel_for_here(pool, NULL, 0, n, call, vow_ptr(&w)) == NULL);
}

static void
loop_async(size_t n, range_body *body, void *array)
{
    struct work w = {body, array};
    vow_future *f = vow_parallel_for(pool, NULL, 0, n, call, vow_ptr(&w));

    bench_check(vow_get(f).value.as.u64 == n);
    vow_unref(f);
}

struct inside {
    range_loop *loop;
    double us;
};

static vow_result
loop_inside(void *ctx)
{
    struct inside *in = ctx;
    const int loops = bench_size(RANGE_LOOPS);
    double start = bench_ns();

    for (int i = 0; i < loops; i++)
        in->loop(2, range_nothing, NULL);
    in->us = (bench_ns() - start) / loops / 1000;
    return vow_ok(VOW_NIL);
}

/* On a thread of the pool, as a loop in a loop. */
static double
measure_inside(range_loop *body)
{
    struct inside in = {body, 0};
    vow_future *f = vow_submit(pool, loop_inside, vow_ptr(&in));

    bench_check(vow_get(f).error == NULL);
    vow_unref(f);
    return in.us;
}

static void
measure(double *values)
{
    pool = bench_pool();
    range_measure_for(loop, values);
    values[4] = measure_inside(loop);
    range_measure_for(loop_async, values + 5);
    values[9] = measure_inside(loop_async);
    bench_free_pool(pool);
}

int
main(int argc, char **argv)
{
    static const struct bench loops = {"vow",
                                       {RANGE_FOR_FIGURES,
                                        {"parallel_for_inside", "us"},
                                        {"parallel_for_async", "x"},
                                        {"parallel_for_async_uneven", "x"},
                                        {"parallel_for_async_bytes", "x"},
                                        {"parallel_for_async_two", "us"},
                                        {"parallel_for_async_inside", "us"}},
                                       measure,
                                       0};

    return bench_main(&loops, argc, argv);
}
