/* SPDX-License-Identifier: MIT */
/* perf/bench.h - what all benchmarks of vow share beside measure.h: its pool. */
#ifndef VOW_PERF_BENCH_H
#define VOW_PERF_BENCH_H

#include <vow/vow.h>

#include "allocator.h"
#include "measure.h"

static inline vow_executor *
bench_pool(void)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = bench_threads));

    bench_check(pool != NULL);
    return pool;
}

/* Waits until everything that was given to the pool has run. */
static inline void
bench_drain(vow_executor *pool)
{
    vow_future *closed = vow_executor_close(pool, VOW_DRAIN);

    bench_check(vow_get(closed).error == NULL);
    vow_unref(closed);
}

static inline void
bench_free_pool(vow_executor *pool)
{
    bench_drain(pool);
    bench_check(vow_executor_join(pool) == 0);
    vow_executor_unref(pool);
}

static inline int
bench_main(const struct bench *b, int argc, char **argv)
{
    use_fast_allocator();
    return bench_measure(b, argc, argv);
}

#endif
