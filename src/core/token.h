/* SPDX-License-Identifier: MIT */
/*
 * core/token.h - a fact that comes true at most once, and what wants to know.
 *
 * A source and its tokens are handles on one object. It counts two things, both
 * under its lock, so that a reference costs no more than the lock itself:
 *
 *     uses   sources, tokens, and ties that hang on it. Without any nobody can see
 *            it fire any more
 *     holds  its memory: one for all uses, one for each tie by which it hangs on a
 *            parent, one while its timer is armed, one while its ties are told
 *
 * A tie is how something hangs on a token: storage of the one who wants to know,
 * doubly linked, so that both ends of it take one short lock whatever else hangs
 * there. Of each tie that was hung, exactly one call of remove says the end; it
 * says as well whether fire was, or will be, called. Fire runs in the thread that
 * fires the token, with no lock held, and no code of a user's but a context's drop:
 * callbacks are put on the trampoline or posted by it.
 *
 * Edges:
 *     [fired]  reason and time, to everybody who finds a token fired
 */
#ifndef VOWI_CORE_TOKEN_H
#define VOWI_CORE_TOKEN_H

#include <assert.h>
#include <stdint.h>

#include <vow/cancel.h>

#include "base/atomic.h"
#include "base/list.h"
#include "base/thread.h"
#include "sync/spin.h"

struct vowi_firing;

enum vowi_tie_state {
    VOWI_TIE_IDLE = 0, /* not hung yet */
    VOWI_TIE_HANGS,
    VOWI_TIE_FIRED,  /* fire was, is being or will be called; or hang said so */
    VOWI_TIE_REMOVED /* its owner wants no more of it */
};

struct vowi_tie {
    struct vowi_link link;   /* guarded by the token's lock, like the states */
    struct vow_token *token; /* a use, while it hangs or has fired */
    void (*fire)(struct vowi_tie *tie, struct vowi_firing *firing);
    unsigned char state; /* enum vowi_tie_state */
    unsigned char of;    /* its owner's, guarded by the same lock */
};

/* By which a token hangs on a parent. */
struct vowi_bond {
    struct vowi_tie tie;
    struct vow_token *child;
};

/* By which a token fires at its deadline. */
struct vowi_alarm {
    vow_timer timer; /* armed with a hold of the token; its home is held until unhooked */
    struct vow_token *token;
};

/* Behind a token that fires by itself, in the same block. Does not change once
 * it is built. */
struct vowi_upward {
    vow_ns deadline; /* the earliest of its own and its parents' */
    vow_clock *clock;
    struct vowi_alarm *alarm; /* behind the bonds; NULL: none */
    struct vow_token *next;   /* without uses, to be taken off its parents after it */
    size_t n;                 /* bonds there is room for */
    size_t hung; /* of them, those that were ever hung; while it is built, its maker's */
    struct vowi_bond bonds[];
};

struct vow_token {
    struct vowi_spin lock;
    bool building; /* guarded by lock: its maker will look whether it fired */
    bool unhooked; /* guarded by lock: somebody takes, or took, it off its parents */
    atomic_bool fired;
    size_t uses;  /* guarded by lock */
    size_t holds; /* guarded by lock */
    struct vowi_list ties;

    /* Written once, before `fired`. */
    vow_error *reason;
    vow_error *error; /* VOW_E_CANCELLED, with the reason behind it */
    vow_ns when;

    struct vow_token *next;     /* in a firing: the one to be told about after it */
    struct vowi_upward *upward; /* NULL: only its source fires it */
};

#if UINTPTR_MAX == UINT64_MAX
static_assert(sizeof(struct vow_token) == 80, "a token");
#endif

/* Tokens that have fired, whose ties are yet to be told. On a stack. */
struct vowi_firing {
    struct vowi_thread *thread;
    struct vow_token *first;
    struct vow_token *last;
};

static inline bool
vowi_token_fired(const struct vow_token *t)
{
    return t != NULL && vowi_load_acquire(&t->fired); /* [fired] */
}

/* A token that only its source will fire; NULL without memory. */
struct vow_token *vowi_token_new(void);

/* One that is being built, with room for n parents, and for an alarm; likewise. */
struct vow_token *vowi_token_new_linked(size_t n, bool timed);

/* One that fires with a parent, which may be NULL, or at a time on a clock; likewise, or if
 * no timer can be had. */
struct vow_token *vowi_token_until(vow_token *parent, vow_clock *clock, vow_ns when);

/* Fires a token, unless it has: consumes both errors. Returns whether it did. */
bool vowi_token_fire(struct vow_token *token, vow_error *reason, vow_error *error,
                     vow_ns when);

/* Fires a token with a VOW_E_CANCELLED whose cause, if any, is the reason. */
void vowi_token_cancel(struct vow_token *token, const vow_error *error);

/* The same from within fire: what hangs on it is told later, by who fires. Shares the
 * outcome of a token that has fired. */
bool vowi_token_fire_as(struct vow_token *token, const struct vow_token *as,
                        struct vowi_firing *firing);

/*
 * Hangs a tie, all zero but for its token and fire. VOWI_TIE_HANGS; VOWI_TIE_FIRED: the
 * token has, and fire will not be called: the caller does now what it would do;
 * VOWI_TIE_REMOVED: its owner was faster.
 */
enum vowi_tie_state vowi_tie_hang(struct vowi_tie *tie);

/* Takes a tie off. Returns whether fire was not called and never will be. */
bool vowi_tie_remove(struct vowi_tie *tie);

/* ---- under the lock ------------------------------------------------------------- */

/* Gives up a use; true: it was the last, and vowi_token_unused must follow. */
static inline bool
vowi_token_unuse_locked(struct vow_token *token)
{
    return --token->uses == 0;
}

/* After the lock: nobody uses the token any more. */
void vowi_token_unused(struct vow_token *token);

/* Gives up a hold. The caller does not hold the lock. */
void vowi_token_release(struct vow_token *token);

/* core/linked.c: takes a token off its parents and its clock; once, by whoever set
 * `unhooked`. */
void vowi_token_unhook(struct vow_token *token);

/* In a forked child nobody waits for a callback. */
void vowi_removals_in_child(void);

#endif
