/* SPDX-License-Identifier: MIT */
/*
 * combine/pipeline.c - the beginning and the end of a pipeline, and its public face.
 *
 * All memory is allocated here. What runs is a pipeline that cannot fail for want of it.
 */
#include "combine/pipeline.h"

#include <string.h>

#include <vow/pool.h>

#include "base/atomic.h"
#include "base/mem.h"
#include "base/options.h"
#include "core/call.h"
#include "core/caller.h"

/* ---- memory ------------------------------------------------------------------------ */

static void
free_stages(vow_pipeline *p)
{
    for (size_t i = 0; i < p->count; i++)
        vow_token_unref(p->stages[i].token);
    vowi_free(p->places, p->places_count * sizeof *p->places);
    vowi_free(p->stages, p->count * sizeof *p->stages);
}

static void
memory_unref(vow_pipeline *p)
{
    if (!vowi_refs_drop(&p->memory))
        return;
    vow_error_unref(p->why);
    vow_token_unref(p->token);
    vow_source_unref(p->source);
    free_stages(p);
    vowi_lock_fini(&p->lock);
    vowi_free(p, sizeof *p);
}

static void
released(void *p)
{
    memory_unref(p);
}

static void
error_gone(vow_error *e)
{
    memory_unref(vowi_container_of(e, struct vow_pipeline, error));
}

/* What was lent to it, or given, and is of no use any more. */
static void
let_go(vow_pipeline *p)
{
    vow_feed *feed = &p->feed;

    for (size_t i = (size_t)p->figures.drawn; feed->items != NULL && i < feed->n; i++)
        vow_value_drop(feed->items[i]);
    vowi_free((void *)(uintptr_t)feed->items, feed->n * sizeof *feed->items);
    vow_value_drop(feed->ctx);
    for (size_t i = 0; i < p->count; i++)
        vow_value_drop(p->stages[i].ctx);
    vow_channel_unref(feed->channel);
    vow_executor_unref(feed->on);
    for (size_t i = 0; i < p->count; i++)
        vow_executor_unref(p->stages[i].on);
}

/* ---- the end ----------------------------------------------------------------------- */

static void
settle_failed(vow_pipeline *p)
{
    static const struct vowi_error_kind kind = {.gone = error_gone};

    vowi_refs_take(&p->memory);
    vowi_error_place(&p->error, &kind, 0, p->why);
    p->error.position = p->failed_item + 1;
    vow_promise_reject(p->promise, &p->error);
}

/* All is at rest, and nobody else is in here. */
void
vowi_pipeline_conclude(vow_pipeline *p)
{
    vow_promise *promise = p->promise;

    vow_registration_remove(p->on_token);
    let_go(p);
    if (p->failed)
        settle_failed(p);
    else if (p->stopped)
        vow_promise_reject(promise, vow_error_ref(p->why));
    else
        vow_promise_fulfill(promise, vow_u64(p->ends[VOWI_FINISHED]));
    vow_promise_unref(promise);
    memory_unref(p);
}

/* ---- being told to stop ------------------------------------------------------------ */

static void
stop_for(vow_pipeline *p, const vow_error *reason)
{
    struct vowi_todo todo = {0};

    vowi_lock_acquire(&p->lock);
    vowi_pipeline_stop_locked(p, reason, false, -1, &todo);
    vowi_pipeline_decide_locked(p, &todo);
    vowi_lock_release(&p->lock);
    vowi_pipeline_carry_out(p, &todo);
}

/* The hook of the promise. */
static void
cancelled(vow_promise *promise, const vow_error *reason, void *ctx)
{
    vow_pipeline *p = ctx;

    (void)promise;
    if (!vowi_pipeline_use(p))
        return;
    stop_for(p, reason);
    vowi_pipeline_unuse(p);
}

/* The token among the options fires: the same as a request to stop. */
static void
token_fired(void *ctx)
{
    vow_pipeline *p = ctx;
    vow_future *f;

    if (!vowi_pipeline_use(p))
        return;
    f = vow_promise_future(p->promise);
    vow_future_cancel(f, vow_error_ref(vow_token_reason(p->opt.token)));
    vow_unref(f);
    vowi_pipeline_unuse(p);
}

