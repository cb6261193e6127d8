/* SPDX-License-Identifier: MIT */
/*
 * combine/range_here.c - a range whose caller takes part, and waits for the others.
 *
 * The caller runs a lane of its own on its stack; the others are tasks on the executor,
 * and what they do for it they do only in time: when nothing is left to take, those that
 * have not begun are revoked, and the caller waits for no more than the calls that run.
 * Who revokes a lane and who begins it agree by a CAS on its phase. Calls that run are
 * waited for whatever speaks against a wait: they use the caller's frame.
 *
 * What was revoked stays in its queue, a husk, and the block with it, which is counted; the
 * context never does. On a worker it is run at once, off the top of the worker's own deque.
 * Elsewhere the executor counts its husks: as long as there are more than a loop leaves,
 * nobody came for those, and nobody would for others behind them. So a loop asks for no
 * more, does what it has by itself, and looks again after each call. Else one that is
 * called again and again beside a pool that is busy would fill its memory, or its queue.
 *
 * Whom to wake, and when. To wake a thread costs the caller some microseconds, and a loop
 * may be done by then. But nobody knows how long a call will take before it has returned,
 * and a loop of two long calls that is not shared before the first one is over takes twice
 * as long. So a thread learns: if the last few loops over a function ended sooner than
 * anybody could have come, the next is begun alone, on the caller's stack, with calls that
 * double in length and a look at the clock after each; and as soon as it has lasted longer
 * than it takes to wake a thread, what is left is shared, and the next loops are from the
 * start. What it costs to be wrong is one wake-up the one way, and one call that runs alone
 * the other way; to wait for as long as the other choice costs is at most twice as much as
 * to know (ski rental: Karlin, Manasse, Rudolph and Sleator, "Competitive Snoopy Caching",
 * Algorithmica 3, 1988).
 *
 * How others are told to stop: their tasks are bound to one token, which fires with the
 * caller's own and with a source that a call which fails cancels.
 */
#include "combine/range.h"

#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/time.h"
#include "core/call.h"
#include "core/husk.h"

#ifndef VOWI_WORTH_A_WAKE
#define VOWI_WORTH_A_WAKE 5000 /* ns, about what it takes to wake a thread */
#endif

enum { BRIEF_LOOPS = 4 }; /* in a row: the next will be as well */

/* One call of vow_parallel_for_here. */
struct here {
    struct vowi_call frame;
    void (*step)(struct here *h); /* what is done inside it */
    const struct vowi_range_plan *plan;
    struct vowi_range *r;  /* the caller's, and then the one that is shared */
    struct vowi_lane *own; /* of that */
    unsigned width;        /* lanes, if it is shared */
    bool shared;
    vow_token *token;  /* of the calls here, owned; NULL: the caller's task's alone */
    vow_result result; /* of the own lane */
    vow_error *other;  /* the first of the other lanes', owned */
    vow_ns start;
};

/* ---- what was learnt ------------------------------------------------------------------------ */

#define LOOPS 7u /* the bits that count */

static uint16_t *
brief_of(uintptr_t what)
{
    uint16_t *b = &vowi_self()->brief[(what >> 4) % VOWI_BRIEF];
    uint16_t none = (uint16_t)((what >> 4) * (LOOPS + 1));

    if ((*b & ~LOOPS) != none)
        *b = none;
    return b;
}

static bool
is_brief(uintptr_t what)
{
    return (*brief_of(what) & LOOPS) == BRIEF_LOOPS;
}

static void
learn(uintptr_t what, vow_ns took)
{
    uint16_t *b = brief_of(what);

    if (took >= VOWI_WORTH_A_WAKE)
        *b &= (uint16_t)~LOOPS;
    else if ((*b & LOOPS) < BRIEF_LOOPS)
        ++*b;
}

/* Whether so many husks wait that whoever is asked now would not come either. */
static bool
is_backed_up(const struct here *h)
{
    return vowi_husks(h->plan->on) >= h->width;
}

/* ---- alone ------------------------------------------------------------------------------------ */

static void
work(struct here *h)
{
    while (vowi_lane_turn(h->own, &h->result))
        continue;
}

/* Whether it has lasted long enough to wake somebody, who would come. */
static bool
is_worth_it(struct here *h)
{
    if (h->r->trial != 0 && vowi_monotonic_now() - h->start < VOWI_WORTH_A_WAKE)
        return false;
    h->r->trial = 0;
    return !is_backed_up(h);
}

/* Whether it has lasted, but the clock was not looked at while there was something to be
 * shared: the last call had more than one unit. */
static bool
was_worth_it(const struct here *h)
{
    return h->own->end - h->own->first > h->r->unit &&
           vowi_monotonic_now() - h->start >= VOWI_WORTH_A_WAKE;
}

