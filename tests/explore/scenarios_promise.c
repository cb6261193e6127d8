/* SPDX-License-Identifier: MIT */
/* scenarios_promise.c - promises and futures: settling, reading, attaching, letting go. */
#include <vow/vow.h>

#include "base/thread.h"
#include "explore.h"
#include "sync/park.h"

static vow_promise *p, *q;
static vow_future *f, *g, *h;
static int ran, seen, won;

/* ---- what the threads do --------------------------------------------------------------- */

static void
fulfills(void)
{
    won += vow_promise_fulfill(p, vow_i64(42)) ? 1 : 0;
    vow_promise_unref(p);
}

static vow_result
notes(vow_value in, void *ctx)
{
    (void)ctx;
    ran++;
    seen = (int)in.as.i64;
    return vow_ok(vow_i64(in.as.i64 + 1));
}

static vow_result
notes_error(const vow_error *error, void *ctx)
{
    (void)ctx;
    ran++;
    seen = vow_error_code(error);
    return vow_ok(VOW_NIL);
}

static void
attaches(void)
{
    g = vow_then(f, NULL, notes, VOW_NIL);
}

static int got;

static void
gets(void)
{
    got = (int)vow_get(f).value.as.i64;
}

static void
gets_and_drops(void)
{
    vow_view view = vow_get(f);

    got = view.error != NULL ? vow_error_code(view.error) : (int)view.value.as.i64;
    vow_unref(f);
}

static void
make(void)
{
    p = vow_promise_new();
    f = vow_promise_future(p);
}

/* ---- settling against reading ----------------------------------------------------------------- */

SCENARIO(fulfill_then, 0, "a step is attached while its source settles",
         EXPECTED("ran 1 with 42, then 43", "once, whoever was first"),
         FORBIDDEN("ran 0 with 0, then 0", "lost step"))
{
    make();
    run_threads(fulfills, attaches);
    outcome("ran %d with %d, then %d", ran, seen, (int)vow_get(g).value.as.i64);
    vow_unref(g);
}

SCENARIO(fulfill_get, 0, "a thread sleeps for what another one fulfills",
         EXPECTED("got 42", "awake in time, or not asleep yet"))
{
    make();
    run_threads(fulfills, gets_and_drops);
    outcome("got %d", got);
}

static void
gets_napping(void)
{
    vowi_self()->reads = 9; /* it has read future after future, */
    vowi_self()->wait = 1;  /* each after a short while, for which it slept */
    require(vowi_parker_init(&vowi_self()->parker) == 0);
    gets_and_drops();
}

SCENARIO(fulfill_get_napping, 0, "the same, and the thread only reads",
         EXPECTED("got 42", "settled before the nap, in it, or after it"))
{
    make();
    run_threads(fulfills, gets_napping);
    outcome("got %d", got);
}

SCENARIO(fulfill_then_get, 0, "one settles, one attaches, one sleeps",
         EXPECTED("ran 1 with 42, got 42", "both are told"))
{
    make();
    h = vow_ref(f);
    run_threads(fulfills, attaches, gets);
    vow_unref(h);
    vow_unref(g);
    outcome("ran %d with %d, got %d", ran, seen, got);
}

static void
gets_step(void)
{
    got = (int)vow_get(g).value.as.i64;
}

SCENARIO(fulfill_step_get, 0, "a thread sleeps for a step that another one runs",
         EXPECTED("ran 1, got 43", "awake after the step"))
{
    make();
    attaches();
    run_threads(fulfills, gets_step);
    vow_unref(g);
    outcome("ran %d, got %d", ran, got);
}

static int won_by[2];

static void
fulfills_1(void)
{
    won_by[0] = vow_promise_fulfill(p, vow_i64(1)) ? 1 : 0;
    vow_promise_unref(p);
}

static void
fulfills_2(void)
{
    won_by[1] = vow_promise_fulfill(p, vow_i64(2)) ? 1 : 0;
    vow_promise_unref(p);
}

SCENARIO(fulfill_fulfill, 0, "two threads settle one promise",
         EXPECTED("1 0: 1", "the first one wins"), EXPECTED("0 1: 2", "or the second"))
{
    make();
    p = vow_promise_ref(p);
    run_threads(fulfills_1, fulfills_2);
    outcome("%d %d: %d", won_by[0], won_by[1], (int)vow_peek(f).value.as.i64);
    vow_unref(f);
}

static void
drops_promise(void)
{
    vow_promise_unref(p);
}

static void
catches(void)
{
    g = vow_catch(f, NULL, notes_error, VOW_NIL);
}

SCENARIO(break_catch, 0, "the last promise goes while a step is attached",
         EXPECTED("ran 1 with 4098", "the broken promise is told once"))
{
    make();
    run_threads(drops_promise, catches);
    vow_unref(g);
    outcome("ran %d with %d", ran, seen);
}