/* ---- the beginning ----------------------------------------------------------------- */

/* What a caller says, as far as he knew of it. */
struct plan {
    vow_pipeline_options opt;
    vow_feed feed;
    const void *site;   /* of the call that makes it */
    const char *stages; /* as large, each, as the first says */
    size_t n;
    size_t places;
};

static vow_stage
stage_at(const struct plan *plan, size_t i)
{
    size_t stride = ((const vow_stage *)(const void *)plan->stages)->size;
    vow_stage known;

    vowi_options_read(&known, sizeof known, plan->stages + i * stride);
    if (known.width == 0)
        known.width = vow_pool_threads(known.on);
    if (known.width == 0)
        known.width = 1;
    return known;
}

/* Whether it makes sense; and the sum of its widths and buffers, or SIZE_MAX. */
static bool
is_valid(struct plan *plan)
{
    size_t most = SIZE_MAX / 2 / sizeof(struct vowi_place);

    for (size_t i = 0; i < plan->n; i++) {
        vow_stage s = stage_at(plan, i);

        if (s.fn == NULL || s.on_error < VOW_STAGE_STOP ||
            s.on_error > VOW_STAGE_DIVERT ||
            (s.on_error == VOW_STAGE_DIVERT && plan->opt.divert == NULL))
            return false;
        if (plan->places > most || s.width > most || s.buffer > most)
            plan->places = SIZE_MAX;
        else
            plan->places += s.width + s.buffer;
    }
    return plan->n != 0;
}

/* Nothing of it will be used. */
static void
drop_plan(const struct plan *plan)
{
    for (size_t i = 0; plan->feed.items != NULL && i < plan->feed.n; i++)
        vow_value_drop(plan->feed.items[i]);
    vow_value_drop(plan->feed.ctx);
    for (size_t i = 0; i < plan->n; i++)
        vow_value_drop(stage_at(plan, i).ctx);
}

static vow_pipeline *
pipeline_new(void)
{
    vow_pipeline *p = vowi_alloc(sizeof *p);

    if (p == NULL)
        return NULL;
    memset(p, 0, sizeof *p);
    if (vowi_lock_init(&p->lock, VOWI_RANK_MAP) != 0) {
        vowi_free(p, sizeof *p);
        return NULL;
    }
    vowi_refs_init(&p->handles);
    vowi_refs_init(&p->memory);
    atomic_init(&p->uses, 2); /* until it is at rest; and whoever begins it */
    vowi_list_init(&p->ended);
    p->mean = vow_ms(1); /* until it is known */
    return p;
}

/* Copies the items of an array, or borrows what there is instead; false without memory. */
static bool
take_feed(vow_pipeline *p, const struct plan *plan)
{
    const vow_feed *from = &plan->feed;
    vow_value *items = NULL;

    if (from->items != NULL && from->n != 0) {
        if (from->n < SIZE_MAX / sizeof *items)
            items = vowi_alloc(from->n * sizeof *items);
        if (items == NULL)
            return false;
        memcpy(items, from->items, from->n * sizeof *items);
    }
    p->feed = *from;
    p->feed.items = items;
    if (items == NULL)
        p->feed.n = 0;
    return true;
}

static void
place_init(vow_pipeline *p, struct vowi_stage *s, struct vowi_place *place)
{
    place->p = p;
    place->stage = s;
    place->next = s->idle;
    s->idle = place;
}

/* Returns its places' end. */
static struct vowi_place *
stage_init(vow_pipeline *p, struct vowi_stage *s, const vow_stage *as,
           struct vowi_place *places)
{
    s->on = as->on;
    s->fn = as->fn;
    s->ctx = as->ctx;
    s->width = as->width;
    s->count = as->width + as->buffer;
    s->on_error = as->on_error;
    s->unordered = as->unordered || p->opt.unordered;
    s->pooled = vow_pool_threads(as->on) != 0;
    s->lasts = s->pooled || as->on == NULL;
    s->places = places;
    vowi_list_init(&s->line);
    vowi_list_init(&s->waiting);
    vowi_list_init(&s->ready);
    for (size_t i = 0; i < s->count; i++)
        place_init(p, s, &places[i]);
    return places + s->count;
}

