/* SPDX-License-Identifier: MIT */
/*
 * core/executor.c - an executor's references, its end, and who runs here.
 *
 * Two counts. Handles are the references that users hold; without any the executor
 * is closed. Holds keep its memory: one for all handles together, one until it has
 * finished, and one for each pending step that names it. Without holds it is
 * destroyed.
 *
 * What still runs there may take a handle when there are none. Each end of all handles
 * gives back one hold, so each beginning takes one: of the thread that gave up the last
 * and is about to give back its hold, and the one that takes the first anew, neither
 * waits for the other. What runs is a hold by itself meanwhile, and until the new one is
 * taken the count of handles, which is not zero, cannot come to zero again, for the
 * handle is not given to anybody yet.
 *
 * A hold for each step, on one line that all threads share, would cost more than
 * the step. So a thread takes CREDIT holds at once and spends them by itself; it
 * gives back what is left when it turns to another executor, sleeps, lets go of
 * the executor, or exits. An executor's memory may stay until then.
 *
 * Edges:
 *     [handle]  what a user did with the executor, to the close by the last unref
 *     [memory]  all uses of it, from each release of holds to its destruction
 *     [mode]    what happened before close, to whoever is turned away by it
 *     [armed]   of a close and an arm elsewhere one sees the other (core/timer.c)
 */
#include "core/executor.h"

#include "base/buggify.h"
#include "base/error.h"
#include "base/fork.h"
#include "base/list.h"
#include "base/mem.h"
#include "core/fork.h"
#include "core/husk.h"
#include "core/timer.h"
#include "core/token.h"
#include "core/trampoline.h"
#include "core/wait.h"

#ifndef VOWI_CREDIT
#define VOWI_CREDIT 64
#endif

struct home {
    _Atomic(uint32_t) handles;
    _Atomic(int64_t) holds;
    _Atomic(int) mode; /* 0: open; else 1 + the strictest mode of a close */
    atomic_bool finished;
    _Atomic(unsigned) husks;
    _Atomic(int64_t) timers; /* armed elsewhere for it */
    atomic_bool keeps;       /* or kept, timers for others */
    vow_promise *closed;
    vow_future *closing; /* of closed */
    vow_token *stopping; /* fires when it is closed with VOW_CANCEL_QUEUED */

    vow_executor *executor;
    const vow_executor_ops *ops; /* its own, whatever a fork put in their place */
    struct vowi_link link;       /* guarded by VOWI_GLOBAL_EXECUTORS */
};

/* All that vow_executor_init made; guarded by VOWI_GLOBAL_EXECUTORS. */
static struct vowi_list homes = {.head = {&homes.head, &homes.head}};

#define HANDLES_MANY (UINT32_C(1) << 30)

static struct home *
home_of(const vow_executor *on)
{
    return on != NULL ? on->library : NULL;
}

/* ---- memory ----------------------------------------------------------------------------- */

static void
destroy(vow_executor *on, struct home *home)
{
    vow_promise *closed = home->closed;
    vow_future *closing = home->closing;

    vowi_global_lock(VOWI_GLOBAL_EXECUTORS);
    vowi_list_remove(&home->link);
    vowi_global_unlock(VOWI_GLOBAL_EXECUTORS);
    if (on->ops->destroy != NULL)
        on->ops->destroy(on);
    vow_token_unref(home->stopping);
    vow_unref(closing);
    vow_promise_unref(closed);
    vowi_free(home, sizeof *home);
}

/* Out of line, as what takes credit is: so a hold that costs none saves no registers. */
VOWI_NOINLINE static void
release_holds(vow_executor *on, int64_t n)
{
    struct home *home = on->library;
    int64_t before = vowi_sub_acq_rel(&home->holds, n); /* [memory] */

    if (vowi_unlikely(before < n))
        vowi_fatal("an executor was released more often than it was referenced");
    if (before == n)
        destroy(on, home);
}

static void
release_credit(struct vowi_thread *t)
{
    vow_executor *on = t->credit_of;
    unsigned n = t->credit;

    t->credit_of = NULL;
    t->credit = 0;
    if (n != 0)
        release_holds(on, n);
}

/* A hold of its own. relaxed: the caller has a reference, and with it an order. */
static void
take_hold(vow_executor *on)
{
    struct home *home = on->library;

    vowi_add_relaxed(&home->holds, 1);
}

