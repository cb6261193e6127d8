/* SPDX-License-Identifier: MIT */
/*
 * combine/reduce.c - many items through one step, and what comes of them folded as it
 * comes: vow_map_reduce, vow_map_reduce_from.
 *
 * A map whose outcomes are neither kept nor told. If the step returns a value it is folded
 * at once, by the same task, so an item costs no more than in a map. If it returns a
 * future, another step, on the executor named, folds what that has settled with.
 */
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/options.h"
#include "combine/fold.h"
#include "combine/map.h"

/* One for each item that may be in flight. Used by one thread at a time. */
struct mapper {
    struct reduction *reduction;
    size_t index;       /* of its item */
    vow_future *source; /* has the item; or else what the step returned, settled */
    bool followed;      /* the step returned a future */
    struct vowi_hand hand;
    struct vowi_slot slot;
};

struct reduction {
    vow_then_fn *map;
    vow_value ctx; /* the plan's */
    struct vowi_fold fold;
    struct vowi_slot slot; /* and one in each mapper */
    size_t limit;
    struct mapper mappers[];
};

/* ---- folding --------------------------------------------------------------------------------- */

static void
let_go_of_source(struct mapper *m)
{
    vow_future *source = m->source;

    m->source = NULL;
    vow_ignore(source);
}

/* Puts in what came of the item. */
static vow_result
put(struct mapper *m, vow_value v, vow_future *holder)
{
    vow_error *error;

    m->hand.own = (struct vowi_run){
        .first = m->index, .end = m->index + 1, .count = 1, .value = v, .holder = holder};
    error = vowi_fold_put(&m->reduction->fold, &m->hand, SIZE_MAX);
    return error != NULL ? vow_err(error) : vow_ok(VOW_NIL);
}

/* What the source has settled with: it keeps that. */
static vow_result
put_source(struct mapper *m, vow_value lent)
{
    vow_future *holder = m->source;

    m->source = NULL;
    return put(m, lent, holder);
}

/* Whether a step gave back the item that it was lent. */
static bool
is_forwarded(vow_value v, vow_value in)
{
    return v.drop == vow_forward().value.drop ||
           (v.drop == NULL && v.as.u64 == in.as.u64);
}

static vow_result
map_and_put(vow_value in, void *ctx)
{
    struct mapper *m = ctx;
    vow_result r = m->reduction->map(in, m->reduction->ctx.as.ptr);
    vow_error *error = NULL;

    m->followed = r.follow != NULL;
    if (r.follow == NULL && r.error == NULL && is_forwarded(r.value, in))
        return put_source(m, in);
    let_go_of_source(m);
    if (m->followed)
        return r;
    if (!vowi_fold_takes(r, &error))
        return vow_err(error);
    return put(m, r.value, NULL);
}

static vow_result
put_followed(vow_value in, void *ctx)
{
    return put_source(ctx, in);
}

/* ---- a map's sink ------------------------------------------------------------------------------ */

static bool
more(struct vowi_map_plan *plan, size_t place, vow_future *item, vow_future **f)
{
    struct reduction *r = plan->own;
    struct mapper *m = &r->mappers[place];

    if (!m->followed)
        return false;
    m->followed = false;
    m->source = vow_ref(item);
    *f = vow_then(vow_ref(item), plan->on, put_followed, vow_ptr(m));
    return true;
}

static void
reduction_free(struct reduction *r)
{
    for (size_t i = 0; i < r->limit; i++) {
        vow_ignore(r->mappers[i].source);
        vowi_hand_drop(&r->mappers[i].hand);
    }
    vowi_fold_fini(&r->fold);
    vowi_free(r, sizeof *r + r->limit * sizeof r->mappers[0]);
}

/* The one run that is left is all of it; without one there were no items. */
static void
settle(struct vowi_map_plan *plan, vow_promise *promise)
{
    struct reduction *r = plan->own;
    struct vowi_run all = vowi_fold_take(&r->fold);

    reduction_free(r);
    if (all.holder != NULL)
        vow_promise_resolve(promise, vow_follow(all.holder));
    else
        vow_promise_fulfill(promise, all.value);
}

