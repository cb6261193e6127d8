/* SPDX-License-Identifier: MIT */
/*
 * core/refs.h - references to a state, and its end.
 */
#ifndef VOWI_CORE_REFS_H
#define VOWI_CORE_REFS_H

#include "base/mem.h"
#include "base/thread.h"
#include "core/block.h"
#include "core/state.h"

/* Nobody refers to it any more. */
void vowi_state_free(struct vowi_thread *t, struct vow_state *s);

/* Frees those that a drop on this stack has let go of so far. */
void vowi_reclaim_queued(struct vowi_thread *t);

/* relaxed: the caller has a reference, and with it an order. */
static inline void
vowi_consumer_ref(struct vow_state *s)
{
    if ((vowi_load_relaxed(&s->refs) & VOWI_CONSUMERS) < VOWI_CONSUMERS_MANY)
        vowi_add_relaxed(&s->refs, VOWI_CONSUMER);
}

/* Takes a hold, unless there are so many; the caller has a reference, and with it an order. */
bool vowi_hold_below(struct vow_state *s, uint64_t many);

/* In general, with `mine` as what is given up: a consumer, or one and a hold. */
void vowi_release_consumer(struct vowi_thread *t, struct vow_state *s, uint64_t mine);

/* Of the kinds that have a block of the caches: where their state is in it, and its size. */
extern const struct vowi_shape {
    unsigned short before, size;
} vowi_shapes[];

static inline void
vowi_free_other_shape(struct vowi_thread *t, struct vow_state *s, uint64_t refs)
{
    const struct vowi_shape *shape = &vowi_shapes[refs >> VOWI_KIND_BITS & 3];

    vowi_assume(!VOW_BLOCK_CACHE || vowi_is_cached(shape->size));
    vowi_free_on(t, (char *)s - shape->before, shape->size);
}

/* Where a step's block is follows from a branch that is foreseen, and not from what is read
 * here: the next block that is allocated is likely to be this one, and waits for that. */
static inline void
vowi_free_shape(struct vowi_thread *t, struct vow_state *s, uint64_t refs)
{
    if (vowi_likely((refs & VOWI_KIND) == VOWI_STEP))
        vowi_free_on(t, vowi_container_of(s, struct vowi_step, state),
                     sizeof(struct vowi_step));
    else
        vowi_free_other_shape(t, s, refs);
}

/* Most that are released are the only reference to a value that nobody has to free, in a
 * block of the caches. Nobody else can make another, so the count need not be written. */
static inline void
vowi_release_last(struct vowi_thread *t, struct vow_state *s, uint64_t mine)
{
    const uint64_t not_plain =
        VOWI_HAS_RECORD | VOWI_REJECTED | VOWI_STOPPABLE | VOWI_DELAY;
    uint64_t refs = vowi_load_acquire(&s->refs); /* [release] */

    if (vowi_likely((refs & (VOWI_COUNTS | not_plain)) == mine &&
                    s->outcome.as.other.kind == NULL))
        vowi_free_shape(t, s, refs);
    else
        vowi_release_consumer(t, s, mine);
}

static inline void
vowi_consumer_unref(struct vowi_thread *t, struct vow_state *s)
{
    vowi_release_last(t, s, VOWI_CONSUMER);
}

/* Lets go of a consumer's reference and a hold at once. */
static inline void
vowi_consumer_unref_held(struct vowi_thread *t, struct vow_state *s)
{
    vowi_release_last(t, s, VOWI_CONSUMER + VOWI_HOLD);
}

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
