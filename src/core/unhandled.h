/* SPDX-License-Identifier: MIT */
/*
 * core/unhandled.h - an error that nobody looked at.
 */
#ifndef VOWI_CORE_UNHANDLED_H
#define VOWI_CORE_UNHANDLED_H

#include "core/state.h"

/* Tells the hook, or stderr, unless it was to be expected. */
void vowi_report_unhandled(struct vow_state *s);

#endif
