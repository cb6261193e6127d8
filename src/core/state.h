/* SPDX-License-Identifier: MIT */
/*
 * core/state.h - the shared state of a promise and its futures.
 *
 * The word: a pointer to the newest node that hangs on the state, and four bits.
 *
 *     CLAIMED    somebody decides the outcome; nobody else may any more
 *     SETTLED    the outcome is there, for ever; no node hangs on it
 *     LOCK       nodes are being unlinked, or upstream is being read or set; held
 *                for a few instructions, no user code, no allocation
 *     FOLLOWING  the outcome will be that of vowi_upstream
 *
 * Attaching a node is one CAS, also while LOCK is set. Claiming is one OR. Only
 * publishing waits for LOCK to go.
 *
 * The references: three counts and eight flags in one word of 64 bits.
 *
 *     consumers  futures; a node keeps the one it consumed
 *     promises   writing ends that users hold
 *     holds      memory still needed by a queue, a runner or a follower
 *
 * A state with no count left is freed. A count of one proves exclusivity only to
 * the call that gives that reference up.
 *
 * The outcome is 16 bytes: a value; or, told by its drop, an error or the root of
 * an alias. Before a step or a task has run, its context lies there; while a bare
 * promise follows, the node by which it does.
 *
 * Edges:
 *     [settled]   the outcome, from publish to every reader
 *     [node]      a node's own fields, from attach to publish
 *     [claim]     a context, from attach to whoever claims
 *     [release]   all uses of a state, from each release to the one that frees it
 *     [lock]      upstream, and the links between nodes, from one holder to the next
 *     [ring]      core/follow.c: of two that close a ring, one sees the other
 *     [stop]      a request that meets a running step which returns a future
 */
#ifndef VOWI_CORE_STATE_H
#define VOWI_CORE_STATE_H

#include <assert.h>
#include <stdint.h>

#include <vow/executor.h>
#include <vow/future.h>
#include <vow/result.h>

#include "base/atomic.h"
#include "base/check.h"
#include "base/thread.h"

#define VOWI_CLAIMED ((uintptr_t)1)
#define VOWI_SETTLED ((uintptr_t)2)
#define VOWI_LOCKED ((uintptr_t)4)
#define VOWI_FOLLOWING ((uintptr_t)8)
#define VOWI_NODE_MASK (~(uintptr_t)15)

/* ---- nodes: what hangs on a state ---------------------------------------------- */

/*
 * The shape of a vow_task, and one until it is delivered to an executor. Which
 * kind of node it is, its run says. Aligned to 16.
 */
struct vowi_node {
    struct vowi_node *next; /* the one attached before it */
    void (*run)(vow_task *task, int why);
    union {
        struct vowi_node *newer; /* while attached: back link, or NULL if not filled */
        struct {
            unsigned char priority;
            unsigned char flags;
            unsigned char hook; /* core/trampoline.c: which run it had */
            unsigned char held; /* it took over a hold of its source */
            int32_t why; /* on the trampoline: why it will not run, or 0 */
        } queued;
    } as;
};

union vowi_task {
    vow_task task;
    struct vowi_node node;
};

static_assert(sizeof(vow_task) == sizeof(struct vowi_node), "one shape");
static_assert(offsetof(vow_task, priority) == offsetof(struct vowi_node, as), "one shape");

/* ---- the state ------------------------------------------------------------------ */

struct vowi_outcome {
    union {
        vow_value value;
        struct {
            union {
                vow_error *error;
                struct vow_state *root;
            } as;
            vow_drop_fn *kind; /* vowi_is_error, vowi_is_alias, or a value's drop */
        } other;
        struct {
            struct vowi_node *next;
            void (*run)(vow_task *task, int why);
        } node; /* the first two words of a bare promise's following node */
    } as;
};

struct vow_state {
    _Atomic(uintptr_t) word;
    _Atomic(uint64_t) refs;
    struct vowi_outcome outcome;
    void *extra; /* struct vowi_record * if VOWI_HAS_RECORD, else the site */
};

/* Their addresses mark outcomes; they are never called. */
void vowi_is_error(void *unused);
void vowi_is_alias(void *unused);
void vowi_is_forward(void *unused);

#define VOWI_CONSUMER ((uint64_t)1)
#define VOWI_PROMISE ((uint64_t)1 << 28)
#define VOWI_HOLD ((uint64_t)1 << 52)
#define VOWI_CONSUMERS (VOWI_PROMISE - 1)
#define VOWI_PROMISES (VOWI_HOLD - VOWI_PROMISE)
#define VOWI_HOLDS ((uint64_t)15 << 52)
#define VOWI_COUNTS (((uint64_t)1 << 56) - 1)

