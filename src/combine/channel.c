/* SPDX-License-Identifier: MIT */
/*
 * combine/channel.c - values handed from many to many.
 *
 * At any moment at least one of the two queues is empty of parties that can be served,
 * and senders wait only while there is no room. The protocol is in channel.h.
 */
#include "combine/channel.h"

#include <pthread.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "core/call.h"
#include "core/caller.h"

/* ---- who waits ------------------------------------------------------------------------ */

static struct vowi_party *
party_of(struct vowi_link *link)
{
    return vowi_container_of(link, struct vowi_party, link);
}

bool
vowi_channel_unqueue_locked(struct vowi_party *p)
{
    bool was_queued = p->queued;

    if (was_queued)
        vowi_list_remove(&p->link);
    p->queued = false;
    return was_queued;
}

/* Takes the first that can be served out of a queue, and claims it. */
static struct vowi_party *
claim_first_locked(struct vowi_list *queue)
{
    struct vowi_link *link;

    while ((link = vowi_list_pop(queue)) != NULL) {
        struct vowi_party *p = party_of(link);

        p->queued = false;
        /* relaxed: it says who is first, the lock orders the rest [party] */
        if (p->claim == NULL || !vowi_swap_relaxed(p->claim, true))
            return p;
    }
    return NULL;
}

static void
enqueue_locked(struct vowi_list *queue, struct vowi_party *p)
{
    if (p == NULL)
        return;
    vowi_list_push(queue, &p->link);
    p->queued = true;
}

/* ---- the places: each function with the lock of its end, or both --------------------- */

static bool
has_room(vow_channel *c)
{
    struct vowi_channel_end *in = &c->in;
    size_t passed = vowi_load_relaxed(&in->passed); /* relaxed: its own */

    if (vowi_unlikely(passed - in->seen >= c->capacity))
        in->seen = vowi_load_acquire(&c->out.passed); /* [emptied] */
    return passed - in->seen < c->capacity;
}

static bool
has_value(vow_channel *c)
{
    struct vowi_channel_end *out = &c->out;
    size_t passed = vowi_load_relaxed(&out->passed); /* relaxed: its own */

    if (vowi_unlikely(passed == out->seen))
        out->seen = vowi_load_acquire(&c->in.passed); /* [filled] */
    return passed != out->seen;
}

/* Returns the end's place, and goes on to the next. */
static vow_value *
next_place(vow_channel *c, struct vowi_channel_end *end)
{
    vow_value *place = &c->values[end->at];

    end->at = end->at + 1 != c->capacity ? end->at + 1 : 0;
    return place;
}

/* The end has done with its place. relaxed: only an end itself counts. */
static void
pass(struct vowi_channel_end *end)
{
    size_t passed = vowi_load_relaxed(&end->passed) + 1;

    vowi_store_release(&end->passed, passed); /* [filled], [emptied] */
}

static void
put(vow_channel *c, vow_value v)
{
    *next_place(c, &c->in) = v;
    pass(&c->in);
}

static vow_value
get(vow_channel *c)
{
    vow_value v = *next_place(c, &c->out);

    pass(&c->out);
    return v;
}

/* Puts a value where there is room for it, and nobody waits for one. */
static bool
try_put(vow_channel *c, vow_value v)
{
    bool can;

    vowi_lock_acquire(&c->in.lock);
    can = !c->closed && vowi_list_is_empty(&c->receivers) && has_room(c);
    if (can)
        put(c, v);
    vowi_lock_release(&c->in.lock);
    return can;
}

/* Gets a value, if nobody waits for the room, and none has come back. */
static bool
try_get(vow_channel *c, vow_value *out)
{
    bool can;

    vowi_lock_acquire(&c->out.lock);
    can = vowi_list_is_empty(&c->senders) && vowi_list_is_empty(&c->returned) &&
          has_value(c);
    if (can)
        *out = get(c);
    vowi_lock_release(&c->out.lock);
    return can;
}

/* ---- steps ---------------------------------------------------------------------------- */

