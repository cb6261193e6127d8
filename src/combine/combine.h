/* SPDX-License-Identifier: MIT */
/*
 * combine/combine.h - what the combinators share.
 */
#ifndef VOWI_COMBINE_COMBINE_H
#define VOWI_COMBINE_COMBINE_H

#include <vow/combine.h>

#include "base/error.h"
#include "core/join.h"

/* What lies in the block of a join, or of a map. */
struct vow_results {
    void (*gone)(struct vow_results *r); /* the block is needed no more by it */
    struct vowi_join *join;              /* if it is one */
    vow_future **items;                  /* each a reference, until taken */
    size_t *indices;                     /* of the inputs that they are; NULL: the same */
    size_t count;
};

/* The value that results are, which owns what is in them. */
vow_value vowi_results_value(struct vow_results *r);

/* Makes the outcome of a join the results, which its conclude has filled in. */
void vowi_results_fulfill(struct vow_results *r);

/* An error in the block of a join. */
struct vowi_placed {
    vow_error error;
    struct vowi_join *join;
    vow_future **failed; /* an aggregate: what failed (vowi_failed), or NULL */
};

/* Makes the outcome the error of input i, with its index. */
void vowi_reject_for(struct vowi_join *j, struct vowi_placed *p, size_t i);

/* What stands for an input that failed: itself, and a mark for a NULL future. */
vow_future *vowi_failed(vow_future *f);

/* Makes the outcome an error that stands for all that failed, an array as long as the
 * inputs. Its references are the error's from here on. */
void vowi_reject_for_all(struct vowi_join *j, struct vowi_placed *p, vow_future **failed);

/* Makes a join; NULL without memory, and then the futures have been let go of. */
struct vowi_join *vowi_combine_new(const struct vowi_join_kind *kind, size_t own,
                                   const vow_combine_options *opt, vow_future *const *fs,
                                   size_t n, const void *site);

/* All of it, for a combinator whose own bytes are zeros at first. */
vow_future *vowi_combine(const struct vowi_join_kind *kind, size_t own,
                         const vow_combine_options *opt, vow_future *const *fs, size_t n,
                         const void *site);

#endif