/* From here on references are not counted any more: the state lives for ever. */
#define VOWI_CONSUMERS_MANY (VOWI_PROMISE >> 1)
#define VOWI_PROMISES_MANY (VOWI_HOLD >> 1)

/* Which struct a state is part of: never changes. */
#define VOWI_KIND ((uint64_t)3 << 56)
#define VOWI_BARE ((uint64_t)0 << 56)
#define VOWI_TASK ((uint64_t)1 << 56)
#define VOWI_STEP ((uint64_t)2 << 56)
#define VOWI_STEP_IF ((uint64_t)3 << 56)

#define VOWI_HAS_RECORD ((uint64_t)1 << 58)
#define VOWI_ASKED ((uint64_t)1 << 59)    /* a future was handed out */
#define VOWI_SEEN ((uint64_t)1 << 60)     /* its error was looked at or reported */
#define VOWI_REJECTED ((uint64_t)1 << 61) /* settled with an error, which may be unseen */
#define VOWI_STOPPABLE ((uint64_t)1 << 62) /* VOW_STOP_WHEN_UNWANTED */
#define VOWI_STOPPING ((uint64_t)1 << 63) /* it was asked to stop */

/* A promise's state, with room for whom it follows: one block of 48. */
struct vowi_bare {
    struct vow_state state;
    struct vow_state *follow;
};

/* A submitted task. */
struct vowi_job {
    union vowi_task as;
    union {
        vow_task_fn *run;
        struct vow_state *follow;
    } fn;
    vow_executor *on;
    struct vow_state state;
};

/* What hangs on a source and calls a function: the head of a step and of a watch. */
struct vowi_hook {
    union vowi_task as;
    struct vow_state *source; /* a reference; while following, whom it follows */
    union {
        vow_executor *on;       /* held until delivery; NULL: inline */
        struct vowi_node *rest; /* core/trampoline.c: handed over, the last of a ring */
    };
    union {
        vow_then_fn *then;
        vow_catch_fn *catch;
        vow_handle_fn *handle;
        vow_fn *finally;
        vow_settled_fn *settled;
    } fn;
};

/* A step: its hook on the source, and the state of its result. */
struct vowi_step {
    struct vowi_hook hook;
    struct vow_state state;
};

struct vowi_step_if {
    struct vowi_step step;
    int code;
};

/* vow_on_settled: a hook with a context and no result. */
struct vowi_watch {
    struct vowi_hook hook;
    vow_value ctx;
};

#if UINTPTR_MAX == UINT64_MAX
static_assert(sizeof(struct vow_state) == 40, "a state");
static_assert(sizeof(struct vowi_bare) == 48, "a promise");
static_assert(sizeof(struct vowi_step) == 88, "a state and a then");
static_assert(sizeof(struct vowi_job) == 80, "a state and a task");
static_assert(sizeof(struct vowi_watch) == 64, "a hook without a result");
static_assert(offsetof(struct vowi_bare, state.outcome) % 16 == 0, "its node is aligned");
#endif

/* What few states need: a name, a hook for requests to stop. */
struct vow_registration {
    union vowi_task as;
    const char *name;
    const void *site;
    struct vow_state *state; /* a promise reference, while the hook is on its way */
    vow_executor *on;        /* held */
    vow_cancel_fn *cancel;   /* NULL: no hook */
    vow_value ctx;
    vow_error *reason;
};

/* ---- access --------------------------------------------------------------------- */

static inline struct vow_state *
vowi_state(const vow_future *f)
{
    union {
        const vow_future *future;
        struct vow_state *state;
    } cast = {f};

    return cast.state;
}

static inline struct vow_state *
vowi_promise_state(const vow_promise *p)
{
    union {
        const vow_promise *promise;
        struct vow_state *state;
    } cast = {p};

    return cast.state;
}

static inline vow_future *
vowi_future(struct vow_state *s)
{
    return (vow_future *)(void *)s;
}

static inline vow_promise *
vowi_promise(struct vow_state *s)
{
    return (vow_promise *)(void *)s;
}

static inline struct vowi_bare *
vowi_bare(struct vow_state *s)
{
    return vowi_container_of(s, struct vowi_bare, state);
}

static inline struct vowi_job *
vowi_job(struct vow_state *s)
{
    return vowi_container_of(s, struct vowi_job, state);
}

static inline struct vowi_step *
vowi_step(struct vow_state *s)
{
    return vowi_container_of(s, struct vowi_step, state);
}

/* relaxed: which kind it is never changes. */
static inline uint64_t
vowi_kind(struct vow_state *s)
{
    return vowi_load_relaxed(&s->refs) & VOWI_KIND;
}

static inline bool
vowi_is_step(struct vow_state *s)
{
    return (vowi_kind(s) & VOWI_STEP) != 0;
}

