/* SPDX-License-Identifier: MIT */
/* combine/batch.c - what is done with each item of a map: vow_map, vow_filter, ... */
#include <string.h>

#include "base/mem.h"
#include "base/options.h"
#include "combine/map.h"

/* What the caller knew of when it was compiled; the rest is the default. */
static vow_map_options
read_options(const vow_map_options *opt)
{
    vow_map_options known;

    vowi_options_read(&known, sizeof known, opt);
    return known;
}

bool
vowi_map_copy_items(struct vowi_map_plan *plan, const vow_value *items, size_t n)
{
    plan->n = n;
    if (n == 0)
        return true;
    plan->items = n < SIZE_MAX / sizeof *items ? vowi_alloc(n * sizeof *items) : NULL;
    if (plan->items != NULL) {
        memcpy(plan->items, items, n * sizeof *items);
        return true;
    }
    for (size_t i = 0; i < n; i++)
        vow_value_drop(items[i]);
    return false;
}

/* ---- map --------------------------------------------------------------------------------- */

static bool
start_map(struct vowi_map_plan *plan, size_t index, size_t place, vow_future **f)
{
    (void)place;
    *f = vow_then(vow_resolved(plan->items[index]), plan->on, plan->fn.then,
                  vow_ptr(plan->ctx.as.ptr));
    return true;
}

vow_future *
vow_map(vow_executor *on, const vow_map_options *opt, const vow_value *items, size_t n,
        vow_then_fn *fn, vow_value ctx)
{
    struct vowi_map_plan plan = {.on = on,
                                 .opt = read_options(opt),
                                 .start = start_map,
                                 .fn.then = fn,
                                 .ctx = ctx,
                                 .site = __builtin_return_address(0)};
    bool enough = vowi_map_copy_items(&plan, items, n);

    return vowi_map_start(&plan, enough);
}

static bool
start_next(struct vowi_map_plan *plan, size_t index, size_t place, vow_future **f)
{
    vow_value item = VOW_NIL;

    (void)index;
    (void)place;
    if (!plan->next(&item, plan->source.as.ptr))
        return false;
    *f = vow_then(vow_resolved(item), plan->on, plan->fn.then, vow_ptr(plan->ctx.as.ptr));
    return true;
}

vow_future *
vow_map_from(vow_executor *on, const vow_map_options *opt, vow_next_fn *next,
             vow_value source, vow_then_fn *fn, vow_value ctx)
{
    const struct vowi_map_plan plan = {.on = on,
                                       .opt = read_options(opt),
                                       .n = VOWI_UNKNOWN,
                                       .start = start_next,
                                       .next = next,
                                       .source = source,
                                       .fn.then = fn,
                                       .ctx = ctx,
                                       .site = __builtin_return_address(0)};

    return vowi_map_start(&plan, true);
}

/* ---- filter --------------------------------------------------------------------------------- */

static vow_result
filter(vow_value in, void *ctx)
{
    const struct vowi_map_plan *plan = ctx;

    return plan->fn.keep(in, plan->ctx.as.ptr) ? vow_forward() : vowi_absent();
}

static bool
start_filter(struct vowi_map_plan *plan, size_t index, size_t place, vow_future **f)
{
    (void)place;
    *f = vow_then(vow_resolved(plan->items[index]), plan->on, filter, vow_ptr(plan));
    return true;
}

vow_future *
vow_filter(vow_executor *on, const vow_map_options *opt, const vow_value *items, size_t n,
           vow_filter_fn *fn, vow_value ctx)
{
    struct vowi_map_plan plan = {.on = on,
                                 .opt = read_options(opt),
                                 .start = start_filter,
                                 .fn.keep = fn,
                                 .ctx = ctx,
                                 .site = __builtin_return_address(0)};
    bool enough = vowi_map_copy_items(&plan, items, n);

    plan.opt.each = NULL;
    return vowi_map_start(&plan, enough);
}

/* ---- sequence -------------------------------------------------------------------------------- */

static bool
start_call(struct vowi_map_plan *plan, size_t index, size_t place, vow_future **f)
{
    (void)place;
    *f = vow_submit(plan->on, plan->fns[index], plan->items[index]);
    return true;
}

vow_future *
vow_sequence(vow_executor *on, const vow_call *calls, size_t n)
{
    struct vowi_map_plan plan = {.on = on,
                                 .opt = VOW_MAP_OPTIONS(.limit = 1),
                                 .n = n,
                                 .start = start_call,
                                 .site = __builtin_return_address(0)};

    if (n != 0 && n < SIZE_MAX / 2 / sizeof *plan.items) {
        plan.items = vowi_alloc(n * sizeof *plan.items);
        plan.fns = vowi_alloc(n * sizeof *plan.fns);
    }
    for (size_t i = 0; i < n; i++) {
        if (plan.items == NULL) {
            vow_value_drop(calls[i].ctx);
            continue;
        }
        plan.items[i] = calls[i].ctx;
        if (plan.fns != NULL)
            plan.fns[i] = calls[i].fn;
    }
    return vowi_map_start(&plan, n == 0 || (plan.items != NULL && plan.fns != NULL));
}
