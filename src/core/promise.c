/* SPDX-License-Identifier: MIT */
/* core/promise.c - the writing end: making, settling and letting go of it. */
#include "base/mem.h"
#include "base/options.h"
#include "core/arrive.h"
#include "core/block.h"
#include "core/caller.h"
#include "core/cancel.h"
#include "core/follow.h"
#include "core/refs.h"
#include "core/result.h"
#include "core/settle.h"
#include "core/trampoline.h"
#include "core/word.h"

static struct vow_state *
bare_new(uint64_t refs, uintptr_t word, const void *site)
{
    struct vowi_bare *b = vowi_alloc(sizeof *b);

    if (b == NULL)
        return NULL;
    atomic_init(&b->state.word, word);
    atomic_init(&b->state.refs, refs);
    vowi_set_value(&b->state, VOW_NIL);
    b->state.extra = vow_ptr(site).as.ptr;
    b->follow = NULL;
    return &b->state;
}

vow_promise *
vow_promise_new(void)
{
    return vowi_promise(bare_new(VOWI_PROMISE, 0, __builtin_return_address(0)));
}

vow_promise *
vowi_promise_new_at(const void *site)
{
    return vowi_promise(bare_new(VOWI_PROMISE, 0, site));
}

vow_promise *
vow_promise_new_with(const vow_promise_options *opt)
{
    vow_promise_options o;
    uint64_t refs = VOWI_PROMISE;
    struct vow_registration *record = NULL;
    struct vow_state *s;

    vowi_options_read(&o, sizeof o, opt);
    if (o.site == NULL)
        o.site = __builtin_return_address(0);
    if (o.flags & VOW_STOP_WHEN_UNWANTED)
        refs |= VOWI_STOPPABLE;
    if (o.name != NULL) {
        record = vowi_record_new(o.name, o.site);
        if (record == NULL)
            return NULL;
        refs |= VOWI_HAS_RECORD;
    }
    s = bare_new(refs, 0, record != NULL ? record : o.site);
    if (s == NULL)
        vowi_free(record, sizeof *record);
    return vowi_promise(s);
}

vow_future *
vow_resolved(vow_value v)
{
    struct vow_state *s =
        bare_new(VOWI_CONSUMER | VOWI_ASKED, VOWI_CLAIMED | VOWI_SETTLED,
                 __builtin_return_address(0));

    if (s != NULL)
        vowi_set_value(s, v);
    else
        vow_value_drop(v);
    return vowi_future(s);
}

vow_future *
vowi_rejected_at(vow_error *e, const void *site)
{
    struct vow_state *s = bare_new(VOWI_CONSUMER | VOWI_ASKED | VOWI_REJECTED,
                                   VOWI_CLAIMED | VOWI_SETTLED, site);

    if (s != NULL)
        vowi_set_error(s, e);
    else
        vow_error_unref(e);
    return vowi_future(s);
}

vow_future *
vow_rejected(vow_error *e)
{
    return vowi_rejected_at(e, __builtin_return_address(0));
}

/* relaxed: the caller has a reference, and with it an order. */
vow_future *
vow_promise_future(vow_promise *p)
{
    struct vow_state *s = vowi_promise_state(p);
    uint64_t refs;

    if (p == NULL)
        return NULL;
    refs = vowi_load_relaxed(&s->refs);
    while ((refs & VOWI_CONSUMERS) < VOWI_CONSUMERS_MANY)
        if (vowi_cas_relaxed(&s->refs, &refs, (refs + VOWI_CONSUMER) | VOWI_ASKED))
            break;
    return vowi_future(s);
}

/* relaxed: as above. */
vow_promise *
vow_promise_ref(vow_promise *p)
{
    struct vow_state *s = vowi_promise_state(p);

    if (p != NULL && (vowi_load_relaxed(&s->refs) & VOWI_PROMISES) < VOWI_PROMISES_MANY)
        vowi_add_relaxed(&s->refs, VOWI_PROMISE);
    return p;
}

/* ---- settling --------------------------------------------------------------------- */

bool
vow_promise_resolve(vow_promise *p, vow_result r)
{
    struct vowi_thread *t = vowi_self();
    struct vow_state *s = vowi_promise_state(p);
    bool outermost;

    if (p == NULL || !vowi_claim(s)) {
        if (r.follow != NULL)
            vowi_mark_seen(vowi_state(r.follow)); /* the loser handled its failure */
        vow_result_drop(r);
        return false;
    }
    t->reads = 0;
    outermost = vowi_enter(t);
    vowi_add_relaxed(&s->refs, VOWI_HOLD); /* relaxed: p is a reference */
    vowi_finish(t, s, NULL, &r);
    vowi_leave(t, outermost);
    return true;
}

VOWI_NOINLINE static void
fulfilled(struct vow_state *s, struct vowi_node *n)
{
    struct vowi_thread *t = vowi_self();
    bool outermost;

    t->reads = 0;
    outermost = vowi_enter(t);
    vowi_settle_published(t, s, n);
    vowi_leave(t, outermost);
}