void
vowi_channel_lock(vow_channel *c)
{
    struct vowi_lock *const both[] = {&c->in.lock, &c->out.lock};

    vowi_locks_acquire(both, 2);
}

void
vowi_channel_unlock(vow_channel *c)
{
    struct vowi_lock *const both[] = {&c->in.lock, &c->out.lock};

    vowi_locks_release(both, 2);
}

enum vowi_channel_step
vowi_channel_send_locked(vow_channel *c, vow_value v, struct vowi_party *party,
                         struct vowi_errand *errand)
{
    if (c->closed)
        return VOWI_CHANNEL_CLOSED;
    errand->party = claim_first_locked(&c->receivers);
    errand->value = v;
    if (errand->party != NULL)
        return VOWI_CHANNEL_DONE;
    if (has_room(c)) {
        put(c, v);
        return VOWI_CHANNEL_DONE;
    }
    enqueue_locked(&c->senders, party);
    return VOWI_CHANNEL_WAITS;
}

/* Room has come up: a sender that waits has its value taken. */
static void
take_from_sender_locked(vow_channel *c, vow_value *out, struct vowi_errand *errand)
{
    errand->party = claim_first_locked(&c->senders);
    errand->value = VOW_NIL;
    if (errand->party == NULL)
        return;
    *out = errand->party->value;
    errand->party->value = VOW_NIL;
}

enum vowi_channel_step
vowi_channel_receive_locked(vow_channel *c, vow_value *out, struct vowi_party *party,
                            struct vowi_errand *errand)
{
    struct vowi_link *back = vowi_list_pop(&c->returned);
    vow_value next;

    if (back != NULL) {
        errand->returned = vowi_container_of(back, struct vowi_returned, link);
        *out = errand->returned->value;
        return VOWI_CHANNEL_DONE;
    }
    if (has_value(c)) {
        *out = get(c);
        take_from_sender_locked(c, &next, errand);
        if (errand->party != NULL)
            put(c, next);
        return VOWI_CHANNEL_DONE;
    }
    take_from_sender_locked(c, out, errand);
    if (errand->party != NULL)
        return VOWI_CHANNEL_DONE;
    if (c->closed)
        return VOWI_CHANNEL_CLOSED;
    enqueue_locked(&c->receivers, party);
    return VOWI_CHANNEL_WAITS;
}

void
vowi_errand_run(struct vowi_errand *e)
{
    if (e->returned != NULL)
        e->returned->gone(e->returned);
    if (e->party != NULL)
        e->party->serve(e->party, e->value, NULL);
}

void
vowi_channel_give_back(vow_channel *c, struct vowi_returned *r)
{
    struct vowi_errand e = {NULL, r->value, r};

    bool dead;

    vowi_channel_lock(c);
    dead = c->dead;
    e.party = claim_first_locked(&c->receivers);
    if (e.party == NULL && !dead)
        vowi_list_push(&c->returned, &r->link);
    vowi_channel_unlock(c);
    if (e.party == NULL && !dead)
        return;
    if (dead)
        vow_value_drop(r->value);
    vowi_errand_run(&e);
}

void
vowi_channel_enqueue_locked(vow_channel *c, struct vowi_party *p, bool sends)
{
    enqueue_locked(sends ? &c->senders : &c->receivers, p);
}

/* ---- one that waits ----------------------------------------------------------------------- */

/* Held by the queue, or whoever took it out, and by the promise's hook. */
struct waiter {
    struct vowi_party party; /* first */
    struct vowi_refs refs;
    vow_channel *c;
    vow_promise *promise;
};

static void
waiter_unref(struct waiter *w)
{
    vow_channel *c = w->c;

    if (!vowi_refs_drop(&w->refs))
        return;
    vowi_free(w, sizeof *w);
    vowi_channel_memory_unref(c);
}

static void
drop_hook(void *waiter)
{
    waiter_unref(waiter);
}

/* A waiter that has come out of its queue, and what it is told. */
struct ending {
    struct waiter *w;
    vow_result how;
};