SCENARIO(fulfill_break, 0, "one of two promise references settles, one goes",
         EXPECTED("won 1, got 42", "there was still one"))
{
    make();
    p = vow_promise_ref(p);
    run_threads(fulfills, drops_promise);
    outcome("won %d, got %d", won, (int)vow_peek(f).value.as.i64);
    vow_unref(f);
}

SCENARIO(break_break_get, 0, "two promise references go while a thread sleeps",
         EXPECTED("got 4098", "broken once, and told"))
{
    make();
    p = vow_promise_ref(p);
    run_threads(drops_promise, drops_promise, gets_and_drops);
    outcome("got %d", got);
}

static int dropped;

static void
drops_value(void *ptr)
{
    (void)ptr;
    dropped++;
}

static void
fulfills_owned(void)
{
    vow_promise_fulfill(p, vow_own(&won, drops_value));
    vow_promise_unref(p);
}

static void
drops_future(void)
{
    vow_unref(f);
}

SCENARIO(fulfill_drop, 0, "the future goes while its promise is fulfilled",
         EXPECTED("dropped 1", "the value is freed once"))
{
    make();
    run_threads(fulfills_owned, drops_future);
    outcome("dropped %d", dropped);
}

static void
drops_other(void)
{
    vow_unref(h);
}

SCENARIO(fulfill_then_drop, 0, "a step is attached and a future goes while it settles",
         EXPECTED("ran 1, dropped 1", "neither disturbs the other"))
{
    make();
    h = vow_ref(f);
    run_threads(fulfills_owned, attaches, drops_other);
    vow_unref(g);
    outcome("ran %d, dropped %d", ran, dropped);
}

static void
attaches_and_drops(void)
{
    vow_unref(vow_then(f, NULL, notes, VOW_NIL));
}

SCENARIO(fulfill_then_forget, CAN_FAIL, "a step whose result nobody wants",
         EXPECTED("ran 1", "it runs all the same"),
         ALLOWED("ran 0", "only without memory for it"))
{
    make();
    if (p == NULL)
        return (void)outcome("ran 0");
    run_threads(fulfills, attaches_and_drops);
    outcome("ran %d", ran);
}

/* ---- with a time-out ------------------------------------------------------------------------------- */

static bool in_time, settled;

static void
waits(void)
{
    in_time = vow_wait(f, 1000000);
    settled = vow_future_status(f) == VOW_FULFILLED;
    vow_unref(f);
}

static void
only_fulfills(void)
{
    vow_promise_fulfill(p, vow_i64(42));
    vow_promise_unref(p);
}

SCENARIO(fulfill_wait, 0, "a wait with a deadline against the settling",
         EXPECTED("true, settled", "in time"), EXPECTED("false, pending", "too late"),
         EXPECTED("false, settled", "just now"))
{
    make();
    run_threads(only_fulfills, waits);
    outcome("%s, %s", in_time ? "true" : "false", settled ? "settled" : "pending");
}

SCENARIO(fulfill_wait_get, 0, "a sleeper gives up beside one that does not",
         EXPECTED("got 42", "who stays is told"))
{
    make();
    g = vow_ref(f);
    run_threads(only_fulfills, waits, gets_step);
    vow_unref(g);
    outcome("got %d", got);
}

/* ---- from within -------------------------------------------------------------------------------------- */

static vow_result
lets_go(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    ran++;
    vow_promise_unref(p);
    vow_unref(h);
    return vow_ok(VOW_NIL);
}

static void
settles(void)
{
    vow_promise_fulfill(q, vow_i64(1));
    vow_promise_unref(q);
}

static void
attaches_step(void)
{
    vow_unref(vow_then(f, NULL, lets_go, VOW_NIL));
}

SCENARIO(self_destruct, 0, "a step lets go of its own promise and future",
         EXPECTED("ran 1", "the state lives until the step has returned"))
{
    make();
    q = vow_promise_ref(p);
    h = vow_ref(f);
    run_threads(settles, attaches_step);
    outcome("ran %d", ran);
}

/* ---- following ------------------------------------------------------------------------------------------- */

static void
resolves_outer(void)
{
    vow_promise_resolve(p, vow_follow(h));
    vow_promise_unref(p);
}

static void
settles_inner(void)
{
    vow_promise_fulfill(q, vow_own(&won, drops_value));
    vow_promise_unref(q);
}

static void
make_both(void)
{
    make();
    q = vow_promise_new();
    h = vow_promise_future(q);
}

SCENARIO(follow_settle_drop, 0, "outer follows inner, inner settles, outer's future goes",
         EXPECTED("dropped 1", "the value is freed once"))
{
    make_both();
    run_threads(resolves_outer, settles_inner, drops_future);
    outcome("dropped %d", dropped);
}

SCENARIO(follow_settle_get, 0, "outer follows inner, inner settles, a thread sleeps",
         EXPECTED("status 1, dropped 0", "it settles as inner does"))
{
    make_both();
    run_threads(resolves_outer, settles_inner, gets);
    outcome("status %d, dropped %d", (int)vow_future_status(f), dropped);
    vow_unref(f);
    require(dropped == 1);
}

