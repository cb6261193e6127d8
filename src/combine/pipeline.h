/* SPDX-License-Identifier: MIT */
/*
 * combine/pipeline.h - stages, their places, and what is to be done about them.
 *
 * Everything about a pipeline is decided under its one lock and done after it. What there
 * is to do is noted in a struct vowi_todo, on the stack of whoever decides:
 *
 *     pipeline_flow.c   what is decided: who moves on, starts, ends
 *     pipeline_run.c    what is done: functions, the feed, what is told
 *     pipeline.c        its beginning, its end, its public face
 *
 * A place is in one of five states:
 *
 *     IDLE      in its stage's `idle`, or reserved for what is to be drawn
 *     WAITING   in `line` and in `waiting`
 *     RUNNING   in `line`; its task is posted, runs, or hangs on what its function follows
 *     READY     in `line` and in `ready`: to go on
 *     ENDED     in the pipeline's `ended`, or being told of
 *
 * `line` has the order in which items came in, `waiting`, `ready` and `ended` that in which
 * they came to be so. Drawing is done by one thread at a time, and so is telling: flags say
 * that somebody does it, and whoever finds something to draw or to tell of, and the flag
 * not set, sets it and does it.
 *
 * With functions that take less than the lock and what it guards take on their way from one
 * thread to another, two threads are slower than one. So if functions are found to be that
 * short, and threads take turns, one of them naps for a while when it has ended its task
 * (Dice and Kogan, "Avoiding Scalability Collapse by Restricting Concurrency", Euro-Par
 * 2019, do so with threads that come for a lock). It holds up nobody: it has no place, what
 * it has posted others find, and it comes back by itself, so that a function which waits for
 * another one, or takes long all of a sudden, has it back.
 *
 * An item that is done goes on at once if nothing is before it and the next stage has a
 * place, and starts there at once if its width allows it; only what cannot is READY, or
 * WAITING. So somebody waits only where `running` is `width`.
 *
 * A pipeline is at rest when its feed is exhausted, every place is IDLE, nobody draws and
 * nobody tells. Who finds it so says it, once; it concludes when those who are still in
 * here, posting say, have left (`uses`), since then the executors may go. Who draws or
 * tells keeps it from rest anyway, and who posts to the pool whose task he is at the end of
 * has that pool: these need no use.
 *
 * Edge:
 *     [rest]  all that was done with a pipeline, to whoever concludes it
 */
#ifndef VOWI_COMBINE_PIPELINE_H
#define VOWI_COMBINE_PIPELINE_H

#include <vow/pipeline.h>

#include "base/error.h"
#include "base/list.h"
#include "combine/channel.h"
#include "core/hang.h"
#include "sync/lock.h"
#include "sync/refs.h"

struct vowi_item {
    vow_value value;
    vow_future *keeper; /* not NULL: the value is lent by it, which is the item's */
    size_t index;
};

enum vowi_place_state {
    VOWI_PLACE_IDLE = 0,
    VOWI_PLACE_WAITING,
    VOWI_PLACE_RUNNING,
    VOWI_PLACE_READY,
    VOWI_PLACE_ENDED
};

enum vowi_fate { VOWI_FINISHED, VOWI_SKIPPED, VOWI_DIVERTED, VOWI_DROPPED, VOWI_FATES };

struct vowi_place {
    struct vowi_hanger hanger;
    vow_pipeline *p;
    struct vowi_stage *stage;
    struct vowi_item item; /* of whoever has the place: while it runs, who runs it */

    /* Guarded by the pipeline's lock. */
    enum vowi_place_state state;
    bool failed; /* its function, before all was stopped: counted when told of */
    struct vowi_place *next; /* idle; or what else is to be posted, of whoever does it */
    struct vowi_link line;   /* in its stage's */
    struct vowi_link turn;   /* in one of the other lists */
    vow_future *follow;      /* what its function returned, until that has settled */

    /* Of whoever has it to do. */
    enum vowi_fate fate;
    vow_error *error; /* that it failed with; NULL: it did not */
};

struct vowi_stage {
    vow_executor *on;
    vow_then_fn *fn;
    vow_value ctx;
    size_t width;
    size_t count; /* of its places */
    int on_error;
    bool unordered;
    bool pooled;      /* its executor is a pool */
    bool lasts;       /* or none: it is there as long as a task of it runs */
    vow_token *token; /* what its function asks whether to stop */
    struct vowi_place *places;
    struct vowi_stage *next; /* NULL: it is the last */

    /* Guarded by the pipeline's lock. */
    struct vowi_place *idle; /* the last that became so first */
    struct vowi_list line, waiting, ready;
    size_t running;
    vow_stage_figures figures;
};

struct vow_pipeline {
    struct vowi_refs handles; /* its users' */
    struct vowi_refs memory;  /* handles, until it has concluded, hooks, its error */
    _Atomic(size_t) uses;     /* who is in here, and until it is at rest */
    struct vowi_lock lock;

