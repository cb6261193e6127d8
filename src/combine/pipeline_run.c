/* SPDX-License-Identifier: MIT */
/*
 * combine/pipeline_run.c - what a pipeline does: functions of stages, the feed, what is
 * told of items. No lock is held here but to decide what comes next.
 */
#include "combine/pipeline.h"

#include "base/atomic.h"
#include "base/sys.h"
#include "base/thread.h"
#include "base/time.h"
#include "core/call.h"

enum {
    MEASURED = 16, /* of so many items one */
    SHORT = 400,   /* ns, of a function with which two threads are slower than one */
    TURNS = 8,     /* of one thread after another, until one naps */
    NAP = 200000   /* ns */
};

static void
task_init(vow_task *task, void (*run)(vow_task *task, int why))
{
    static const vow_task zero;

    *task = zero;
    task->run = run;
    task->flags = VOW_TASK_STEP;
}

/* ---- uses -------------------------------------------------------------------------- */

bool
vowi_pipeline_use(vow_pipeline *p)
{
    bool over;

    vowi_lock_acquire(&p->lock);
    over = p->over;
    if (!over)
        vowi_add_relaxed(&p->uses,
                         1); /* relaxed: under the lock, and it is not at rest */
    vowi_lock_release(&p->lock);
    return !over;
}

void
vowi_pipeline_unuse(vow_pipeline *p)
{
    if (vowi_sub_acq_rel(&p->uses, 1) == 1) /* [rest] */
        vowi_pipeline_conclude(p);
}

/* ---- items ------------------------------------------------------------------------- */

static vow_value
lent(vow_value v)
{
    v.drop = NULL;
    return v;
}

/* An error that a future which kept it has is looked at. */
static void
drop_item(struct vowi_item *item)
{
    vow_value_drop(item->value);
    vow_ignore(item->keeper);
    item->value = VOW_NIL;
    item->keeper = NULL;
}

/* Takes an item out of what keeps it, if nobody else has a part in that. */
static vow_value
hand_out(struct vowi_item *item)
{
    vow_value v = item->value;
    vow_result kept;

    item->value = VOW_NIL;
    if (item->keeper == NULL || !vow_take(item->keeper, &kept))
        return v;
    item->keeper = NULL;
    return kept.value;
}

/* ---- a stage's function ------------------------------------------------------------ */

/* Where a call is in: on its stack. */
struct turn {
    struct vowi_call call;
    struct vowi_place *place;
    vow_ns start; /* 0: it is not measured */
    bool nap;     /* when it has ended */
};

/* Threads of several pools may be needed, each of them. */
VOWI_NOINLINE static void
count_turn_locked(vow_pipeline *p, struct vowi_todo *todo)
{
    const struct vowi_thread *self = vowi_self();
    bool is_turn = p->last != self && p->last_on == todo->turn_of;

    if (todo->took != 0)
        p->mean += (todo->took - p->mean) / 8;
    p->last = self;
    p->last_on = todo->turn_of;
    if (!is_turn || p->mean >= SHORT || ++p->turns < TURNS)
        return;
    p->turns = 0;
    todo->nap = true;
}

/* The function of a place has done its part, or failed: it is this thread's no more. */
VOWI_INLINE void
settle(struct vowi_place *place, vow_error *error, bool closed, struct vowi_todo *todo)
{
    vow_pipeline *p = place->p;

    vowi_lock_acquire(&p->lock);
    if (todo->in_turn && place->stage->pooled)
        count_turn_locked(p, todo);
    if (error == NULL)
        vowi_pipeline_done_locked(p, place, todo);
    else
        vowi_pipeline_failed_locked(p, place, error, closed, todo);
    vowi_lock_release(&p->lock);
    vowi_pipeline_carry_out(p, todo);
}

/* What its function returned to follow has settled, and is the item from here on, or it
 * was the item all along. */
static vow_error *
take_followed(struct vowi_place *place)
{
    vow_pipeline *p = place->p;
    vow_future *f = place->follow;
    vow_view v = vow_peek(f);
    vow_result r = vow_ok(v.value);
    vow_error *error = NULL;
    bool owned = place->item.value.drop != NULL || place->item.keeper != NULL;

    vowi_lock_acquire(&p->lock); /* who stops it may be looking */
    place->follow = NULL;
    vowi_lock_release(&p->lock);
    if (v.error == NULL && !vowi_call_forwards(&r, place->item.value, owned)) {
        drop_item(&place->item);
        place->item.value = v.value;
        place->item.keeper = f;
        return NULL;
    }
    if (v.error != NULL)
        error = vow_error_ref(v.error);
    vow_ignore(f);
    return error;
}

