/* SPDX-License-Identifier: MIT */
/*
 * resilience/bulkhead.c - places for calls, and a queue before them.
 *
 * A call that finds a place is a protected call (resilience/call.h) whose end gives the
 * place up. One that has to wait is a ticket in the queue with a promise, and a step
 * behind that promise which makes the call.
 *
 * Whoever takes a ticket out of the queue settles it: the thread that gives up its place
 * hands it over as the promise's value; a request to stop rejects it; so does its timer.
 * The value owns the place until the call takes it: if the step never runs, because it
 * was cancelled at that very moment, say, dropping the value gives the place to the next.
 *
 * A ticket is held by the queue, or by the value it became; by the promise's hook; and by
 * its timer while that is armed or runs.
 */
#include <errno.h>
#include <string.h>

#include <vow/bulkhead.h>
#include <vow/delayed.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/options.h"
#include "base/time.h"
#include "base/warn.h"
#include "core/caller.h"
#include "resilience/bulkhead_internal.h"
#include "resilience/call.h"
#include "sync/kept.h"
#include "sync/lock.h"
#include "sync/refs.h"

struct vow_bulkhead {
    struct vowi_refs refs;
    vow_bulkhead_options options; /* with the defaults filled in; not written again */

    struct vowi_lock lock;
    struct vowi_kept at_fork;
    vow_bulkhead_metrics seen; /* guarded by lock; so is the queue */
    struct vowi_list queue;    /* tickets, the first to come first */
};

struct ticket {
    struct vowi_refs refs;
    vow_bulkhead *b;
    vow_promise *promise; /* of whoever takes it out of the queue */
    vow_timer timer;

    /* guarded by the bulkhead's lock */
    struct vowi_link link;
    bool queued;
    bool expired; /* its time was over before it was queued */

    bool timed; /* it has a timer; written before it is queued */

    bool taken; /* of a value: a call has its place. Written by the step alone */
};

/* ---- places ----------------------------------------------------------------------------- */

static bool
take_place_locked(vow_bulkhead *b)
{
    if (b->seen.running >= b->options.limit || !vowi_list_is_empty(&b->queue))
        return false;
    b->seen.running++;
    b->seen.admitted++;
    if (b->seen.running > b->seen.most)
        b->seen.most = b->seen.running;
    return true;
}

static void
unqueue_locked(struct ticket *t)
{
    vowi_list_remove(&t->link);
    t->queued = false;
    t->b->seen.waiting--;
}

static void
ticket_unref(struct ticket *t)
{
    vow_bulkhead *b = t->b;

    if (!vowi_refs_drop(&t->refs))
        return;
    vowi_free(t, sizeof *t);
    vow_bulkhead_unref(b);
}

/* Of a ticket that was taken out of the queue. */
static void
stop_timer(struct ticket *t)
{
    if (t->timed && vow_timer_disarm(&t->timer) == VOW_REMOVED)
        ticket_unref(t);
}

/* The value of a ticket's promise goes. */
static void
drop_place(void *ticket)
{
    struct ticket *t = ticket;

    if (!t->taken)
        vow_bulkhead_leave(t->b);
    ticket_unref(t);
}

/* The caller took it out of the queue, and has a place for it. */
static void
grant(struct ticket *t)
{
    vow_promise *p = t->promise;

    stop_timer(t);
    vow_promise_fulfill(p, vow_own(t, drop_place));
    vow_promise_unref(p);
}

void
vow_bulkhead_leave(vow_bulkhead *b)
{
    struct vowi_link *first;
    struct ticket *t = NULL;
    bool taken;

    if (b == NULL)
        return;
    vowi_lock_acquire(&b->lock);
    taken = b->seen.running > 0;
    first = b->queue.head.next;
    if (first != &b->queue.head) {
        t = vowi_container_of(first, struct ticket, link);
        unqueue_locked(t);
        b->seen.admitted++; /* the place changes hands */
    } else if (taken) {
        b->seen.running--;
    }
    vowi_lock_release(&b->lock);
    if (t != NULL)
        grant(t);
    if (!taken)
        vowi_warn(VOW_E_INVALID,
                  "vow_bulkhead_leave: no place is taken; call it once for "
                  "each vow_bulkhead_enter that returned 0");
}

