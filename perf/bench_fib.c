/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_fib.c - fib(27) by fork and join: each call above 1 spawns one child
 * as a future, computes the other itself, and joins. No cut-off.
 */
#include "fib.h"

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
measure(double *ns_a_spawn)
{
    *ns_a_spawn = fork_and_join(fib_task);
}

int
main(int argc, char **argv)
{
    static const struct bench fork_join = {"vow", {{"fib", "ns/spawn"}}, measure, 0};

    return bench_main(&fork_join, argc, argv);
}