static void
followed(vow_task *task, int why)
{
    struct vowi_place *place = vowi_container_of(task, struct vowi_place, hanger.task);
    struct vowi_todo todo = {0};

    (void)why;
    settle(place, take_followed(place), false, &todo);
}

/* The pipeline may be gone once the place hangs. */
static void
follow(struct vowi_place *place, vow_future *f)
{
    vow_pipeline *p = place->p;
    vow_future *to_stop;

    vowi_lock_acquire(&p->lock);
    place->follow = f;
    to_stop = p->stopped ? vow_ref(f) : NULL;
    vowi_lock_release(&p->lock);
    vowi_hang(f, &place->hanger, followed);
    vow_future_cancel(to_stop, NULL);
    vow_ignore(to_stop);
}

static vow_result
call_stage(struct vowi_call *c)
{
    const struct vowi_place *place = vowi_container_of(c, struct turn, call)->place;

    return place->stage->fn(lent(place->item.value), place->stage->ctx.as.ptr);
}

static void
stage_ended(struct vowi_call *c, const vow_result *r)
{
    struct turn *turn = vowi_container_of(c, struct turn, call);
    struct vowi_place *place = turn->place;
    struct vowi_item *item = &place->item;
    struct vowi_todo todo = {.in_turn = true, .turn_of = place->stage->on};

    if (turn->start != 0)
        todo.took = vowi_monotonic_now() - turn->start;
    if (r->follow != NULL) {
        follow(place, r->follow);
        return;
    }
    if (r->error == NULL &&
        !vowi_call_forwards(r, item->value,
                            item->value.drop != NULL || item->keeper != NULL)) {
        drop_item(item);
        item->value = r->value;
    }
    settle(place, r->error, false, &todo);
    turn->nap = todo.nap;
}

/* Calls a stage's function. Who runs it while waiting for something does not nap. */
static void
take_turn(struct vowi_place *place)
{
    struct turn turn = {.call = {call_stage, stage_ended, place->stage->token},
                        .place = place};

    if (place->stage->pooled && place->item.index % MEASURED == MEASURED - 1)
        turn.start = vowi_monotonic_now();
    vowi_call(&turn.call);
    if (turn.nap && vowi_self()->frames == NULL)
        vowi_sys_nap(NAP);
}

/* Its executor does not run it. */
static vow_error *
refusal(int why)
{
    vow_error *e = vow_error_of(why);

    return e != NULL ? e : vow_error_new(why, "the stage was refused");
}

VOWI_NOINLINE static void
is_refused_later(struct vowi_place *place, int why)
{
    struct vowi_todo todo = {0};

    settle(place, refusal(why), why != VOW_E_LIMIT, &todo);
}

/* It is stopped: the item is dropped. */
VOWI_NOINLINE static void
is_too_late(struct vowi_place *place)
{
    struct vowi_todo todo = {0};

    settle(place, NULL, false, &todo);
}

static void
run_stage(vow_task *task, int why)
{
    struct vowi_place *place = vowi_container_of(task, struct vowi_place, hanger.task);

    if (why != 0)
        is_refused_later(place, why);
    else if (vow_token_cancelled(place->p->token))
        is_too_late(place);
    else
        take_turn(place);
}

/* May make room for more. */
VOWI_NOINLINE static void
is_refused(struct vowi_place *place, int why, struct vowi_todo *todo)
{
    vow_pipeline *p = place->p;

    vowi_lock_acquire(&p->lock);
    vowi_pipeline_failed_locked(p, place, refusal(why), why != VOW_E_LIMIT, todo);
    vowi_lock_release(&p->lock);
}

static void
post_all(struct vowi_todo *todo)
{
    while (todo->first != NULL) {
        struct vowi_place *place = todo->first;
        int why;

        todo->first = place->next;
        task_init(&place->hanger.task, run_stage);
        why = vow_post_task(place->stage->on, &place->hanger.task);
        if (why != 0)
            is_refused(place, why, todo);
    }
}

/* ---- the feed ---------------------------------------------------------------------- */

enum drawn { DRAWN, EXHAUSTED, LATER };

/*
 * One thread draws at a time, and has a place reserved. It draws as long as there is room,
 * but no more at a stretch than the first stage has places: then a task goes on with it.
 * Returns the next place; without one there may be no pipeline.
 */
static struct vowi_place *
enter(vow_pipeline *p, struct vowi_place *place, enum drawn how, vow_value v, bool go_on)
{
    struct vowi_todo todo = {0};
    struct vowi_place *next;

    vowi_lock_acquire(&p->lock);
    if (how == DRAWN)
        vowi_pipeline_enter_locked(p, place, v, &todo);
    else
        vowi_pipeline_exhaust_locked(p, place);
    next = vowi_pipeline_reserve_locked(p);
    p->drawing = next != NULL;
    if (!go_on) {
        todo.draw = next;
        todo.post = true;
        next = NULL;
    }
    todo.kept = next != NULL;
    vowi_pipeline_decide_locked(p, &todo);
    vowi_lock_release(&p->lock);
    vowi_pipeline_carry_out(p, &todo);
    return next;
}

