/* SPDX-License-Identifier: MIT */
/*
 * core/registration.c - functions that are called when a token fires.
 *
 * A callback is one block: its tie on the token, and the task by which it waits on a
 * trampoline or in an executor's queue. What becomes of it is in its tie's `of`,
 * guarded by the token's lock, so that a remove answers exactly:
 *
 *     WAITING   hangs, or is on its way to where it runs
 *     RUNNING   runs now, on thread `runner`; or its context is being dropped there
 *     RAN       its function has returned and its context is dropped
 *     REFUSED   its executor did not want it, or closed first: it never runs
 *     GIVEN_UP  its owner removed it: on its way it becomes free when it arrives,
 *               running when it has returned
 *
 * It is freed by its owner's remove, or after GIVEN_UP by the thread that has it.
 *
 * Waiting for one that runs. Of two callbacks that wait for one another, each in its
 * own thread, neither would return. So who waits is listed, with the thread it waits
 * for, and who would close a ring does not wait.
 */
#include <sched.h>
#include <string.h>

#include <vow/cancel.h>

#include "base/mem.h"
#include "core/cancel.h"
#include "core/deadlock.h"
#include "core/executor.h"
#include "core/frame.h"
#include "core/node.h"
#include "core/token.h"
#include "core/trampoline.h"
#include "sync/fiber.h"
#include "sync/park.h"

enum { WAITING, RUNNING, RAN, REFUSED, GIVEN_UP };

struct waiter;

struct callback {
    union vowi_task as; /* first: a promise's hook begins with one as well */
    struct vowi_tie tie;
    union {
        vow_executor *on;   /* held, until it is delivered */
        const void *runner; /* while it runs */
    } where;
    union {
        vow_fn *fn;            /* until it runs */
        struct waiter *waiter; /* while it runs; NULL: none */
    } then;
    vow_value ctx;
};

#if UINTPTR_MAX == UINT64_MAX
static_assert(sizeof(struct callback) == 96, "a block of the caches");
#endif

static struct callback *
callback_of(vow_registration *r)
{
    return (struct callback *)(void *)r;
}

static void run_callback(vow_task *task, int why);

/* Whether it is a promise's hook: that begins with a task as well (core/block.h). */
static bool
is_hook(vow_registration *r)
{
    const union vowi_task *as = (const union vowi_task *)(void *)r;

    return as->task.run != run_callback;
}

/* ---- waiting ------------------------------------------------------------------------------- */

/* A thread or a fiber that sleeps until a callback has returned. On its stack. */
struct waiter {
    struct vowi_link link;
    const void *sleeper;
    const void *runner;
    struct vowi_parker *parker;
    bool woken; /* guarded by the parker's mutex */
};

static struct {
    struct vowi_link *newest; /* guarded by VOWI_GLOBAL_REMOVALS; only next is used */
} waiters;

/* Whom a thread or a fiber waits for; NULL: nobody. */
static const void *
waits_for_locked(const void *t)
{
    for (struct vowi_link *l = waiters.newest; l != NULL; l = l->next) {
        const struct waiter *w = vowi_container_of(l, struct waiter, link);

        if (w->sleeper == t)
            return w->runner;
    }
    return NULL;
}

static bool
would_close_ring_locked(const struct waiter *w)
{
    const void *t = w->runner;

    while (t != NULL && t != w->sleeper)
        t = waits_for_locked(t);
    return t != NULL;
}

/* Lists w as waiting for a callback, if that still runs and its end would come. */
static bool
begin_wait(struct callback *cb, struct waiter *w)
{
    struct vow_token *token = cb->tie.token;
    bool waits = false;

    vowi_global_lock(VOWI_GLOBAL_REMOVALS);
    vowi_spin_acquire(&token->lock);
    if (cb->tie.of == RUNNING) {
        w->runner = cb->where.runner;
        waits = !would_close_ring_locked(w);
        if (waits)
            cb->then.waiter = w;
    }
    vowi_spin_release(&token->lock);
    if (waits) {
        w->link.next = waiters.newest;
        waiters.newest = &w->link;
    }
    vowi_global_unlock(VOWI_GLOBAL_REMOVALS);
    return waits;
}