static void
tell(void *ending)
{
    struct ending *e = ending;
    vow_promise *p = e->w->promise;

    vow_promise_resolve(p, e->how);
    vow_promise_unref(p);
    waiter_unref(e->w);
}

/* Ends one that is in no queue: its value, if it has one still, is not sent. Its drop may end
 * the thread. */
static void
finish(struct waiter *w, vow_result how)
{
    struct ending e = {w, how};
    vow_value unsent = w->party.value;

    pthread_cleanup_push(tell, &e);
    vow_value_drop(unsent);
    pthread_cleanup_pop(1);
}

static void
serve(struct vowi_party *p, vow_value v, vow_error *error)
{
    struct waiter *w = (struct waiter *)(void *)p;

    finish(w, error != NULL ? vow_err(error) : vow_ok(v));
}

static void
stop(vow_promise *p, const vow_error *reason, void *waiter)
{
    struct waiter *w = waiter;
    bool was_queued;

    (void)p;
    vowi_channel_lock(w->c);
    was_queued = vowi_channel_unqueue_locked(&w->party);
    vowi_channel_unlock(w->c);
    if (was_queued)
        finish(w, vow_err(vow_error_ref(reason)));
}

/* Has no value yet. NULL without memory. */
static struct waiter *
waiter_new(vow_channel *c, const void *site)
{
    struct waiter *w = vowi_alloc(sizeof *w);

    if (w == NULL)
        return NULL;
    vowi_self()->reads = 0; /* who takes part here does more than read */
    memset(w, 0, sizeof *w);
    vowi_refs_init(&w->refs);
    vowi_refs_take(&c->memory);
    w->c = c;
    w->party.serve = serve;
    w->promise = vowi_promise_new_at(site);
    vowi_refs_take(&w->refs);
    if (vow_promise_on_cancel(w->promise, NULL, stop, vow_own(w, drop_hook)) != NULL)
        return w;
    finish(w, vow_err(NULL));
    return NULL;
}

/* ---- sending -------------------------------------------------------------------------------- */

static enum vowi_channel_step
step_send(vow_channel *c, vow_value v, struct vowi_party *party)
{
    struct vowi_errand errand = {NULL, VOW_NIL, NULL};
    enum vowi_channel_step step;

    if (try_put(c, v))
        return VOWI_CHANNEL_DONE;
    vowi_channel_lock(c);
    step = vowi_channel_send_locked(c, v, party, &errand);
    vowi_channel_unlock(c);
    vowi_errand_run(&errand);
    return step;
}

int
vow_channel_try_send(vow_channel *c, vow_value v)
{
    if (c == NULL)
        return VOW_E_NOMEM;
    switch (step_send(c, v, NULL)) {
    case VOWI_CHANNEL_DONE:
        return 0;
    case VOWI_CHANNEL_WAITS:
        return VOW_E_LIMIT;
    case VOWI_CHANNEL_CLOSED:
        break;
    }
    return VOW_E_CLOSED;
}

static vow_future *
refused(vow_value v)
{
    vow_value_drop(v);
    return vow_rejected(vowi_error_of_end(VOWI_END_OF_CHANNEL));
}

static vow_future *
send_waiting(vow_channel *c, vow_value v, const void *site)
{
    struct waiter *w = waiter_new(c, site);
    vow_future *f;

    if (w == NULL) {
        vow_value_drop(v);
        return NULL;
    }
    f = vow_promise_future(w->promise);
    w->party.value = v;
    switch (step_send(c, v, &w->party)) {
    case VOWI_CHANNEL_WAITS:
        break;
    case VOWI_CHANNEL_DONE:
        w->party.value = VOW_NIL;
        finish(w, vow_ok(VOW_NIL));
        break;
    case VOWI_CHANNEL_CLOSED:
        finish(w, vow_err(vowi_error_of_end(VOWI_END_OF_CHANNEL)));
        break;
    }
    return f;
}