static void draw_from(vow_pipeline *p, struct vowi_place *place);

/* A sender, or who closes the channel, serves the receiver that waits. */
static void
received(struct vowi_party *party, vow_value v, vow_error *error)
{
    vow_pipeline *p = vowi_container_of(party, struct vow_pipeline, receiver);
    struct vowi_place *place = p->reserved;

    vow_error_unref(error);
    draw_from(p, enter(p, place, error == NULL ? DRAWN : EXHAUSTED, v, true));
}

static bool
is_exhausted(vow_pipeline *p)
{
    bool exhausted;

    vowi_lock_acquire(&p->lock);
    exhausted = p->exhausted;
    vowi_lock_release(&p->lock);
    return exhausted;
}

/*
 * Whether there is anything to be received is asked under the channel's locks: who ends it
 * says so first, and then looks, under those, whether somebody waits there.
 */
static enum drawn
receive(vow_pipeline *p, struct vowi_place *place, vow_value *v)
{
    struct vowi_errand errand = {NULL, VOW_NIL, NULL};
    enum vowi_channel_step step = VOWI_CHANNEL_CLOSED;

    p->reserved = place;
    p->receiver.serve = received;
    vowi_channel_lock(p->feed.channel);
    if (!is_exhausted(p))
        step = vowi_channel_receive_locked(p->feed.channel, v, &p->receiver, &errand);
    vowi_channel_unlock(p->feed.channel);
    if (step == VOWI_CHANNEL_WAITS)
        return LATER; /* and somebody else draws from here on */
    vowi_errand_run(&errand);
    return step == VOWI_CHANNEL_DONE ? DRAWN : EXHAUSTED;
}

static enum drawn
ask_feed(vow_pipeline *p, struct vowi_place *place, vow_value *v)
{
    vow_feed *feed = &p->feed;

    if (feed->channel != NULL)
        return receive(p, place, v);
    if (feed->next != NULL)
        return feed->next(v, feed->ctx.as.ptr) ? DRAWN : EXHAUSTED;
    if (p->figures.drawn == feed->n) /* who draws writes it */
        return EXHAUSTED;
    *v = feed->items[p->figures.drawn];
    return DRAWN;
}

static void
draw_from(vow_pipeline *p, struct vowi_place *place)
{
    size_t left = place != NULL ? place->stage->count : 0; /* at a stretch */

    while (place != NULL) {
        vow_value v = VOW_NIL;
        enum drawn how = ask_feed(p, place, &v);

        if (how == LATER)
            return;
        place = enter(p, place, how, v, --left != 0);
    }
}

/* If nothing more is to be drawn since the place was reserved, the feed is not asked. */
static void
draw(vow_pipeline *p, struct vowi_place *place)
{
    if (is_exhausted(p))
        enter(p, place, EXHAUSTED, VOW_NIL, true);
    else
        draw_from(p, place);
}

/* Nobody draws any more: the feed's executor is closed. If the feed has been ended, what is
 * in flight does not need it. */
static void
stop_drawing(vow_pipeline *p, int why)
{
    struct vowi_todo todo = {0};
    vow_error *error = refusal(why);

    vowi_lock_acquire(&p->lock);
    p->drawing = false;
    if (!p->exhausted)
        vowi_pipeline_stop_locked(p, error, true, -1, &todo);
    vowi_pipeline_exhaust_locked(p, p->reserved);
    vowi_pipeline_decide_locked(p, &todo);
    vowi_lock_release(&p->lock);
    vow_error_unref(error);
    vowi_pipeline_carry_out(p, &todo);
}

static void
run_drawer(vow_task *task, int why)
{
    vow_pipeline *p = vowi_container_of(task, struct vow_pipeline, drawer.task);

    if (why == 0 || p->feed.next == NULL)
        draw(p, p->reserved);
    else
        stop_drawing(p, why);
}

/* What is the user's runs where he has said; what is not may run here, if it is refused
 * there. */
static void
draw_in_task(vow_pipeline *p, struct vowi_place *place)
{
    int why;

    p->reserved = place;
    task_init(&p->drawer.task, run_drawer);
    why = vow_post_task(p->feed.on, &p->drawer.task);
    if (why != 0 && p->feed.next == NULL)
        why = vow_post_task(NULL, &p->drawer.task);
    if (why != 0)
        stop_drawing(p, why);
}