/* Until then, or to the end. */
static void
try_alone(struct here *h)
{
    struct vowi_range *r = h->r;

    r->trial = 1;
    while (vowi_lane_turn(h->own, &h->result) && vowi_lane_has_rest(h->own) &&
           !is_worth_it(h))
        if (r->trial <= r->units / 2)
            r->trial *= 2;
    if (r->trial == 0 || was_worth_it(h))
        learn(h->plan->what, VOWI_WORTH_A_WAKE);
}

static vow_result
step_in_frame(struct vowi_call *c)
{
    struct here *h = vowi_container_of(c, struct here, frame);

    h->step(h);
    return vow_ok(VOW_NIL);
}

/* Or its thread has exited: has_exited is next. */
static void
frame_ended(struct vowi_call *c, const vow_result *r)
{
    (void)c;
    vow_result_drop(*r);
}

/* What runs looks at the token, if there is one, and else at that of the caller's task. */
static void
run(struct here *h, void (*step)(struct here *h))
{
    h->frame = (struct vowi_call){step_in_frame, frame_ended, h->token};
    h->step = step;
    if (h->token != NULL)
        vowi_call(&h->frame);
    else
        step(h);
}

/* ---- with others --------------------------------------------------------------------------------- */

void
vowi_range_here_gone(struct vowi_range *r)
{
    vow_source_unref(r->source);
    vowi_free(r, vowi_range_size(r));
}

/* A token that fires with that of the caller's task as well, if there is one, and memory. */
static vow_token *
with_outer(vow_token *token)
{
    vow_token *outer = vow_token_current(), *both = NULL;

    if (outer != NULL)
        both = vow_token_any((vow_token *[]){outer, token}, 2);
    vow_token_unref(outer);
    return both != NULL ? both : vow_token_ref(token);
}

/* Binds the calls to come to a source. False: no memory. */
static bool
bind(struct here *h, struct vowi_range *r)
{
    vow_token *outer = h->token != NULL ? vow_token_ref(h->token) : vow_token_current();
    vow_token *stop, *both = NULL;

    r->source = vow_source_new();
    stop = vow_source_token(r->source);
    if (stop != NULL)
        both = vow_token_any((vow_token *[]){outer, stop}, 2);
    vow_token_unref(outer);
    vow_token_unref(stop);
    if (both == NULL)
        return false;
    vow_token_unref(h->token);
    h->token = both;
    return true;
}

/* What is left, as one for all lanes; NULL: no memory, or it is not worth it. */
static struct vowi_range *
shared_new(struct here *h)
{
    struct vowi_range_plan plan = *h->plan;
    struct vowi_range rest, *r;

    plan.begin = vowi_lane_rest(h->own);
    vowi_range_init(&rest, h->r->kind, &plan);
    r = rest.width > 1 ? vowi_alloc(vowi_range_size(&rest)) : NULL;
    if (r == NULL)
        return NULL;
    rest.ctx = h->r->ctx;
    rest.on = plan.on;
    rest.forks = vowi_globals.forks;
    atomic_init(&rest.left, rest.width); /* the other lanes, and this call */
    memcpy(r, h->r, rest.kind->own);
    memcpy(r, &rest, sizeof rest);
    vowi_range_lay_out(r);
    vowi_store_relaxed(&vowi_range_lane(r, 0)->phase, VOWI_LANE_RUNS); /* relaxed: new */
    memset(vowi_range_futures(r), 0, r->width * sizeof(vow_future *));
    if (bind(h, r) && (r->kind->share == NULL || r->kind->share(r, h->own)))
        return r;
    vowi_range_here_gone(r);
    return NULL;
}

/* A pool that is full refuses here, and does not wait. */
static void
submit_and_work(struct here *h)
{
    struct vowi_range_plan plan = *h->plan;

    plan.opt.token = h->token;
    vow_defer_begin();
    (void)vowi_range_submit(h->r, &plan, 1);
    vow_defer_end();
    h->start = vowi_monotonic_now();
    work(h);
}

/*
 * Whether the lane never runs, from here on or since before. It is counted before it is a
 * husk, since it may be gone right after. relaxed: see its begin, and lane_gone.
 */
static bool
revoke_lane(struct vowi_lane *lane)
{
    vow_executor *on = vowi_range_counted_on(lane->range);
    int phase = vowi_load_relaxed(&lane->phase);

    if (phase != VOWI_LANE_WAITS)
        return phase == VOWI_LANE_REVOKED;
    vowi_husk_add(on);
    if (vowi_cas_strong_relaxed(&lane->phase, &phase, VOWI_LANE_REVOKED))
        return true;
    vowi_husk_gone(on);
    return false;
}

/* On a worker it is run, if that has it, so that it leaves the deque. */
static void
forget(vow_future *husk)
{
    vowi_help(husk);
    vow_ignore(husk);
}

