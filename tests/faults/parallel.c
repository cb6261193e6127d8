/* SPDX-License-Identifier: MIT */
/* Scenarios for ranges: whatever fails, all of it is done or the outcome says so. */
#include "vow_test.h"

#include <vow/vow.h>

#include "drops.h"
#include "system.h"

enum { INDICES = 10 };

static atomic_int done;

static vow_error *
count(size_t first, size_t end, void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&done, (int)(end - first));
    return NULL;
}

static void
expect_all_or_error(vow_future *f)
{
    vow_view r = vow_get(f);

    assert_true(r.error != NULL || done == INDICES);
    assert_true(done <= INDICES);
    vow_ignore(f);
}

static void
loop_on_manual(struct drop_set *d)
{
    vow_manual *m = vow_manual_new();
    vow_future *f;

    done = 0;
    f = vow_parallel_for(vow_manual_executor(m), &VOW_RANGE_OPTIONS(.width = 3), 0,
                         INDICES, count, drop_set_new(d));
    if (m != NULL)
        vow_manual_run(m);
    expect_all_or_error(f);
    vow_manual_unref(m);
    vow_ignore(vow_parallel_for(NULL, NULL, 0, 0, count, drop_set_new(d)));
    vow_ignore(vow_parallel_for(NULL, NULL, 1, 0, count, drop_set_new(d)));
}

static void
loop_on_a_pool(struct drop_set *d)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 2));

    done = 0;
    expect_all_or_error(vow_parallel_for(pool, NULL, 0, INDICES, count, drop_set_new(d)));
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    vow_executor_join(pool);
    vow_executor_unref(pool);
}

/* ---- with the caller ----------------------------------------------------------------- */

static void
expect_all(vow_error *e)
{
    assert_null(e);
    assert_int_equal(done, INDICES);
}

static vow_error *
count_and_fail(size_t first, size_t end, void *ctx)
{
    count(first, end, ctx);
    return vow_error_of(VOW_E_LIMIT);
}

static void
loop_here_on_manual(struct drop_set *d)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_manual_executor(m);
    vow_error *e;

    done = 0;
    expect_all(vow_parallel_for_here(on, &VOW_RANGE_OPTIONS(.width = 3), 0, INDICES,
                                     count, drop_set_new(d)));
    e = vow_parallel_for_here(on, &VOW_RANGE_OPTIONS(.width = 3), 0, INDICES,
                              count_and_fail, drop_set_new(d));
    assert_int_equal(vow_error_code(e), VOW_E_LIMIT);
    vow_error_unref(e);
    vow_manual_unref(m);
}

static void
loop_here_on_a_pool(struct drop_set *d)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 2));

    done = 0;
    expect_all(vow_parallel_for_here(pool, NULL, 0, INDICES, count, drop_set_new(d)));
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    vow_executor_join(pool);
    vow_executor_unref(pool);
}

/* ---- one value of many --------------------------------------------------------------- */

static struct drop_set *values;

static vow_result
make_value(size_t first, size_t end, void *ctx)
{
    count(first, end, ctx);
    return vow_ok(drop_set_new(values));
}

static vow_result
map_to_value(vow_value item, void *ctx)
{
    (void)item;
    count(0, 1, ctx);
    return vow_ok(drop_set_new(values));
}

static vow_result
map_to_future(vow_value item, void *ctx)
{
    (void)item;
    count(0, 1, ctx);
    return vow_follow(vow_resolved(drop_set_new(values)));
}

static vow_result
keep_one(vow_value left, vow_value right, void *ctx)
{
    (void)left;
    (void)ctx;
    return vow_ok(right);
}

static void
range_reduced_on_manual(struct drop_set *d)
{
    vow_manual *m = vow_manual_new();
    vow_future *f;

    done = 0;
    values = d;
    f = vow_parallel_reduce(vow_manual_executor(m), &VOW_RANGE_OPTIONS(.width = 3), 0,
                            INDICES, make_value, keep_one, drop_set_new(d));
    if (m != NULL)
        vow_manual_run(m);
    expect_all_or_error(f);
    vow_manual_unref(m);
    vow_ignore(
        vow_parallel_reduce(NULL, NULL, 0, 0, make_value, keep_one, drop_set_new(d)));
}

static void
range_reduced_here(struct drop_set *d)
{
    vow_manual *m = vow_manual_new();
    vow_result r;

    done = 0;
    values = d;
    r = vow_parallel_reduce_here(vow_manual_executor(m), &VOW_RANGE_OPTIONS(.width = 3),
                                 0, INDICES, make_value, keep_one, drop_set_new(d));
    expect_all(r.error);
    vow_result_drop(r);
    vow_manual_unref(m);
}

static vow_future *
reduce_items(vow_executor *on, vow_then_fn *map, struct drop_set *d)
{
    vow_value items[INDICES];

    done = 0;
    values = d;
    for (int i = 0; i < INDICES; i++)
        items[i] = drop_set_new(d);
    return vow_map_reduce(on, &VOW_MAP_OPTIONS(.limit = 3), items, INDICES, map, keep_one,
                          drop_set_new(d));
}

static void
items_reduced_on_manual(struct drop_set *d)
{
    vow_then_fn *const maps[] = {map_to_value, map_to_future};

    for (int i = 0; i < 2; i++) {
        vow_manual *m = vow_manual_new();
        vow_future *f = reduce_items(vow_manual_executor(m), maps[i], d);

        if (m != NULL)
            vow_manual_run(m);
        expect_all_or_error(f);
        vow_manual_unref(m);
    }
}

static void
items_reduced_on_a_pool(struct drop_set *d)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 2));

    expect_all_or_error(reduce_items(pool, map_to_value, d));
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    vow_executor_join(pool);
    vow_executor_unref(pool);
}

#define ROW(name) {#name, name},

const struct scenario parallel_scenarios[] = {PARALLEL_SCENARIOS(ROW){NULL, NULL}};
