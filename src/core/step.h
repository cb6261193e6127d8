/* SPDX-License-Identifier: MIT */
/*
 * core/step.h - what hangs on a future and calls a function.
 */
#ifndef VOWI_CORE_STEP_H
#define VOWI_CORE_STEP_H

#include "base/thread.h"
#include "core/block.h"
#include "core/executor.h"
#include "core/trampoline.h"
#include "core/word.h"

enum vowi_step_kind {
    VOWI_THEN,
    VOWI_CATCH,
    VOWI_CATCH_IF,
    VOWI_HANDLE,
    VOWI_FINALLY,
    VOWI_WATCH, /* vow_on_settled: no step, but it hangs and runs like one */
    VOWI_PASS,  /* calls nothing: settles as its source does */
    VOWI_SHIELD /* the same, and requests to stop end here */
};

/* Of each kind, how it runs. */
extern vowi_run_fn *const vowi_hook_runs[];
void vowi_run_then(vow_task *task, int why);
void vowi_run_watch(vow_task *task, int why);

/* Consumes the source; NULL is one that ran out of memory. */
static inline void
vowi_hook_init(struct vowi_hook *hook, vow_future *source, enum vowi_step_kind kind)
{
    hook->as.node.run = kind == VOWI_THEN ? vowi_run_then : vowi_hook_runs[kind];
    vowi_node_clear(&hook->as.node);
    hook->source = vowi_state_or_nomem(source);
}

/* A step that its caller has yet to give a function, and to attach. NULL without memory,
 * and then the source and the context are let go of. */
struct vowi_step *vowi_step_new(struct vowi_thread *t, vow_future *source,
                                vow_executor *on, enum vowi_step_kind kind, vow_value ctx,
                                void *site);

/* Delivers a hook whose source has settled. */
void vowi_deliver_now(struct vowi_thread *t, struct vowi_hook *hook);

/* Hangs a hook on its source, or delivers it if that has settled. */
static inline void
vowi_hook_attach(struct vowi_thread *t, struct vowi_hook *hook)
{
    if (!vowi_attach(hook->source, &hook->as.node))
        vowi_deliver_now(t, hook);
}

/* The same for an inline step on a source that has, with nothing running on this stack. */
void vowi_step_at_once(struct vowi_thread *t, struct vowi_step *step,
                       enum vowi_step_kind kind);

/* All of an inline then on a source with a value that nobody has to free, and of any. NULL
 * without memory. */
vow_future *vowi_then_on_plain(struct vow_state *source, void *site, vow_then_fn *fn,
                               vow_value ctx);
vow_future *vowi_then_later(vow_future *f, vow_executor *on, vow_then_fn *fn,
                            vow_value ctx, void *site);

/* why of a step whose source was abandoned: neither it nor what follows runs. */
#define VOWI_ABANDONED (-1)

/* What may be for another place than the trampoline of this thread. */
void vowi_deliver_elsewhere(struct vowi_thread *t, struct vowi_node *n, int why);

/* Gives a step or a watch whose source has settled to where it runs. */
static inline void
vowi_deliver(struct vowi_thread *t, struct vowi_node *n, int why)
{
    struct vowi_step *step = vowi_container_of(n, struct vowi_step, hook.as.node);
    bool here = n->run != vowi_run_watch && vowi_is_plain_step(&step->state);

    if (t->held == step->hook.source) {
        t->held = NULL;
        n->as.queued.held = 1; /* one release less than each giving up its own */
    }
    if (here) {
        n->as.queued.why = why;
        vowi_later(t, n);
    } else {
        vowi_deliver_elsewhere(t, n, why);
    }
}

bool vowi_is_other_hook(const struct vowi_node *n);

/* Most are a then. */
static inline bool
vowi_is_hook(const struct vowi_node *n)
{
    return n->run == vowi_run_then || vowi_is_other_hook(n);
}

/* Asked of a node that hangs on its source. */
bool vowi_is_shield(const struct vowi_node *n);

/* A hook's run by a number that fits into a byte, and back. */
unsigned char vowi_hook_index(const struct vowi_node *n);
vowi_run_fn *vowi_hook_run(unsigned char index);

#endif
