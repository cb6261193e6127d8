/* SPDX-License-Identifier: MIT */
/*
 * combine/map.h - many items through one window, whatever is done with each.
 */
#ifndef VOWI_COMBINE_MAP_H
#define VOWI_COMBINE_MAP_H

#include <vow/batch.h>

#define VOWI_UNKNOWN SIZE_MAX /* how many items there are */

/* A map to be made; vowi_map_start copies it. */
struct vowi_map_plan {
    vow_executor *on;
    vow_map_options opt;
    size_t n; /* items, or VOWI_UNKNOWN */

    /* Starts the item of an index, or returns false: there are no more. One call at a
     * time. What it hangs on the item must not outlive its outcome. */
    bool (*start)(struct vowi_map_plan *plan, size_t index, vow_future **f);

    vow_value *items;  /* n of them, a block of its own, or NULL */
    vow_task_fn **fns; /* n of them, a block of its own, or NULL */
    vow_next_fn *next;
    vow_value source;
    union {
        vow_then_fn *then;
        vow_filter_fn *keep;
    } fn;
    vow_value ctx;
};

/* Consumes what is in the plan, also without memory: then NULL. */
vow_future *vowi_map_start(const struct vowi_map_plan *plan, bool enough_memory);

/* What a step returns for an item that is no result. */
vow_result vowi_absent(void);

#endif
