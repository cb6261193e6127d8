/* SPDX-License-Identifier: MIT */
/*
 * core/follow.h - a state that settles as another one does.
 */
#ifndef VOWI_CORE_FOLLOW_H
#define VOWI_CORE_FOLLOW_H

#include "base/thread.h"
#include "core/refs.h"
#include "core/state.h"

/* s, claimed, settles as y does. Consumes the reference to y and a hold on s. */
void vowi_follow(struct vowi_thread *t, struct vow_state *s, struct vow_state *y);

/* See core/follow.c; for a bare promise whose last handle goes. */
void vowi_splice_out(struct vowi_thread *t, struct vow_state *s);

/* What a pending state waits for: its source, or whom it follows. A visit; of none if it
 * waits for nothing that can be named. */
struct vowi_visit vowi_upstream(struct vow_state *s);

/* The same without a reference, for whoever holds the lock bit. */
struct vow_state *vowi_upstream_locked(struct vow_state *s, uintptr_t word);

/* The run of a bare promise's following node, which ends after two words. */
void vowi_followed_bare(vow_task *task, int why);

static inline bool
vowi_is_bare_follower(const struct vowi_node *n)
{
    return n->run == vowi_followed_bare;
}

#endif
