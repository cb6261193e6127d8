/* SPDX-License-Identifier: MIT */
/*
 * core/step.h - what hangs on a future and calls a function.
 */
#ifndef VOWI_CORE_STEP_H
#define VOWI_CORE_STEP_H

#include "base/thread.h"
#include "core/block.h"

enum vowi_step_kind {
    VOWI_THEN,
    VOWI_CATCH,
    VOWI_CATCH_IF,
    VOWI_HANDLE,
    VOWI_FINALLY,
    VOWI_WATCH /* vow_on_settled: no step, but it hangs and runs like one */
};

/* Consumes the source; NULL is one that ran out of memory. */
void vowi_hook_init(struct vowi_thread *t, struct vowi_hook *hook, vow_future *source,
                    vow_executor *on, enum vowi_step_kind kind);

/* Hangs a hook on its source, or delivers it if that has settled. */
void vowi_hook_attach(struct vowi_thread *t, struct vowi_hook *hook);

/* The same for a step, which may run at once. */
void vowi_step_attach(struct vowi_thread *t, struct vowi_step *step,
                      enum vowi_step_kind kind);

/* why of a step whose source was abandoned: neither it nor what follows runs. */
#define VOWI_ABANDONED (-1)

/* Gives a step or a watch whose source has settled to where it runs. */
void vowi_deliver(struct vowi_thread *t, struct vowi_node *n, int why);
bool vowi_is_hook(const struct vowi_node *n);

/* A hook's run by a number that fits into a byte, and back. */
unsigned char vowi_hook_index(const struct vowi_node *n);
vowi_run_fn *vowi_hook_run(unsigned char index);

#endif
