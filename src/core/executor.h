/* SPDX-License-Identifier: MIT */
/*
 * core/executor.h - what the library keeps of an executor.
 */
#ifndef VOWI_CORE_EXECUTOR_H
#define VOWI_CORE_EXECUTOR_H

#include "base/thread.h"
#include "core/state.h"

/* An optional operation; NULL also if the executor was built before it was thought of. */
#define vowi_executor_op(on, operation)                                                  \
    ((on)->ops->size > offsetof(vow_executor_ops, operation) ? (on)->ops->operation      \
                                                             : NULL)

/* executors/inline.c: what vow_inline returns. */
extern vow_executor vowi_inline_executor;

/* Keeps an executor's memory for a pending step. Returns it, NULL for inline. */
vow_executor *vowi_executor_hold(struct vowi_thread *t, vow_executor *on);
void vowi_executor_release(struct vowi_thread *t, vow_executor *on);

/*
 * Counts a timer that is armed elsewhere for an executor, and keeps its memory; false, and
 * nothing done, if it is closed.
 */
bool vowi_executor_count_timer(struct vowi_thread *t, vow_executor *on);
void vowi_executor_uncount_timers(struct vowi_thread *t, vow_executor *on, unsigned n);
/* Whether there may be one. */
bool vowi_executor_has_timers(const vow_executor *on);

/* It is about to arm one for another. And calls visit for each that did, its memory kept. */
typedef void vowi_visit_fn(vow_executor *each, vow_executor *on);
void vowi_executor_keeps_timers(vow_executor *on);
void vowi_executors_that_keep_timers(vowi_visit_fn *visit, vow_executor *on);

/* The token that fires when an executor is told to cancel, lent; NULL: inline, or one that
 * is never closed. */
vow_token *vowi_executor_stopping(const vow_executor *on);
/* What it is up to, in a word. */
const char *vowi_executor_state(const vow_executor *on);

/* In a forked child, while there is one thread: they are left behind. */
void vowi_executors_in_child(void);

/* Whether a state is the close future of one that was left behind. */
bool vowi_closes_forked(const struct vow_state *s);

/* Whether a state is the close future of an executor. */
bool vowi_executor_closes(const vow_executor *on, const struct vow_state *s);

#endif