/* relaxed: as above. */
static void
take_credit(struct vowi_thread *t, vow_executor *on)
{
    struct home *home = on->library;

    while (t->credit_of != NULL) /* its destroy, say, may attach steps elsewhere */
        release_credit(t);
    vowi_store_relaxed(&vowi_globals.release_credit, release_credit);
    vowi_add_relaxed(&home->holds, VOWI_CREDIT);
    t->credit_of = on;
    t->credit = VOWI_CREDIT;
}

VOWI_NOINLINE static void
hold_without_credit(struct vowi_thread *t, vow_executor *on)
{
    if (!vowi_thread_register(t)) { /* credit would be lost with the thread */
        take_hold(on);
        return;
    }
    take_credit(t, on);
    t->credit--;
}

vow_executor *
vowi_executor_hold(struct vowi_thread *t, vow_executor *on)
{
    if (on == NULL || on == &vowi_inline_executor)
        return NULL;
    if (on->library == NULL)
        return on; /* a static object: there for ever */
    if (t->credit_of == on && t->credit != 0)
        t->credit--;
    else
        hold_without_credit(t, on);
    return on;
}

static void
give_back(struct vowi_thread *t, vow_executor *on, unsigned n)
{
    if (t->credit_of == on && t->credit + n <= 2 * VOWI_CREDIT &&
        !VOWI_BUGGIFY("a hold is given back at once"))
        t->credit += n;
    else
        release_holds(on, n);
}

void
vowi_executor_release(struct vowi_thread *t, vow_executor *on)
{
    if (on != NULL && on->library != NULL)
        give_back(t, on, 1);
}

/* A close future that is not settled; false without memory. */
static bool
make_closed(struct home *home)
{
    home->closed = vow_promise_new();
    home->closing = vow_promise_future(home->closed);
    return home->closed != NULL;
}

/* What its end needs; false without memory, and then nothing is left. */
static bool
make_end(struct home *home)
{
    bool made = make_closed(home);

    home->stopping = vowi_token_new();
    if (made && home->stopping != NULL)
        return true;
    vow_token_unref(home->stopping);
    vow_unref(home->closing);
    vow_promise_abandon(home->closed);
    return false;
}

static void
home_init(struct home *home, vow_executor *self)
{
    atomic_init(&home->handles, 1);
    atomic_init(&home->holds, 2); /* for the handles, and until it has finished */
    atomic_init(&home->mode, 0);
    atomic_init(&home->finished, false);
    atomic_init(&home->husks, 0);
    atomic_init(&home->timers, 0);
    atomic_init(&home->keeps, false);
    home->executor = self;
    home->ops = self->ops;
    vowi_global_lock(VOWI_GLOBAL_EXECUTORS);
    vowi_list_push(&homes, &home->link);
    vowi_global_unlock(VOWI_GLOBAL_EXECUTORS);
}

int
vow_executor_init(vow_executor *self, const vow_executor_ops *ops)
{
    struct home *home;

    /* relaxed: always these */
    vowi_store_relaxed(&vowi_globals.drain, vowi_drain_all);
    vowi_store_relaxed(&vowi_globals.is_awaitable, vowi_is_awaitable);
    self->ops = ops;
    self->library = NULL;
    if (ops == NULL || ops->post == NULL)
        return VOW_E_INVALID;
    if (!vowi_fork_watch())
        return VOW_E_NOMEM;
    home = vowi_alloc(sizeof *home);
    if (home == NULL)
        return VOW_E_NOMEM;
    if (!make_end(home)) {
        vowi_free(home, sizeof *home);
        return VOW_E_NOMEM;
    }
    vowi_fork_watch_core();
    home_init(home, self);
    self->library = home;
    return 0;
}

/* ---- references --------------------------------------------------------------------------- */

vow_executor *
vow_executor_ref(vow_executor *on)
{
    struct home *home = home_of(on);

    /* relaxed: the caller has a reference, or runs there: an order */
    if (home != NULL && vowi_load_relaxed(&home->handles) < HANDLES_MANY &&
        vowi_add_relaxed(&home->handles, 1) == 0)
        take_hold(on); /* who gave up the last handle gives back another */
    return on;
}

