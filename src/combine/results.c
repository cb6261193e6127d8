/* SPDX-License-Identifier: MIT */
/*
 * combine/results.c - the outcomes of several inputs, each held where it settled.
 */
#include "combine/combine.h"

/* In the place of what was taken out: its address, nothing else. */
static char taken_mark;

static vow_future *
taken(void)
{
    return (vow_future *)(void *)&taken_mark;
}

static void
drop_results(void *ptr)
{
    struct vow_results *r = ptr;

    for (size_t i = 0; i < r->count; i++) {
        if (r->items[i] != taken())
            vow_unref(r->items[i]);
        r->items[i] = NULL;
    }
    r->gone(r);
}

vow_value
vowi_results_value(struct vow_results *r)
{
    return vow_own(r, drop_results);
}

static void
join_gone(struct vow_results *r)
{
    vowi_join_release(r->join);
}

void
vowi_results_fulfill(struct vow_results *r)
{
    r->gone = join_gone;
    vowi_join_fulfill(r->join, vowi_results_value(r));
}

size_t
vow_results_count(const vow_results *r)
{
    return r != NULL ? r->count : 0;
}

static bool
is_there(const vow_results *r, size_t i)
{
    return i < vow_results_count(r) && r->items[i] != taken();
}

static vow_view
nothing_there(void)
{
    vow_view none = {VOW_NIL, vow_error_of(VOW_E_INVALID)};

    return none;
}

vow_view
vow_results_at(const vow_results *r, size_t i)
{
    if (!is_there(r, i))
        return nothing_there();
    return vow_peek(r->items[i]);
}

size_t
vow_results_index(const vow_results *r, size_t i)
{
    if (i >= vow_results_count(r))
        return SIZE_MAX;
    return r->indices != NULL ? r->indices[i] : i;
}

bool
vow_results_take(vow_results *r, size_t i, vow_result *out)
{
    if (!is_there(r, i) || !vow_take(r->items[i], out))
        return false;
    r->items[i] = taken();
    return true;
}

const vow_results *
vow_get_results(vow_future *f)
{
    vow_view view = vow_get(f);

    return view.error == NULL ? view.value.as.ptr : NULL;
}