static void
gone(struct vowi_map_plan *plan)
{
    reduction_free(plan->own);
}

static const struct vowi_map_sink reduction_sink = {
    .more = more, .settle = settle, .gone = gone};

/* ---- making one ----------------------------------------------------------------------------------- */

static void
init_mappers(struct reduction *r)
{
    vowi_fold_add_slot(&r->fold, &r->slot);
    for (size_t i = 0; i < r->limit; i++) {
        r->mappers[i].reduction = r;
        vowi_fold_add_slot(&r->fold, &r->mappers[i].slot);
    }
}

_Static_assert(sizeof(struct mapper) <= 256, "VOWI_MAP_MOST of them are a size");

static struct reduction *
reduction_new(const struct vowi_map_plan *plan, vow_then_fn *map, vow_fold_fn *fold)
{
    size_t limit = vowi_map_limit(plan);
    size_t size = sizeof(struct reduction) + limit * sizeof(struct mapper);
    struct reduction *r = limit <= VOWI_MAP_MOST ? vowi_alloc(size) : NULL;

    if (r == NULL)
        return NULL;
    memset(r, 0, size);
    if (!vowi_fold_init(&r->fold)) {
        vowi_free(r, size);
        return NULL;
    }
    r->map = map;
    r->ctx = plan->ctx;
    r->fold.fn = fold;
    r->fold.ctx = plan->ctx.as.ptr;
    r->fold.unordered = plan->opt.unordered;
    r->limit = limit;
    init_mappers(r);
    return r;
}

/* Starts an item that is consumed. */
static vow_future *
start_item(struct vowi_map_plan *plan, size_t index, size_t place, vow_value item)
{
    struct mapper *m = &((struct reduction *)plan->own)->mappers[place];
    vow_future *source = vow_resolved(item);

    m->index = index;
    m->followed = false;
    m->source = vow_ref(source);
    return vow_then(source, plan->on, map_and_put, vow_ptr(m));
}

static bool
start_next_of_array(struct vowi_map_plan *plan, size_t index, size_t place,
                    vow_future **f)
{
    *f = start_item(plan, index, place, plan->items[index]);
    return true;
}

static bool
start_next(struct vowi_map_plan *plan, size_t index, size_t place, vow_future **f)
{
    vow_value item = VOW_NIL;

    if (!plan->next(&item, plan->source.as.ptr))
        return false;
    *f = start_item(plan, index, place, item);
    return true;
}

static vow_future *
reduce(struct vowi_map_plan *plan, const vow_map_options *opt, vow_then_fn *map,
       vow_fold_fn *fold, bool enough_memory)
{
    vow_future *f;

    vowi_options_read(&plan->opt, sizeof plan->opt, opt);
    plan->opt.each = NULL;
    plan->opt.flags = 0;
    if (enough_memory)
        plan->own = reduction_new(plan, map, fold);
    f = vowi_map_start(plan, plan->own != NULL);
    if (f == NULL && plan->own != NULL)
        reduction_free(plan->own);
    return f;
}

vow_future *
vow_map_reduce(vow_executor *on, const vow_map_options *opt, const vow_value *items,
               size_t n, vow_then_fn *map, vow_fold_fn *fold, vow_value ctx)
{
    struct vowi_map_plan plan = {.on = on,
                                 .start = start_next_of_array,
                                 .sink = &reduction_sink,
                                 .ctx = ctx,
                                 .site = __builtin_return_address(0)};
    bool enough = vowi_map_copy_items(&plan, items, n);

    return reduce(&plan, opt, map, fold, enough);
}

vow_future *
vow_map_reduce_from(vow_executor *on, const vow_map_options *opt, vow_next_fn *next,
                    vow_value source, vow_then_fn *map, vow_fold_fn *fold, vow_value ctx)
{
    struct vowi_map_plan plan = {.on = on,
                                 .n = VOWI_UNKNOWN,
                                 .start = start_next,
                                 .sink = &reduction_sink,
                                 .next = next,
                                 .source = source,
                                 .ctx = ctx,
                                 .site = __builtin_return_address(0)};

    return reduce(&plan, opt, map, fold, true);
}
