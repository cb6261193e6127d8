/* SPDX-License-Identifier: MIT */
/*
 * core/notice.h - being told at once that a future has settled.
 */
#ifndef VOWI_CORE_NOTICE_H
#define VOWI_CORE_NOTICE_H

#include <stdbool.h>

#include <vow/future.h>

#include "core/node.h"

bool vowi_is_notice(const struct vowi_node *n);

/* What of it hangs on a state. */
struct vowi_node *vowi_notice_node(vow_notice *notice);

/* Its memory may be gone when this returns. */
void vowi_call_notice(struct vowi_node *n);

#endif