SCENARIO(follow_settle_then, 0, "outer follows inner, inner settles, a step is attached",
         EXPECTED("ran 1, dropped 1", "it settles as inner does"))
{
    make_both();
    run_threads(resolves_outer, settles_inner, attaches);
    vow_unref(g);
    outcome("ran %d, dropped %d", ran, dropped);
}

/* Two promises that each follow the other's future. */
static void
follows_q(void)
{
    vow_promise_resolve(p, vow_follow(h));
    vow_promise_unref(p);
}

static void
follows_p(void)
{
    vow_promise_resolve(q, vow_follow(g));
    vow_promise_unref(q);
}

static int
code_of(vow_future *future)
{
    if (vow_future_status(future) == VOW_PENDING)
        return -1;
    return vow_error_code(vow_peek(future).error);
}

static void
leaves_source(void)
{
    vow_future_cancel(f, NULL);
    vow_unref(f);
}

/* q has a step on it, so whoever follows with it looks for a ring, as far up as p. */
SCENARIO(follow_walk_leave, 0,
         "the source of what is followed is left while a ring is looked for",
         EXPECTED("asked", "who looks is none who wants it"),
         FORBIDDEN("goes on", "taken for wanted"))
{
    make();
    g = vow_then(f, NULL, notes, VOW_NIL);
    f = vow_ref(g);
    q = vow_promise_new();
    h = vow_then(vow_promise_future(q), NULL, notes, VOW_NIL);

    run_threads(follows_p, leaves_source);
    outcome(vow_promise_fulfill(p, VOW_NIL) ? "goes on" : "asked");
    vow_promise_unref(p);
    vow_unref(h);
}

SCENARIO(ring_of_two, 0, "two threads close a ring of two promises",
         EXPECTED("4101 4101", "each is told that it waits for itself"))
{
    make_both();
    g = vow_ref(f);
    vow_future *keeps_q = vow_ref(h);

    run_threads(follows_q, follows_p);
    outcome("%d %d", code_of(f), code_of(keeps_q));
    vow_unref(f);
    vow_unref(keeps_q);
}

SCENARIO(ring_of_two_alone, 0, "the same with nobody looking",
         EXPECTED("done", "nothing leaks"))
{
    make_both();
    g = f;
    run_threads(follows_q, follows_p);
    outcome("done");
}

/* ---- stopping -------------------------------------------------------------------------------------------------- */

static void
cancels(void)
{
    vow_future_cancel(g, NULL);
    vow_unref(g);
}

static void
fulfills_if_first(void)
{
    vow_promise_fulfill(p, vow_own(&won, drops_value));
    vow_promise_unref(p);
}

SCENARIO(fulfill_cancel, 0, "a promise is asked to stop while it is fulfilled",
         EXPECTED("settled with 0, dropped 1", "fulfilled first"),
         EXPECTED("settled with 4096, dropped 1", "stopped first"))
{
    make();
    g = vow_ref(f);
    run_threads(fulfills_if_first, cancels);

    int code = code_of(f);

    vow_unref(f);
    outcome("settled with %d, dropped %d", code, dropped);
}

static void
drops_ctx(void *ptr)
{
    (void)ptr;
    seen++;
}

static vow_result
counts(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    ran++;
    return vow_ok(VOW_NIL);
}

SCENARIO(fulfill_cancel_step, 0, "a step is asked to stop while its source settles",
         EXPECTED("ran 0, ctx 1, code 4096", "stopped before it ran"),
         EXPECTED("ran 1, ctx 1, code 0", "it ran before"))
{
    make();
    g = vow_then(f, NULL, counts, vow_own(&seen, drops_ctx));
    h = vow_ref(g);
    run_threads(fulfills, cancels);

    int code = code_of(h);

    vow_unref(h);
    outcome("ran %d, ctx %d, code %d", ran, seen, code);
}

SCENARIO(follow_wait, 0, "outer begins to follow while who waits for it gives up",
         EXPECTED("false, pending", "too late"))
{
    make_both();
    g = vow_ref(f);
    run_threads(resolves_outer, waits);
    outcome("%s, %s", in_time ? "true" : "false", settled ? "settled" : "pending");
    vow_promise_unref(q);
    vow_unref(g);
}

SCENARIO(follow_cancel_step, 0, "outer begins to follow while a step on it is stopped",
         EXPECTED("ran 0, ctx 1", "stopped before it ran, and freed"))
{
    make_both();
    g = vow_then(f, NULL, counts, vow_own(&seen, drops_ctx));
    run_threads(resolves_outer, cancels);
    vow_promise_unref(q);
    outcome("ran %d, ctx %d", ran, seen);
}

SCENARIO(follow_cancel_promise, 0, "outer begins to follow while it is asked to stop",
         EXPECTED("4096", "stopped before, or the request went on to inner"))
{
    make_both();
    g = vow_ref(f);
    run_threads(resolves_outer, cancels);
    outcome("%d", code_of(f));
    vow_unref(f);
    vow_promise_unref(q);
}
