/* SPDX-License-Identifier: MIT */
/*
 * core/submit.h - running a job other than from a queue.
 */
#ifndef VOWI_CORE_SUBMIT_H
#define VOWI_CORE_SUBMIT_H

#include "core/block.h"

/* Runs a job that nobody has started, whatever its queue says; consumes a hold. */
void vowi_run_job(struct vowi_job *job);

#endif
