/* SPDX-License-Identifier: MIT */
/*
 * combine/range.h - a range of indices worked off by several threads, whatever is done
 * with each piece.
 *
 * A range is cut into units, of one grain each. A lane is a task on the executor, and
 * what it has left: units that no call has begun. There are at most as many lanes as
 * calls may run at a time.
 */
#ifndef VOWI_COMBINE_RANGE_H
#define VOWI_COMBINE_RANGE_H

#include <vow/parallel.h>

#include "base/atomic.h"
#include "combine/combine.h"

struct vowi_range;

/* What becomes of a lane's task. */
enum { VOWI_LANE_WAITS, VOWI_LANE_RUNS, VOWI_LANE_REVOKED, VOWI_LANE_GONE };

struct vowi_lane {
    _Atomic(uint64_t) rest; /* units: the first below, the one after the last above */
    _Atomic(int) phase;

    /* Written by who runs the lane. */
    struct vowi_range *range;
    uint64_t done;     /* units */
    size_t first, end; /* of the last call, indices */
    bool calling;      /* or the call has failed, or its thread has exited inside */
};

/* What is done with the pieces. All are called by the lane's own thread, but for gone. */
struct vowi_range_kind {
    size_t own;  /* bytes, of a struct vowi_range and what follows */
    size_t lane; /* bytes, of a struct vowi_lane and what follows, zeros at first */

    /* Does lane->first up to lane->end; NULL, or an error, owned. */
    vow_error *(*call)(struct vowi_lane *lane);

    /* What the lane had is done, it looks for more elsewhere; NULL: nothing to do. */
    vow_error *(*used_up)(struct vowi_lane *lane);

    /* No lane runs any more, and none will: drops what is left but for what may be the
     * outcome. May run user code. */
    void (*gone)(struct vowi_range *r);

    /* After that. All calls are made: says what the outcome is. False: some lane did not
     * see to it. */
    bool (*fulfill)(struct vowi_range *r);

    /* Or this, if the outcome is an error all the same, and is about to settle: drops what
     * might have been it. NULL: nothing to do. May run user code. */
    void (*unwanted)(struct vowi_range *r);

    /* Of one whose caller takes part. There, gone may come at any time after the call, and
     * but for call each may be NULL: nothing to do. */

    /* The caller's lane has done what there was before this, a copy, and is not used any
     * more. False: no memory, and nothing was done. */
    bool (*share)(struct vowi_range *r, struct vowi_lane *alone);

    /* No call runs any more, and what the outcome is has been said: drops what is left. May
     * run user code. */
    void (*leave)(struct vowi_range *r);
};

struct vowi_range {
    struct vowi_placed failed; /* the outcome, if it is an error */
    const struct vowi_range_kind *kind;
    struct vowi_join *join;
    size_t begin, end;
    size_t unit;    /* indices */
    uint32_t units; /* in all */
    uint32_t most;  /* units a call */
    uint32_t
        trial; /* units a call, while one lane tries how long they take; 0: it does not */
    unsigned width; /* lanes */
    bool gives_way; /* a lane runs one piece a turn */
    atomic_bool stopped;
    _Atomic(struct vowi_lane *) failing; /* the first to fail; NULL: none has */
    vow_source *source;                  /* asks calls to stop; NULL: the join does */
    vow_executor *on; /* in whose queue the lanes are; NULL: it has not been shared */
    unsigned forks;   /* before that: a child has no such queue */
    _Atomic(unsigned) left; /* lanes, and who starts them */
    char *lanes;
    size_t stride;
    vow_value ctx;
};

/* A range to be worked off. */
struct vowi_range_plan {
    vow_executor *on;
    vow_range_options opt;
    size_t begin, end; /* at least one index */
    const void *site;
    uintptr_t what; /* whose pieces they are: what is learnt is learnt of that */
};

/* ---- one with a future -------------------------------------------------------------------- */

/* Makes one, with the kind's own bytes zero; NULL without memory. */
struct vowi_range *vowi_range_new(const struct vowi_range_kind *kind,
                                  const struct vowi_range_plan *plan);

/* Starts it. Without memory: NULL, and `gone` was called. */
vow_future *vowi_range_start(struct vowi_range *r, const struct vowi_range_plan *plan);

/* What becomes of a range without indices: the value, or an error if it is none. */
vow_future *vowi_range_empty(const struct vowi_range_plan *plan, vow_value value);

/* ---- one whose caller takes part: range_here.c --------------------------------------------- */

/*
 * Works it off. It is the caller's own, on his stack, initialised and with its context,
 * which is dropped; what follows it, up to kind->own, is the kind's, and is copied if
 * others take part. So is the lane, of kind->lane bytes, whatever they are. Returns NULL,
 * or an error, owned. The kind's gone is, or ends with, the one below, which frees the copy.
 */
vow_error *vowi_range_here(struct vowi_range *r, struct vowi_lane *alone,
                           const struct vowi_range_plan *plan);

void vowi_range_here_gone(struct vowi_range *r);

/* The error of a range that ends before it begins. */
vow_error *vowi_range_invalid(const struct vowi_range_plan *plan);

/* ---- between the two ------------------------------------------------------------------------ */

/* Says what there is to do, and by how many lanes. */
void vowi_range_init(struct vowi_range *r, const struct vowi_range_kind *kind,
                     const struct vowi_range_plan *plan);

/* Makes it one of a single lane, the caller's own, which runs. */
void vowi_range_alone(struct vowi_range *r, struct vowi_lane *lane);

/* Bytes of one with all its lanes, and an array of a future each. */
size_t vowi_range_size(const struct vowi_range *r);

/* Lays out the lanes in a block of that size. */
void vowi_range_lay_out(struct vowi_range *r);

/* Submits a task for each lane from the given one on. Returns whether there was memory for
 * one of them. */
bool vowi_range_submit(struct vowi_range *r, const struct vowi_range_plan *plan,
                       unsigned from);

/* One has run, or never will, or who starts them has: the last one calls kind->gone. */
void vowi_range_release(struct vowi_range *r);

/* Calls for one piece. False: there was none, or it is to stop, or failed: then *result says
 * so, which is else left as it is. */
bool vowi_lane_turn(struct vowi_lane *lane, vow_result *result);

/* A lane has failed: the others are to stop. */
void vowi_lane_fails(struct vowi_lane *lane);

/* Whether it has some left, and the first index of that. */
bool vowi_lane_has_rest(struct vowi_lane *lane);
size_t vowi_lane_rest(struct vowi_lane *lane);

bool vowi_range_is_done(const struct vowi_range *r);

/* The executor that counts its revoked lanes; NULL: none does. */
vow_executor *vowi_range_counted_on(const struct vowi_range *r);

/* Where a lane's last call began, as the position in an error, which counts from 1; 0, which is
 * none, if that has no number for it. */
static inline int64_t
vowi_lane_position(const struct vowi_lane *lane)
{
    uint64_t first = lane->first;

    return first < INT64_MAX ? (int64_t)first + 1 : 0;
}

static inline vow_future **
vowi_range_futures(const struct vowi_range *r)
{
    return (vow_future **)(void *)(r->lanes + r->width * r->stride);
}

static inline struct vowi_lane *
vowi_range_lane(const struct vowi_range *r, unsigned i)
{
    return (struct vowi_lane *)(void *)(r->lanes + i * r->stride);
}

#endif