/* What runs there should stop. Allocates nothing: both errors are built in. */
static void
tell_running(struct home *home)
{
    vowi_token_cancel(home->stopping,
                      vowi_error_cancelled_by(vow_error_of(VOW_E_CLOSED)));
}

/* A close on its way. */
struct closing {
    vow_executor *on;
    vow_close_mode mode;
    bool begun; /* its own close was called */
};

static void thread_exits_in_close(void *closing);

/* A timer's run may end the thread: then it goes on from there. */
static void
finish_close(struct closing *c)
{
    vow_executor *on = c->on;
    struct home *home = on->library;

    pthread_cleanup_push(thread_exits_in_close, c);
    /* [armed]; acquires nothing: what was armed lies under the lock of its home */
    if (vowi_or_release(&home->timers, 0) != 0)
        vowi_timers_revoke(on);
    if (c->mode == VOW_CANCEL_QUEUED)
        tell_running(home);
    c->begun = true;
    if (on->ops->close != NULL)
        on->ops->close(on, c->mode);
    else
        vow_executor_finished(on);
    pthread_cleanup_pop(0);
}

/* Inside its own close, that has seen to the rest: the executor may be gone. */
static void
thread_exits_in_close(void *closing)
{
    struct closing *c = closing;

    if (!c->begun)
        finish_close(c);
    vowi_leave_exiting(vowi_self());
}

/* Closes it in a mode, if that is stricter than what was asked before. Inline steps on what
 * that settles wait until all of it is: one may wait for another. */
static void
close_in(vow_executor *on, struct home *home, vow_close_mode mode)
{
    struct vowi_thread *t = vowi_self();
    struct closing c = {.on = on, .mode = mode};
    int now = 1 + (int)mode;
    int before = vowi_load_relaxed(&home->mode); /* relaxed: the CAS orders it */
    bool outermost;

    do {
        if (before >= now)
            return;
    } while (!vowi_cas_release(&home->mode, &before, now)); /* [mode] */
    outermost = vowi_enter(t);
    finish_close(&c);
    vowi_leave(t, outermost);
}

/* What the handles kept, once they are all gone. */
static void
release_for_handles(void *arg)
{
    vow_executor *on = arg;
    struct vowi_thread *t = vowi_self();

    if (t->credit_of == on)
        release_credit(t);
    release_holds(on, 1);
}

void
vow_executor_unref(vow_executor *on)
{
    struct home *home = home_of(on);
    uint32_t before;

    /* relaxed: only whether it is beyond counting */
    if (home == NULL || vowi_load_relaxed(&home->handles) >= HANDLES_MANY)
        return;
    before = vowi_sub_acq_rel(&home->handles, 1); /* [handle] */
    if (vowi_unlikely(before == 0))
        vowi_fatal("an executor was released more often than it was referenced");
    if (before != 1)
        return;
    pthread_cleanup_push(release_for_handles, on);
    if (!vowi_is_forked(on))
        close_in(on, home, VOW_DRAIN);
    pthread_cleanup_pop(1);
}

/* ---- husks ---------------------------------------------------------------------------------- */

/* relaxed, all three: a hint. */
void
vowi_husk_add(vow_executor *on)
{
    struct home *home = home_of(on);

    if (home != NULL) {
        take_hold(on);
        vowi_add_relaxed(&home->husks, 1);
    }
}

void
vowi_husk_gone(vow_executor *on)
{
    struct home *home = home_of(on);

    if (home != NULL) {
        vowi_sub_relaxed(&home->husks, 1);
        release_holds(on, 1);
    }
}

unsigned
vowi_husks(const vow_executor *on)
{
    struct home *home = home_of(on);

    return home != NULL ? vowi_load_relaxed(&home->husks) : 0;
}

/* ---- the end ------------------------------------------------------------------------------- */

void
vow_executor_finished(vow_executor *self)
{
    struct home *home = home_of(self);

    /* relaxed: who is first; the close future orders [settled], the holds free [memory] */
    if (home == NULL || vowi_swap_relaxed(&home->finished, true))
        return;
    vow_promise_fulfill(home->closed, VOW_NIL);
    release_holds(self, 1);
}

static void
nobody_gets(void *closing)
{
    vow_unref(closing);
}

