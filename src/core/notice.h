/* SPDX-License-Identifier: MIT */
/*
 * core/notice.h - being told at once that a future has settled.
 */
#ifndef VOWI_CORE_NOTICE_H
#define VOWI_CORE_NOTICE_H

#include <stdbool.h>

#include "core/node.h"

bool vowi_is_notice(const struct vowi_node *n);

/* Its memory may be gone when this returns. */
void vowi_call_notice(struct vowi_node *n);

#endif
