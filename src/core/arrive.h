/* SPDX-License-Identifier: MIT */
/*
 * core/arrive.h - what core itself has to do with the states that are joins.
 */
#ifndef VOWI_CORE_ARRIVE_H
#define VOWI_CORE_ARRIVE_H

#include "base/thread.h"
#include "core/refs.h"
#include "core/state.h"

/* The run of an entry while it hangs on an input; never called. */
void vowi_join_hangs(vow_task *task, int why);

static inline bool
vowi_is_arrival(const struct vowi_node *n)
{
    return n->run == vowi_join_hangs;
}

/* An input has settled; why is 0, or VOWI_ABANDONED. Settles nothing here: if this
 * decides, the rest goes to the trampoline. */
void vowi_arrive(struct vowi_thread *t, struct vowi_node *n, int why);

/* All of it for one that has just been settled with a value by a user of this thread, and on
 * which nothing else hung. */
void vowi_arrive_with_value(struct vowi_node *n);

/* A request that a join stop. The error is shared. The caller has a reference. */
void vowi_join_stop(struct vowi_thread *t, struct vow_state *s, const vow_error *error);

/*
 * For one who waits for a pending join, and may run what it needs: an input that has
 * not settled; none if there is none left to try. Each is given until it is skipped.
 */
struct vowi_visit vowi_join_needs(struct vowi_thread *t, struct vow_state *s);
void vowi_join_skip(struct vow_state *s);

/*
 * Whether anything may yet settle a pending join: one of its inputs, each of which is asked
 * by `may_end`, or something of its own that is under way. Gives up the lock bit of s, which
 * the caller has. What is asked must not settle; what it may leave to be done, if inputs
 * settle meanwhile, waits on the trampoline.
 */
bool vowi_join_may_end(struct vowi_thread *t, struct vow_state *s,
                       bool (*may_end)(struct vow_state *input));

/* While a thread looks at the inputs of a join nothing ends it. False: nobody may, since it
 * is about to end. The caller holds its memory. */
bool vowi_join_help_begin(struct vowi_thread *t, struct vow_state *s);
void vowi_join_help_end(struct vowi_thread *t, struct vow_state *s);

/* In a forked child, while there is one thread: nobody looks at it any more. */
void vowi_join_lose_helpers(struct vow_state *s);

/* Nobody refers to its state any more. */
void vowi_join_free(struct vowi_thread *t, struct vow_state *s);

#endif
