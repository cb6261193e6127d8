/* SPDX-License-Identifier: MIT */
/*
 * combine/parallel_reduce.c - values of the pieces of a range, folded: vow_parallel_reduce,
 * and vow_parallel_reduce_here, whose caller takes part.
 *
 * A lane folds what its pieces give into one run as long as they follow each other, which
 * takes no lock. Before it steals elsewhere it puts that run where its neighbours are. Who
 * has all of it in hand is the last to put, and that is the outcome, if there is a value at
 * all. It stays in that hand and does not go into the lane's future: others may hold that for a
 * moment after all have settled, and a result that is rejected has dropped everything.
 *
 * A caller who takes part begins alone at the front, maybe: what he has in hand when that
 * is shared is the run that his lane goes on with.
 */
#include <vow/parallel.h>

#include "base/list.h"
#include "base/options.h"
#include "combine/fold.h"
#include "combine/range.h"

struct reduction {
    struct vowi_range range;
    vow_reduce_fn *map;
    size_t all; /* indices, also those that were done before it was shared */
    struct vowi_fold fold;
    struct vowi_slot slot; /* and one in each lane */
    vow_value *outcome;    /* the caller's, if it takes part */
};

struct reducer {
    struct vowi_lane lane;
    struct vowi_hand hand;
    struct vowi_slot slot;
};

static struct reduction *
reduction_of(struct vowi_range *r)
{
    return vowi_container_of(r, struct reduction, range);
}

static struct reducer *
reducer_of(struct vowi_lane *lane)
{
    return vowi_container_of(lane, struct reducer, lane);
}

static vow_error *
call(struct vowi_lane *lane)
{
    struct reduction *r = reduction_of(lane->range);
    struct vowi_hand *hand = &reducer_of(lane)->hand;
    vow_result result = r->map(lane->first, lane->end, r->range.ctx.as.ptr);
    vow_error *error = NULL;

    if (!vowi_fold_takes(result, &error))
        return error;
    hand->other = (struct vowi_run){.first = lane->first,
                                    .end = lane->end,
                                    .count = lane->end - lane->first,
                                    .value = result.value};
    return vowi_fold_append(&r->fold, hand);
}

static vow_error *
used_up(struct vowi_lane *lane)
{
    struct reduction *r = reduction_of(lane->range);
    struct vowi_hand *hand = &reducer_of(lane)->hand;

    if (hand->own.count == 0 || r->range.width == 1)
        return NULL;
    return vowi_fold_put(&r->fold, hand, r->all);
}

/* Asked when no lane runs any more. NULL: nobody has. */
static struct vowi_hand *
hand_with_all(struct vowi_range *r)
{
    size_t all = reduction_of(r)->all;

    for (unsigned i = 0; i < r->width; i++) {
        struct vowi_hand *hand = &reducer_of(vowi_range_lane(r, i))->hand;

        if (hand->own.count == all)
            return hand;
    }
    return NULL;
}

static void
gone(struct vowi_range *r)
{
    const struct vowi_hand *all = hand_with_all(r);

    for (unsigned i = 0; i < r->width; i++) {
        struct vowi_hand *hand = &reducer_of(vowi_range_lane(r, i))->hand;

        if (hand != all)
            vowi_hand_drop(hand);
    }
    vowi_fold_fini(&reduction_of(r)->fold);
    vow_value_drop(r->ctx);
}

static bool
fulfill(struct vowi_range *r)
{
    struct vowi_hand *all = hand_with_all(r);

    if (all == NULL)
        return false;
    vowi_join_fulfill(r->join, all->own.value);
    all->own.value = VOW_NIL;
    return true;
}

static void
unwanted(struct vowi_range *r)
{
    struct vowi_hand *all = hand_with_all(r);

    if (all != NULL)
        vowi_hand_drop(all);
}

static const struct vowi_range_kind reduction_kind = {
    .own = sizeof(struct reduction),
    .lane = sizeof(struct reducer),
    .call = call,
    .used_up = used_up,
    .gone = gone,
    .fulfill = fulfill,
    .unwanted = unwanted,
};

static bool
init_fold(struct reduction *r)
{
    if (!vowi_fold_init(&r->fold))
        return false;
    vowi_fold_add_slot(&r->fold, &r->slot);
    for (unsigned i = 0; i < r->range.width; i++)
        vowi_fold_add_slot(&r->fold, &reducer_of(vowi_range_lane(&r->range, i))->slot);
    return true;
}

