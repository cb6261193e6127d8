/* SPDX-License-Identifier: MIT */
/*
 * perf/peers/openmp.c - OpenMP: loops, reductions and tasks that the compiler makes
 * parallel. No futures, no pool to post to from outside, no timers, no loop.
 */
#include <omp.h>

#include "../ranges.h"
#include "peer.h"

/* In sixteen blocks a thread, which are handed out one by one. */
static size_t
block_of(size_t n)
{
    size_t blocks = (size_t)16 * bench_threads;

    return n > blocks ? n / blocks : 1;
}

static size_t
end_of(size_t first, size_t block, size_t n)
{
    return n - first > block ? first + block : n;
}

static void
loop(size_t n, range_body *body, void *array)
{
    size_t block = block_of(n);

#pragma omp parallel for schedule(dynamic) num_threads(bench_threads)
    for (size_t i = 0; i < n; i += block)
        body(i, end_of(i, block, n), array);
}

static void
parallel_for(double *values)
{
    range_measure_for(loop, values);
}

static uint64_t
sum_all(size_t n)
{
    size_t block = block_of(n);
    uint64_t sum = 0;

#pragma omp parallel for schedule(dynamic) reduction(+ : sum) num_threads(bench_threads)
    for (size_t i = 0; i < n; i += block)
        sum += range_sum(i, end_of(i, block, n));
    return sum;
}

static void
count_all(size_t n, void *bytes, struct range_histogram *h)
{
    uint64_t *of = h->of;
    size_t block = block_of(n);

#pragma omp parallel for schedule(dynamic) reduction(+ : of[:256]) num_threads(bench_threads)
    for (size_t i = 0; i < n; i += block) {
        struct range_histogram mine = {{0}};

        range_count(i, end_of(i, block, n), bytes, &mine);
        for (int k = 0; k < 256; k++)
            of[k] += mine.of[k];
    }
}

static void
map_reduce(double *values)
{
    range_measure_reduce(sum_all, count_all, values);
}

static long
fib(int n)
{
    long child, other;

    if (n < 2)
        return n;
#pragma omp task shared(child)
    child = fib(n - 1);
    other = fib(n - 2);
#pragma omp taskwait
    return child + other;
}

static void
fork_and_join(double *ns)
{
    double start = bench_ns();
    long got = 0;

#pragma omp parallel num_threads(bench_threads)
#pragma omp single
    got = fib(PEER_FIB);
    *ns = (bench_ns() - start) / PEER_FIB_SPAWNS;
    bench_check(got == PEER_FIB_OF_IT);
}

static void
batch(double *times_faster)
{
    int n = bench_size(PEER_JOBS);
    uint64_t expected, got = 0;
    double here = peer_burn_here(n, &expected), start = bench_ns();

#pragma omp parallel for schedule(dynamic) reduction(+ : got) num_threads(bench_threads)
    for (int i = 0; i < n; i++)
        got += peer_burn((uint64_t)i);
    *times_faster = here / (bench_ns() - start);
    bench_check(got == expected);
}

int
main(int argc, char **argv)
{
    static const struct peer_workload all[] = {
        {"parallel_for", {RANGE_FOR_FIGURES}, parallel_for},
        {"map_reduce", {RANGE_REDUCE_FIGURES}, map_reduce},
        {"fib", {{"fib", "ns/spawn"}}, fork_and_join},
        {"batch", {{"batch", "x"}}, batch},
    };

    return PEER_MAIN("openmp", all, argc, argv);
}
