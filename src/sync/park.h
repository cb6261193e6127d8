/* SPDX-License-Identifier: MIT */
/*
 * sync/park.h - how a thread sleeps until another says so.
 *
 * The flag that ends the sleep lives with the sleeper (on its stack, as a rule)
 * and is guarded by the parker's mutex. The waker's last touch of the sleeper's
 * memory is under that mutex, so the sleeper may go on, and its stack frame may
 * die, as soon as park returns. A fiber has a flag of its own, which its thread sets
 * (sync/fiber.h); woken is left alone.
 */
#ifndef VOWI_SYNC_PARK_H
#define VOWI_SYNC_PARK_H

#include <stdbool.h>

#include <vow/base.h>

#include "base/thread.h"

/* Makes a parker usable. Returns 0 or an errno value; made once, kept. */
int vowi_parker_init(struct vowi_parker *p);

/*
 * Sleeps until *woken, or until a time on the monotonic clock. Returns *woken.
 * Called by the parker's own thread.
 */
bool vowi_park(struct vowi_parker *p, const bool *woken, vow_ns deadline);

/* Sets *woken and wakes the thread that sleeps on p. */
void vowi_unpark(struct vowi_parker *p, bool *woken);

#endif
