/* SPDX-License-Identifier: MIT */
/*
 * combine/parallel.c - a function called on pieces of a range: vow_parallel_for, and
 * vow_parallel_for_here, whose caller takes part.
 */
#include <vow/parallel.h>

#include "base/list.h"
#include "base/options.h"
#include "combine/range.h"

struct loop {
    struct vowi_range range;
    vow_range_fn *fn;
};

static struct loop *
loop_of(struct vowi_range *r)
{
    return vowi_container_of(r, struct loop, range);
}

static vow_error *
call(struct vowi_lane *lane)
{
    struct vowi_range *r = lane->range;

    return loop_of(r)->fn(lane->first, lane->end, r->ctx.as.ptr);
}

static void
gone(struct vowi_range *r)
{
    vow_value_drop(r->ctx);
}

static bool
fulfill(struct vowi_range *r)
{
    vowi_join_fulfill(r->join, vow_u64(r->end - r->begin));
    return true;
}

static const struct vowi_range_kind loop_kind = {
    .own = sizeof(struct loop),
    .lane = sizeof(struct vowi_lane),
    .call = call,
    .gone = gone,
    .fulfill = fulfill,
};

static vow_future *
start(const struct vowi_range_plan *plan, vow_range_fn *fn, vow_value ctx)
{
    struct vowi_range *r = vowi_range_new(&loop_kind, plan);

    if (r == NULL) {
        vow_value_drop(ctx);
        return NULL;
    }
    r->ctx = ctx;
    loop_of(r)->fn = fn;
    return vowi_range_start(r, plan);
}

vow_future *
vow_parallel_for(vow_executor *on, const vow_range_options *opt, size_t begin, size_t end,
                 vow_range_fn *fn, vow_value ctx)
{
    struct vowi_range_plan plan = {
        .on = on, .begin = begin, .end = end, .site = __builtin_return_address(0)};

    if (begin >= end) {
        vow_value_drop(ctx);
        return vowi_range_empty(&plan, vow_u64(0));
    }
    vowi_options_read(&plan.opt, sizeof plan.opt, opt);
    return start(&plan, fn, ctx);
}

/* ---- with the caller --------------------------------------------------------------------- */

static const struct vowi_range_kind here_kind = {
    .own = sizeof(struct loop),
    .lane = sizeof(struct vowi_lane),
    .call = call,
    .gone = vowi_range_here_gone,
};

vow_error *
vow_parallel_for_here(vow_executor *on, const vow_range_options *opt, size_t begin,
                      size_t end, vow_range_fn *fn, vow_value ctx)
{
    struct vowi_range_plan plan = {
        .on = on, .begin = begin, .end = end, .what = (uintptr_t)fn};
    struct vowi_lane lane;
    struct loop loop;

    if (begin >= end) {
        vow_value_drop(ctx);
        return begin == end ? NULL : vowi_range_invalid(&plan);
    }
    vowi_options_read(&plan.opt, sizeof plan.opt, opt);
    vowi_range_init(&loop.range, &here_kind, &plan);
    loop.range.ctx = ctx;
    loop.fn = fn;
    return vowi_range_here(&loop.range, &lane, &plan);
}
