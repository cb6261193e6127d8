/* SPDX-License-Identifier: MIT */
/*
 * combine/fold.h - values folded as they come, in order, by several threads.
 *
 * A run is what adjacent inputs have been folded into so far. Who has one puts it in: it
 * is folded with the runs that touch it on either side, and lies there if none does. So a
 * run that lies there has a gap on each side, on which somebody works; of those there
 * are no more than workers, and no more runs than that and one. Where the order does not
 * matter any two runs touch, and at most one lies there.
 */
#ifndef VOWI_COMBINE_FOLD_H
#define VOWI_COMBINE_FOLD_H

#include <vow/batch.h>

#include "sync/lock.h"

struct vowi_run {
    size_t first, end; /* of the inputs it stands for; nothing, if they are the same */
    size_t count;      /* of them: if the order does not matter, they are anywhere */
    vow_value value;   /* owned; or lent by the holder */
    vow_future *holder;
};

/* Where a worker has its runs, also while a user's code runs on them: so that they are
 * dropped if its thread exits in there. Zero is the start of it. */
struct vowi_hand {
    struct vowi_run own;
    struct vowi_run other;
};

struct vowi_slot {
    struct vowi_run run;
    struct vowi_slot *prev, *next;
};

struct vowi_fold {
    vow_fold_fn *fn;
    void *ctx;
    bool unordered;

    struct vowi_lock lock;
    struct vowi_slot *first, *last; /* guarded by lock, in order */
    struct vowi_slot *free;         /* guarded by lock */
};

/* Without slots as yet. False: there is no lock to be had. */
bool vowi_fold_init(struct vowi_fold *f);

/* Of these it needs one more than there are workers. */
void vowi_fold_add_slot(struct vowi_fold *f, struct vowi_slot *s);

/* Drops what lies there. Nobody uses it any more. */
void vowi_fold_fini(struct vowi_fold *f);

/* Takes the first run that lies there: nothing, if there is none. */
struct vowi_run vowi_fold_take(struct vowi_fold *f);

/* Drops what a hand holds. */
void vowi_hand_drop(struct vowi_hand *h);

/* Folds `other`, which follows `own`, or touches it if the order does not matter, into
 * it. On an error, owned, the hand holds what it held. */
vow_error *vowi_fold_append(struct vowi_fold *f, struct vowi_hand *h);

/*
 * Folds `own` with what touches it, and lets go of it unless it stands for that many
 * inputs: then it is the outcome, and stays. Returns NULL, or an error, owned.
 */
vow_error *vowi_fold_put(struct vowi_fold *f, struct vowi_hand *h, size_t all);

/* Whether a result is a value; if not, r is dropped and *error says why. */
bool vowi_fold_takes(vow_result r, vow_error **error);

#endif