/* The outcome is allocated before the value is sent: what was sent has not failed. */
vow_future *
vow_channel_send(vow_channel *c, vow_value v)
{
    vow_future *sent = c != NULL ? vow_resolved(VOW_NIL) : NULL;

    if (sent == NULL) {
        vow_value_drop(v);
        return NULL;
    }
    switch (step_send(c, v, NULL)) {
    case VOWI_CHANNEL_DONE:
        return sent;
    case VOWI_CHANNEL_WAITS:
        vow_unref(sent);
        return send_waiting(c, v, __builtin_return_address(0));
    case VOWI_CHANNEL_CLOSED:
        break;
    }
    vow_unref(sent);
    return refused(v);
}

/* ---- receiving ------------------------------------------------------------------------------ */

static enum vowi_channel_step
step_receive(vow_channel *c, vow_value *out, struct vowi_party *party)
{
    struct vowi_errand errand = {NULL, VOW_NIL, NULL};
    enum vowi_channel_step step;

    if (try_get(c, out))
        return VOWI_CHANNEL_DONE;
    vowi_channel_lock(c);
    step = vowi_channel_receive_locked(c, out, party, &errand);
    vowi_channel_unlock(c);
    vowi_errand_run(&errand);
    return step;
}

int
vow_channel_try_receive(vow_channel *c, vow_value *out)
{
    *out = VOW_NIL;
    if (c == NULL)
        return VOW_E_NOMEM;
    switch (step_receive(c, out, NULL)) {
    case VOWI_CHANNEL_DONE:
        return 0;
    case VOWI_CHANNEL_WAITS:
        return VOW_E_EMPTY;
    case VOWI_CHANNEL_CLOSED:
        break;
    }
    return VOW_E_CLOSED;
}

static vow_future *
receive_waiting(vow_channel *c, const void *site)
{
    struct waiter *w = waiter_new(c, site);
    vow_value v = VOW_NIL;
    vow_future *f;

    if (w == NULL)
        return NULL;
    f = vow_promise_future(w->promise);
    switch (step_receive(c, &v, &w->party)) {
    case VOWI_CHANNEL_WAITS:
        break;
    case VOWI_CHANNEL_DONE:
        finish(w, vow_ok(v));
        break;
    case VOWI_CHANNEL_CLOSED:
        finish(w, vow_err(vowi_error_of_end(VOWI_END_OF_CHANNEL)));
        break;
    }
    return f;
}

/* The outcome is allocated before a value is taken: none is lost for want of memory. */
vow_future *
vow_channel_receive(vow_channel *c)
{
    vow_promise *p;
    vow_future *f;
    vow_value v = VOW_NIL;
    enum vowi_channel_step step;

    if (c == NULL)
        return NULL;
    p = vowi_promise_new_at(__builtin_return_address(0));
    if (p == NULL)
        return NULL;
    step = step_receive(c, &v, NULL);
    if (step == VOWI_CHANNEL_WAITS) {
        vow_promise_unref(p);
        return receive_waiting(c, __builtin_return_address(0));
    }
    f = vow_promise_future(p);
    if (step == VOWI_CHANNEL_DONE)
        vow_promise_fulfill(p, v);
    else
        vow_promise_reject(p, vowi_error_of_end(VOWI_END_OF_CHANNEL));
    vow_promise_unref(p);
    return f;
}

/* ---- its life ------------------------------------------------------------------------------- */

static void
end_fini(struct vowi_channel_end *end)
{
    vowi_kept_fini(&end->at_fork);
}

static bool
end_init(struct vowi_channel_end *end)
{
    return vowi_kept_init(&end->at_fork, &end->lock, VOWI_RANK_CHANNEL) == 0;
}

static bool
ends_init(vow_channel *c)
{
    if (!end_init(&c->in))
        return false;
    if (end_init(&c->out))
        return true;
    end_fini(&c->in);
    return false;
}

static size_t
size_of(size_t capacity)
{
    return sizeof(vow_channel) + capacity * sizeof(vow_value);
}

