/* SPDX-License-Identifier: MIT */
/*
 * core/word.c - the word of a state: its lock bit, and what hangs on it.
 *
 * Nodes hang in a list, newest first. Attaching is one CAS, also while the lock bit
 * is set; taking one off, in the middle, needs the bit. For that a node must know
 * the one attached after it. Nobody pays for these back links at the attach: whoever
 * takes a node off fills them, from the newest to the first that has one.
 */
#include "core/word.h"

#include "core/follow.h"

static void
set_back_link(struct vowi_node *n, struct vowi_node *newer)
{
    if (n != NULL && !vowi_is_bare_follower(n))
        n->as.newer = newer;
}

/* Its holder may have been about to take a node off: the list is sound at each of its
 * steps, but the back links may be half filled. */
uintptr_t
vowi_take_over_word(struct vow_state *s)
{
    uintptr_t word = vowi_or_acq_rel(&s->word, VOWI_LOCKED) & ~VOWI_LOCKED; /* [lock] */

    if (word & VOWI_SETTLED)
        return word;
    for (struct vowi_node *n = vowi_first_node(word); n != NULL && n->next != NULL;
         n = n->next)
        set_back_link(n->next, n);
    return word;
}

uintptr_t
vowi_lock_word(struct vow_state *s)
{
    uintptr_t word = vowi_load_relaxed(&s->word); /* relaxed: the CAS orders it */
    unsigned round = 0;

    for (;;) {
        if (word & VOWI_LOCKED) {
            if (!vowi_spin_wait(&round))
                return vowi_take_over_word(s);
            word = vowi_load_relaxed(&s->word); /* relaxed: as above */
        } else if (vowi_cas_acquire_or_relaxed(&s->word, &word, word | VOWI_LOCKED)) {
            /* [lock] */
            return word;
        }
    }
}

void
vowi_unlock_word(struct vow_state *s)
{
    vowi_and_release(&s->word, ~VOWI_LOCKED); /* [lock] */
}

/*
 * Fills back links from the newest node on, as far as they are missing. Whoever
 * walks again stops where this walk began: all walks together pass each node once.
 */
static void
fill_back_links(struct vowi_node *newest)
{
    for (struct vowi_node *n = newest; n->next != NULL; n = n->next) {
        if (vowi_is_bare_follower(n->next))
            continue;
        if (n->next->as.newer != NULL)
            return;
        n->next->as.newer = n;
    }
}

/* The node attached after n: by its back link, or for a bare follower by a search. */
static struct vowi_node *
node_before(struct vowi_node *newest, struct vowi_node *n)
{
    if (!vowi_is_bare_follower(n)) {
        fill_back_links(newest);
        return n->as.newer;
    }
    while (newest->next != n)
        newest = newest->next;
    return newest;
}

/* Others may attach newer nodes meanwhile. */
void
vowi_unlink_locked(struct vow_state *s, struct vowi_node *n)
{
    uintptr_t word;

    while (vowi_first_node(word = vowi_load_acquire(&s->word)) == n) { /* [node] */
        set_back_link(n->next, NULL);
        /* relaxed: the word carries the releases of the attaches on */
        if (vowi_cas_relaxed(&s->word, &word,
                             (uintptr_t)n->next | (word & ~VOWI_NODE_MASK)))
            return;
    }

    struct vowi_node *newer = node_before(vowi_first_node(word), n);

    newer->next = n->next;
    set_back_link(n->next, newer);
}

bool
vowi_detach_node(struct vow_state *s, struct vowi_node *n)
{
    bool attached = (vowi_lock_word(s) & VOWI_SETTLED) == 0;

    if (attached)
        vowi_unlink_locked(s, n);
    vowi_unlock_word(s);
    return attached;
}

bool
vowi_detach_if_there(struct vow_state *s, struct vowi_node *n)
{
    bool settled = (vowi_lock_word(s) & VOWI_SETTLED) != 0;
    struct vowi_node *at = vowi_first_node(vowi_load_acquire(&s->word)); /* [node] */

    while (at != NULL && at != n)
        at = at->next;
    if (at != NULL)
        vowi_unlink_locked(s, n);
    vowi_unlock_word(s);
    return at != NULL && !settled;
}