/* What hangs on a promise is most often a join alone. relaxed: a record is installed before,
 * or under the lock bit that publishing waited for. */
static inline bool
is_sole_arrival(struct vow_state *s, struct vowi_node *n)
{
    return n != NULL && n->next == NULL && vowi_is_arrival(n) &&
           (vowi_load_relaxed(&s->refs) & VOWI_HAS_RECORD) == 0;
}

bool
vow_promise_fulfill(vow_promise *p, vow_value v)
{
    struct vow_state *s = vowi_promise_state(p);
    struct vowi_node *n;

    if (p == NULL || !vowi_claim(s)) {
        vow_value_drop(v);
        return false;
    }
    vowi_set_value(s, v);
    n = vowi_publish(s, 0);
    if (vowi_likely(is_sole_arrival(s, n)))
        vowi_arrive_with_value(n);
    else
        fulfilled(s, n);
    return true;
}

bool
vow_promise_reject(vow_promise *p, vow_error *e)
{
    struct vowi_thread *t = vowi_self();
    struct vow_state *s = vowi_promise_state(p);
    bool outermost;

    if (p == NULL || !vowi_claim(s)) {
        vow_error_unref(e);
        return false;
    }
    vowi_set_error(s, e);
    t->reads = 0;
    outermost = vowi_enter(t);
    vowi_settle(t, s);
    vowi_leave(t, outermost);
    return true;
}

/* ---- letting go ---------------------------------------------------------------------- */

static void
decide(struct vowi_thread *t, struct vow_state *s, bool abandon)
{
    bool outermost = vowi_enter(t);

    if (abandon) {
        vowi_abandon(t, s);
    } else {
        vowi_set_error(s, vow_error_of(VOW_E_BROKEN));
        vowi_settle(t, s);
    }
    vowi_leave(t, outermost);
}

/* In a step that then ran: the promise is to go still. */
static void
thread_exits_in_step(void *state)
{
    vow_promise_unref(vowi_promise(state));
}

/* The last promise goes. What it leaves undecided is decided now. */
static void
last_promise_goes(struct vowi_thread *t, struct vow_state *s, bool abandon)
{
    if (!vowi_claim(s))
        return;
    pthread_cleanup_push(thread_exits_in_step, s);
    decide(t, s, abandon);
    pthread_cleanup_pop(0);
}

/* relaxed: whether it was claimed is asked again by the claim. */
static bool
is_undecided(struct vow_state *s)
{
    return (vowi_load_relaxed(&s->word) & VOWI_CLAIMED) == 0;
}

static void
splice_out(struct vowi_thread *t, struct vow_state *s)
{
    bool outermost = vowi_enter(t);

    vowi_splice_out(t, s);
    vowi_leave(t, outermost);
}

VOWI_NOINLINE static void
release_what_may_decide(struct vow_state *s, bool abandon)
{
    struct vowi_thread *t = vowi_self();
    uint64_t refs;

    do {
        refs = vowi_load_acquire(&s->refs); /* [release] */
        if ((refs & VOWI_PROMISES) >= VOWI_PROMISES_MANY)
            return;
        if (vowi_unlikely((refs & VOWI_PROMISES) == 0))
            vowi_fatal("a promise was released more often than it was referenced");
        if ((refs & VOWI_PROMISES) == VOWI_PROMISE && is_undecided(s)) {
            last_promise_goes(t, s, abandon);
            refs = vowi_load_acquire(&s->refs); /* [release] */
        }
        if ((refs & (VOWI_PROMISES | VOWI_CONSUMERS)) == (VOWI_PROMISE | VOWI_CONSUMER) &&
            vowi_is_following(s)) {
            splice_out(t, s);
            refs = vowi_load_acquire(&s->refs); /* [release] */
        }
        if ((refs & VOWI_COUNTS) == VOWI_PROMISE) {
            vowi_state_free(t, s); /* nobody can make another: the count is not written */
            return;
        }
    } while (!vowi_cas_release(&s->refs, &refs, refs - VOWI_PROMISE)); /* [release] */
}

/* What has settled, and is still read, only has its count written. */
static inline void
promise_release(struct vow_state *s, bool abandon)
{
    /* relaxed: the CAS orders it, and a word that is settled stays so */
    uint64_t refs = vowi_load_relaxed(&s->refs);

    if (vowi_load_relaxed(&s->word) & VOWI_SETTLED)
        while ((refs & VOWI_CONSUMERS) != 0 &&
               (refs & VOWI_PROMISES) - VOWI_PROMISE < VOWI_PROMISES_MANY - VOWI_PROMISE)
            if (vowi_cas_release(&s->refs, &refs, refs - VOWI_PROMISE)) /* [release] */
                return;
    release_what_may_decide(s, abandon);
}

void
vow_promise_unref(vow_promise *p)
{
    if (p != NULL)
        promise_release(vowi_promise_state(p), false);
}

void
vow_promise_abandon(vow_promise *p)
{
    if (p != NULL)
        promise_release(vowi_promise_state(p), true);
}
