/* SPDX-License-Identifier: MIT */
/*
 * scenarios_resilience.c - a breaker at its edges, places in a bulkhead, calls that join,
 * the winner of a hedge.
 */
#include <vow/vow.h>

#include "explore.h"

static vow_future *f, *g;
static vow_promise *p, *q;
static int ran; /* plain: who runs one after the other has seen it */

static int
code_of(vow_future *future)
{
    if (vow_future_status(future) == VOW_PENDING)
        return -1;
    return vow_error_code(vow_peek(future).error);
}

/* ---- a breaker -------------------------------------------------------------------------- */

static vow_breaker *breaker;
static vow_ns time_now;
static int changes; /* told of one at a time */

static vow_ns
tells_time(const vow_clock *clock)
{
    (void)clock;
    return time_now;
}

static vow_clock a_clock = {.now = tells_time};

static void
has_changed(vow_breaker *b, vow_breaker_state from, vow_breaker_state to, void *ctx)
{
    (void)b;
    (void)ctx;
    require(from != to);
    changes++;
}

static void
make_breaker(void)
{
    breaker = vow_breaker_new(&VOW_BREAKER_OPTIONS(.consecutive = 2, .seed = 1,
                                                   .clock = &a_clock,
                                                   .on_change = has_changed));
    require(breaker != NULL);
}

static void
end_breaker(void)
{
    vow_breaker_unref(breaker);
}

static void
calls_and_fails(void)
{
    vow_permit permit;

    if (vow_breaker_acquire(breaker, &permit) == 0)
        vow_breaker_report(breaker, &permit, VOW_OUTCOME_FAILURE);
}

static vow_breaker_metrics
what_it_saw(void)
{
    vow_breaker_metrics m = {.size = sizeof m};

    vow_breaker_read(breaker, &m);
    return m;
}

SCENARIO(breaker_trips, 0, "two calls fail at once, which is enough to open it",
         EXPECTED("open, trips 1, told 1", "once, by the second, and somebody is told"))
{
    make_breaker();
    run_threads(calls_and_fails, calls_and_fails);
    outcome("%s, trips %d, told %d",
            vow_breaker_state_of(breaker) == VOW_BREAKER_OPEN ? "open" : "closed",
            (int)what_it_saw().trips, changes);
    end_breaker();
}

static vow_permit early;

static void
fails_late(void)
{
    vow_breaker_report(breaker, &early, VOW_OUTCOME_FAILURE);
}

static void
opens(void)
{
    vow_breaker_force(breaker, VOW_BREAKER_OPEN);
}

SCENARIO(breaker_late, 0, "a call ends as the breaker changes",
         EXPECTED("late 0", "before"), EXPECTED("late 1", "after: it decides nothing"))
{
    make_breaker();
    require(vow_breaker_acquire(breaker, &early) == 0);
    run_threads(fails_late, opens);
    require(vow_breaker_state_of(breaker) == VOW_BREAKER_OPEN && changes == 1);
    outcome("late %d", (int)what_it_saw().late);
    end_breaker();
}

static int let[2];

static void
tries(int i)
{
    vow_permit permit;

    let[i] = vow_breaker_acquire(breaker, &permit) == 0;
    if (let[i])
        vow_breaker_report(breaker, &permit, VOW_OUTCOME_SUCCESS);
}

static void
tries_0(void)
{
    tries(0);
}

static void
tries_1(void)
{
    tries(1);
}

SCENARIO(breaker_probes, 0, "two call when it has been open for long enough",
         EXPECTED("let 1, told 3", "one is the probe, the other came meanwhile"),
         EXPECTED("let 2, told 3", "the other came when the probe had closed it"))
{
    make_breaker();
    opens();
    time_now = vow_seconds(100);
    run_threads(tries_0, tries_1);
    require(vow_breaker_state_of(breaker) == VOW_BREAKER_CLOSED);
    outcome("let %d, told %d", let[0] + let[1], changes);
    end_breaker();
}

static vow_manual *m;

static vow_result
counts(void *ctx)
{
    (void)ctx;
    ran++;
    return vow_ok(VOW_NIL);
}

static void
runs_all(void)
{
    vow_manual_run(m);
}

static void
cancels_f(void)
{
    vow_future_cancel(f, NULL);
}

