/* SPDX-License-Identifier: MIT */
/*
 * core/result.h - what a step returned becomes an outcome.
 */
#ifndef VOWI_CORE_RESULT_H
#define VOWI_CORE_RESULT_H

#include "base/thread.h"
#include "core/settle.h"
#include "core/state.h"

/* The drop that says vow_forward. */
void vowi_is_forward(void *unused);

/*
 * A result is passed on member by member, in registers. A function's result has just been
 * stored in halves; who copies it with wider loads waits until those have left the store
 * buffer, some ten nanoseconds each time.
 */

void vowi_store_other_result(struct vow_state *s, struct vow_state *source, vow_value v,
                             vow_error *e);

/* Stores what does not follow in a claimed state. Consumes both. Most are a value that
 * nobody has to free, from a source that has such a one, or from none. */
static inline void
vowi_store_result(struct vow_state *s, struct vow_state *source, vow_value v,
                  vow_error *e)
{
    if (vowi_likely(e == NULL && v.drop == NULL &&
                    (source == NULL || source->outcome.as.other.kind == NULL)))
        vowi_set_value(s, v);
    else
        vowi_store_other_result(s, source, v, e);
}

/* Has a claimed state follow. Consumes all that came with it, and a hold. */
void vowi_finish_following(struct vowi_thread *t, struct vow_state *s, vow_value v,
                           vow_error *e, vow_future *follow);

/* Settles a claimed state as a result says. Consumes the result and a hold. */
static inline void
vowi_finish(struct vowi_thread *t, struct vow_state *s, struct vow_state *source,
            const vow_result *r)
{
    if (vowi_unlikely(r->follow != NULL)) {
        vowi_finish_following(t, s, r->value, r->error, r->follow);
    } else {
        vowi_store_result(s, source, r->value, r->error);
        vowi_settle_held(t, s);
    }
}

#endif
