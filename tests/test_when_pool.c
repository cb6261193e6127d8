/* SPDX-License-Identifier: MIT */
/*
 * Combinators and pools: a worker that waits for all of several tasks runs them itself,
 * losers in a queue never start, and what is combined may run anywhere.
 */
#include "support/vow_test.h"

#include <errno.h>

#include "support/drops.h"
#include "support/pool_fixture.h"

static vow_executor *
pool_new(unsigned threads, unsigned spares)
{
    vow_executor *pool =
        vow_pool_new(&VOW_POOL_OPTIONS(.threads = threads, .spares = spares));

    assert_non_null(pool);
    return pool;
}

static uint64_t
spares_of(vow_executor *pool)
{
    vow_pool_stats stats = {.size = sizeof stats};

    assert_int_equal(vow_pool_read_stats(pool, &stats), 0);
    return stats.spares;
}

/* A tree of tasks, each of which waits for its children by one when_all. */
struct tree {
    vow_executor *pool;
    int depth;
    size_t width;
    vow_future *(*combine)(vow_future *const *fs, size_t n);
};

static vow_result
grow(void *ctx)
{
    struct tree *self = ctx;
    struct tree child = *self;
    vow_future *fs[8];
    vow_future *all;
    int64_t leaves = 0;

    if (self->depth == 0)
        return vow_ok(vow_i64(1));
    child.depth--;
    for (size_t i = 0; i < self->width; i++)
        fs[i] = vow_submit(self->pool, grow, vow_ptr(&child));
    all = self->combine(fs, self->width);
    for (size_t i = 0; i < vow_results_count(vow_get_results(all)); i++)
        leaves += vow_results_at(vow_get_results(all), i).value.as.i64;
    vow_unref(all);
    return vow_ok(vow_i64(leaves));
}

static int64_t
leaves_of(struct tree *t)
{
    vow_future *f = vow_submit(t->pool, grow, vow_ptr(t));
    int64_t leaves = vow_get(f).value.as.i64;

    vow_unref(f);
    return leaves;
}

VOW_CASE(worker_runs_what_it_waits_for_all_of)
{
    struct tree t = {pool_new(1, 1), 6, 3, vow_when_all};

    assert_int_equal(leaves_of(&t), 729);
    t.combine = vow_when_all_settled;
    assert_int_equal(leaves_of(&t), 729);
    assert_int_equal(spares_of(t.pool), 0);
    pool_free(t.pool);
}

static vow_future *
all_of_alls(vow_future *const *fs, size_t n)
{
    vow_future *halves[] = {vow_when_all(fs, n / 2),
                            vow_when_all_settled(fs + n / 2, n - n / 2)};
    vow_future *both = vow_when_all(halves, 2);

    vow_get(both);
    return both;
}

static vow_result
wait_nested(void *ctx)
{
    struct tree *self = ctx;
    struct tree leaf = {self->pool, 0, 0, NULL};
    vow_future *fs[6];
    vow_future *all;
    int64_t n;

    for (int i = 0; i < 6; i++)
        fs[i] = vow_submit(self->pool, grow, vow_ptr(&leaf));
    all = all_of_alls(fs, 6);
    n = (int64_t)vow_results_count(vow_get_results(all));
    vow_unref(all);
    return vow_ok(vow_i64(n));
}

VOW_CASE(worker_runs_what_combinators_in_one_another_need)
{
    struct tree t = {pool_new(1, 1), 0, 0, NULL};
    vow_future *f = vow_submit(t.pool, wait_nested, vow_ptr(&t));

    assert_int_equal(vow_get(f).value.as.i64, 2);
    vow_unref(f);
    assert_int_equal(spares_of(t.pool), 0);
    pool_free(t.pool);
}

/* A worker that waits for a race does not run its inputs: any one of them may take for
 * ever. Another thread does. */
static vow_result
wait_for_race(void *ctx)
{
    struct tree *self = ctx; /* a leaf; and it outlives the loser, which may run on */
    vow_future *f = vow_race(VOW_FUTURES(vow_submit(self->pool, grow, vow_ptr(self)),
                                         vow_submit(self->pool, grow, vow_ptr(self))));
    int64_t value = vow_get(f).value.as.i64;

    vow_unref(f);
    return vow_ok(vow_i64(value));
}

enum { SETTLED = 70, PENDING = 70 };

static vow_result
fulfill_or_not(void *promise)
{
    vow_promise_fulfill(promise, VOW_NIL);
    return vow_ok(vow_i64(1));
}

/* The first that a helper could run comes late: after many that have settled, after none,
 * and after one that it cannot run, which settles with the last. */