static inline bool
vowi_settled(const struct vow_state *s)
{
    return (vowi_load_acquire(&s->word) & VOWI_SETTLED) != 0; /* [settled] */
}

static inline struct vowi_node *
vowi_first_node(uintptr_t word)
{
    return (struct vowi_node *)(word & VOWI_NODE_MASK); /* a tagged pointer */
}

/* The state that holds the outcome: itself, or the root of an alias. */
static inline struct vow_state *
vowi_root(struct vow_state *s)
{
    return s->outcome.as.other.kind == vowi_is_alias ? s->outcome.as.other.as.root : s;
}

/*
 * The error of a settled state, lent; NULL if it holds a value. An outcome that is
 * the error NULL means out of memory. Errors are never behind an alias.
 */
static inline vow_error *
vowi_error_in(struct vow_state *s)
{
    if (vowi_likely(s->outcome.as.other.kind != vowi_is_error))
        return NULL;
    if (s->outcome.as.other.as.error == NULL)
        return vow_error_of(VOW_E_NOMEM);
    return s->outcome.as.other.as.error;
}

static inline void
vowi_set_value(struct vow_state *s, vow_value v)
{
    s->outcome.as.value = v;
}

static inline void
vowi_set_error(struct vow_state *s, vow_error *e)
{
    s->outcome.as.other.as.error = e;
    s->outcome.as.other.kind = vowi_is_error;
}

/* ---- future.c: references, outcomes, settling ------------------------------------ */

extern struct vow_state vowi_nomem; /* what a NULL future is: settled, immortal */

static inline struct vow_state *
vowi_state_or_nomem(const vow_future *f)
{
    return f != NULL ? vowi_state(f) : &vowi_nomem;
}

void vowi_state_free(struct vowi_thread *t, struct vow_state *s);

void vowi_consumer_ref(struct vow_state *s);
void vowi_consumer_unref(struct vowi_thread *t, struct vow_state *s);
void vowi_consumer_unref_held(struct vowi_thread *t, struct vow_state *s); /* and a hold */
void vowi_hold_release(struct vowi_thread *t, struct vow_state *s);

/* Marks an error as looked at. */
void vowi_mark_seen(struct vow_state *s);

/* What a reader sees of a settled state; marks its error as seen. */
vow_view vowi_view(struct vow_state *s);

/* Whether nobody but one consumer, the caller, may read the outcome. */
bool vowi_is_sole_consumer(struct vow_state *s);

/* Returns whether the caller decides the outcome from now on [claim]. */
static inline bool
vowi_claim(struct vow_state *s)
{
    return (vowi_or_acq_rel(&s->word, VOWI_CLAIMED) & VOWI_CLAIMED) == 0;
}

/*
 * Publishes the outcome of a claimed state and delivers what hangs on it. Runs no
 * user code except an executor's post: inline steps go to the trampoline. The
 * caller holds a reference of any sort.
 */
void vowi_settle(struct vowi_thread *t, struct vow_state *s);

/* The same for a caller who has a hold: consumes it, or the first step takes it. */
void vowi_settle_held(struct vowi_thread *t, struct vow_state *s);

/* Rejects it with VOW_E_BROKEN, and what hangs on it does not run. */
void vowi_abandon(struct vowi_thread *t, struct vow_state *s);

/* Whether a settled state was abandoned. */
static inline bool
vowi_abandoned(struct vow_state *s)
{
    /* relaxed: read after [settled] */
    return (vowi_load_relaxed(&s->word) & VOWI_FOLLOWING) != 0;
}

/* Moves the outcome of a settled source to a claimed state, or shares it. The
 * source stays referenced. */
void vowi_pass_through(struct vow_state *source, struct vow_state *s);

/* Hangs a node on a state; false, and nothing done, if it has settled. */
bool vowi_attach(struct vow_state *s, struct vowi_node *n);

/* Takes a node off again; false if it has been taken for delivery. */
bool vowi_detach_node(struct vow_state *s, struct vowi_node *n);

/* Likewise, but looks for it first. */
bool vowi_detach_if_there(struct vow_state *s, struct vowi_node *n);

/* Locks the word; returns it without LOCK. It may be settled. [lock] */
uintptr_t vowi_lock_word(struct vow_state *s);
void vowi_unlock_word(struct vow_state *s);

/* ---- then.c, submit.c, wait.c ------------------------------------------------------ */

/* why of a step whose source was abandoned: neither it nor what follows runs. */
#define VOWI_ABANDONED (-1)

/* Gives a step or a watch whose source has settled to where it runs. */
void vowi_deliver(struct vowi_thread *t, struct vowi_node *n, int why);
bool vowi_is_hook(const struct vowi_node *n);

