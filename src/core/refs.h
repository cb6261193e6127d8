/* SPDX-License-Identifier: MIT */
/*
 * core/refs.h - references to a state, and its end.
 */
#ifndef VOWI_CORE_REFS_H
#define VOWI_CORE_REFS_H

#include "base/thread.h"
#include "core/state.h"

/* Nobody refers to it any more. */
void vowi_state_free(struct vowi_thread *t, struct vow_state *s);

void vowi_consumer_ref(struct vow_state *s);
void vowi_consumer_unref(struct vowi_thread *t, struct vow_state *s);

/* Lets go of a consumer's reference and a hold at once. */
void vowi_consumer_unref_held(struct vowi_thread *t, struct vow_state *s);

/* Gives up a consumer's reference unless it is the last: returns whether it is, and then
 * the caller still has it. */
bool vowi_consumer_leave(struct vow_state *s);

void vowi_hold_release(struct vowi_thread *t, struct vow_state *s);

/*
 * A state that a thread looks at and does not want. A hold keeps it, which nobody sees who
 * asks how many want it; where many look at a time a consumer's reference does, since
 * holds are few.
 */
struct vowi_visit {
    struct vow_state *state; /* NULL: none */
    uint64_t by;
};

/* The caller has a reference, or the lock bit of a state that has one. */
struct vowi_visit vowi_visit_begin(struct vow_state *s);
void vowi_visit_end(struct vowi_thread *t, struct vowi_visit v);

/* Whether nobody but one consumer, the caller, may read the outcome. */
bool vowi_is_sole_consumer(struct vow_state *s);

#endif
