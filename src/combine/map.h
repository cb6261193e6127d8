/* SPDX-License-Identifier: MIT */
/*
 * combine/map.h - many items through one window, whatever is done with each.
 */
#ifndef VOWI_COMBINE_MAP_H
#define VOWI_COMBINE_MAP_H

#include <vow/batch.h>

#define VOWI_UNKNOWN SIZE_MAX /* how many items there are */

struct vowi_map_plan;

/* Where outcomes go that are neither kept nor told. */
struct vowi_map_sink {
    /* An item has settled with a value: what is still to be done with it, or false. Any
     * thread, several at once. The item is lent. */
    bool (*more)(struct vowi_map_plan *plan, size_t place, vow_future *item,
                 vow_future **f);

    /* All have worked, and it is over: says what the outcome is. */
    void (*settle)(struct vowi_map_plan *plan, vow_promise *promise);

    /* Or else: it is over. Drops what is left. */
    void (*gone)(struct vowi_map_plan *plan);
};

/* A map to be made; vowi_map_start copies it. */
struct vowi_map_plan {
    vow_executor *on;
    vow_map_options opt;
    size_t n; /* items, or VOWI_UNKNOWN */

    /* Starts the item of an index, or returns false: there are no more. One call at a
     * time. What it hangs on the item must not outlive its outcome. No other item in
     * flight has the same place, which is below vowi_map_limit. */
    bool (*start)(struct vowi_map_plan *plan, size_t index, size_t place, vow_future **f);

    const struct vowi_map_sink
        *sink; /* takes what comes of items; NULL: kept, or .each */

    vow_value *items;  /* n of them, a block of its own, or NULL */
    vow_task_fn **fns; /* n of them, a block of its own, or NULL */
    vow_next_fn *next;
    vow_value source;
    union {
        vow_then_fn *then;
        vow_filter_fn *keep;
    } fn;
    vow_value ctx;
    void *own;        /* the sink's */
    const void *site; /* of the call that makes it */
};

/* Copies the items, which are the plan's then; false without memory, and they are gone. */
bool vowi_map_copy_items(struct vowi_map_plan *plan, const vow_value *items, size_t n);

/* The most that may be in flight: each has a place, from the start on. */
#define VOWI_MAP_MOST (SIZE_MAX / 512)

/* How many items may be in flight. */
size_t vowi_map_limit(const struct vowi_map_plan *plan);

/* Consumes what is in the plan, also without memory: then NULL. */
vow_future *vowi_map_start(const struct vowi_map_plan *plan, bool enough_memory);

/* What a step returns for an item that is no result. */
vow_result vowi_absent(void);

#endif
