/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_map_reduce.c - one value of many on a pool: a sum of numbers that take some
 * work and a histogram of bytes, each times faster than the same loop on one thread; and
 * what an item costs that comes from a generator through a window. The caller takes part, as
 * in the peers; `_async` has a future instead, for which he waits.
 */
#include "bench.h"

#include "ranges.h"

enum { ITEMS = 2000000, WINDOW = 64 };

static vow_executor *pool;

static vow_result
sum(size_t first, size_t end, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_u64(range_sum(first, end)));
}

static vow_result
add(vow_value a, vow_value b, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_u64(a.as.u64 + b.as.u64));
}

static uint64_t
sum_all(size_t n)
{
    vow_result r = vow_parallel_reduce_here(pool, NULL, 0, n, sum, add, VOW_NIL);

    bench_check(r.error == NULL);
    return r.value.as.u64;
}

static uint64_t
sum_all_async(size_t n)
{
    vow_future *f = vow_parallel_reduce(pool, NULL, 0, n, sum, add, VOW_NIL);
    vow_view r = vow_get(f);

    bench_check(r.error == NULL);
    vow_unref(f);
    return r.value.as.u64;
}

static vow_result
count(size_t first, size_t end, void *bytes)
{
    struct range_histogram *h = calloc(1, sizeof *h);

    bench_check(h != NULL);
    range_count(first, end, bytes, h);
    return vow_ok(vow_own(h, free));
}

static vow_result
add_counts(vow_value a, vow_value b, void *ctx)
{
    (void)ctx;
    range_add_counts(a.as.ptr, b.as.ptr);
    return vow_ok(a);
}

static void
count_all(size_t n, void *bytes, struct range_histogram *h)
{
    vow_result r =
        vow_parallel_reduce_here(pool, NULL, 0, n, count, add_counts, vow_ptr(bytes));

    bench_check(r.error == NULL);
    memcpy(h, r.value.as.ptr, sizeof *h);
    vow_result_drop(r);
}

static void
count_all_async(size_t n, void *bytes, struct range_histogram *h)
{
    vow_future *f =
        vow_parallel_reduce(pool, NULL, 0, n, count, add_counts, vow_ptr(bytes));
    vow_view r = vow_get(f);

    bench_check(r.error == NULL);
    memcpy(h, r.value.as.ptr, sizeof *h);
    vow_unref(f);
}

static bool
give(vow_value *item, void *left)
{
    uint64_t *n = left;

    *item = vow_u64(*n);
    return *n != 0 && (*n)-- != 0;
}

static vow_result
pass(vow_value item, void *ctx)
{
    (void)ctx;
    return vow_ok(item);
}

static double
reduce_items(void)
{
    uint64_t n = (uint64_t)bench_size(ITEMS), left = n;
    double start = bench_ns();
    vow_future *f = vow_map_reduce_from(pool, &VOW_MAP_OPTIONS(.limit = WINDOW), give,
                                        vow_ptr(&left), pass, add, VOW_NIL);

    bench_check(vow_get(f).value.as.u64 == n * (n + 1) / 2);
    vow_unref(f);
    return (bench_ns() - start) / (double)n;
}

static void
measure(double *values)
{
    pool = bench_pool();
    range_measure_reduce(sum_all, count_all, values);
    values[2] = reduce_items();
    range_measure_reduce(sum_all_async, count_all_async, values + 3);
    bench_free_pool(pool);
}

int
main(int argc, char **argv)
{
    static const struct bench reductions = {"vow",
                                            {RANGE_REDUCE_FIGURES,
                                             {"map_reduce_items", "ns/item"},
                                             {"map_reduce_async", "x"},
                                             {"map_reduce_async_histogram", "x"}},
                                            measure,
                                            0};

    return bench_main(&reductions, argc, argv);
}