static vow_result
wait_for_many(void *pool)
{
    vow_promise *p = vow_promise_new();
    vow_future *fs[SETTLED + PENDING];
    vow_future *all;
    size_t fulfilled = 0;

    for (size_t i = 0; i < SETTLED; i++)
        fs[i] = i == 3 ? NULL : vow_resolved(VOW_NIL);
    fs[SETTLED] = vow_promise_future(p);
    for (size_t i = SETTLED + 1; i < SETTLED + PENDING; i++)
        fs[i] = vow_submit(pool, fulfill_or_not,
                           i == SETTLED + PENDING - 1 ? vow_ptr(p) : VOW_NIL);
    all = vow_when_all_settled(fs, SETTLED + PENDING);
    for (size_t i = 0; i < SETTLED + PENDING; i++)
        fulfilled += vow_results_at(vow_get_results(all), i).error == NULL;
    vow_promise_unref(p);
    vow_unref(all);
    return vow_ok(vow_i64((int64_t)fulfilled));
}

VOW_CASE(worker_finds_what_to_run_behind_what_has_settled)
{
    vow_executor *pool = pool_new(1, 1);
    vow_future *f = vow_submit(pool, wait_for_many, vow_ptr(pool));

    assert_int_equal(vow_get(f).value.as.i64, SETTLED + PENDING - 1);
    vow_unref(f);
    pool_free(pool);
}

/* Of joins in one another a worker helps so deep, and then another thread does. */
struct nest {
    vow_executor *pool;
    int depth;
};

static vow_result
wait_deeper(void *ctx)
{
    struct nest *self = ctx;
    struct nest inner = {self->pool, self->depth - 1};
    vow_future *f;
    int64_t depth;

    if (self->depth == 0)
        return vow_ok(vow_i64(0));
    f = vow_submit(self->pool, wait_deeper, vow_ptr(&inner));
    f = vow_when_all(&f, 1);
    depth = vow_results_at(vow_get_results(f), 0).value.as.i64;
    vow_unref(f);
    return vow_ok(vow_i64(depth + 1));
}

VOW_CASE(joins_nested_deeper_than_a_worker_helps_end)
{
    struct nest outer = {pool_new(1, 64), 50};
    vow_future *f = vow_submit(outer.pool, wait_deeper, vow_ptr(&outer));

    assert_int_equal(vow_get(f).value.as.i64, 50);
    vow_unref(f);
    pool_free(outer.pool);
}

VOW_CASE(worker_that_waits_for_a_race_is_replaced)
{
    struct tree t = {pool_new(1, 1), 0, 0, NULL};
    vow_future *f = vow_submit(t.pool, wait_for_race, vow_ptr(&t));

    assert_int_equal(vow_get(f).value.as.i64, 1);
    vow_unref(f);
    pool_free(t.pool);
}

VOW_CASE(tree_on_many_workers_counts_every_leaf)
{
    struct tree t = {pool_new(4, 64), 7, 3, vow_when_all};

    assert_int_equal(leaves_of(&t), 2187);
    pool_free(t.pool);
}

/* Losers. */

static vow_result
never_task(void *ctx)
{
    (void)ctx;
    fail_msg("a task started that had lost");
    return vow_ok(VOW_NIL);
}

VOW_CASE(losers_in_a_queue_never_start)
{
    vow_manual *m = vow_manual_new();
    struct drop ctx = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_race(
        VOW_FUTURES(vow_submit(vow_manual_executor(m), never_task, drop_value(&ctx)),
                    vow_promise_future(p)));

    vow_promise_fulfill(p, vow_i64(3));

    assert_int_equal(vow_get(f).value.as.i64, 3);
    assert_int_equal(drop_count(&ctx), 1);
    vow_manual_run(m);
    vow_unref(f);
    vow_promise_unref(p);
    vow_manual_unref(m);
}

/* A task that says when it runs, and goes on until it is told. */
struct long_task {
    atomic_int begun;
    atomic_int go;
};

static vow_result
run_until_told(void *ctx)
{
    struct long_task *task = ctx;

    atomic_store(&task->begun, 1);
    await_flag(&task->go, 1);
    return vow_ok(vow_i64(1));
}

VOW_CASE(loser_that_runs_is_waited_for_if_asked)
{
    vow_executor *pool = pool_new(1, 1);
    struct long_task task = {0};
    vow_future *runs = vow_submit(pool, run_until_told, vow_ptr(&task));
    vow_future *f;

    await_flag(&task.begun, 1);
    f = vow_race_with(&VOW_COMBINE_OPTIONS(.flags = VOW_WAIT),
                      VOW_FUTURES(runs, vow_resolved(vow_i64(5))));
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    atomic_store(&task.go, 1);
    assert_int_equal(vow_get(f).value.as.i64, 5);
    vow_unref(f);
    pool_free(pool);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(worker_runs_what_it_waits_for_all_of),
        vow_test(worker_runs_what_combinators_in_one_another_need),
        vow_test(worker_finds_what_to_run_behind_what_has_settled),
        vow_test(joins_nested_deeper_than_a_worker_helps_end),
        vow_test(worker_that_waits_for_a_race_is_replaced),
        vow_test(tree_on_many_workers_counts_every_leaf),
        vow_test(losers_in_a_queue_never_start),
        vow_test(loser_that_runs_is_waited_for_if_asked),
    };

    return vow_test_run(cases);
}