/* Called by the thread that ran the callback, before it does anything else. */
static void
end_wait(struct waiter *w)
{
    struct vowi_link **at = &waiters.newest;
    bool listed;

    vowi_global_lock(VOWI_GLOBAL_REMOVALS);
    while (*at != NULL && *at != &w->link)
        at = &(*at)->next;
    listed = *at != NULL; /* else it slept in a process that has forked this one */
    if (listed)
        *at = w->link.next;
    vowi_global_unlock(VOWI_GLOBAL_REMOVALS);
    if (listed)
        vowi_unpark(w->parker, &w->woken);
}

void
vowi_removals_in_child(void)
{
    waiters.newest = NULL;
}

/* ---- running ------------------------------------------------------------------------------- */

/* A callback on the move, and the clean-up handler if its thread exits. */
struct turn {
    struct callback *cb;
    vow_fn *fn;
    vow_value ctx;
    unsigned char then; /* what becomes of it: RAN or REFUSED */
};

static void
callback_free(struct vowi_thread *t, struct callback *cb)
{
    vowi_free_on(t, cb, sizeof *cb);
}

/* Its context has been dropped. Says so, or frees it if its owner has gone. */
static void
callback_dropped(struct vowi_thread *t, struct turn *turn)
{
    struct callback *cb = turn->cb;
    struct vow_token *token = cb->tie.token;
    struct waiter *waiter = NULL;
    bool given_up, unused = false;

    vowi_spin_acquire(&token->lock);
    given_up = cb->tie.of == GIVEN_UP;
    if (given_up)
        unused = vowi_token_unuse_locked(token);
    else
        waiter = cb->then.waiter;
    cb->tie.of = turn->then;
    vowi_spin_release(&token->lock);
    if (waiter != NULL)
        end_wait(waiter);
    if (given_up)
        callback_free(t, cb);
    if (unused)
        vowi_token_unused(token);
}

static void
thread_exits_in_drop(void *arg)
{
    struct vowi_thread *t = vowi_self();

    callback_dropped(t, arg);
    vowi_leave_exiting(t);
}

/* Its function has returned, or will not be called. */
static void
callback_ended(struct vowi_thread *t, struct turn *turn)
{
    VOWI_DROP(turn->ctx, thread_exits_in_drop, turn);
    callback_dropped(t, turn);
}

static void
thread_exits_in_callback(void *arg)
{
    struct vowi_thread *t = vowi_frame_exited();

    callback_ended(t, arg);
    vowi_leave_exiting(t);
}

static void
call(struct vowi_thread *t, struct turn *turn)
{
    struct vowi_frame frame;

    VOWI_BARE_CODE(t, frame, NULL, turn->fn(turn->ctx.as.ptr), thread_exits_in_callback,
                   turn);
    callback_ended(t, turn);
}

/* Whether a callback that has arrived has a turn; if not, it is dealt with. */
static bool
begin_turn(struct vowi_thread *t, struct turn *turn)
{
    struct callback *cb = turn->cb;
    struct vow_token *token = cb->tie.token;
    bool given_up, unused = false;

    vowi_spin_acquire(&token->lock);
    given_up = cb->tie.of == GIVEN_UP;
    if (given_up) {
        unused = vowi_token_unuse_locked(token);
    } else {
        turn->fn = cb->then.fn;
        turn->ctx = cb->ctx;
        cb->tie.of = RUNNING;
        cb->where.runner = vowi_runner_here(t);
        cb->then.waiter = NULL;
    }
    vowi_spin_release(&token->lock);
    if (given_up)
        callback_free(t, cb);
    if (unused)
        vowi_token_unused(token);
    return !given_up;
}