    vow_pipeline_options opt;
    vow_feed feed; /* its items are a block of its own */
    struct vowi_stage *stages;
    size_t count;
    vow_promise *promise;
    vow_future *result;          /* the handles' */
    vow_registration *on_token;  /* of the token among the options */
    vow_source *source;          /* fires the stages' tokens */
    vow_token *token;            /* of it */
    struct vowi_hanger drawer;   /* a task that draws */
    struct vowi_party receiver;  /* at the feed's channel */
    struct vowi_place *reserved; /* for what is received, or drawn in a task; who draws
                                  * writes it */
    size_t places_count;
    struct vowi_place *places; /* of all stages */

    /* Guarded by lock. */
    bool exhausted; /* nothing more is drawn */
    bool stopped;   /* nothing more is started */
    bool drawing, telling;
    bool over;                      /* somebody has found it at rest */
    size_t taken;                   /* places that are not idle, or reserved */
    vow_ns mean;                    /* that a function takes, lately */
    const struct vowi_thread *last; /* whose function ended last; compared only */
    const vow_executor *last_on;    /* the pool of that; likewise */
    unsigned turns; /* how often that was another one of the same than before */
    struct vowi_list ended;
    vow_pipeline_figures figures;
    uint64_t ends[VOWI_FATES];

    /* Why it was stopped: written once, under the lock. */
    vow_error *why;
    bool failed;         /* by an item, or an executor */
    int64_t failed_item; /* index, or -1 */
    vow_error error;     /* the outcome, then */
};

/* What is left to be done after the lock. All zero at first. */
struct vowi_todo {
    struct vowi_place *first, *last; /* to be posted */
    vow_executor
        *turn_of; /* a task of this executor is at its end, nothing of a user's below */
    bool in_turn; /* that is so */
    bool kept;    /* it cannot come to rest until all is done: the caller sees to it */
    vow_ns took;  /* its function; 0: it was not measured */
    struct vowi_place *draw; /* reserved for what is to be drawn; NULL: nothing is */
    struct vowi_place *tell; /* the first to be told of; NULL: none */
    bool home;   /* what is to be posted goes to that executor, which stays, or nowhere */
    bool post;   /* draw in a task of its own */
    bool halt;   /* tell those that run, and those that wait for a channel */
    bool rests;  /* it was found at rest */
    bool nap;    /* this thread is to leave it to others for a while */
    bool in_use; /* there is a use of the pipeline for it */
};

/* ---- pipeline_flow.c; the lock is held --------------------------------------------- */

/* Who draws, who tells, whether that was the end. The last thing that is done under the
 * lock. */
void vowi_pipeline_decide_locked(vow_pipeline *p, struct vowi_todo *todo);

/* A place for what is to be drawn; NULL: nothing is to be drawn now. */
struct vowi_place *vowi_pipeline_reserve_locked(vow_pipeline *p);

/* What was reserved is not needed: there is nothing to be drawn any more. */
void vowi_pipeline_exhaust_locked(vow_pipeline *p, struct vowi_place *reserved);

/* An item comes in. */
void vowi_pipeline_enter_locked(vow_pipeline *p, struct vowi_place *place, vow_value v,
                                struct vowi_todo *todo);

/* The function of a place has done its part; all go on that can, and it is decided who draws
 * and tells. */
void vowi_pipeline_done_locked(vow_pipeline *p, struct vowi_place *place,
                               struct vowi_todo *todo);

/* It has failed, likewise; the error is the place's. `closed`: it could not even be called,
 * nor can others. */
void vowi_pipeline_failed_locked(vow_pipeline *p, struct vowi_place *place,
                                 vow_error *error, bool closed, struct vowi_todo *todo);

/* Stops it for a reason, which is shared, unless it is stopped or at rest. index: of the
 * item, or -1. */
void vowi_pipeline_stop_locked(vow_pipeline *p, const vow_error *why, bool failed,
                               int64_t index, struct vowi_todo *todo);

/* The one to be told of next; NULL: none. */
struct vowi_place *vowi_pipeline_next_end_locked(vow_pipeline *p);

/* It was told of, and its item is gone: who waits for its place goes on. */
void vowi_pipeline_told_locked(vow_pipeline *p, struct vowi_place *place,
                               struct vowi_todo *todo);

/* ---- pipeline_run.c; no lock is held ----------------------------------------------- */

/* The pipeline may be gone when it returns, unless the caller has a use of it. */
void vowi_pipeline_carry_out(vow_pipeline *p, struct vowi_todo *todo);

/* Takes a use, unless it is at rest; then what it does cannot be needed any more. */
bool vowi_pipeline_use(vow_pipeline *p);
void vowi_pipeline_unuse(vow_pipeline *p);

/* Stops waiting at the feed's channel, if it does. With a use. */
void vowi_pipeline_leave_channel(vow_pipeline *p);

/* ---- pipeline.c -------------------------------------------------------------------- */

void vowi_pipeline_conclude(vow_pipeline *p);

#endif
