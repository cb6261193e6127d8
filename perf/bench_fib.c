/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_fib.c - fib(27) by fork and join: each call above 1 spawns one child
 * as a future, computes the other itself, and joins. No cut-off.
 */
#include "bench.h"

enum { N = 27, FIB_OF_N = 196418, SPAWNS = 317810 };

static vow_executor *pool;

static vow_result fib_task(void *n);

static int64_t
fib(intptr_t n)
{
    vow_future *child;
    int64_t sum;

    if (n < 2)
        return n;
    child = vow_submit(pool, fib_task, vow_ptr((void *)(n - 1)));
    sum = fib(n - 2);
    sum += vow_get(child).value.as.i64;
    vow_unref(child);
    return sum;
}

static vow_result
fib_task(void *n)
{
    return vow_ok(vow_i64(fib((intptr_t)n)));
}

static void
fork_and_join(double *ns_a_spawn)
{
    vow_future *root;
    double start;

    pool = bench_pool();
    start = bench_ns();
    root = vow_submit(pool, fib_task, vow_ptr((void *)(intptr_t)N));
    bench_check(vow_get(root).value.as.i64 == FIB_OF_N);
    *ns_a_spawn = (bench_ns() - start) / SPAWNS;
    vow_unref(root);
    bench_free_pool(pool);
}

int
main(int argc, char **argv)
{
    static const struct bench fork_join = {
        "vow", {{"fib", "ns/spawn"}}, fork_and_join, 0};

    return bench_main(&fork_join, argc, argv);
}
