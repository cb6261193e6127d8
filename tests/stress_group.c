/* SPDX-License-Identifier: MIT */
/*
 * Groups under fire: in each cell a group, perhaps with a limit, perhaps in another one.
 * One thread posts children, which post more; one adds a future and settles it; one
 * submits a child, and cancels it or lets go of it; one closes, cancels and joins. Then
 * each context must have been dropped once, no limit exceeded, and the join be there.
 *
 * The seed is printed; VOW_STRESS_SEED sets it, VOW_STRESS_MS says how long it may take
 * (default 1000).
 */
#include "support/vow_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/drops.h"
#include "support/lanes.h"
#include "support/pool_fixture.h"

enum { THREADS = 4, CELLS = 50, CHILDREN = 8 };

struct cell {
    vow_group *group;
    vow_group *handle[THREADS];
    vow_group *outer;
    vow_future *join;
    vow_promise *promise;
    int limit;
    atomic_int running, most;
    struct drop ctx[CHILDREN];
    struct drop value;
};

static vow_executor *pool;

static vow_executor *
somewhere(struct dice *d)
{
    return roll(d, 2) == 0 ? pool : NULL;
}

/* ---- children --------------------------------------------------------------------------- */

struct child {
    struct drop *ctx;
    struct cell *cell;
    unsigned kind;
};

static struct child children[CELLS][CHILDREN];

static void
drop_child(void *child)
{
    drop_it(((struct child *)child)->ctx);
}

static void
enter(struct cell *c)
{
    int now = atomic_fetch_add(&c->running, 1) + 1;
    int most = atomic_load(&c->most);

    while (now > most && !atomic_compare_exchange_weak(&c->most, &most, now))
        ;
}

static vow_result
run_child(void *child)
{
    struct child *n = child;
    struct cell *c = n->cell;
    size_t i = (size_t)(n->ctx - c->ctx);

    if (c->limit != 0)
        enter(c);
    drop_ran(n->ctx);
    if (i < CHILDREN / 2) { /* it adds one more */
        struct child *more = n + CHILDREN / 2;

        vow_group_post(c->group, n->kind % 2 == 0 ? pool : NULL, run_child,
                       vow_own(more, drop_child));
    }
    if (c->limit != 0)
        atomic_fetch_sub(&c->running, 1);
    if (n->kind == 0)
        return vow_fail(EIO, "child");
    return n->kind == 1 ? vow_check_cancelled() : vow_ok(VOW_NIL);
}

/* A child that never got to add the one more drops that as well. */
static void
drop_unless_ran(struct child *n)
{
    if (atomic_load(&n->ctx->ran) == 0)
        drop_it((n + CHILDREN / 2)->ctx);
}

/* ---- what the threads do ---------------------------------------------------------------- */

static struct cell cells[CELLS];
static uint64_t seed;

static vow_value
child_of(struct cell *c, size_t i)
{
    return vow_own(&children[c - cells][i], drop_child);
}

static void
post_children(struct cell *c, struct dice *d)
{
    for (size_t i = 0; i < CHILDREN / 2 - 1; i++)
        vow_group_post(c->group, somewhere(d), run_child, child_of(c, i));
}

static void
add_future(struct cell *c, struct dice *d)
{
    vow_group_add(c->group, vow_promise_future(c->promise));
    if (roll(d, 4) == 0) {
        vow_promise_reject(c->promise, vow_error_new(EPERM, "promise"));
        drop_it(&c->value);
    } else {
        vow_promise_fulfill(c->promise, drop_value(&c->value));
    }
    vow_promise_unref(c->promise);
}

static void
submit_child(struct cell *c, struct dice *d)
{
    vow_future *f = vow_group_submit(c->group, somewhere(d), run_child,
                                     child_of(c, CHILDREN / 2 - 1));

    if (roll(d, 3) == 0)
        vow_future_cancel(f, NULL);
    vow_unref(f);
}

static void
join_group(struct cell *c, struct dice *d)
{
    if (roll(d, 4) == 0)
        vow_group_close(c->group);
    if (roll(d, 4) == 0)
        vow_group_cancel(c->group, vow_error_new(EINTR, "enough"));
    c->join = vow_group_join(vow_group_ref(c->group));
    if (roll(d, 4) == 0)
        vow_future_cancel(c->join, NULL);
}

static void
act(struct cell *c, size_t lane, struct dice *d)
{
    static void (*const lanes[THREADS])(struct cell * c, struct dice * d) = {
        post_children, add_future, submit_child, join_group};

    lanes[lane](c, d);
    vow_group_unref(c->handle[lane]);
}

/* ---- cells ------------------------------------------------------------------------------ */

static void
cell_make(struct cell *c, struct dice *d)
{
    static const struct cell empty;
    size_t at = (size_t)(c - cells);

    *c = empty;
    c->limit = (int)roll(d, 3);
    c->outer = roll(d, 3) == 0 ? vow_group_new(NULL) : NULL;
    c->group =
        vow_group_new(&VOW_GROUP_OPTIONS(.limit = (size_t)c->limit, .parent = c->outer,
                                         .flags = roll(d, 2) == 0 ? VOW_KEEP_OTHERS : 0));
    c->promise = vow_promise_new();
    for (size_t i = 0; i < THREADS; i++)
        c->handle[i] = i == 0 ? c->group : vow_group_ref(c->group);
    for (size_t i = 0; i < CHILDREN; i++)
        children[at][i] = (struct child){&c->ctx[i], c, roll(d, 8)};
}

static void
cell_check(struct cell *c)
{
    const vow_error *e = vow_get(c->join).error;

    for (size_t i = 0; i < vow_error_count(e); i++)
        assert_non_null(vow_error_at(e, i));
    if (c->outer != NULL) {
        vow_future *f = vow_group_join(c->outer);

        assert_int_equal(vow_error_code(vow_get(f).error) != 0, e != NULL);
        vow_unref(f);
    }
    vow_unref(c->join);
    for (size_t i = 0; i < CHILDREN / 2; i++)
        drop_unless_ran(&children[c - cells][i]);
    for (size_t i = 0; i < CHILDREN; i++)
        assert_int_equal(drop_count(&c->ctx[i]), 1);
    assert_int_equal(drop_count(&c->value), 1);
    assert_true(c->limit == 0 || c->most <= c->limit);
}

/* ---- the threads ------------------------------------------------------------------------ */

static void
make_cells(struct dice *d)
{
    for (size_t i = 0; i < CELLS; i++)
        cell_make(&cells[i], d);
}

static void
act_on_cells(size_t lane, struct dice *d)
{
    for (size_t i = 0; i < CELLS; i++)
        act(&cells[i], lane, d);
}

static void
check_cells(void)
{
    for (size_t i = 0; i < CELLS; i++)
        cell_check(&cells[i]);
}

static struct lanes lanes = {
    .count = THREADS, .make = make_cells, .act = act_on_cells, .check = check_cells};

static void
ignore_unhandled(const vow_unhandled *u, void *ctx)
{
    (void)u;
    (void)ctx;
}

VOW_CASE(groups_under_fire_end_and_drop_each_context_once)
{
    vow_on_unhandled(ignore_unhandled, NULL);
    pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 3));
    lanes_run(&lanes, seed, stress_duration(1000));
    pool_free(pool);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(groups_under_fire_end_and_drop_each_context_once),
    };

    seed = stress_seed();
    return vow_test_run(cases);
}
