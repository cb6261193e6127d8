/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_fib_join.c - fib(27) by vow_fork_join: each call above 1 forks into two, of
 * which one lies on its stack until it is done or stolen. No future, no cut-off.
 */
#include "bench.h"

enum { N = 27, FIB_OF_N = 196418, SPAWNS = 317810 };

struct call {
    int64_t n, value;
};

static vow_executor *pool;

static vow_error *
fib(void *call)
{
    struct call *c = call;
    struct call a = {.n = c->n - 1}, b = {.n = c->n - 2};
    vow_error *e;

    if (c->n < 2) {
        c->value = c->n;
        return NULL;
    }
    e = vow_fork_join(pool, fib, &a, fib, &b);
    c->value = a.value + b.value;
    return e;
}

static vow_result
fib_of_n(void *ctx)
{
    struct call c = {.n = N};

    (void)ctx;
    bench_check(fib(&c) == NULL);
    return vow_ok(vow_i64(c.value));
}

static void
fork_and_join(double *ns_a_spawn)
{
    vow_future *root;
    double start;

    pool = bench_pool();
    start = bench_ns();
    root = vow_submit(pool, fib_of_n, VOW_NIL);
    bench_check(vow_get(root).value.as.i64 == FIB_OF_N);
    *ns_a_spawn = (bench_ns() - start) / SPAWNS;
    vow_unref(root);
    bench_free_pool(pool);
}

int
main(int argc, char **argv)
{
    static const struct bench fork_join = {
        "vow", {{"fib_join", "ns/spawn"}}, fork_and_join, 0};

    return bench_main(&fork_join, argc, argv);
}
