/* SPDX-License-Identifier: MIT */
/* core/hang.c - a node of the caller's on a state. */
#include "core/hang.h"

#include "core/trampoline.h"
#include "core/word.h"

void
vowi_hang(vow_future *f, struct vowi_hanger *h, void (*run)(vow_task *task, int why))
{
    struct vowi_thread *t = vowi_self();
    struct vowi_node *n = &vowi_container_of(&h->task, union vowi_task, task)->node;
    bool outermost;

    n->next = NULL;
    n->run = run;
    vowi_node_clear(n);
    if (vowi_attach(vowi_state_or_nomem(f), n))
        return;
    outermost = vowi_enter(t);
    n->as.queued.why = 0;
    vowi_later(t, n);
    vowi_leave(t, outermost);
}