bool
vowi_bulkhead_enter(vow_bulkhead *b)
{
    bool taken;

    vowi_lock_acquire(&b->lock);
    taken = take_place_locked(b);
    vowi_lock_release(&b->lock);
    return taken;
}

int
vow_bulkhead_enter(vow_bulkhead *b)
{
    bool taken;

    if (b == NULL)
        return 0;
    vowi_lock_acquire(&b->lock);
    taken = take_place_locked(b);
    b->seen.refused += !taken;
    vowi_lock_release(&b->lock);
    return taken ? 0 : VOW_E_LIMIT;
}

/* ---- tickets ----------------------------------------------------------------------------- */

/* Takes a ticket out of the queue and counts why; false: somebody else has. */
static bool
give_up(struct ticket *t, uint64_t *count)
{
    bool was_queued;

    vowi_lock_acquire(&t->b->lock);
    was_queued = t->queued;
    t->expired = !was_queued;
    if (was_queued) {
        unqueue_locked(t);
        ++*count;
    }
    vowi_lock_release(&t->b->lock);
    return was_queued;
}

static void
reject(struct ticket *t, vow_error *e)
{
    vow_promise *p = t->promise;

    vow_promise_reject(p, e);
    vow_promise_unref(p);
    ticket_unref(t);
}

static void
drop_hook(void *ticket)
{
    ticket_unref(ticket);
}

static void
stop_waiting(vow_promise *p, const vow_error *reason, void *ticket)
{
    struct ticket *t = ticket;

    (void)p;
    if (!give_up(t, &t->b->seen.left))
        return;
    stop_timer(t);
    reject(t, vow_error_ref(reason));
}

static const char *
name_of(const vow_bulkhead *b)
{
    return b->options.name != NULL ? b->options.name : "the bulkhead";
}

static vow_error *
waited_too_long(const vow_bulkhead *b)
{
    return vow_error_new_at(NULL, VOW_E_LIMIT, "%s had no place within %lld ms",
                            name_of(b), (long long)(b->options.queue_timeout / 1000000));
}

static void
time_is_over(vow_task *task, int why)
{
    vow_timer *timer = vowi_container_of(task, vow_timer, task);
    struct ticket *t = vowi_container_of(timer, struct ticket, timer);

    if (give_up(t, &t->b->seen.timed_out))
        reject(t, why == 0 ? waited_too_long(t->b) : vow_error_of(why));
    ticket_unref(t);
}

static struct ticket *
ticket_new(vow_bulkhead *b, const void *site)
{
    struct ticket *t = vowi_alloc(sizeof *t);

    if (t == NULL)
        return NULL;
    memset(t, 0, sizeof *t);
    vowi_refs_init(&t->refs);
    t->b = vow_bulkhead_ref(b);
    t->timer.task.run = time_is_over;
    t->promise = vowi_promise_new_at(site);
    vowi_refs_take(&t->refs); /* for the hook's context, which is dropped on failure */
    if (vow_promise_on_cancel(t->promise, NULL, stop_waiting, vow_own(t, drop_hook)))
        return t;
    vow_promise_unref(t->promise);
    ticket_unref(t);
    return NULL;
}

static vow_ns
now_of(const vow_bulkhead *b)
{
    return vowi_now_on(b->options.clock);
}

/* Before it is queued, so that whoever takes it out knows. Returns 0 or a code. */
static int
start_timer(struct ticket *t)
{
    const vow_bulkhead_options *o = &t->b->options;
    int rc;

    if (o->queue_timeout == 0)
        return 0;
    vowi_refs_take(&t->refs);
    t->timed = true;
    rc = vowi_timer_arm_by(o->clock, &t->timer,
                           vowi_time_add(now_of(t->b), o->queue_timeout));
    if (rc == 0)
        return 0;
    t->timed = false;
    ticket_unref(t);
    return rc;
}

