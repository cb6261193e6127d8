/* SPDX-License-Identifier: MIT */
/**
 * @file pool_fixture.h
 * How a pool of a case begins and ends, and a gate that keeps a worker busy until it is opened: what
 * is queued behind it is then certain.
 */
#ifndef POOL_FIXTURE_H
#define POOL_FIXTURE_H

#include "vow_test.h"

#include <string.h>

#include <vow/vow.h>

#include "drops.h"

/** A pool of so many threads. */
static inline vow_executor *
pool_of(unsigned threads)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = threads));

    assert_non_null(pool);
    return pool;
}

/** Lets a pool do what it has, waits for its threads, and lets go of it. */
static inline void
pool_free(vow_executor *pool)
{
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(pool), 0);
    vow_executor_unref(pool);
}

/** Keeps a worker of a pool busy until it is opened, or several. */
struct gate {
    atomic_int entered;
    atomic_int open;
    vow_future *f;
};

static inline vow_result
wait_at_gate(void *ctx)
{
    struct gate *g = ctx;

    atomic_fetch_add(&g->entered, 1);
    await_flag(&g->open, 1);
    return vow_ok(VOW_NIL);
}

/** Returns when the worker stands at it. */
static inline void
shut(struct gate *g, vow_executor *pool)
{
    memset(g, 0, sizeof *g);
    g->f = vow_submit(pool, wait_at_gate, vow_ptr(g));
    await_flag(&g->entered, 1);
}

static inline void
open_gate(struct gate *g)
{
    atomic_store(&g->open, 1);
    assert_int_equal(code_of(g->f), 0);
    vow_unref(g->f);
}

#endif