static void
run_callback(vow_task *task, int why)
{
    struct vowi_thread *t = vowi_self();
    union vowi_task *as = vowi_container_of(task, union vowi_task, task);
    struct turn turn = {.cb = vowi_container_of(as, struct callback, as),
                        .then = why == 0 ? RAN : REFUSED};
    bool outermost = vowi_enter(t);

    if (begin_turn(t, &turn)) {
        if (why == 0)
            call(t, &turn);
        else
            callback_ended(t, &turn);
    }
    vowi_leave(t, outermost);
}

/* Its token has fired: to where it runs. */
static void
deliver(struct vowi_thread *t, struct callback *cb)
{
    vow_executor *on = cb->where.on;
    int why;

    vowi_node_clear(&cb->as.node);
    if (on == NULL) {
        vowi_later(t, &cb->as.node);
        return;
    }
    cb->as.task.flags = VOW_TASK_STEP;
    why = on->ops->post(on, &cb->as.task);
    if (why != 0)
        run_callback(&cb->as.task, why);
    vowi_executor_release(t, on);
}

static void
fire_callback(struct vowi_tie *tie, struct vowi_firing *firing)
{
    deliver(firing->thread, vowi_container_of(tie, struct callback, tie));
}

/* ---- registering --------------------------------------------------------------------------- */

static struct callback *
callback_new(struct vowi_thread *t, vow_token *token, vow_executor *on, vow_fn *fn,
             vow_value ctx)
{
    struct callback *cb = vowi_alloc_on(t, sizeof *cb);

    if (cb == NULL)
        return NULL;
    cb->as.task.run = run_callback;
    memset(&cb->tie, 0, sizeof cb->tie);
    cb->tie.token = token;
    cb->tie.fire = fire_callback;
    cb->where.on = vowi_executor_hold(t, on);
    cb->then.fn = fn;
    cb->ctx = ctx;
    return cb;
}

vow_registration *
vow_token_on_cancel(vow_token *t, vow_executor *on, vow_fn *fn, vow_value ctx)
{
    struct vowi_thread *thread = vowi_self();
    struct callback *cb = callback_new(thread, t, on, fn, ctx);

    if (cb == NULL) {
        vow_value_drop(ctx);
        return NULL;
    }
    if (t != NULL && vowi_tie_hang(&cb->tie) == VOWI_TIE_FIRED) {
        bool outermost = vowi_enter(thread);

        deliver(thread, cb);
        vowi_leave(thread, outermost);
    }
    return (vow_registration *)(void *)cb;
}

/* ---- removing ------------------------------------------------------------------------------ */

/* What a remove found, decided under the lock and acted on after it. */
struct removed {
    vow_removal removal;
    bool hung;   /* its executor is still held */
    bool drop;   /* its context is the remover's */
    bool done;   /* it is free */
    bool unused; /* the token was used by nobody else */
};

static struct removed
remove_locked(struct callback *cb)
{
    struct removed r = {.removal = VOW_RAN, .done = true};

    if (cb->tie.state == VOWI_TIE_HANGS) {
        vowi_list_remove(&cb->tie.link);
        r.removal = VOW_REMOVED;
        r.hung = r.drop = true;
    } else if (cb->tie.of == WAITING) {
        r.removal = VOW_REMOVED;
        r.drop = true;
        r.done = false;
    } else if (cb->tie.of == RUNNING) {
        r.removal = VOW_RUNNING;
        r.done = false;
    } else if (cb->tie.of == REFUSED) {
        r.removal = VOW_REMOVED;
    }
    if (r.done)
        r.unused = vowi_token_unuse_locked(cb->tie.token);
    else
        cb->tie.of = GIVEN_UP;
    return r;
}

static bool
runs_elsewhere_locked(const struct vowi_thread *t, const struct callback *cb)
{
    return cb->tie.of == RUNNING && cb->where.runner != vowi_runner_here(t);
}

