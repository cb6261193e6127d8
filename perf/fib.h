/* SPDX-License-Identifier: MIT */
/* perf/fib.h - what is measured of fib(27) by fork and join, however its calls fork. */
#ifndef VOW_FIB_H
#define VOW_FIB_H

#include "bench.h"

enum { N = 27, FIB_OF_N = 196418, SPAWNS = 317810 };

static vow_executor *pool;

/* Has a task compute it on the pool; returns the ns a spawn. */
static inline double
fork_and_join(vow_task_fn *fib_of_n)
{
    vow_future *root;
    double start, took;

    pool = bench_pool();
    start = bench_ns();
    root = vow_submit(pool, fib_of_n, vow_ptr((void *)(intptr_t)N));
    bench_check(vow_get(root).value.as.i64 == FIB_OF_N);
    took = bench_ns() - start;
    vow_unref(root);
    bench_free_pool(pool);
    return took / SPAWNS;
}

#endif
