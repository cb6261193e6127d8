/* SPDX-License-Identifier: MIT */
/*
 * Combinators under fire: in each cell four promises, a combinator of any kind over
 * them, one of them twice, perhaps inside another one, perhaps with a loser that never
 * settles. Four threads settle, cancel, attach, read and let go of them in the same
 * order of cells; then each result must be there and each value have been dropped once.
 *
 * The seed is printed; VOW_STRESS_SEED sets it, VOW_STRESS_MS says how long it may
 * take (default 2000).
 */
#include "support/vow_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/drops.h"
#include "support/lanes.h"

enum { THREADS = 4, CELLS = 200, INPUTS = 4 };

struct cell {
    vow_promise *promise[INPUTS];
    vow_future *result;
    vow_future *shared[THREADS]; /* references of the threads to the result */
    struct drop value[INPUTS];
    atomic_int ran; /* a step on the result */
    struct drop ctx;
};

static void
delay(struct dice *d)
{
    volatile unsigned spins = roll(d, 8) == 0 ? roll(d, 2000) : roll(d, 60);

    while (spins > 0)
        spins--;
}

/* ---- making a cell ------------------------------------------------------------------------ */

static vow_future *
combine(struct dice *d, vow_future *const *fs, size_t n)
{
    vow_combine_options opt = VOW_COMBINE_OPTIONS(.flags = roll(d, 4));

    switch (roll(d, 6)) {
    case 0:
        return vow_when_all_with(&opt, fs, n);
    case 1:
        return vow_when_all_settled_with(&opt, fs, n);
    case 2:
        return vow_when_any_with(&opt, fs, n);
    case 3:
        return vow_race_with(&opt, fs, n);
    case 4:
        return vow_any_with(&opt, fs, n);
    default:
        return vow_some_with(&opt, 1 + roll(d, (unsigned)n), fs, n);
    }
}

static vow_future *immortal; /* never settles while cells live */

static void
cell_make(struct cell *c, struct dice *d)
{
    static const struct cell empty;
    vow_future *fs[INPUTS + 2];
    size_t n = INPUTS;

    *c = empty;
    for (size_t i = 0; i < INPUTS; i++) {
        c->promise[i] = vow_promise_new();
        fs[i] = vow_promise_future(c->promise[i]);
    }
    if (roll(d, 3) == 0)
        fs[n++] = vow_ref(fs[roll(d, INPUTS)]);
    if (roll(d, 3) == 0) { /* two of them in one of their own */
        fs[n - 2] = combine(d, &fs[n - 2], 2);
        n--;
    }
    c->result = combine(d, fs, n);
    if (roll(d, 3) == 0)
        c->result = vow_race(VOW_FUTURES(c->result, vow_ref(immortal)));
    for (size_t i = 0; i < THREADS; i++)
        c->shared[i] = vow_ref(c->result);
}

/* ---- what the threads do ------------------------------------------------------------------ */

static vow_result
note_result(vow_view in, void *ctx)
{
    struct drop *d = ctx;
    struct cell *c = (struct cell *)(void *)((char *)d - offsetof(struct cell, ctx));

    (void)in;
    c->ran++;
    return vow_forward();
}

static void
read_result(vow_future *f)
{
    vow_view view = vow_peek(f);

    if (vow_future_status(f) == VOW_REJECTED)
        for (size_t i = 0; i < vow_error_count(view.error); i++)
            (void)vow_error_code(vow_error_at(view.error, i));
}

/* Each thread settles one promise, in one of the ways there are. */
static void
settle(struct cell *c, size_t i, struct dice *d)
{
    switch (roll(d, 4)) {
    case 0:
        vow_promise_reject(c->promise[i], drop_error(&c->value[i], EIO));
        break;
    case 1:
        vow_promise_abandon(c->promise[i]);
        drop_it(&c->value[i]);
        return;
    default:
        vow_promise_fulfill(c->promise[i], drop_value(&c->value[i]));
    }
    vow_promise_unref(c->promise[i]);
}

static void
act(struct cell *c, size_t lane, struct dice *d)
{
    vow_future *f = c->shared[lane];

    delay(d);
    if (lane == 0 && roll(d, 2) == 0) {
        f = vow_handle(f, NULL, note_result, drop_value(&c->ctx));
    } else {
        if (lane == 0)
            drop_it(&c->ctx);
        if (roll(d, 4) == 0)
            vow_future_cancel(f, NULL);
    }
    if (roll(d, 4) == 0)
        read_result(f);
    if (roll(d, 2) == 0) {
        vow_unref(f);
        settle(c, lane, d);
    } else {
        settle(c, lane, d);
        vow_unref(f);
    }
}

static void
cell_check(struct cell *c)
{
    assert_int_not_equal(vow_future_status(c->result), VOW_PENDING);
    read_result(c->result);
    vow_unref(c->result);
    for (size_t i = 0; i < INPUTS; i++)
        assert_int_equal(drop_count(&c->value[i]), 1);
    assert_int_equal(drop_count(&c->ctx), 1);
    assert_true(c->ran <= 1);
}

/* ---- the threads ---------------------------------------------------------------------------- */

static struct cell cells[CELLS];
static uint64_t seed;

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

VOW_CASE(combinators_under_fire_settle_and_drop_each_value_once)
{
    vow_promise *never = vow_promise_new();

    vow_on_unhandled(ignore_unhandled, NULL);
    immortal = vow_promise_future(never);
    lanes_run(&lanes, seed, stress_duration(2000));
    assert_int_equal(vow_future_status(immortal), VOW_PENDING);
    vow_unref(immortal);
    vow_promise_unref(never);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(combinators_under_fire_settle_and_drop_each_value_once),
    };

    seed = stress_seed();
    return vow_test_run(cases);
}