/* Without anything to run; NULL if that cannot be had. */
static struct reduction *
reduction_new(const struct vowi_range_plan *plan)
{
    struct vowi_range *range = vowi_range_new(&reduction_kind, plan);

    if (range == NULL)
        return NULL;
    if (init_fold(reduction_of(range)))
        return reduction_of(range);
    vowi_join_discard(range->join);
    return NULL;
}

static void
set_functions(struct reduction *r, const struct vowi_range_plan *plan, vow_reduce_fn *map,
              vow_fold_fn *fold, vow_value ctx)
{
    r->map = map;
    r->all = plan->end - plan->begin;
    r->fold.fn = fold;
    r->fold.ctx = ctx.as.ptr;
    r->fold.unordered = plan->opt.unordered;
    r->range.ctx = ctx;
}

static vow_future *
start(const struct vowi_range_plan *plan, vow_reduce_fn *map, vow_fold_fn *fold,
      vow_value ctx)
{
    struct reduction *r = reduction_new(plan);

    if (r == NULL) {
        vow_value_drop(ctx);
        return NULL;
    }
    set_functions(r, plan, map, fold, ctx);
    return vowi_range_start(&r->range, plan);
}

vow_future *
vow_parallel_reduce(vow_executor *on, const vow_range_options *opt, size_t begin,
                    size_t end, vow_reduce_fn *map, vow_fold_fn *fold, vow_value ctx)
{
    struct vowi_range_plan plan = {
        .on = on, .begin = begin, .end = end, .site = __builtin_return_address(0)};

    if (begin >= end) {
        vow_value_drop(ctx);
        return vowi_range_empty(&plan, VOW_NIL);
    }
    vowi_options_read(&plan.opt, sizeof plan.opt, opt);
    return start(&plan, map, fold, ctx);
}

/* ---- with the caller --------------------------------------------------------------------- */

static bool
share(struct vowi_range *r, struct vowi_lane *alone)
{
    if (!init_fold(reduction_of(r)))
        return false;
    reducer_of(vowi_range_lane(r, 0))->hand = reducer_of(alone)->hand;
    return true;
}

static bool
fulfill_here(struct vowi_range *r)
{
    struct vowi_hand *all = hand_with_all(r);

    if (all == NULL)
        return false;
    *reduction_of(r)->outcome = all->own.value;
    all->own = (struct vowi_run){0};
    return true;
}

/* One that is not shared has no list. */
static void
leave(struct vowi_range *r)
{
    for (unsigned i = 0; i < r->width; i++)
        vowi_hand_drop(&reducer_of(vowi_range_lane(r, i))->hand);
    if (r->width > 1)
        vowi_fold_fini(&reduction_of(r)->fold);
}

static const struct vowi_range_kind here_kind = {
    .own = sizeof(struct reduction),
    .lane = sizeof(struct reducer),
    .call = call,
    .used_up = used_up,
    .gone = vowi_range_here_gone,
    .fulfill = fulfill_here,
    .share = share,
    .leave = leave,
};

static vow_result
reduce_here(const struct vowi_range_plan *plan, vow_reduce_fn *map, vow_fold_fn *fold,
            vow_value ctx)
{
    vow_value outcome = VOW_NIL;
    struct reduction r = {.outcome = &outcome};
    struct reducer alone;
    vow_error *e;

    vowi_range_init(&r.range, &here_kind, plan);
    set_functions(&r, plan, map, fold, ctx);
    e = vowi_range_here(&r.range, &alone.lane, plan);
    return e == NULL ? vow_ok(outcome) : vow_err(e);
}

vow_result
vow_parallel_reduce_here(vow_executor *on, const vow_range_options *opt, size_t begin,
                         size_t end, vow_reduce_fn *map, vow_fold_fn *fold, vow_value ctx)
{
    struct vowi_range_plan plan = {
        .on = on, .begin = begin, .end = end, .what = (uintptr_t)map};

    if (begin >= end) {
        vow_value_drop(ctx);
        return begin == end ? vow_ok(VOW_NIL) : vow_err(vowi_range_invalid(&plan));
    }
    vowi_options_read(&plan.opt, sizeof plan.opt, opt);
    return reduce_here(&plan, map, fold, ctx);
}