static void
keep_error(struct here *h, struct vowi_lane *lane, const vow_error *e)
{
    bool first = vowi_load_relaxed(&h->r->failing) == lane; /* relaxed: it has ended */

    if (e == NULL || (h->other != NULL && !first))
        return;
    vow_error_unref(h->other);
    h->other = vow_error_ref(e);
}

/* Once more if the thread exits in a wait, or as it helps, where other tasks may run. */
static void
end_lanes(struct here *h)
{
    struct vowi_range *r = h->r;
    vow_future **lanes = vowi_range_futures(r);

    for (unsigned i = 1; i < r->width; i++)
        if (lanes[i] != NULL && revoke_lane(vowi_range_lane(r, i))) {
            forget(lanes[i]);
            lanes[i] = NULL;
        }
    for (unsigned i = 1; i < r->width; i++)
        if (lanes[i] != NULL) {
            keep_error(h, vowi_range_lane(r, i), vowi_wait_out(lanes[i]));
            vow_ignore(lanes[i]);
            lanes[i] = NULL;
        }
}

/* ---- the outcome ---------------------------------------------------------------------------------- */

static void
indexed_gone(vow_error *e)
{
    vowi_free(e, sizeof *e);
}

/* With the first index of the call that failed; without memory it has none. */
static vow_error *
with_position(vow_error *cause, int64_t position)
{
    static const struct vowi_error_kind kind = {.gone = indexed_gone};
    vow_error *e = vowi_alloc(sizeof *e);

    if (e == NULL)
        return cause;
    vowi_error_place(e, &kind, VOW_E_BROKEN, cause);
    e->position = position;
    vow_error_unref(cause);
    return e;
}

/* Takes one of two errors, either of which may be NULL, and lets go of the other one. */
static vow_error *
choose(vow_error **taken, vow_error **other)
{
    vow_error *e = *taken != NULL ? *taken : *other;

    if (*taken != NULL)
        vow_error_unref(*other);
    *taken = *other = NULL;
    return e;
}

/* All calls have been made, and what they made is in one hand, if they made something. */
static bool
is_fulfilled(struct vowi_range *r)
{
    return vowi_range_is_done(r) && (r->kind->fulfill == NULL || r->kind->fulfill(r));
}

/* No call runs any more. */
static vow_error *
outcome(struct here *h)
{
    struct vowi_lane *failing = vowi_load_relaxed(&h->r->failing); /* relaxed: as above */
    bool own = failing == NULL || failing == h->own;
    vow_error *e =
        own ? choose(&h->result.error, &h->other) : choose(&h->other, &h->result.error);

    if (failing != NULL)
        return with_position(e, vowi_lane_position(failing));
    if (!is_fulfilled(h->r))
        return e;
    vow_error_unref(e);
    return NULL;
}

static vow_error *
finish(struct here *h)
{
    vow_error *e = outcome(h);

    if (h->r->kind->leave != NULL)
        h->r->kind->leave(h->r);
    vow_value_drop(h->r->ctx);
    if (h->shared)
        vowi_range_release(h->r);
    vow_token_unref(h->token);
    return e;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static bool
may_share(const struct vowi_range *r, const vow_executor *on)
{
    return r->width > 1 && on != NULL && on != vow_inline() && vowi_may_wait(vowi_self());
}

static void
share(struct here *h)
{
    struct vowi_range *r = shared_new(h);

    if (r == NULL) {
        run(h, work);
        return;
    }
    h->r = r;
    h->own = vowi_range_lane(r, 0);
    h->shared = true;
    run(h, submit_and_work);
    end_lanes(h);
    learn(h->plan->what, vowi_monotonic_now() - h->start);
}

/* Returns whether it is over. */
static bool
begin_alone(struct here *h)
{
    h->start = vowi_monotonic_now();
    run(h, try_alone);
    return h->result.error != NULL || !vowi_lane_has_rest(h->own);
}

static void
loop(struct here *h, bool shares)
{
    if (!shares)
        run(h, work);
    else if ((!is_brief(h->plan->what) && !is_backed_up(h)) || !begin_alone(h))
        share(h);
}

/* The thread exits inside a call, or in a wait. The others may use its stack. */
static void
has_exited(void *arg)
{
    struct here *h = arg;

    vowi_lane_fails(h->own);
    if (h->result.error == NULL)
        h->result = vow_err(vow_error_of(VOW_E_BROKEN));
    if (h->shared)
        end_lanes(h);
    vow_error_unref(finish(h));
}

vow_error *
vowi_range_here(struct vowi_range *r, struct vowi_lane *alone,
                const struct vowi_range_plan *plan)
{
    struct here h = {.plan = plan, .r = r, .own = alone, .width = r->width};
    bool shares = may_share(r, plan->on);

    vowi_range_alone(r, alone);
    if (plan->opt.token != NULL)
        h.token = with_outer(plan->opt.token);
    pthread_cleanup_push(has_exited, &h);
    loop(&h, shares);
    pthread_cleanup_pop(0);
    return finish(&h);
}
