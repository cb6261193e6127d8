/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_fib_join.c - fib(27) by vow_fork_join: each call above 1 forks into two, of
 * which one lies on its stack until it is done or stolen. No future, no cut-off.
 */
#include "fib.h"

struct call {
    int64_t n, value;
};

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
fib_of_n(void *n)
{
    struct call c = {.n = (intptr_t)n};

    bench_check(fib(&c) == NULL);
    return vow_ok(vow_i64(c.value));
}

static void
measure(double *ns_a_spawn)
{
    *ns_a_spawn = fork_and_join(fib_of_n);
}

int
main(int argc, char **argv)
{
    static const struct bench fork_join = {"vow", {{"fib_join", "ns/spawn"}}, measure, 0};

    return bench_main(&fork_join, argc, argv);
}
