/* SPDX-License-Identifier: MIT */
/*
 * core/delay.h - tasks whose time has not come.
 */
#ifndef VOWI_CORE_DELAY_H
#define VOWI_CORE_DELAY_H

#include "base/thread.h"
#include "core/state.h"

/*
 * A task was claimed to be cancelled: if it is one with a timer, that is disarmed.
 * The caller has a reference.
 */
void vowi_delay_stopped(struct vowi_thread *t, struct vow_state *s);

#endif
