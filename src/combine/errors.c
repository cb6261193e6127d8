/* SPDX-License-Identifier: MIT */
/* combine/errors.c - errors that are kept as they come, and one that stands for them. */
#include "combine/errors.h"

#include <string.h>

#include "base/list.h"
#include "base/mem.h"

struct vowi_errors *
vowi_errors_new(void)
{
    struct vowi_errors *e = vowi_alloc(sizeof *e);

    if (e == NULL)
        return NULL;
    memset(e, 0, sizeof *e);
    e->items = e->few;
    e->room = VOWI_FEW_ERRORS;
    return e;
}

void
vowi_errors_free(struct vowi_errors *e)
{
    if (e == NULL)
        return;
    for (size_t i = 0; i < e->count; i++)
        vow_error_unref(e->items[i]);
    if (e->items != e->few)
        vowi_errors_room_free(e->items, e->room);
    vowi_free(e, sizeof *e);
}

void
vowi_errors_keep(struct vowi_errors *e, vow_error *error)
{
    vowi_assert(e->count < e->room);
    e->items[e->count++] = error;
}

vow_error **
vowi_errors_room_new(size_t room)
{
    return vowi_alloc(room * sizeof(vow_error *));
}

void
vowi_errors_room_free(vow_error **items, size_t room)
{
    vowi_free(items, room * sizeof *items);
}

vow_error **
vowi_errors_move(struct vowi_errors *e, vow_error **items, size_t *room)
{
    vow_error **old = e->items;
    size_t old_room = e->room;

    memcpy(items, old, e->count * sizeof *items);
    e->items = items;
    e->room = *room;
    *room = old_room;
    return old != e->few ? old : NULL;
}

/* ---- as one ----------------------------------------------------------------------------- */

static struct vowi_errors *
errors_of(const vow_error *one)
{
    return vowi_container_of(vow_ptr(one).as.ptr, struct vowi_errors, one);
}

static void
one_gone(vow_error *one)
{
    vowi_errors_free(errors_of(one));
}

static size_t
count_of(const vow_error *one)
{
    return errors_of(one)->count;
}

static const vow_error *
item_of(const vow_error *one, size_t i)
{
    return errors_of(one)->items[i];
}

vow_error *
vowi_errors_as_one(struct vowi_errors *e, const vow_error *cause, int64_t position)
{
    static const struct vowi_error_kind kind = {
        .gone = one_gone, .count = count_of, .at = item_of};

    vowi_error_place(&e->one, &kind, 0, cause);
    e->one.position = position;
    return &e->one;
}
