/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_map_reduce.c - one value of many on a pool: a sum of numbers that take some
 * work and a histogram of bytes, each times faster than the same loop on one thread; and
 * what an item costs that comes from a generator through a window.
 */
#include "bench.h"

enum { NUMBERS = 4000000, BYTES = 50000000, ITEMS = 2000000, WINDOW = 64 };

/* So many multiplications, each waiting for the last. */
static uint64_t
burn(uint64_t x, int steps)
{
    for (int i = 0; i < steps; i++)
        x = x * 6364136223846793005u + 1442695040888963407u;
    return x;
}

static vow_result
sum(size_t first, size_t end, void *ctx)
{
    uint64_t s = 0;

    (void)ctx;
    for (size_t i = first; i < end; i++)
        s += burn(i, 40);
    return vow_ok(vow_u64(s));
}

static vow_result
add(vow_value a, vow_value b, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_u64(a.as.u64 + b.as.u64));
}

struct histogram {
    uint64_t of[256];
};

static vow_result
count(size_t first, size_t end, void *bytes)
{
    struct histogram *h = calloc(1, sizeof *h);

    bench_check(h != NULL);
    for (size_t i = first; i < end; i++)
        h->of[((const unsigned char *)bytes)[i]]++;
    return vow_ok(vow_own(h, free));
}

static vow_result
add_counts(vow_value a, vow_value b, void *ctx)
{
    (void)ctx;
    for (int i = 0; i < 256; i++)
        ((struct histogram *)a.as.ptr)->of[i] += ((struct histogram *)b.as.ptr)->of[i];
    return vow_ok(a);
}

/* How many times faster; size bytes of the outcome are compared, or its word. */
static double
compare(vow_executor *pool, size_t n, vow_reduce_fn *map, vow_fold_fn *fold, void *ctx,
        size_t size)
{
    double start = bench_ns(), middle, end;
    vow_result here = map(0, n, ctx);
    vow_future *f;
    vow_view there;

    middle = bench_ns();
    f = vow_parallel_reduce(pool, NULL, 0, n, map, fold, vow_ptr(ctx));
    there = vow_get(f);
    end = bench_ns();
    bench_check(there.error == NULL);
    if (size == 0)
        bench_check(here.value.as.u64 == there.value.as.u64);
    else
        bench_check(memcmp(here.value.as.ptr, there.value.as.ptr, size) == 0);
    vow_result_drop(here);
    vow_unref(f);
    return (middle - start) / (end - middle);
}

static bool
give(vow_value *item, void *next)
{
    uint64_t *n = next;

    *item = vow_u64(*n);
    return (*n)++ < ITEMS;
}

static vow_result
pass(vow_value item, void *ctx)
{
    (void)ctx;
    return vow_ok(item);
}

static double
reduce_items(vow_executor *pool)
{
    uint64_t next = 0;
    double start = bench_ns();
    vow_future *f = vow_map_reduce_from(pool, &VOW_MAP_OPTIONS(.limit = WINDOW), give,
                                        vow_ptr(&next), pass, add, VOW_NIL);

    bench_check(vow_get(f).value.as.u64 == (uint64_t)ITEMS * (ITEMS - 1) / 2);
    vow_unref(f);
    return (bench_ns() - start) / ITEMS;
}

static void
measure(double *values)
{
    vow_executor *pool = bench_pool();
    unsigned char *bytes = bench_array(BYTES, 1);

    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = (unsigned char)(burn(i, 1) >> 56);
    values[0] = compare(pool, NUMBERS, sum, add, NULL, 0);
    values[1] = compare(pool, BYTES, count, add_counts, bytes, sizeof(struct histogram));
    values[2] = reduce_items(pool);
    free(bytes);
    bench_free_pool(pool);
}

int
main(int argc, char **argv)
{
    static const struct bench reduce = {"vow",
                                        {{"map_reduce", "x"},
                                         {"map_reduce_histogram", "x"},
                                         {"map_reduce_items", "ns/item"}},
                                        measure,
                                        0};

    return bench_main(&reduce, argc, argv);
}