/* ---- calls ------------------------------------------------------------------------------- */

struct bulkhead_call {
    struct vowi_call call;
    vow_bulkhead *b;
};

static void
call_ends(struct vowi_call *call, const vow_view *how)
{
    struct bulkhead_call *c = (struct bulkhead_call *)call;

    (void)how;
    vow_bulkhead_leave(c->b);
    vow_bulkhead_unref(c->b);
}

static const struct vowi_call_kind bulkhead_call_kind = {
    .size = sizeof(struct bulkhead_call),
    .end = call_ends,
};

/* Makes a call of a place; without memory gives it up. */
static struct bulkhead_call *
call_new(vow_bulkhead *b, vow_task_fn *fn, vow_value ctx)
{
    struct bulkhead_call *c = vowi_alloc(sizeof *c);

    if (c == NULL) {
        vow_bulkhead_leave(b);
        vow_value_drop(ctx);
        return NULL;
    }
    vowi_call_init(&c->call, &bulkhead_call_kind, fn, ctx);
    c->b = vow_bulkhead_ref(b);
    return c;
}

vow_future *
vowi_bulkhead_watch(vow_bulkhead *b, vow_future *f)
{
    struct bulkhead_call *c;

    if (vowi_has_value(f)) {
        vow_bulkhead_leave(b);
        return f;
    }
    c = call_new(b, NULL, VOW_NIL);
    if (c != NULL)
        return vowi_call_behind(&c->call, f);
    vow_unref(f);
    return NULL;
}

/* The caller has a place, which is the call's now. */
static vow_future *
call_in_place(vow_bulkhead *b, vow_executor *on, vow_task_fn *fn, vow_value ctx,
              const void *site)
{
    struct bulkhead_call *c = call_new(b, fn, ctx);

    return c != NULL ? vowi_call_submit(&c->call, on, site) : NULL;
}

/* What a call that waits will need. */
struct turn {
    vow_executor *on;
    vow_task_fn *fn;
    vow_value ctx;
    const void *site; /* of whoever called */
};

static void
drop_turn(void *turn)
{
    struct turn *w = turn;

    vow_executor_unref(w->on);
    vow_value_drop(w->ctx);
    vowi_free(w, sizeof *w);
}

static vow_result
take_turn(vow_value place, void *turn)
{
    struct ticket *t = place.as.ptr;
    struct turn *w = turn;
    vow_value ctx = w->ctx;

    w->ctx = VOW_NIL;
    t->taken = true;
    return vow_follow(call_in_place(t->b, w->on, w->fn, ctx, w->site));
}

static vow_error *
is_full(const vow_bulkhead *b)
{
    return vow_error_new_at(NULL, VOW_E_LIMIT, "%s is full: %zu calls run, %zu wait",
                            name_of(b), b->options.limit, b->options.queue);
}

/* One that was never queued. */
static void
refuse_ticket(struct ticket *t, bool expired)
{
    vow_error *e = expired ? waited_too_long(t->b) : is_full(t->b);

    stop_timer(t);
    reject(t, e);
}

/* Lets go of what is left of a call that got no memory. */
static void
discard(struct ticket *t)
{
    vow_future *nobodys = t != NULL ? vow_promise_future(t->promise) : NULL;

    if (t != NULL)
        reject(t, vow_error_of(VOW_E_NOMEM));
    vow_ignore(nobodys);
}

/* Queues a ticket, unless it finds a place now, or no room: then it is settled here. */
static void
queue_up(vow_bulkhead *b, struct ticket *t)
{
    bool placed, queued, expired;

    vowi_lock_acquire(&b->lock);
    expired = t->expired;
    placed = !expired && take_place_locked(b);
    queued = !expired && !placed && b->seen.waiting < b->options.queue;
    if (queued) {
        vowi_list_push(&b->queue, &t->link);
        t->queued = true;
        b->seen.waiting++;
        b->seen.queued++;
    }
    b->seen.timed_out += expired;
    b->seen.refused += !expired && !placed && !queued;
    vowi_lock_release(&b->lock);
    if (placed)
        grant(t);
    else if (!queued)
        refuse_ticket(t, expired);
}

