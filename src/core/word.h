/* SPDX-License-Identifier: MIT */
/*
 * core/word.h - the lock bit of a state, and what hangs on it.
 */
#ifndef VOWI_CORE_WORD_H
#define VOWI_CORE_WORD_H

#include "core/state.h"
#include "sync/spin.h"

/* Locks the word; returns it without LOCK. It may be settled. [lock] */
uintptr_t vowi_lock_word(struct vow_state *s);
void vowi_unlock_word(struct vow_state *s);

/* The same although another thread holds the lock bit, which fork has left behind. */
uintptr_t vowi_take_over_word(struct vow_state *s);

/* Takes a node off again; false if it has been taken for delivery. */
bool vowi_detach_node(struct vow_state *s, struct vowi_node *n);

/* The same for whoever holds the lock bit and knows that it hangs there. */
void vowi_unlink_locked(struct vow_state *s, struct vowi_node *n);

/* Takes a node off again if it is there; false if not. */
bool vowi_detach_if_there(struct vow_state *s, struct vowi_node *n);

/* ---- what every step does: here, so that it is no call ------------------------------- */

/* Hangs a node on a state; false, and nothing done, if it has settled. */
static inline bool
vowi_attach(struct vow_state *s, struct vowi_node *n)
{
    uintptr_t word = vowi_load_acquire(&s->word); /* [settled] */

    do {
        if (word & VOWI_SETTLED)
            return false;
        n->next = vowi_first_node(word);
        /* [node] to publish, [claim] to a canceller; failed: [settled] */
    } while (!vowi_cas_acq_rel(&s->word, &word, (uintptr_t)n | (word & ~VOWI_NODE_MASK)));
    return true;
}

/* Newest first becomes oldest first. */
static inline struct vowi_node *
vowi_reverse_nodes(struct vowi_node *n)
{
    struct vowi_node *reversed = NULL;

    if (n == NULL || n->next == NULL)
        return n;
    while (n != NULL) {
        struct vowi_node *next = n->next;

        n->next = reversed;
        reversed = n;
        n = next;
    }
    return reversed;
}

/* Makes an outcome visible; returns all that hung on the state, oldest first. mark
 * is 0, or VOWI_FOLLOWING: it was abandoned. */
static inline struct vowi_node *
vowi_publish(struct vow_state *s, uintptr_t mark)
{
    uintptr_t word = vowi_load_relaxed(&s->word); /* relaxed: the CAS orders it */
    unsigned round = 0;

    for (;;) {
        if (word & VOWI_LOCKED) {
            if (!vowi_spin_wait(&round))
                vowi_unlock_word(s);
            word = vowi_load_relaxed(&s->word); /* relaxed: as above */
        } else if (vowi_cas_acq_rel_or_relaxed(&s->word, &word,
                                               VOWI_CLAIMED | VOWI_SETTLED | mark)) {
            /* [settled] out, [node] in */
            return vowi_reverse_nodes(vowi_first_node(word));
        }
    }
}

#endif