static void *
zeroed(size_t size)
{
    void *block = vowi_alloc(size);

    if (block != NULL)
        memset(block, 0, size);
    return block;
}

/* False without memory; what there is then goes with the pipeline. */
static bool
make_stages(vow_pipeline *p, const struct plan *plan)
{
    struct vowi_place *place;

    if (plan->places > SIZE_MAX / 2 / sizeof *p->places ||
        plan->n > SIZE_MAX / 2 / sizeof *p->stages)
        return false;
    p->places = zeroed(plan->places * sizeof *p->places);
    if (p->places == NULL)
        return false;
    p->places_count = plan->places;
    p->stages = zeroed(plan->n * sizeof *p->stages);
    if (p->stages == NULL)
        return false;
    p->count = plan->n;
    place = p->places;
    for (size_t i = 0; i < plan->n; i++) {
        vow_stage as = stage_at(plan, i);

        place = stage_init(p, &p->stages[i], &as, place);
        p->stages[i].next = i + 1 < plan->n ? &p->stages[i + 1] : NULL;
    }
    return true;
}

static bool
make_tokens(vow_pipeline *p)
{
    p->source = vow_source_new();
    p->token = vow_source_token(p->source);
    for (size_t i = 0; p->token != NULL && i < p->count; i++) {
        p->stages[i].token = vowi_call_token(p->stages[i].on, p->token);
        if (p->stages[i].token == NULL)
            return false;
    }
    return p->token != NULL;
}

/* The promise, and who is told when it is to stop. */
static bool
make_promise(vow_pipeline *p, const void *site)
{
    p->promise = vowi_promise_new_at(site);
    p->result = vow_promise_future(p->promise);
    vowi_refs_take(&p->memory);
    return vow_promise_on_cancel(p->promise, NULL, cancelled, vow_own(p, released)) !=
           NULL;
}

/* Registers with its token, which may have fired: then nothing will begin. */
static bool
listen(vow_pipeline *p)
{
    if (p->opt.token == NULL)
        return true;
    vowi_refs_take(&p->memory);
    p->on_token =
        vow_token_on_cancel(p->opt.token, NULL, token_fired, vow_own(p, released));
    return p->on_token != NULL;
}

/* From here on what the plan has is the pipeline's. */
static void
keep_what_is_shared(vow_pipeline *p)
{
    if (p->feed.on == NULL)
        p->feed.on = p->stages[0].on;
    vow_executor_ref(p->feed.on);
    vow_channel_ref(p->feed.channel);
    for (size_t i = 0; i < p->count; i++)
        vow_executor_ref(p->stages[i].on);
}

/* Without memory: nothing has begun. The plan keeps what it has. */
static void
discard(vow_pipeline *p)
{
    vow_promise_abandon(p->promise);
    vow_ignore(p->result);
    vowi_free((void *)(uintptr_t)p->feed.items, p->feed.n * sizeof *p->feed.items);
    memory_unref(p);
}

static vow_pipeline *
build(const struct plan *plan)
{
    vow_pipeline *p = pipeline_new();

    if (p == NULL)
        return NULL;
    p->opt = plan->opt;
    if (!take_feed(p, plan) || !make_stages(p, plan) || !make_tokens(p) ||
        !make_promise(p, plan->site) || !listen(p)) {
        discard(p);
        return NULL;
    }
    return p;
}

static void
begin(vow_pipeline *p)
{
    struct vowi_todo todo = {.turn_of = NULL};

    vowi_lock_acquire(&p->lock);
    vowi_pipeline_decide_locked(p, &todo);
    vowi_lock_release(&p->lock);
    vowi_pipeline_carry_out(p, &todo);
    vowi_pipeline_unuse(p);
}