vow_channel *
vow_channel_new(size_t capacity)
{
    vow_channel *c;

    if (capacity > (SIZE_MAX / 2) / sizeof(vow_value))
        return NULL;
    c = vowi_alloc_aligned(size_of(capacity), VOWI_CHANNEL_LINE);
    if (c == NULL)
        return NULL;
    memset(c, 0, sizeof *c);
    if (!ends_init(c)) {
        vowi_free_aligned(c, size_of(capacity));
        return NULL;
    }
    vowi_refs_init(&c->handles);
    vowi_refs_init(&c->memory);
    c->capacity = capacity;
    vowi_list_init(&c->senders);
    vowi_list_init(&c->receivers);
    vowi_list_init(&c->returned);
    return c;
}

vow_channel *
vow_channel_ref(vow_channel *c)
{
    if (c != NULL)
        vowi_refs_take(&c->handles);
    return c;
}

/* Nobody knows it any more: what is in it is dropped. */
void
vowi_channel_memory_unref(vow_channel *c)
{
    if (!vowi_refs_drop(&c->memory))
        return;
    end_fini(&c->in);
    end_fini(&c->out);
    vowi_free_aligned(c, size_of(c->capacity));
}

static void
drop_all(vow_channel *c)
{
    vow_value v;

    while (vow_channel_try_receive(c, &v) == 0)
        vow_value_drop(v);
}

/* In one of those drops. */
static void
thread_exits_in_drop(void *channel)
{
    drop_all(channel);
    vowi_channel_memory_unref(channel);
}

/* It is closed, or the thread has ended in that. */
static void
bury(void *channel)
{
    vow_channel *c = channel;

    vowi_channel_lock(c);
    c->dead = true;
    vowi_channel_unlock(c);
    pthread_cleanup_push(thread_exits_in_drop, c);
    drop_all(c);
    pthread_cleanup_pop(0);
    vowi_channel_memory_unref(c);
}

void
vow_channel_unref(vow_channel *c)
{
    if (c == NULL || !vowi_refs_drop(&c->handles))
        return;
    pthread_cleanup_push(bury, c);
    vow_channel_close(c);
    pthread_cleanup_pop(1);
}

static struct vowi_party *
claim_any(vow_channel *c)
{
    struct vowi_party *p;

    vowi_channel_lock(c);
    p = claim_first_locked(&c->senders);
    if (p == NULL)
        p = claim_first_locked(&c->receivers);
    vowi_channel_unlock(c);
    return p;
}

static void
serve_all(vow_channel *c)
{
    struct vowi_party *p;

    while ((p = claim_any(c)) != NULL)
        p->serve(p, VOW_NIL, vowi_error_of_end(VOWI_END_OF_CHANNEL));
}

struct closing {
    vow_channel *c;
    bool outermost;
};

static void
end_close(const struct closing *x)
{
    vowi_channel_memory_unref(x->c);
    vowi_settling_end(x->outermost);
}

/* In the drop of what was not sent: the others are told all the same. */
static void
thread_exits_in_close(void *closing)
{
    const struct closing *x = closing;

    serve_all(x->c);
    end_close(x);
}

/* Inline steps on what is settled wait until all of it is. */
static void
close_first(vow_channel *c)
{
    struct closing x = {c, vowi_settling_begin()};

    vowi_refs_take(&c->memory); /* whom it serves may give up the last handle */
    pthread_cleanup_push(thread_exits_in_close, &x);
    serve_all(c);
    pthread_cleanup_pop(0);
    end_close(&x);
}

bool
vow_channel_close(vow_channel *c)
{
    bool first;

    if (c == NULL)
        return false;
    vowi_channel_lock(c);
    first = !c->closed;
    c->closed = true;
    vowi_channel_unlock(c);
    if (first)
        close_first(c);
    return first;
}

size_t
vow_channel_count(const vow_channel *c)
{
    struct vowi_lock *lock;
    size_t count;

    if (c == NULL)
        return 0;
    lock = &((vow_channel *)vow_ptr(c).as.ptr)->out.lock;
    vowi_lock_acquire(lock);
    /* relaxed: a number; what comes out stands still meanwhile, so that it is one */
    count = vowi_load_relaxed(&c->in.passed) - vowi_load_relaxed(&c->out.passed);
    vowi_lock_release(lock);
    return count;
}
