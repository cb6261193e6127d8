/* SPDX-License-Identifier: MIT */
/*
 * core/word.h - the lock bit of a state, and what hangs on it.
 */
#ifndef VOWI_CORE_WORD_H
#define VOWI_CORE_WORD_H

#include "core/state.h"

/* Locks the word; returns it without LOCK. It may be settled. [lock] */
uintptr_t vowi_lock_word(struct vow_state *s);
void vowi_unlock_word(struct vow_state *s);

/* The same although another thread holds the lock bit, which fork has left behind. */
uintptr_t vowi_take_over_word(struct vow_state *s);

/* Hangs a node on a state; false, and nothing done, if it has settled. */
bool vowi_attach(struct vow_state *s, struct vowi_node *n);

/* Takes a node off again; false if it has been taken for delivery. */
bool vowi_detach_node(struct vow_state *s, struct vowi_node *n);

/* The same for whoever holds the lock bit and knows that it hangs there. */
void vowi_unlink_locked(struct vow_state *s, struct vowi_node *n);

/* Takes a node off again if it is there; false if not. */
bool vowi_detach_if_there(struct vow_state *s, struct vowi_node *n);

/* Makes an outcome visible; returns all that hung on the state, oldest first. mark
 * is 0, or VOWI_FOLLOWING: it was abandoned. */
struct vowi_node *vowi_publish(struct vow_state *s, uintptr_t mark);

#endif