vow_future *
vow_executor_close(vow_executor *on, vow_close_mode mode)
{
    struct home *home = home_of(on);
    vow_future *closing;

    if (home == NULL)
        return vow_rejected(vow_error_of(VOW_E_INVALID));
    if (vowi_is_forked(on))
        return vow_rejected(vow_error_of(VOW_E_FORKED));
    closing = vow_ref(home->closing); /* what runs now may give up the last handle */
    pthread_cleanup_push(nobody_gets, closing);
    close_in(on, home, mode);
    pthread_cleanup_pop(0);
    return closing;
}

int
vow_executor_join(vow_executor *on)
{
    struct home *home = home_of(on);

    if (vowi_is_forked(on))
        return VOW_E_FORKED;
    /* relaxed: the close future, waited for next, orders [settled] */
    if (home == NULL || vowi_load_relaxed(&home->mode) == 0)
        return VOW_E_INVALID;
    if (vow_executor_current() == on || vowi_self()->ending == on ||
        !vow_wait(home->closing, VOW_FOREVER))
        return VOW_E_DEADLOCK;
    if (on->ops->join != NULL)
        on->ops->join(on);
    return 0;
}

/* ---- timers armed elsewhere ------------------------------------------------------------------ */

bool
vow_executor_is_closed(const vow_executor *on)
{
    struct home *home = home_of(on);

    return home != NULL && vowi_load_acquire(&home->mode) != 0; /* [mode], [armed] */
}

bool
vowi_executor_count_timer(struct vowi_thread *t, vow_executor *on)
{
    struct home *home = home_of(on);

    if (home == NULL)
        return true; /* a static object: there for ever */
    vowi_executor_hold(t, on);
    vowi_add_acquire(&home->timers, 1); /* [armed] */
    if (!vow_executor_is_closed(on))
        return true;
    vowi_executor_uncount_timers(t, on, 1);
    return false;
}

/* relaxed: a count that is too high for a while does no harm. */
void
vowi_executor_uncount_timers(struct vowi_thread *t, vow_executor *on, unsigned n)
{
    struct home *home = home_of(on);

    if (home == NULL)
        return;
    vowi_sub_relaxed(&home->timers, n);
    give_back(t, on, n);
}

/* relaxed: what a close has to find has been counted before it looked first [armed] */
bool
vowi_executor_has_timers(const vow_executor *on)
{
    struct home *home = home_of(on);

    return home != NULL && vowi_load_relaxed(&home->timers) != 0;
}

/* ---- timers armed here for others -------------------------------------------------------------- */

/*
 * The first time under the lock of the list, so that of a walk and that time the later one
 * sees the other: the walk who keeps some, or who arms, and whoever it is later, that the
 * executor of the walk is closed [armed].
 */
void
vowi_executor_keeps_timers(vow_executor *on)
{
    struct home *home = home_of(on);

    if (home == NULL || vowi_load_acquire(&home->keeps)) /* [armed] */
        return;
    vowi_global_lock(VOWI_GLOBAL_EXECUTORS);
    vowi_store_release(&home->keeps, true); /* [armed] */
    vowi_global_unlock(VOWI_GLOBAL_EXECUTORS);
}

/* Holds one that keeps timers. Without holds it is about to leave the list. relaxed: the lock
 * of the list orders both */
static bool
hold_keeper(struct home *home)
{
    int64_t holds = vowi_load_relaxed(&home->holds);

    if (!vowi_load_relaxed(&home->keeps))
        return false;
    while (holds != 0 && !vowi_cas_relaxed(&home->holds, &holds, holds + 1))
        ;
    return holds != 0;
}

/* The next after one that is held, and so stays in the list, is held; NULL: after none. */
static struct home *
next_keeper(const struct home *at)
{
    struct home *next = NULL;
    struct vowi_link *link;

    vowi_global_lock(VOWI_GLOBAL_EXECUTORS);
    link = at != NULL ? at->link.next : homes.head.next;
    for (; link != &homes.head && next == NULL; link = link->next)
        if (hold_keeper(vowi_container_of(link, struct home, link)))
            next = vowi_container_of(link, struct home, link);
    vowi_global_unlock(VOWI_GLOBAL_EXECUTORS);
    return next;
}

static void
let_go(void *home)
{
    release_holds(((struct home *)home)->executor, 1);
}

