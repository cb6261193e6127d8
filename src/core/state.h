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
 *     holds      memory still needed by a queue, a runner, a follower or a visitor
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
#include <stddef.h>
#include <stdint.h>

#include <vow/future.h>
#include <vow/result.h>

#include "base/atomic.h"
#include "base/check.h"
#include "core/node.h"

#define VOWI_CLAIMED   ((uintptr_t)1)
#define VOWI_SETTLED   ((uintptr_t)2)
#define VOWI_LOCKED    ((uintptr_t)4)
#define VOWI_FOLLOWING ((uintptr_t)8)
#define VOWI_NODE_MASK (~(uintptr_t)15)

struct vowi_outcome {
    union {
        vow_value value;
        struct {
            union {
                vow_error *error;
                struct vow_state *root;
                int64_t width; /* that of a value, so that kind is where drop is */
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

#define VOWI_CONSUMER  ((uint64_t)1)
#define VOWI_PROMISE   ((uint64_t)1 << 28)
#define VOWI_HOLD      ((uint64_t)1 << 50)
#define VOWI_CONSUMERS (VOWI_PROMISE - 1)
#define VOWI_PROMISES  (VOWI_HOLD - VOWI_PROMISE)
#define VOWI_HOLDS     ((uint64_t)31 << 50)
#define VOWI_COUNTS    (((uint64_t)1 << 55) - 1)

/* From here on references are not counted any more: the state lives for ever. */
#define VOWI_CONSUMERS_MANY (VOWI_PROMISE >> 1)
#define VOWI_PROMISES_MANY  (VOWI_HOLD >> 1)

/* Visits beyond it are counted otherwise, and nobody beyond the other tries to run it in
 * place: a queue, a runner and a tie hold as well. */
#define VOWI_HOLDS_MANY ((uint64_t)16 << 50)
#define VOWI_HOLDS_MOST ((uint64_t)24 << 50)

/* Which struct a state is part of: never changes. */
#define VOWI_KIND_BITS 55
#define VOWI_KIND      ((uint64_t)7 << VOWI_KIND_BITS)
#define VOWI_BARE      ((uint64_t)0 << VOWI_KIND_BITS)
#define VOWI_TASK      ((uint64_t)1 << VOWI_KIND_BITS)
#define VOWI_STEP      ((uint64_t)2 << VOWI_KIND_BITS)
#define VOWI_STEP_ON   ((uint64_t)3 << VOWI_KIND_BITS)
#define VOWI_DELAY     ((uint64_t)4 << VOWI_KIND_BITS)
#define VOWI_SLEEP     ((uint64_t)5 << VOWI_KIND_BITS)
#define VOWI_JOIN      ((uint64_t)6 << VOWI_KIND_BITS) /* claimed from the start */
#define VOWI_BRANCH    ((uint64_t)7 << VOWI_KIND_BITS) /* on a stack: core/fork_join.c */

#define VOWI_HAS_RECORD ((uint64_t)1 << 58)
#define VOWI_ASKED      ((uint64_t)1 << 59) /* a future was handed out */
#define VOWI_SEEN       ((uint64_t)1 << 60) /* its error was looked at or reported */
#define VOWI_REJECTED   ((uint64_t)1 << 61) /* settled with an error, which may be unseen */
#define VOWI_STOPPABLE  ((uint64_t)1 << 62) /* VOW_STOP_WHEN_UNWANTED */
#define VOWI_STOPPING   ((uint64_t)1 << 63) /* it was asked to stop */

static_assert(offsetof(struct vowi_outcome, as.other.kind) ==
                  offsetof(struct vowi_outcome, as.value.drop),
              "a value's drop is where the kind of another outcome is");
#if UINTPTR_MAX == UINT64_MAX
static_assert(sizeof(struct vow_state) == 40, "a state");
#endif

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

/* relaxed: which kind it is never changes. */
static inline uint64_t
vowi_kind(struct vow_state *s)
{
    return vowi_load_relaxed(&s->refs) & VOWI_KIND;
}

static inline bool
vowi_is_step(struct vow_state *s)
{
    return (vowi_kind(s) & (VOWI_STEP | VOWI_DELAY)) == VOWI_STEP; /* STEP, STEP_ON */
}

/* Of a step: whether it is a STEP. relaxed: as above. */
static inline bool
vowi_is_plain_step(struct vow_state *s)
{
    return (vowi_load_relaxed(&s->refs) & VOWI_STEP_ON & ~VOWI_STEP) == 0;
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

/* Whether it is claimed for what another one will be. relaxed: only chooses a path. */
static inline bool
vowi_is_following(struct vow_state *s)
{
    return (vowi_load_relaxed(&s->word) & (VOWI_FOLLOWING | VOWI_SETTLED)) ==
           VOWI_FOLLOWING;
}

/* Returns whether the caller decides the outcome from now on [claim]. relaxed: it got
 * here by a handle, the word or a queue, which have ordered what it finds; and who comes
 * second reads nothing of what the first one wrote. */
static inline bool
vowi_claim(struct vow_state *s)
{
    return (vowi_or_relaxed(&s->word, VOWI_CLAIMED) & VOWI_CLAIMED) == 0;
}

/* The same for a task, which may have had a turn on another thread. */
static inline bool
vowi_claim_task(struct vow_state *s)
{
    return (vowi_or_acquire(&s->word, VOWI_CLAIMED) & VOWI_CLAIMED) == 0; /* [turn] */
}

/* Whether a settled state was abandoned. */
static inline bool
vowi_abandoned(struct vow_state *s)
{
    /* relaxed: read after [settled] */
    return (vowi_load_relaxed(&s->word) & VOWI_FOLLOWING) != 0;
}

extern struct vow_state vowi_nomem; /* what a NULL future is: settled, immortal */

static inline struct vow_state *
vowi_state_or_nomem(const vow_future *f)
{
    return f != NULL ? vowi_state(f) : &vowi_nomem;
}

/* Whether it has settled with a value of its own that nobody has to free. */
static inline bool
vowi_has_plain_value(const struct vow_state *s)
{
    return vowi_settled(s) && s->outcome.as.other.kind == NULL;
}

/* Marks an error as looked at. */
void vowi_mark_seen(struct vow_state *s);

/* What a reader sees of a settled state; marks its error as seen. */
vow_view vowi_view(struct vow_state *s);

#endif