/* A hook's run by a number that fits into a byte, and back. */
unsigned char vowi_hook_index(const struct vowi_node *n);
void (*vowi_hook_run(unsigned char index))(vow_task *task, int why);

/* Stores a result that follows nobody in a claimed state. Consumes the result. */
void vowi_store_result(struct vow_state *s, struct vow_state *source, vow_result r);

/* Settles a claimed state as a result says. Consumes the result and a hold. */
void vowi_finish(struct vowi_thread *t, struct vow_state *s, struct vow_state *source,
                 vow_result r);

/* Runs a job that nobody has started, whatever its queue says; consumes a hold. */
void vowi_run_job(struct vowi_job *job);

bool vowi_is_reader(const struct vowi_node *n);
void vowi_wake_reader(struct vowi_node *n);

/*
 * Waits until s settles, or until a time on the monotonic clock. Returns 0,
 * VOW_E_TIMEDOUT, or VOW_E_DEADLOCK if waiting here is refused.
 */
int vowi_wait_settled(struct vowi_thread *t, struct vow_state *s, vow_ns deadline);

/* ---- deadlock.c -------------------------------------------------------------------- */

/* A thread that is about to sleep and that others may wait for. */
struct vowi_wait {
    struct vowi_wait *next, *prev;
    struct vow_state *awaited;
    const struct vowi_thread *thread;
    vow_executor *on;
    bool exhausted; /* its executor has no thread left that could run something */
    bool live;      /* something may yet end it */
};

/* Notes a wait; VOW_E_DEADLOCK, and it is not noted, if it provably cannot end. */
int vowi_wait_begin(struct vowi_wait *w);
void vowi_wait_end(struct vowi_wait *w);

/* ---- follow.c -------------------------------------------------------------------- */

/* s, claimed, settles as y does. Consumes the reference to y and a hold on s. */
void vowi_follow(struct vowi_thread *t, struct vow_state *s, struct vow_state *y);

/* See core/follow.c; for a bare promise whose last handle goes. */
void vowi_splice_out(struct vowi_thread *t, struct vow_state *s);

/* Whether it is claimed for what another one will be. relaxed: only chooses a path. */
static inline bool
vowi_is_following(struct vow_state *s)
{
    return (vowi_load_relaxed(&s->word) & (VOWI_FOLLOWING | VOWI_SETTLED)) ==
           VOWI_FOLLOWING;
}

/* What a pending state waits for: its source, or whom it follows. A reference; NULL
 * if it waits for nothing that can be named. */
struct vow_state *vowi_upstream(struct vow_state *s);

/* The same without a reference, for whoever holds the lock bit. */
struct vow_state *vowi_upstream_locked(struct vow_state *s, uintptr_t word);

/* The run of a bare promise's following node, which ends after two words. */
void vowi_followed_bare(vow_task *task, int why);

static inline bool
vowi_is_bare_follower(const struct vowi_node *n)
{
    return n->run == vowi_followed_bare;
}

/* ---- trampoline.c ----------------------------------------------------------------- */

void vowi_later(struct vowi_thread *t, struct vowi_node *n);
void vowi_drain(struct vowi_thread *t);

/* For a thread that is about to wait: here, all of it, since it may wait for that. */
void vowi_drain_all(struct vowi_thread *t);

/* Opens a stretch in which inline steps queue up; true if it is the outermost. */
static inline bool
vowi_enter(struct vowi_thread *t)
{
    return t->depth++ == 0;
}

static inline void
vowi_leave(struct vowi_thread *t, bool outermost)
{
    if (outermost && t->fifo_head != NULL)
        vowi_drain(t);
    t->depth--;
}

/* ---- executor.c ------------------------------------------------------------------- */

/* Keeps an executor's memory for a pending step. Returns it, NULL for inline. */
vow_executor *vowi_executor_hold(struct vowi_thread *t, vow_executor *on);
void vowi_executor_release(struct vowi_thread *t, vow_executor *on);
bool vowi_executor_closes(const vow_executor *on, const struct vow_state *s);

/* ---- cancel.c, unhandled.c --------------------------------------------------------- */

/* Asks the work behind s to stop, up the chain. Consumes the error. */
void vowi_request_stop(struct vowi_thread *t, struct vow_state *s, vow_error *error);
struct vow_registration *vowi_record_new(const char *name, const void *site);
void vowi_registration_free(struct vowi_thread *t, struct vow_registration *r);

void vowi_report_unhandled(struct vow_state *s);

/* ---- frame.h: user code on the stack ------------------------------------------------- */

/* What runs here, for finding cycles of waits. */
struct vowi_frame {
    struct vow_state *state; /* NULL: vow_post, a watch */
    struct vowi_frame *outer;
};

#endif
