/* SPDX-License-Identifier: MIT */
/*
 * core/husk.h - what who asks an executor for help, and may do without, has of core beyond
 * its public face. For src/combine.
 *
 * A husk is a task in an executor's queue with nothing left to do. If nobody comes to take
 * out those that are there, nobody would come to another task: who counts them need not
 * add to them.
 */
#ifndef VOWI_CORE_HUSK_H
#define VOWI_CORE_HUSK_H

#include <vow/executor.h>
#include <vow/future.h>

#include "base/thread.h"

/* Whether a thread may wait for what others do for it: not where they may need it to go
 * on, with steps deferred, or on an executor that does without it for no wait. */
bool vowi_may_wait(const struct vowi_thread *t);

/* Counts one more, by somebody who has a reference; and one less. Keeps the executor's
 * memory meanwhile. A forked child has none of those there were. NULL: nothing. */
void vowi_husk_add(vow_executor *on);
void vowi_husk_gone(vow_executor *on);

/* How many there are, or were a moment ago; 0 of a static object, where none is counted. */
unsigned vowi_husks(const vow_executor *on);

/* Runs what f waits for as vow_wait would, if that can be done here; does not sleep. */
void vowi_help(vow_future *f);

/*
 * Waits, and never refuses to: where vow_get would give VOW_E_DEADLOCK this sleeps until f
 * has settled. For what runs elsewhere and uses the caller's frame. Returns the error,
 * lent; NULL: none.
 */
const vow_error *vowi_wait_out(vow_future *f);

#endif
