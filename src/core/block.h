/* SPDX-License-Identifier: MIT */
/*
 * core/block.h - the blocks of memory that states are part of.
 *
 * One block is all that a promise, a job or a step takes, of a size that base/mem.c
 * keeps in its caches.
 */
#ifndef VOWI_CORE_BLOCK_H
#define VOWI_CORE_BLOCK_H

#include <assert.h>

#include "core/state.h"
#include "core/token.h"

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

/* A task that is submitted when its time comes; a sleep, which ends before fn. */
struct vowi_delay {
    union {
        vow_timer timer;
        union vowi_task task;
    } as;
    struct vow_state state;
    union {
        vow_task_fn *run;
        struct vow_state *follow;
    } fn;
};

#define VOWI_SLEEP_SIZE offsetof(struct vowi_delay, fn)

/* What hangs on a source and calls a function: the head of a step and of a watch. */
struct vowi_hook {
    union vowi_task as;
    struct vow_state *source; /* a reference; while following, whom it follows */
    union {
        vow_then_fn *then;
        vow_catch_fn *catch;
        vow_handle_fn *handle;
        vow_fn *finally;
        vow_settled_fn *settled;
        /* core/trampoline.c: of one that is handed over with others the last of them, and
         * one of them has as its run what this one calls */
        struct vowi_node *last;
        vowi_run_fn *kept;
    } fn;
};

/* A step: its hook on the source, and the state of its result. */
struct vowi_step {
    struct vowi_hook hook;
    struct vow_state state;
};

/* A step that needs a word or two more, which stand in front of it: VOWI_STEP_ON. */
struct vowi_step_on {
    /* Held until delivery, and only a name after that; NULL: inline. */
    _Atomic(vow_executor *) on; /* relaxed: read by others in a forked child alone */
    int code;                   /* of a vow_catch_if */
    _Alignas(16) struct vowi_step step;
};

/* vow_on_settled: a hook with a context and no result. */
struct vowi_watch {
    struct vowi_hook hook;
    vow_executor *on; /* held until delivery; NULL: inline */
    vow_value ctx;
};

#if UINTPTR_MAX == UINT64_MAX
static_assert(sizeof(struct vowi_bare) == 48, "a promise");
static_assert(sizeof(struct vowi_step) == 80, "a state and a then");
static_assert(sizeof(struct vowi_step_on) == 96, "the same, and where it runs");
static_assert(sizeof(struct vowi_job) == 80, "a state and a task");
static_assert(sizeof(struct vowi_watch) == 64, "a hook without a result");
static_assert(sizeof(vow_timer) == 64, "a timer");
static_assert(sizeof(struct vowi_delay) == 112, "a state, a timer and a function");
static_assert(VOWI_SLEEP_SIZE == 104, "a state and a timer");
static_assert(offsetof(struct vowi_bare, state.outcome) % 16 == 0, "its node is aligned");
#endif

/*
 * What few states need: a name; of a promise, a hook for requests to stop; of a task or
 * a step, a tie to a token by which it is asked; the token of its own, for what runs.
 */
struct vow_registration {
    union {
        struct {
            union vowi_task as;
            vow_executor *on;      /* held */
            vow_cancel_fn *cancel; /* core/cancel.c: the hook, or how far it has come */
            vow_value ctx;
        };
        struct vowi_tie tie; /* its token NULL: none; else with a hold of the state */
    };
    const char *name;
    const void *site;
    struct vow_state *state; /* with a promise reference, while a hook is on its way */
    vow_error *reason;       /* of the request to stop */
    _Atomic(struct vow_token *) own; /* core/ambient.c; NULL: nobody asked for it */
};

#if UINTPTR_MAX == UINT64_MAX
static_assert(sizeof(struct vow_registration) == 96, "a block of the caches");
#endif

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

static inline struct vowi_delay *
vowi_delay(struct vow_state *s)
{
    return vowi_container_of(s, struct vowi_delay, state);
}

static inline struct vowi_step *
vowi_step(struct vow_state *s)
{
    return vowi_container_of(s, struct vowi_step, state);
}

/* Of a VOWI_STEP_ON. */
static inline struct vowi_step_on *
vowi_step_on(struct vow_state *s)
{
    return vowi_container_of(s, struct vowi_step_on, step.state);
}

/* Where a step runs, or ran; NULL: inline. relaxed: see there. */
static inline vow_executor *
vowi_place_of(struct vow_state *s)
{
    return vowi_is_plain_step(s) ? NULL : vowi_load_relaxed(&vowi_step_on(s)->on);
}

#endif
