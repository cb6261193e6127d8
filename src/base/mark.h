/* SPDX-License-Identifier: MIT */
/*
 * base/mark.h - the result that says "another turn", for those who pass results on.
 */
#ifndef VOWI_BASE_MARK_H
#define VOWI_BASE_MARK_H

#include <vow/result.h>

/* Its address is the drop of vow_yield_task's value. Does nothing. */
void vowi_wants_turn(void *unused);

static inline bool
vowi_marks_turn(const vow_result *r)
{
    return r->value.drop == vowi_wants_turn && r->error == NULL && r->follow == NULL;
}

#endif