/* Returns the next. What is visited may end the thread. */
static struct home *
visit_keeper(struct home *at, vowi_visit_fn *visit, vow_executor *on)
{
    struct home *next;

    pthread_cleanup_push(let_go, at);
    visit(at->executor, on);
    next = next_keeper(at);
    pthread_cleanup_pop(1);
    return next;
}

void
vowi_executors_that_keep_timers(vowi_visit_fn *visit, vow_executor *on)
{
    struct home *at = next_keeper(NULL);

    while (at != NULL)
        at = visit_keeper(at, visit, on);
}

/* ---- being told to stop ---------------------------------------------------------------------- */

vow_token *
vowi_executor_stopping(const vow_executor *on)
{
    struct home *home = home_of(on);

    return home != NULL ? home->stopping : NULL;
}

bool
vowi_executor_closes(const vow_executor *on, const struct vow_state *s)
{
    struct home *home = home_of(on);

    return home != NULL && vowi_state(home->closing) == s;
}

/* relaxed: out of date when it is read */
const char *
vowi_executor_state(const vow_executor *on)
{
    struct home *home = home_of(on);
    int mode = home != NULL ? vowi_load_relaxed(&home->mode) : 0;

    if (vowi_is_forked(on))
        return "left behind by a fork";
    if (mode == 0)
        return "open";
    if (vowi_load_relaxed(&home->finished))
        return "finished";
    return mode == 1 + VOW_DRAIN ? "draining" : "cancelling";
}

/* ---- in a forked child --------------------------------------------------------------------- */

/* The table first: what `forked` does may post. relaxed: there is one thread. */
static void
leave_behind(struct home *home)
{
    vow_executor *on = home->executor;
    void (*forked)(vow_executor *) = vowi_executor_op(on, forked);

    if (vowi_is_forked(on))
        return; /* by an earlier fork */
    on->ops = &vowi_forked_ops;
    vowi_sub_relaxed(&home->holds, vowi_swap_relaxed(&home->husks, 0));
    if (forked != NULL)
        forked(on);
}

void
vowi_executors_in_child(void)
{
    struct vowi_thread *t = vowi_self();
    vow_executor *current = t->executor;

    vowi_list_each (link, &homes)
        leave_behind(vowi_container_of(link, struct home, link));
    if (vowi_is_forked(current))
        t->executor = NULL;
}

bool
vowi_closes_forked(const struct vow_state *s)
{
    bool found = false;

    vowi_global_lock(VOWI_GLOBAL_EXECUTORS);
    vowi_list_each (link, &homes) {
        const struct home *home = vowi_container_of(link, struct home, link);

        found =
            found || (vowi_is_forked(home->executor) && vowi_state(home->closing) == s);
    }
    vowi_global_unlock(VOWI_GLOBAL_EXECUTORS);
    return found;
}

/* With its own table again, so that what it starts finds that. */
static int
revive(vow_executor *on, struct home *home)
{
    struct home before = {.closed = home->closed, .closing = home->closing};
    int rc;

    if (!make_closed(home))
        rc = VOW_E_NOMEM;
    else
        rc = home->ops->revive(on);
    if (rc != 0) {
        vow_unref(home->closing);
        vow_promise_abandon(home->closed);
        home->closed = before.closed;
        home->closing = before.closing;
        return rc;
    }
    vow_unref(before.closing);
    vow_promise_abandon(before.closed);
    return 0;
}

int
vow_executor_revive(vow_executor *on)
{
    struct home *home = home_of(on);
    int rc;

    if (home == NULL)
        return VOW_E_INVALID;
    if (!vowi_is_forked(on))
        return 0;
    /* relaxed: it was closed before the fork, or not at all */
    if (vowi_load_relaxed(&home->mode) != 0)
        return VOW_E_CLOSED;
    on->ops = home->ops;
    rc = vowi_executor_op(on, revive) != NULL ? revive(on, home) : VOW_E_INVALID;
    if (rc != 0)
        on->ops = &vowi_forked_ops;
    return rc;
}

/* ---- who runs here --------------------------------------------------------------------------- */

vow_executor *
vow_executor_enter(vow_executor *self)
{
    struct vowi_thread *t = vowi_self();
    vow_executor *before = t->executor;

    t->executor = self;
    return before;
}

vow_executor *
vow_executor_current(void)
{
    return vowi_self()->executor;
}
