/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_parallel_for.c - a loop over an array on a pool: how much faster it is than
 * the same loop on one thread, if all indices cost alike, if later ones cost more, if one
 * costs next to nothing; and what a loop costs that has two indices.
 */
#include "bench.h"

enum { NUMBERS = 4000000, ROWS = 4000, BYTES = 10000000, LOOPS = 20000 };

/* So many multiplications, each waiting for the last. */
static uint64_t
burn(uint64_t x, size_t steps)
{
    for (size_t i = 0; i < steps; i++)
        x = x * 6364136223846793005u + 1442695040888963407u;
    return x;
}

static vow_error *
fill_even(size_t first, size_t end, void *numbers)
{
    for (size_t i = first; i < end; i++)
        ((uint64_t *)numbers)[i] = burn(i, 40);
    return NULL;
}

/* The last row costs twice what one does on average. */
static vow_error *
fill_uneven(size_t first, size_t end, void *numbers)
{
    for (size_t i = first; i < end; i++)
        ((uint64_t *)numbers)[i] = burn(i, 20 * i);
    return NULL;
}

static vow_error *
fill_bytes(size_t first, size_t end, void *bytes)
{
    for (size_t i = first; i < end; i++)
        ((unsigned char *)bytes)[i] = (unsigned char)burn(i, 1);
    return NULL;
}

static vow_error *
nothing(size_t first, size_t end, void *ctx)
{
    (void)first;
    (void)end;
    (void)ctx;
    return NULL;
}

static void
run_loop(vow_executor *pool, size_t n, vow_range_fn *fn, void *array)
{
    vow_future *f = vow_parallel_for(pool, NULL, 0, n, fn, vow_ptr(array));

    bench_check(vow_get(f).value.as.u64 == n);
    vow_unref(f);
}

/* How many times faster; the results are compared. */
static double
compare(vow_executor *pool, size_t n, size_t size, vow_range_fn *fn)
{
    void *here = bench_array(n, size), *there = bench_array(n, size);
    double start = bench_ns(), middle, end;

    bench_check(fn(0, n, here) == NULL);
    middle = bench_ns();
    run_loop(pool, n, fn, there);
    end = bench_ns();
    bench_check(memcmp(here, there, n * size) == 0);
    free(here);
    free(there);
    return (middle - start) / (end - middle);
}

static void
measure(double *values)
{
    vow_executor *pool = bench_pool();
    double start;

    values[0] = compare(pool, NUMBERS, sizeof(uint64_t), fill_even);
    values[1] = compare(pool, ROWS, sizeof(uint64_t), fill_uneven);
    values[2] = compare(pool, BYTES, 1, fill_bytes);
    start = bench_ns();
    for (int i = 0; i < LOOPS; i++)
        run_loop(pool, 2, nothing, NULL);
    values[3] = (bench_ns() - start) / LOOPS / 1000;
    bench_free_pool(pool);
}

int
main(int argc, char **argv)
{
    static const struct bench loop = {"vow",
                                      {{"parallel_for", "x"},
                                       {"parallel_for_uneven", "x"},
                                       {"parallel_for_bytes", "x"},
                                       {"parallel_for_two", "us"}},
                                      measure,
                                      0};

    return bench_main(&loop, argc, argv);
}