static vow_future *
wait_for_place(vow_bulkhead *b, vow_executor *on, vow_task_fn *fn, vow_value ctx,
               const void *site)
{
    struct ticket *t = ticket_new(b, site);
    struct turn *w = vowi_alloc(sizeof *w);
    vow_future *f;
    int rc;

    if (t == NULL || w == NULL) {
        discard(t);
        vowi_free(w, sizeof *w);
        vow_value_drop(ctx);
        return NULL;
    }
    w->on = vow_executor_ref(on);
    w->fn = fn;
    w->ctx = ctx;
    w->site = site;
    f = vowi_then_at(vow_promise_future(t->promise), NULL, take_turn,
                     vow_own(w, drop_turn), site);
    if (f == NULL) {
        discard(t);
        return NULL;
    }
    rc = start_timer(t);
    if (rc != 0)
        reject(t, vow_error_new_at(NULL, rc, "%s cannot arm a timer", name_of(b)));
    else
        queue_up(b, t);
    return f;
}

vow_future *
vow_bulkhead_call(vow_bulkhead *b, vow_executor *on, vow_task_fn *fn, vow_value ctx)
{
    const void *site = __builtin_return_address(0);
    bool placed, queued;
    vow_error *full;

    if (b == NULL)
        return vowi_submit_at(on, fn, ctx, site);
    vowi_lock_acquire(&b->lock);
    placed = take_place_locked(b);
    queued = !placed && b->seen.waiting < b->options.queue;
    b->seen.refused += !placed && !queued;
    vowi_lock_release(&b->lock);
    if (placed)
        return call_in_place(b, on, fn, ctx, site);
    if (queued)
        return wait_for_place(b, on, fn, ctx, site);
    full = is_full(b);
    vow_value_drop(ctx); /* which may let go of the bulkhead */
    return vowi_rejected_at(full, site);
}

/* ---- making one, asking ----------------------------------------------------------------- */

vow_bulkhead *
vow_bulkhead_new(const vow_bulkhead_options *opt)
{
    vow_bulkhead_options o;
    vow_bulkhead *b;

    vowi_options_read(&o, sizeof o, opt);
    if (o.queue_timeout < 0) {
        errno = EINVAL;
        return NULL;
    }
    b = vowi_alloc(sizeof *b);
    if (b == NULL || vowi_kept_init(&b->at_fork, &b->lock, VOWI_RANK_LIMIT) != 0) {
        vowi_free(b, sizeof *b);
        errno = ENOMEM;
        return NULL;
    }
    if (o.limit == 0)
        o.limit = 16;
    if (o.queue == 0)
        o.queue = o.limit;
    if (o.queue == VOW_BULKHEAD_NO_QUEUE)
        o.queue = 0;
    vowi_refs_init(&b->refs);
    b->options = o;
    memset(&b->seen, 0, sizeof b->seen);
    vowi_list_init(&b->queue);
    return b;
}

vow_bulkhead *
vow_bulkhead_ref(vow_bulkhead *b)
{
    if (b != NULL)
        vowi_refs_take(&b->refs);
    return b;
}

void
vow_bulkhead_unref(vow_bulkhead *b)
{
    if (b == NULL || !vowi_refs_drop(&b->refs))
        return;
    vowi_kept_fini(&b->at_fork);
    vowi_free(b, sizeof *b);
}

void
vow_bulkhead_read(const vow_bulkhead *b, vow_bulkhead_metrics *metrics)
{
    vow_bulkhead_metrics m = {0};

    if (b != NULL) {
        struct vowi_lock *lock = &((vow_bulkhead *)vow_ptr(b).as.ptr)->lock;

        vowi_lock_acquire(lock);
        m = b->seen;
        vowi_lock_release(lock);
    }
    vowi_options_write(metrics, &m, sizeof m);
}