/* Decides, unless that is left to later because the callback runs on another thread. */
static bool
decide(const struct vowi_thread *t, struct callback *cb, bool later, struct removed *r)
{
    struct vow_token *token = cb->tie.token;
    bool decided;

    if (token == NULL) { /* which never fires */
        *r = (struct removed){VOW_REMOVED, true, true, true, false};
        return true;
    }
    vowi_spin_acquire(&token->lock);
    decided = !later || !runs_elsewhere_locked(t, cb);
    if (decided)
        *r = remove_locked(cb);
    vowi_spin_release(&token->lock);
    return decided;
}

/* Acts on what was decided. */
static vow_removal
finish_removal(struct vowi_thread *t, struct callback *cb, struct vow_token *token,
               vow_value ctx, struct removed r)
{
    if (r.hung)
        vowi_executor_release(t, cb->where.on);
    if (r.done)
        callback_free(t, cb);
    if (r.drop)
        vow_value_drop(ctx);
    if (r.unused)
        vowi_token_unused(token);
    return r.removal;
}

static vow_removal
remove_callback(struct vowi_thread *t, struct callback *cb)
{
    struct vow_token *token = cb->tie.token; /* cb may be gone once it is decided */
    vow_value ctx = cb->ctx;
    struct removed r;

    decide(t, cb, false, &r);
    return finish_removal(t, cb, token, ctx, r);
}

vow_removal
vow_registration_remove(vow_registration *r)
{
    if (r == NULL)
        return VOW_RAN;
    if (is_hook(r))
        return vowi_hook_remove(r);
    return remove_callback(vowi_self(), callback_of(r));
}

/* ---- removing and waiting ------------------------------------------------------------------ */

static bool
runs_elsewhere(const struct vowi_thread *t, struct callback *cb)
{
    struct vow_token *token = cb->tie.token;
    bool elsewhere;

    vowi_spin_acquire(&token->lock);
    elsewhere = runs_elsewhere_locked(t, cb);
    vowi_spin_release(&token->lock);
    return elsewhere;
}

/* Sleeps until a callback has returned, unless it has, or that would never end. */
static void
sleep_until_ended(struct vowi_thread *t, struct callback *cb)
{
    struct waiter w = {.sleeper = vowi_runner_here(t), .parker = vowi_parker_here(t)};

    if (vowi_parker_init(w.parker) != 0) { /* none to be had: poll */
        while (runs_elsewhere(t, cb))
            sched_yield();
        return;
    }
    vowi_thread_register(t);
    if (begin_wait(cb, &w))
        vowi_park(w.parker, &w.woken, VOW_FOREVER);
}

/* The same on a thread of an executor, which is told, and may refuse. */
static void
sleep_on_executor(struct vowi_thread *t, struct callback *cb)
{
    struct vowi_wait w = {.thread = t, .on = t->executor};

    if (vowi_wait_block(&w) == VOW_E_DEADLOCK)
        return;
    sleep_until_ended(t, cb);
    vowi_wait_unblock(&w);
}

/* The same where an executor may have a say. */
static void
wait_for_end(struct vowi_thread *t, struct callback *cb)
{
    vow_executor *on = t->executor;

    if (t->deferred != 0)
        return;
    vowi_drain_all(t);
    vowi_thread_unload(t);
    if (on == NULL || (on->ops->is_current == NULL && on->ops->block_begin == NULL))
        sleep_until_ended(t, cb);
    else if (on->ops->block_begin != NULL)
        sleep_on_executor(t, cb);
}

vow_removal
vow_registration_remove_wait(vow_registration *r)
{
    struct vowi_thread *t = vowi_self();
    struct callback *cb = callback_of(r);
    struct vow_token *token;
    vow_value ctx;
    struct removed decided;

    if (r == NULL)
        return VOW_RAN;
    if (is_hook(r))
        return vowi_hook_remove(r);
    token = cb->tie.token;
    ctx = cb->ctx;
    if (decide(t, cb, true, &decided))
        return finish_removal(t, cb, token, ctx, decided);
    wait_for_end(t, cb);
    return remove_callback(t, cb);
}
