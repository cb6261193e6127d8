/* SPDX-License-Identifier: MIT */
/*
 * core/submit.h - running a job other than from a queue.
 */
#ifndef VOWI_CORE_SUBMIT_H
#define VOWI_CORE_SUBMIT_H

#include "base/thread.h"
#include "core/block.h"

/* Runs a job that nobody has started, whatever its queue says; consumes a hold. */
void vowi_run_job(struct vowi_job *job);

/*
 * Calls the function of a claimed task, drops its context and settles it. Without a
 * function it is fulfilled; with a why it is rejected. Consumes a hold. False: it has
 * not settled, but goes to the back of the queue of the executor that runs here.
 */
bool vowi_take_task_turn(struct vowi_thread *t, struct vow_state *s, vow_task_fn *fn,
                         int why);

/* The job that a task is; NULL: it is something else. */
struct vowi_job *vowi_job_of(vow_task *task);

/* The error of a task that will never run: built in, or if why is the system's a new one. */
vow_error *vowi_refusal(int why);

#endif