SCENARIO(breaker_call_cancel, 0, "a call is run by another thread as it is stopped",
         EXPECTED("ran 1, code 0, 1 counts", "it ran"),
         EXPECTED("ran 0, code 4096, 0 counts", "it was stopped first"))
{
    vow_breaker_metrics seen;

    make_breaker();
    m = vow_manual_new();
    f = vow_breaker_call(breaker, vow_manual_executor(m), counts, VOW_NIL);
    run_threads(runs_all, cancels_f);
    seen = what_it_saw();
    require(seen.successes + seen.cancelled == 1);
    outcome("ran %d, code %d, %d counts", ran, code_of(f), (int)seen.successes);
    vow_ignore(f);
    vow_manual_unref(m);
    end_breaker();
}

/* The first time it follows p, then q. */
static vow_result
begins(void *ctx)
{
    (void)ctx;
    return vow_follow(vow_promise_future(ran++ == 0 ? p : q));
}

static void
fulfills_first(void)
{
    vow_promise_fulfill(p, vow_i64(1));
}

/* The job lets go of the call in one thread, the step behind p in the other one. */
SCENARIO(breaker_call_follow, 0, "a call returns a future that another thread settles",
         EXPECTED("code 0, 1 counts", "told once, whoever of the two is the last"))
{
    make_breaker();
    m = vow_manual_new();
    p = vow_promise_new();
    f = vow_breaker_call(breaker, vow_manual_executor(m), begins, VOW_NIL);
    run_threads(runs_all, fulfills_first);
    outcome("code %d, %d counts", code_of(f), (int)what_it_saw().successes);
    vow_unref(f);
    vow_promise_unref(p);
    vow_manual_unref(m);
    end_breaker();
}

/* ---- a bulkhead --------------------------------------------------------------------------- */

static vow_bulkhead *bulkhead;

static void
leaves(void)
{
    vow_bulkhead_leave(bulkhead);
}

static void
make_full(void)
{
    bulkhead = vow_bulkhead_new(&VOW_BULKHEAD_OPTIONS(.limit = 1, .clock = &a_clock));
    require(bulkhead != NULL && vow_bulkhead_enter(bulkhead) == 0);
}

/* Every place is there again. */
static void
end_bulkhead(void)
{
    require(vow_bulkhead_enter(bulkhead) == 0);
    vow_bulkhead_leave(bulkhead);
    vow_bulkhead_unref(bulkhead);
}

SCENARIO(bulkhead_leave_cancel, 0,
         "a place is given up as the call that waits is stopped",
         EXPECTED("ran 1, code 0", "the place was first"),
         EXPECTED("ran 0, code 4096", "stopped first, or on its way: the place goes on"))
{
    make_full();
    f = vow_bulkhead_call(bulkhead, NULL, counts, VOW_NIL);
    run_threads(leaves, cancels_f);
    outcome("ran %d, code %d", ran, code_of(f));
    vow_ignore(f);
    end_bulkhead();
}

static void
calls(void)
{
    f = vow_bulkhead_call(bulkhead, NULL, counts, VOW_NIL);
}

SCENARIO(bulkhead_leave_call, 0, "a call comes as the only place is given up",
         EXPECTED("ran 1, queued 0", "there was a place"),
         EXPECTED("ran 1, queued 1", "it was handed the place"))
{
    vow_bulkhead_metrics m = {.size = sizeof m};

    make_full();
    run_threads(leaves, calls);
    vow_bulkhead_read(bulkhead, &m);
    outcome("ran %d, queued %d", ran, (int)m.queued);
    vow_unref(f);
    end_bulkhead();
}

/* ---- calls that join ------------------------------------------------------------------------ */

static vow_singleflight *flights;
static int runs[2]; /* of each caller's function */

static vow_result
flies(void *ctx)
{
    ++*(int *)ctx;
    return vow_ok(vow_i64(1));
}

static vow_future *
joins(int i)
{
    return vow_singleflight_call(flights, "k", 1, NULL, flies, vow_ptr(&runs[i]));
}

static void
calls_f(void)
{
    f = joins(0);
}

static void
calls_g(void)
{
    g = joins(1);
}

