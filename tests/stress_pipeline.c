/* SPDX-License-Identifier: MIT */
/*
 * Pipelines under fire: each has stages of any width, buffer, order, policy and executor,
 * and a feed of any kind; its functions go on, replace, fail, and follow what another
 * thread settles. Meanwhile threads send, close, cancel, drain, read and let go. Then all
 * must have come to rest: every item dropped once, and told of once; never more in flight
 * than there are places, nor more in a function than its width.
 *
 * The seed is printed; VOW_STRESS_SEED sets it, VOW_STRESS_MS says how long it may take
 * (default 2000).
 */
#include "support/vow_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/drops.h"
#include "support/lanes.h"
#include "support/pool_fixture.h"

enum { ITEMS = 40, STAGES = 4 };

struct part { /* of a run, a stage's */
    struct drop ctx;
    size_t width;
    atomic_int running;
};

static struct {
    struct drop item[ITEMS];
    struct drop copy[ITEMS][STAGES]; /* what replaces it in a stage */
    atomic_int copies[ITEMS][STAGES];
    struct part part[STAGES];
    struct drop feed;
    atomic_size_t drawn, told[4];
    atomic_bool telling;
    vow_channel *channel;
    vow_pipeline *p;
    vow_future *f;
    vow_executor *pool, *serial;
    uint64_t seed;
} run;

/* Different in each call, the same for a seed as far as threads allow. */
static unsigned
chance(unsigned sides)
{
    static atomic_ullong calls;
    struct dice d = {(run.seed + atomic_fetch_add(&calls, 1) * 0x9e3779b97f4a7c15u) | 1};

    roll(&d, 2);
    return roll(&d, sides);
}

/* ---- stages ---------------------------------------------------------------------------- */

static size_t
index_of(const void *item)
{
    const char *first = (const char *)run.item, *copies = (const char *)run.copy;
    size_t at = (size_t)((const char *)item - first);

    return at < sizeof run.item
               ? at / sizeof run.item[0]
               : (size_t)((const char *)item - copies) / sizeof run.copy[0];
}

static vow_result
settle_later(void *ctx)
{
    vow_promise *p = ctx;

    if (chance(6) == 0)
        vow_promise_reject(p, vow_error_new(EIO, "later"));
    else
        vow_promise_fulfill(p, VOW_NIL);
    return vow_ok(VOW_NIL);
}

static void
unref_promise(void *p)
{
    vow_promise_unref(p);
}

static vow_result
keep_input(vow_value nothing, void *item)
{
    (void)nothing;
    return vow_ok(vow_ptr(item));
}

/* Goes on when another task has settled a promise. */
static vow_result
follow(void *item)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    vow_ignore(vow_submit(run.pool, settle_later, vow_own(p, unref_promise)));
    return vow_follow(vow_then(f, NULL, keep_input, vow_ptr(item)));
}

static vow_result
work(vow_value v, void *ctx)
{
    struct part *part = (struct part *)(void *)((char *)ctx - offsetof(struct part, ctx));
    size_t i = index_of(v.as.ptr), stage = (size_t)(part - run.part);
    vow_result r = vow_forward();
    unsigned dice = chance(16);

    assert_true((size_t)atomic_fetch_add(&part->running, 1) < part->width);
    assert_int_equal(drop_count(ctx), 0);
    assert_int_equal(drop_count(v.as.ptr), 0);
    if (dice == 0)
        r = vow_fail(EIO, "no");
    else if (dice < 5)
        r = follow(v.as.ptr);
    else if (dice < 9 && atomic_fetch_add(&run.copies[i][stage], 1) == 0)
        r = vow_ok(drop_value(&run.copy[i][stage]));
    atomic_fetch_sub(&part->running, 1);
    return r;
}

/* ---- what is told ------------------------------------------------------------------------ */

static void
tell(size_t how)
{
    assert_false(atomic_exchange(&run.telling, true));
    run.told[how]++;
    atomic_store(&run.telling, false);
}

static void
sink(size_t index, vow_value v, void *ctx)
{
    (void)ctx;
    assert_int_equal(index_of(v.as.ptr), index);
    tell(0);
    vow_value_drop(v);
}

static void
report(const vow_failed_item *failed, void *ctx)
{
    (void)ctx;
    assert_int_equal(index_of(failed->item.as.ptr), failed->index);
    tell(1);
}

static void
divert(const vow_failed_item *failed, void *ctx)
{
    (void)ctx;
    assert_int_equal(index_of(failed->item.as.ptr), failed->index);
    tell(2);
    vow_value_drop(failed->item);
}

static void
dropped(size_t index, vow_value v, void *ctx)
{
    (void)ctx;
    assert_int_equal(index_of(v.as.ptr), index);
    tell(3);
}

/* ---- a run --------------------------------------------------------------------------------- */

static bool
next(vow_value *v, void *ctx)
{
    size_t i = run.drawn;

    assert_int_equal(drop_count(ctx), 0);
    if (i == ITEMS)
        return false;
    run.drawn = i + 1;
    *v = drop_value(&run.item[i]);
    return true;
}

