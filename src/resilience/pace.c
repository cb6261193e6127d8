/* SPDX-License-Identifier: MIT */
/*
 * resilience/pace.c - debouncing and throttling.
 *
 * A burst opens a window that ends at `due`. At most one call waits for its end, and one
 * sleep; a call that moves the end only writes down when it is now, and the sleep, when it
 * is over, sleeps on. So a call costs no timer.
 *
 * The call that waits has a promise. Superseded calls that share are steps behind it like
 * the last one, each its caller's own: only when all of them were cancelled is the
 * promise asked to stop.
 */
#include <errno.h>

#include <vow/debounce.h>
#include <vow/delayed.h>

#include "base/mem.h"
#include "base/options.h"
#include "base/time.h"
#include "core/caller.h"
#include "resilience/call.h"
#include "sync/kept.h"
#include "sync/lock.h"
#include "sync/refs.h"

/* A call that waits. Held by the window, or by whoever took it out, and by the hook. */
struct call {
    struct vowi_refs refs;
    vow_pace *pace;

    /* Of whoever takes it out of the window. */
    vow_promise *promise;
    vow_executor *on;
    vow_task_fn *fn;
    vow_value ctx;
};

struct vow_pace {
    struct vowi_refs refs;
    vow_pace_options options; /* with the defaults filled in; not written again */
    bool throttles;

    struct vowi_lock lock;
    struct vowi_kept at_fork;
    bool open;     /* guarded by lock, like all that follows */
    vow_ns opened; /* when */
    vow_ns due;    /* when it ends */
    struct call *waiting;
    vow_future *led; /* of the call that ran as it was opened, if they share */
};

static vow_ns
now_of(const vow_pace *p)
{
    return vowi_now_on(p->options.clock);
}

/* ---- calls that wait ---------------------------------------------------------------------- */

static void
call_unref(struct call *c)
{
    vow_pace *p = c->pace;

    if (!vowi_refs_drop(&c->refs))
        return;
    vowi_free(c, sizeof *c);
    vow_pace_unref(p);
}

static void
drop_hook(void *call)
{
    call_unref(call);
}

/* Ends a call that was taken out of the window: with a result, its function never runs. */
static void
finish(struct call *c, vow_result how)
{
    vow_value ctx = c->ctx;

    vow_value_drop(ctx);
    vow_executor_unref(c->on);
    vow_promise_resolve(c->promise, how);
    vow_promise_unref(c->promise);
    call_unref(c);
}

static void
run(struct call *c)
{
    vow_future *f;

    if (c == NULL)
        return;
    f = vow_submit(c->on, c->fn, c->ctx);
    c->ctx = VOW_NIL;
    finish(c, vow_follow(f));
}

static void
supersede(struct call *c)
{
    if (c != NULL)
        finish(c, vow_fail_at(NULL, VOW_E_CANCELLED, "a later call took its place"));
}

static void
stop(vow_promise *promise, const vow_error *reason, void *call)
{
    struct call *c = call;
    bool waits;

    (void)promise;
    vowi_lock_acquire(&c->pace->lock);
    waits = c->pace->waiting == c;
    if (waits)
        c->pace->waiting = NULL;
    vowi_lock_release(&c->pace->lock);
    if (waits)
        finish(c, vow_err(vow_error_ref(reason)));
}

/* Has no context yet. */
static struct call *
call_new(vow_pace *p, vow_executor *on, vow_task_fn *fn, const void *site)
{
    struct call *c = vowi_alloc(sizeof *c);

    if (c == NULL)
        return NULL;
    vowi_refs_init(&c->refs);
    c->pace = vow_pace_ref(p);
    c->on = vow_executor_ref(on);
    c->fn = fn;
    c->ctx = VOW_NIL;
    c->promise = vowi_promise_new_at(site);
    vowi_refs_take(&c->refs);
    if (vow_promise_on_cancel(c->promise, NULL, stop, vow_own(c, drop_hook)) != NULL)
        return c;
    finish(c, vow_err(NULL));
    return NULL;
}

/* ---- the window ----------------------------------------------------------------------------- */

