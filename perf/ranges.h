/* SPDX-License-Identifier: MIT */
/*
 * perf/ranges.h - the loops that parallel_for and map_reduce measure, for vow and its peers.
 */
#ifndef VOW_PERF_RANGES_H
#define VOW_PERF_RANGES_H

#include "measure.h"

enum {
    RANGE_NUMBERS = 4000000, /* that cost alike */
    RANGE_ROWS = 4000,       /* each of which costs more than the one before */
    RANGE_BYTES = 10000000,  /* that cost next to nothing */
    RANGE_LOOPS = 20000,     /* of two indices */
    RANGE_COUNTED = 50000000 /* bytes, for a histogram */
};

struct range_histogram {
    uint64_t of[256];
};

/* So many multiplications, each waiting for the last. */
static inline uint64_t
range_burn(uint64_t x, size_t steps)
{
    for (size_t i = 0; i < steps; i++)
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return x;
}

static inline void
range_fill_even(size_t first, size_t end, void *numbers)
{
    for (size_t i = first; i < end; i++)
        ((uint64_t *)numbers)[i] = range_burn(i, 40);
}

/* The last row costs twice what one does on average. */
static inline void
range_fill_uneven(size_t first, size_t end, void *numbers)
{
    for (size_t i = first; i < end; i++)
        ((uint64_t *)numbers)[i] = range_burn(i, 20 * i);
}

static inline void
range_fill_bytes(size_t first, size_t end, void *bytes)
{
    for (size_t i = first; i < end; i++)
        ((unsigned char *)bytes)[i] = (unsigned char)(range_burn(i, 1) >> 56);
}

/* Never inlined, so that alone and shared out it is the same code: how fast a compiler
 * makes it in one place or the other would count for more than what is measured. */
#define RANGE_SAME_CODE static __attribute__((noinline, unused))

RANGE_SAME_CODE uint64_t
range_sum(size_t first, size_t end)
{
    uint64_t sum = 0;

    for (size_t i = first; i < end; i++)
        sum += range_burn(i, 40);
    return sum;
}

RANGE_SAME_CODE void
range_count(size_t first, size_t end, const void *bytes, struct range_histogram *h)
{
    for (size_t i = first; i < end; i++)
        h->of[((const unsigned char *)bytes)[i]]++;
}

static inline void
range_add_counts(struct range_histogram *a, const struct range_histogram *b)
{
    for (int i = 0; i < 256; i++)
        a->of[i] += b->of[i];
}

/* Runs a body on all of an array, on the threads of whoever is measured. */
typedef void range_body(size_t first, size_t end, void *array);
typedef void range_loop(size_t n, range_body *body, void *array);

/* How many times faster a loop is than its body on one thread; what comes of it is
 * compared. The body is called by a pointer that no compiler can see through, so that
 * alone and shared out it is the same code. */
static inline double
range_compare(size_t n, size_t size, range_body *code, range_loop *loop)
{
    range_body *volatile body = code;
    void *here = bench_array(n, size), *there = bench_array(n, size);
    double start = bench_ns(), middle, end;

    body(0, n, here);
    middle = bench_ns();
    loop(n, body, there);
    end = bench_ns();
    bench_check(memcmp(here, there, n * size) == 0);
    free(here);
    free(there);
    return (middle - start) / (end - middle);
}

static inline void
range_nothing(size_t first, size_t end, void *array)
{
    (void)first;
    (void)end;
    (void)array;
}

#define RANGE_FOR_FIGURES                                                                \
    {"parallel_for", "x"}, {"parallel_for_uneven", "x"}, {"parallel_for_bytes", "x"},    \
    {                                                                                    \
        "parallel_for_two", "us"                                                         \
    }

/* Fills the figures of parallel_for. */
static inline void
range_measure_for(range_loop *loop, double *values)
{
    const int loops = bench_size(RANGE_LOOPS);
    double start;

    values[0] = range_compare((size_t)bench_size(RANGE_NUMBERS), sizeof(uint64_t),
                              range_fill_even, loop);
    values[1] = range_compare((size_t)bench_size(RANGE_ROWS), sizeof(uint64_t),
                              range_fill_uneven, loop);
    values[2] = range_compare((size_t)bench_size(RANGE_BYTES), 1, range_fill_bytes, loop);
    start = bench_ns();
    for (int i = 0; i < loops; i++)
        loop(2, range_nothing, NULL);
    values[3] = (bench_ns() - start) / loops / 1000;
}

#define RANGE_REDUCE_FIGURES                                                             \
    {"map_reduce", "x"},                                                                 \
    {                                                                                    \
        "map_reduce_histogram", "x"                                                      \
    }

typedef uint64_t range_sum_loop(size_t n);
typedef void range_count_loop(size_t n, void *bytes, struct range_histogram *h);

/* Fills the figures of map_reduce. */
static inline void
range_measure_reduce(range_sum_loop *sum, range_count_loop *count, double *values)
{
    const size_t n = (size_t)bench_size(RANGE_NUMBERS);
    const size_t counted = (size_t)bench_size(RANGE_COUNTED);
    void *bytes = bench_array(counted, 1);
    struct range_histogram here = {{0}}, there = {{0}};
    double start = bench_ns(), middle;
    uint64_t expected = range_sum(0, n);

    middle = bench_ns();
    bench_check(sum(n) == expected);
    values[0] = (middle - start) / (bench_ns() - middle);
    range_fill_bytes(0, counted, bytes);
    start = bench_ns();
    range_count(0, counted, bytes, &here);
    middle = bench_ns();
    count(counted, bytes, &there);
    values[1] = (middle - start) / (bench_ns() - middle);
    bench_check(memcmp(&here, &there, sizeof here) == 0);
    free(bytes);
}

#endif
