/* SPDX-License-Identifier: MIT */
/*
 * core/call.h - a function of a user's, called with all that a step has around it, by
 * one who has storage for it already. For src/combine.
 *
 * While it runs, vow_cancelled and its kin look at the token given here; what becomes
 * ready inline waits until it has ended; and if its thread exits inside, it has ended
 * with VOW_E_BROKEN.
 */
#ifndef VOWI_CORE_CALL_H
#define VOWI_CORE_CALL_H

#include <vow/cancel.h>
#include <vow/executor.h>
#include <vow/result.h>

struct vowi_call {
    vow_result (*call)(struct vowi_call *c); /* calls the function */

    /* Once, after it, or instead of what would have come after it. At most one member of
     * the result is set; what says vow_forward is left as it is. A pointer: who copies what
     * was written in halves waits for them. */
    void (*ended)(struct vowi_call *c, const vow_result *r);
    vow_token *token; /* borrowed; NULL: only what its executor is told counts */
};

void vowi_call(struct vowi_call *c);

/* Whether a result says that it is what went in, which is owned by whoever lent it. */
bool vowi_call_forwards(const vow_result *r, vow_value in, bool owned);

/* A token for calls on an executor: fires with the parent, or if the executor is told to
 * cancel. Owned; NULL without memory. */
vow_token *vowi_call_token(vow_executor *on, vow_token *parent);

/*
 * Around the settling of several at once. Inline steps on them wait for the end, by when
 * all have settled: one may wait for another. The end is given what the beginning returned.
 */
bool vowi_settling_begin(void);
void vowi_settling_end(bool outermost);

#endif
