/* SPDX-License-Identifier: MIT */
/*
 * combine/group_internal.h - a group and its children, as they are known to group.c, which
 * opens, cancels and ends the one, and group_child.c, which adds and starts the others.
 */
#ifndef VOWI_COMBINE_GROUP_INTERNAL_H
#define VOWI_COMBINE_GROUP_INTERNAL_H

#include <vow/group.h>

#include "base/list.h"
#include "combine/errors.h"
#include "core/hang.h"
#include "sync/lock.h"
#include "sync/refs.h"

struct vow_group {
    struct vowi_refs handles;
    struct vowi_refs refs; /* of its memory */

    /* Not written again once it is open. */
    const char *name;
    bool keeps_others;
    size_t limit;
    vow_source *source;
    vow_token *token; /* of the source, or linked to it */
    bool linked;
    vow_token *until;        /* its deadline, or NULL */
    vow_registration *watch; /* on a token that fires by itself, or NULL */
    vow_promise *promise;

    struct vowi_lock lock; /* guards all that follows */
    bool joined, closed, ended;
    size_t asking;         /* threads that cancel children now */
    bool lacked_memory;    /* that is among the errors */
    bool left_out;         /* a child was refused because the group was cancelled */
    bool stopped_first;    /* before the first error came */
    vow_error *stop;       /* it was cancelled: how its join is rejected */
    vow_error *cancelled;  /* the first child that was cancelled has this */
    uint64_t first_failed; /* the number of the first child that failed */
    struct vowi_errors *errors;
    struct vowi_list line;   /* children that wait for a place, the first to come first */
    struct vowi_list askers; /* children under way, which are asked to stop */
    vow_group_figures seen;
};

/* What a child will need when it is started. */
struct vowi_turn {
    vow_executor *on;
    const vow_submit_options *opt; /* NULL: none */
    vow_task_fn *fn;
    vow_value ctx;
    const void *site; /* of whoever adds it */
};

struct vowi_child {
    struct vowi_hanger hanger;
    vow_group *group;
    vow_future *f;   /* a reference */
    uint64_t number; /* among the children, from 0 */

    bool waits; /* it was, or is, in line, or among those to be asked */

    /* Guarded by the group's lock, once others know the child. */
    bool has_place;
    bool listed; /* in line, or among those to be asked */
    struct vowi_link link;
    vow_promise *gate; /* a reference, while it is in line */

    struct vowi_turn turn; /* of one in line; opt is none, or the following */
    vow_submit_options opt;
};

/* ---- group.c ---------------------------------------------------------------------------- */

/* Gives up a reference to its memory. */
void vowi_group_release(vow_group *g);

/* With the lock: whether the caller ends it, by vowi_group_conclude. */
bool vowi_group_ends_locked(vow_group *g);
void vowi_group_conclude(vow_group *g);

/* Cancels it, unless it was or has ended. Consumes the reason. */
bool vowi_group_stop(vow_group *g, vow_error *reason);

/* Cancels it if its token has fired and nobody has noticed: a child that saw it fire may
 * settle before the group is told. */
void vowi_group_look_at_token(vow_group *g);

/* What a child of one that was cancelled is rejected with: owned. */
vow_error *vowi_group_error_of_child(const vow_group *g);

/* Asks a child under way to stop, and consumes the future, for somebody who has counted
 * himself as asking; then he is counted no more. */
void vowi_group_ask_to_stop(vow_group *g, vow_future *f);

/* With the lock: the gate of the first in line, which is in line no more; NULL: there is
 * none. */
vow_promise *vowi_group_leave_line_locked(vow_group *g, struct vowi_child **first);

/* ---- group_child.c ---------------------------------------------------------------------- */

/* Takes a child that is under way. Returns 0 or a code; consumes the future if that is 0 or
 * VOW_E_CANCELLED. */
int vowi_group_adopt(vow_group *g, vow_future *f);

/* With the lock: keeps an error of a child. Returns it, a new reference, if it cancels the
 * others. */
vow_error *vowi_group_fail_locked(vow_group *g, uint64_t number, const vow_error *error);

#endif
