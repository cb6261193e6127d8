/* SPDX-License-Identifier: MIT */
/*
 * core/join.h - one future out of many: what src/combine has of core beyond its public
 * face.
 *
 * A join is one block: the state of the result, an entry for each input by which it
 * hangs there, the inputs themselves, and bytes of the combinator's own. Core knows
 * how to hang on many states, how to count what arrives, how to leave the rest, and
 * when the block may go; a combinator says which arrival decides, and what the
 * outcome is then.
 *
 *     j = vowi_join_new(&kind, n, sizeof(struct own), &options);
 *     ... fills its own bytes ...
 *     return vowi_join_start(j, fs);
 *
 * Why not by the public face alone: a vow_on_settled an input would be an allocation
 * each, and could not be taken off again when the result has settled.
 */
#ifndef VOWI_CORE_JOIN_H
#define VOWI_CORE_JOIN_H

#include <stddef.h>
#include <stdint.h>

#include <vow/cancel.h>
#include <vow/future.h>

struct vowi_join;

/* Nobody's index: no single input decided, all have settled. */
#define VOWI_ALL SIZE_MAX

/* What decides, in vowi_join_kind. */
#define VOWI_BY_VALUE 1u
#define VOWI_BY_ERROR 2u

/* Flags of a join. */
#define VOWI_KEEP_OTHERS 1u /* VOW_KEEP_OTHERS */
#define VOWI_WAIT        2u /* VOW_WAIT */

struct vowi_join_kind {
    bool at_once;     /* it is decided before anything arrives */
    bool needs_all;   /* who waits for it waits for each input: it may run those */
    unsigned decides; /* the first input with a value, or with an error, decides */

    /* NULL, or asked about each arrival that does not decide by the above, as long as
     * nothing is decided: whether this one does. Any thread, several at once. */
    bool (*counts)(struct vowi_join *j, size_t i, bool failed);

    /* Once: says what the outcome is, by one of the three functions below. Returns
     * whether the outcome lies in the block, which then stays until vowi_join_release.
     * `by` is the input that decided, or VOWI_ALL. Runs no user code. */
    bool (*conclude)(struct vowi_join *j, size_t by);

    /* NULL, or called once if it was cut: by a request to stop, or since an input decided.
     * All inputs have settled then; with VOWI_WAIT the result has not. May run user code. */
    void (*swept)(struct vowi_join *j);
};

struct vowi_join_options {
    unsigned flags;
    vow_token *token; /* borrowed: asks it to stop; NULL: none */
    const void *site; /* of the call that makes it */
};

/* A join of n inputs with zeroed bytes of its own; NULL without memory. */
struct vowi_join *vowi_join_new(const struct vowi_join_kind *kind, size_t n, size_t own,
                                const struct vowi_join_options *opt);

/* Consumes the n futures; nothing may fail any more. Returns the future of the result. */
vow_future *vowi_join_start(struct vowi_join *j, vow_future *const *fs);

void *vowi_join_own(struct vowi_join *j);
size_t vowi_join_count(const struct vowi_join *j);

/*
 * The inputs, each a reference. In conclude `by` has settled, and those that counts was
 * told of before: what conclude takes out of the array, leaving NULL there, is the
 * combinator's own, and core lets go of the others. If it is VOWI_ALL, and was not
 * decided at once, all have settled and all are the combinator's.
 */
vow_future **vowi_join_inputs(struct vowi_join *j);

/* The outcome, in conclude. */
void vowi_join_fulfill(struct vowi_join *j, vow_value v);
void vowi_join_reject(struct vowi_join *j, vow_error *e);
void vowi_join_pass(struct vowi_join *j, size_t i); /* what input i settled as */

/* In conclude: why the inputs that are left are left, if not because they have lost. A
 * VOW_E_CANCELLED, consumed. */
void vowi_join_leave_because(struct vowi_join *j, vow_error *reason);

/* Frees a join that was never started. */
void vowi_join_discard(struct vowi_join *j);

/* The outcome that lay in the block has gone. */
void vowi_join_release(struct vowi_join *j);

/* ---- beside joins ---------------------------------------------------------------------------- */

/* Gives up a handle for good, not as one who might have looked later: if nobody else wants
 * the outcome, the work is asked to stop. Consumes both; allocates at most one error, and
 * works without; runs user code. NULL: nothing. */
void vowi_future_leave(vow_future *f, vow_error *reason);

#endif
