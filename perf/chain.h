/* SPDX-License-Identifier: MIT */
/*
 * perf/chain.h - a thousand chains of a thousand steps, one at a time: make a
 * pending promise, attach the steps one after another, fulfil it, get the last.
 */
#ifndef VOW_PERF_CHAIN_H
#define VOW_PERF_CHAIN_H

#include "bench.h"

enum { CHAINS = 1000, CHAIN_LINKS = 1000 };

static inline vow_result
chain_add_one(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(in.as.i64 + 1));
}

/* Returns the end of a chain that adds CHAIN_LINKS to what it is given. */
static inline int64_t
chain_pass(vow_executor *on, int64_t value)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_view end;

    for (int i = 0; i < CHAIN_LINKS; i++)
        f = vow_then(f, on, chain_add_one, VOW_NIL);
    vow_promise_fulfill(p, vow_i64(value));
    vow_promise_unref(p);
    end = vow_get(f);
    bench_check(end.error == NULL);
    vow_unref(f);
    return end.value.as.i64;
}

/* Returns nanoseconds a link. */
static inline double
chain_all(vow_executor *on)
{
    int chains = bench_size(CHAINS);
    double start = bench_ns();

    for (int64_t i = 0; i < chains; i++)
        bench_check(chain_pass(on, i) == i + CHAIN_LINKS);
    return (bench_ns() - start) / ((double)chains * CHAIN_LINKS);
}

#endif