SCENARIO(singleflight_join, 0, "two call for one key",
         EXPECTED("ran 1", "the second joined"), EXPECTED("ran 2", "the first had ended"))
{
    flights = vow_singleflight_new();
    require(flights != NULL);
    run_threads(calls_f, calls_g);
    require(vow_peek(f).value.as.i64 == 1 && vow_peek(g).value.as.i64 == 1);
    outcome("ran %d", runs[0] + runs[1]);
    vow_unref(f);
    vow_unref(g);
    vow_singleflight_unref(flights);
}

static vow_cache *cache;

static void
fulfills_second(void)
{
    vow_promise_fulfill(q, vow_i64(2));
}

static void
gets_g(void)
{
    g = vow_cache_get(cache, "k", 1, NULL, begins, VOW_NIL);
}

SCENARIO(cache_get_cancel, 0, "one who waits for a value leaves as another one comes",
         EXPECTED("ran 1, g 1", "it goes on for the other"),
         EXPECTED("ran 2, g 2", "nobody was left, so it was stopped, and began again"))
{
    cache = vow_cache_new(&VOW_CACHE_OPTIONS(.clock = &a_clock));
    p = vow_promise_new();
    q = vow_promise_new();
    f = vow_cache_get(cache, "k", 1, NULL, begins, VOW_NIL);
    run_threads(cancels_f, gets_g);
    fulfills_first();
    fulfills_second();
    outcome("ran %d, g %d", ran, (int)vow_peek(g).value.as.i64);
    vow_ignore(f);
    vow_ignore(g);
    vow_promise_unref(p);
    vow_promise_unref(q);
    vow_cache_unref(cache);
}

/* ---- a hedge -------------------------------------------------------------------------------- */

static void
rejects_second(void)
{
    vow_promise_reject(q, vow_error_new(5, "x"));
}

static void
begin_both(void)
{
    m = vow_manual_new();
    p = vow_promise_new();
    q = vow_promise_new();
    f = vow_hedge(NULL,
                  &VOW_HEDGE_OPTIONS(.clock = vow_manual_clock(m), .delay = vow_ms(1)),
                  begins, VOW_NIL);
    vow_manual_advance(m, vow_ms(1));
    require(ran == 2);
}

static void
end_both(void)
{
    outcome("%d, code %d", code_of(f) == 0 ? (int)vow_peek(f).value.as.i64 : 0,
            code_of(f));
    vow_ignore(f);
    vow_promise_unref(p);
    vow_promise_unref(q);
    vow_manual_unref(m);
}

SCENARIO(hedge_both_win, 0, "both attempts of a hedge work at once",
         EXPECTED("1, code 0", "the first was first"),
         EXPECTED("2, code 0", "the second"))
{
    begin_both();
    run_threads(fulfills_first, fulfills_second);
    end_both();
}

SCENARIO(hedge_one_fails, 0, "one attempt fails as the other one works",
         EXPECTED("1, code 0", "which decides"))
{
    begin_both();
    run_threads(fulfills_first, rejects_second);
    end_both();
}

SCENARIO(hedge_win_cancel, 0, "an attempt works as the hedge is asked to stop",
         EXPECTED("2, code 0", "it was first"), EXPECTED("0, code 4096", "too late"))
{
    begin_both();
    run_threads(fulfills_second, cancels_f);
    end_both();
}

static int context_dropped;

static vow_result
begins_with(void *dropped)
{
    require(*(int *)dropped == 0);
    return begins(NULL);
}

static void
drops_context(void *dropped)
{
    ++*(int *)dropped;
}

static void
begin_one(void)
{
    m = vow_manual_new();
    p = vow_promise_new();
    q = vow_promise_new();
    f = vow_hedge(NULL,
                  &VOW_HEDGE_OPTIONS(.clock = vow_manual_clock(m), .delay = vow_ms(1)),
                  begins_with, vow_own(&context_dropped, drops_context));
    require(ran == 1);
}

static void
begins_next(void)
{
    vow_manual_advance(m, vow_ms(1));
}

SCENARIO(hedge_begin_win, 0, "an attempt begins as the one before it works",
         EXPECTED("ran 1, code 0", "too late to begin"),
         EXPECTED("ran 2, code 0", "it was stopped"))
{
    begin_one();
    run_threads(begins_next, fulfills_first);
    require(context_dropped == 1);
    outcome("ran %d, code %d", ran, code_of(f));
    vow_ignore(f);
    vow_promise_unref(p);
    vow_promise_unref(q);
    vow_manual_unref(m);
}