static vow_executor *
some_executor(void)
{
    vow_executor *const all[] = {run.pool, run.pool, run.serial, NULL};

    return all[chance(4)];
}

static void
forget(void)
{
    memset(run.item, 0, sizeof run.item);
    memset(run.copy, 0, sizeof run.copy);
    memset(run.copies, 0, sizeof run.copies);
    memset(run.part, 0, sizeof run.part);
    memset(&run.feed, 0, sizeof run.feed);
    memset(run.told, 0, sizeof run.told);
    run.drawn = 0;
}

static void
start(struct dice *unused)
{
    vow_stage stages[STAGES];
    size_t n = 1 + chance(STAGES);

    (void)unused;
    forget();
    for (size_t i = 0; i < n; i++) {
        stages[i] = (vow_stage)VOW_STAGE(.on = some_executor(), .fn = work,
                                         .ctx = drop_value(&run.part[i].ctx),
                                         .width = 1 + chance(3), .buffer = chance(3),
                                         .unordered = chance(2) != 0,
                                         .on_error = chance(4) == 0 ? VOW_STAGE_STOP
                                                                    : 1 + (int)chance(2));
        run.part[i].width = stages[i].width;
    }
    run.channel = chance(2) != 0 ? vow_channel_new(chance(3)) : NULL;
    run.p =
        vow_pipeline_new(&VOW_PIPELINE_OPTIONS(.sink = sink, .report = report,
                                               .divert = divert, .dropped = dropped),
                         &VOW_FEED(.channel = run.channel, .next = next,
                                   .ctx = drop_value(&run.feed), .on = some_executor()),
                         stages, n);
    run.f = vow_pipeline_future(run.p);
}

static void
require_once(struct drop *d, bool made)
{
    assert_int_equal(drop_count(d), made);
}

/* All has come to rest: what is not dropped yet never will be. */
static void
check(void)
{
    vow_pipeline_figures f = {.size = sizeof f};

    vow_wait(run.f, VOW_FOREVER);
    assert_int_equal(vow_pipeline_read(run.p, &f), 0);
    assert_int_equal(f.in_flight, 0);
    assert_true(f.peak <= f.places);
    assert_int_equal(f.finished, run.told[0]);
    assert_int_equal(f.skipped, run.told[1]);
    assert_int_equal(f.diverted, run.told[2]);
    assert_int_equal(f.dropped, run.told[3]);
    assert_int_equal(f.drawn, f.finished + f.skipped + f.diverted + f.dropped);
    vow_ignore(run.f);
    vow_pipeline_unref(run.p);
    vow_channel_unref(run.channel);
    for (size_t i = 0; i < ITEMS; i++) {
        require_once(&run.item[i], i < run.drawn);
        for (size_t s = 0; s < STAGES; s++)
            require_once(&run.copy[i][s], run.copies[i][s] != 0);
    }
    for (size_t s = 0; s < STAGES; s++)
        require_once(&run.part[s].ctx, run.part[s].width != 0);
    require_once(&run.feed, true);
}

/* ---- the threads ----------------------------------------------------------------------------- */

static void
delay(struct dice *d)
{
    volatile unsigned spins = roll(d, 3000);

    while (spins > 0)
        spins--;
}

/* One of them sends, in order; the other one is up to something. */
static void
send_all(struct dice *d)
{
    if (run.channel == NULL)
        return;
    while (run.drawn < ITEMS && vow_future_status(run.f) == VOW_PENDING) {
        size_t i = run.drawn++;
        vow_future *sent = vow_channel_send(run.channel, drop_value(&run.item[i]));

        while (vow_future_status(run.f) == VOW_PENDING && !vow_wait(sent, vow_ms(1)))
            ;
        vow_future_cancel(sent, NULL);
        vow_ignore(sent);
        if (roll(d, 60) == 0)
            break;
    }
    vow_channel_close(run.channel);
}

static void
disturb(struct dice *d)
{
    vow_pipeline_figures f = {.size = sizeof f};
    vow_pipeline *p = vow_pipeline_ref(run.p);

    for (int i = 0; i < 3; i++) {
        delay(d);
        assert_int_equal(vow_pipeline_read(p, &f), 0);
        assert_true(f.in_flight <= f.places);
    }
    switch (roll(d, 4)) {
    case 0:
        vow_future_cancel(run.f, NULL);
        break;
    case 1:
        vow_pipeline_drain(p);
        break;
    default:
        break;
    }
    vow_pipeline_unref(p);
}

static void
act(size_t lane, struct dice *d)
{
    (lane == 0 ? send_all : disturb)(d);
}

static struct lanes lanes = {.count = 2, .make = start, .act = act, .check = check};

VOW_CASE(pipelines_under_fire_come_to_rest_and_lose_nothing)
{
    run.pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 3));
    run.serial = vow_serial_new(run.pool);
    lanes_run(&lanes, run.seed, stress_duration(2000));
    pool_free(run.serial);
    pool_free(run.pool);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(pipelines_under_fire_come_to_rest_and_lose_nothing),
    };

    run.seed = stress_seed();
    return vow_test_run(cases);
}