/* One that has never run. */
static vow_pipeline *
refused(const struct plan *plan)
{
    vow_pipeline *p = pipeline_new();

    drop_plan(plan);
    if (p == NULL)
        return NULL;
    p->over = true;
    p->promise = vowi_promise_new_at(plan->site);
    p->result = vow_promise_future(p->promise);
    if (p->promise == NULL) {
        memory_unref(p);
        return NULL;
    }
    vow_promise_reject(p->promise, vow_error_of(VOW_E_INVALID));
    vow_promise_unref(p->promise);
    return p;
}

static vow_pipeline *
make(const vow_pipeline_options *opt, const vow_feed *feed, const vow_stage *stages,
     size_t n, const void *site)
{
    struct plan plan = {
        .site = site, .stages = (const char *)stages, .n = stages != NULL ? n : 0};
    vow_pipeline *p;

    vowi_options_read(&plan.opt, sizeof plan.opt, opt);
    vowi_options_read(&plan.feed, sizeof plan.feed, feed);
    if (!is_valid(&plan))
        return refused(&plan);
    p = build(&plan);
    if (p == NULL) {
        drop_plan(&plan);
        return NULL;
    }
    keep_what_is_shared(p);
    vowi_refs_take(&p->memory); /* until it has concluded */
    begin(p);
    return p;
}

/* ---- its public face --------------------------------------------------------------- */

vow_pipeline *
vow_pipeline_new(const vow_pipeline_options *opt, const vow_feed *feed,
                 const vow_stage *stages, size_t n)
{
    return make(opt, feed, stages, n, __builtin_return_address(0));
}

vow_future *
vow_pipeline_future(vow_pipeline *p)
{
    return p != NULL ? vow_ref(p->result) : NULL;
}

vow_future *
vow_pipeline_run(const vow_pipeline_options *opt, const vow_feed *feed,
                 const vow_stage *stages, size_t n)
{
    vow_pipeline *p = make(opt, feed, stages, n, __builtin_return_address(0));
    vow_future *f = vow_pipeline_future(p);

    vow_pipeline_unref(p);
    return f;
}

void
vow_pipeline_drain(vow_pipeline *p)
{
    struct vowi_todo todo = {0};

    if (p == NULL || !vowi_pipeline_use(p))
        return;
    vowi_lock_acquire(&p->lock);
    vowi_pipeline_exhaust_locked(p, NULL);
    vowi_pipeline_decide_locked(p, &todo);
    vowi_lock_release(&p->lock);
    vowi_pipeline_carry_out(p, &todo);
    vowi_pipeline_leave_channel(p);
    vowi_pipeline_unuse(p);
}

int
vow_pipeline_read(vow_pipeline *p, vow_pipeline_figures *out)
{
    vow_pipeline_figures now;

    if (p == NULL)
        return VOW_E_INVALID;
    vowi_lock_acquire(&p->lock);
    now = p->figures;
    now.finished = p->ends[VOWI_FINISHED];
    now.skipped = p->ends[VOWI_SKIPPED];
    now.diverted = p->ends[VOWI_DIVERTED];
    now.dropped = p->ends[VOWI_DROPPED];
    vowi_lock_release(&p->lock);
    now.places = p->places_count;
    vowi_options_write(out, &now, sizeof now);
    return 0;
}

int
vow_pipeline_read_stage(vow_pipeline *p, size_t stage, vow_stage_figures *out)
{
    vow_stage_figures now;

    if (p == NULL || stage >= p->count)
        return VOW_E_INVALID;
    vowi_lock_acquire(&p->lock);
    now = p->stages[stage].figures;
    now.running = p->stages[stage].running;
    vowi_lock_release(&p->lock);
    vowi_options_write(out, &now, sizeof now);
    return 0;
}

vow_pipeline *
vow_pipeline_ref(vow_pipeline *p)
{
    if (p != NULL)
        vowi_refs_take(&p->handles);
    return p;
}

void
vow_pipeline_unref(vow_pipeline *p)
{
    if (p == NULL || !vowi_refs_drop(&p->handles))
        return;
    vow_unref(p->result);
    memory_unref(p);
}