VOWI_NOINLINE static void
begin_to_draw(vow_pipeline *p, const struct vowi_todo *todo)
{
    if (todo->post)
        draw_in_task(p, todo->draw);
    else if (todo->home && !todo->halt)
        draw_from(p, todo->draw); /* nothing of a user's has run since it was reserved */
    else
        draw(p, todo->draw);
}

void
vowi_pipeline_leave_channel(vow_pipeline *p)
{
    bool waited;

    if (p->feed.channel == NULL)
        return;
    vowi_channel_lock(p->feed.channel);
    waited = vowi_channel_unqueue_locked(&p->receiver);
    vowi_channel_unlock(p->feed.channel);
    if (waited)
        enter(p, p->reserved, EXHAUSTED, VOW_NIL, true);
}

/* ---- telling ----------------------------------------------------------------------- */

static void
tell_of_failure(vow_pipeline *p, struct vowi_place *place, bool divert)
{
    const vow_pipeline_options *opt = &p->opt;
    vow_failed_fn *fn = divert ? opt->divert : opt->report;
    vow_failed_item failed = {place->item.index, (size_t)(place->stage - p->stages),
                              place->error, VOW_NIL};

    if (fn == NULL)
        return;
    failed.item = divert ? hand_out(&place->item) : lent(place->item.value);
    fn(&failed, opt->ctx);
}

static void
tell_fate(vow_pipeline *p, struct vowi_place *place)
{
    const vow_pipeline_options *opt = &p->opt;

    switch (place->fate) {
    case VOWI_FINISHED:
        if (opt->sink != NULL)
            opt->sink(place->item.index, hand_out(&place->item), opt->ctx);
        break;
    case VOWI_SKIPPED:
    case VOWI_DIVERTED:
        tell_of_failure(p, place, place->fate == VOWI_DIVERTED);
        break;
    case VOWI_DROPPED:
    case VOWI_FATES:
        if (opt->dropped != NULL)
            opt->dropped(place->item.index, lent(place->item.value), opt->ctx);
        break;
    }
}

static void
tell_one(vow_pipeline *p, struct vowi_place *place, size_t done)
{
    const vow_pipeline_options *opt = &p->opt;
    bool counted = p->feed.channel == NULL && p->feed.next == NULL;

    tell_fate(p, place);
    drop_item(&place->item);
    vow_error_unref(place->error);
    place->error = NULL;
    if (opt->progress != NULL)
        opt->progress(done, counted ? p->feed.n : 0, opt->ctx);
}

/* Of so many was told; who tells writes them. */
static size_t
told(const vow_pipeline *p)
{
    size_t n = 0;

    for (size_t i = 0; i < VOWI_FATES; i++)
        n += (size_t)p->ends[i];
    return n;
}

/* One thread tells at a time. Each place that becomes free is used before it goes on. */
VOWI_NOINLINE static void
tell(vow_pipeline *p, struct vowi_place *place)
{
    size_t done = told(p);

    while (place != NULL) {
        struct vowi_todo todo = {.post = true}; /* others draw while this one tells */

        tell_one(p, place, ++done);
        vowi_lock_acquire(&p->lock);
        vowi_pipeline_told_locked(p, place, &todo);
        place = vowi_pipeline_next_end_locked(p);
        p->telling = todo.kept = place != NULL;
        vowi_pipeline_decide_locked(p, &todo);
        vowi_lock_release(&p->lock);
        vowi_pipeline_carry_out(p, &todo);
    }
}

/* ---- what was decided -------------------------------------------------------------- */

/* What a place's function has returned to follow, if it is pending: a new reference. */
static vow_future *
followed_by(struct vowi_place *place)
{
    vow_future *f;

    vowi_lock_acquire(&place->p->lock);
    f = vow_ref(place->follow);
    vowi_lock_release(&place->p->lock);
    return f;
}

VOWI_NOINLINE static void
halt(vow_pipeline *p)
{
    vow_source_cancel(p->source, vow_error_ref(p->why));
    for (size_t i = 0; i < p->places_count; i++) {
        vow_future *f = followed_by(&p->places[i]);

        if (f == NULL)
            continue;
        vow_future_cancel(f, vow_error_ref(p->why));
        vow_ignore(f);
    }
    vowi_pipeline_leave_channel(p);
}

void
vowi_pipeline_carry_out(vow_pipeline *p, struct vowi_todo *todo)
{
    post_all(todo);
    if (todo->halt)
        halt(p);
    if (todo->draw != NULL)
        begin_to_draw(p, todo);
    if (todo->tell != NULL)
        tell(p, todo->tell);
    if (todo->rests)
        vowi_pipeline_unuse(p);
    if (todo->in_use)
        vowi_pipeline_unuse(p);
}