static vow_ns
end_of_window(const vow_pace *p, vow_ns now)
{
    vow_ns end = vowi_time_add(now, p->options.wait);
    vow_ns most = vowi_time_add(p->opened, p->options.max_wait);

    return end < most ? end : most;
}

static void sleep_until_due(vow_pace *p, vow_ns time);

/* What the end of a window leaves to do. */
struct leavings {
    vow_ns left; /* until the end after all, or of the next one; 0 or less: none */
    struct call *runs;
    vow_future *led;
};

static struct leavings
end_window_locked(vow_pace *p, vow_ns now)
{
    struct leavings l = {vowi_time_sub(p->due, now), NULL, NULL};

    if (l.left > 0)
        return l;
    l.runs = p->waiting;
    l.led = p->led;
    p->waiting = NULL;
    p->led = NULL;
    p->open = p->throttles && l.runs != NULL; /* a run opens the next one */
    if (p->open) {
        p->opened = now;
        p->due = vowi_time_add(now, p->options.wait);
        l.left = p->options.wait;
    }
    return l;
}

static void
drop_sleeper(void *pace)
{
    vow_pace_unref(pace);
}

static void
time_is_over(vow_view how, void *pace)
{
    vow_pace *p = pace;
    vow_ns now = now_of(p);
    struct leavings l;

    vowi_lock_acquire(&p->lock);
    if (how.error != NULL)
        p->due = now; /* without a timer it ends at once */
    l = end_window_locked(p, now);
    vowi_lock_release(&p->lock);
    vow_ignore(l.led);
    if (l.left > 0)
        sleep_until_due(p, l.left);
    run(l.runs);
}

/* Without memory for a sleep the window ends at once. */
static void
sleep_until_due(vow_pace *p, vow_ns time)
{
    vow_future *f = vow_sleep(p->options.clock, time);

    if (!vow_on_settled(f, NULL, time_is_over, vow_own(vow_pace_ref(p), drop_sleeper)))
        time_is_over((vow_view){.error = vow_error_of(VOW_E_NOMEM)}, p);
}

/* ---- calling --------------------------------------------------------------------------------- */

/* What becomes of a new call. */
enum place {
    RUNS,   /* now */
    WAITS,  /* and `old`, which waited, is superseded */
    SHARES, /* it, or one that it gave its work to, has a promise already: `shared` */
    IS_SUPERSEDED
};

struct arrival {
    enum place place;
    bool opens;  /* the window: somebody has to sleep */
    vow_ns left; /* so long */
    struct call *old;
    vow_future *shared;
};

static bool
shares(const vow_pace *p)
{
    return p->options.superseded == VOW_SUPERSEDED_SHARE;
}

/* Afterwards each has what the other one was to do. */
static void
swap_work(struct call *a, struct call *b)
{
    struct call t = *a;

    a->on = b->on;
    a->fn = b->fn;
    a->ctx = b->ctx;
    b->on = t.on;
    b->fn = t.fn;
    b->ctx = t.ctx;
}

static void
open_locked(vow_pace *p, struct call *c, vow_ns now, struct arrival *a)
{
    p->open = true;
    p->opened = now;
    p->due = p->throttles ? vowi_time_add(now, p->options.wait) : end_of_window(p, now);
    a->opens = true;
    a->left = vowi_time_sub(p->due, now);
    a->place = p->options.edges & VOW_EDGE_LEADING ? RUNS : WAITS;
    if (a->place == WAITS)
        p->waiting = c;
    else if (shares(p))
        p->led = vow_promise_future(c->promise);
}

/* Into an open window. */
static void
join_locked(vow_pace *p, struct call *c, vow_ns now, struct arrival *a)
{
    bool trails = (p->options.edges & VOW_EDGE_TRAILING) != 0;

    if (!p->throttles)
        p->due = end_of_window(p, now);
    if (!trails) {
        a->place = shares(p) ? SHARES : IS_SUPERSEDED;
        a->shared = vow_ref(p->led);
    } else if (p->waiting != NULL && shares(p)) {
        a->place = SHARES;
        a->shared = vow_promise_future(p->waiting->promise);
        swap_work(p->waiting, c);
    } else {
        a->place = WAITS;
        a->old = p->waiting;
        p->waiting = c;
    }
}

/* If calls share: to cancel what a caller gets must not cancel it for those who share it.
 * That is made before the call is known to anybody, so that one without memory never runs. */
static vow_future *
own_view(const vow_pace *p, vow_future *f)
{
    return shares(p) ? vow_handle(f, NULL, vowi_pass_on, VOW_NIL) : f;
}

/* Consumes the call, unless it waits. What runs or is settled here may give up the last
 * handle; and what runs may take long, or not return. */
static void
settle_in(vow_pace *p, struct call *c, struct arrival *a)
{
    if (a->opens)
        sleep_until_due(p, a->left);
    supersede(a->old);
    if (a->place == RUNS)
        run(c);
    else if (a->place == SHARES)
        finish(c, vow_follow(own_view(p, a->shared)));
    else if (a->place == IS_SUPERSEDED)
        supersede(c);
}

vow_future *
vow_pace_call(vow_pace *p, vow_executor *on, vow_task_fn *fn, vow_value ctx)
{
    struct arrival a = {.opens = false};
    struct call *c;
    vow_future *f;
    vow_ns now;

    if (p == NULL)
        return vow_submit(on, fn, ctx);
    c = call_new(p, on, fn, __builtin_return_address(0));
    if (c == NULL) {
        vow_value_drop(ctx);
        return NULL;
    }
    c->ctx = ctx;
    f = own_view(p, vow_promise_future(c->promise));
    if (f == NULL) {
        supersede(c);
        return NULL;
    }
    now = now_of(p);
    vow_pace_ref(p);
    vowi_lock_acquire(&p->lock);
    if (p->open)
        join_locked(p, c, now, &a);
    else
        open_locked(p, c, now, &a);
    vowi_lock_release(&p->lock);
    settle_in(p, c, &a);
    vow_pace_unref(p);
    return f;
}

bool
vow_pace_flush(vow_pace *p)
{
    struct call *c;

    if (p == NULL)
        return false;
    vowi_lock_acquire(&p->lock);
    c = p->waiting;
    p->waiting = NULL;
    vowi_lock_release(&p->lock);
    run(c);
    return c != NULL;
}

/* ---- making one ------------------------------------------------------------------------------- */

static vow_pace *
pace_new(const vow_pace_options *opt, bool throttles)
{
    vow_pace_options o;
    vow_pace *p;

    vowi_options_read(&o, sizeof o, opt);
    if (o.wait < 0 || o.max_wait < 0) {
        errno = EINVAL;
        return NULL;
    }
    if (o.wait == 0)
        o.wait = vow_ms(100);
    if (o.max_wait == 0)
        o.max_wait = VOW_FOREVER;
    if (o.edges == VOW_EDGES_DEFAULT)
        o.edges = throttles ? VOW_EDGE_BOTH : VOW_EDGE_TRAILING;
    p = vowi_alloc(sizeof *p);
    if (p == NULL || vowi_kept_init(&p->at_fork, &p->lock, VOWI_RANK_LIMIT) != 0) {
        vowi_free(p, sizeof *p);
        errno = ENOMEM;
        return NULL;
    }
    vowi_refs_init(&p->refs);
    p->options = o;
    p->throttles = throttles;
    p->open = false;
    p->waiting = NULL;
    p->led = NULL;
    return p;
}

vow_pace *
vow_debounce_new(const vow_pace_options *opt)
{
    return pace_new(opt, false);
}

vow_pace *
vow_throttle_new(const vow_pace_options *opt)
{
    return pace_new(opt, true);
}

vow_pace *
vow_pace_ref(vow_pace *p)
{
    if (p != NULL)
        vowi_refs_take(&p->refs);
    return p;
}

void
vow_pace_unref(vow_pace *p)
{
    if (p == NULL || !vowi_refs_drop(&p->refs))
        return;
    vowi_kept_fini(&p->at_fork);
    vowi_free(p, sizeof *p);
}
