/* SPDX-License-Identifier: MIT */
/*
 * combine/pipeline_flow.c - who moves on, who starts, who has ended. All under the lock.
 *
 * A pass begins at the stage where something has changed, and goes towards the first as
 * far as that makes room: so room made at the end is used by all stages before it in one
 * pass, and what changes nothing costs nothing. Nobody ever waits for who waits for him: an
 * item waits for a place in a later stage alone, or for an earlier item of its own stage, and
 * the earliest in the last stage waits for nobody.
 */
#include "combine/pipeline.h"

/* There is one. */
static struct vowi_place *
first_in_line(const struct vowi_stage *s)
{
    return vowi_container_of(vowi_list_first_or_head(&s->line), struct vowi_place, line);
}

static struct vowi_place *
pop_in_turn(struct vowi_list *l)
{
    struct vowi_link *first = vowi_list_pop(l);

    return first != NULL ? vowi_container_of(first, struct vowi_place, turn) : NULL;
}

/* ---- places ------------------------------------------------------------------------ */

static void
give_back_locked(vow_pipeline *p, struct vowi_place *place)
{
    place->state = VOWI_PLACE_IDLE;
    place->next = place->stage->idle;
    place->stage->idle = place;
    p->taken--;
}

static struct vowi_place *
take_locked(vow_pipeline *p, struct vowi_stage *s)
{
    struct vowi_place *place = s->idle;

    if (place == NULL)
        return NULL;
    s->idle = place->next;
    p->taken++;
    return place;
}

static void
start_locked(struct vowi_place *place, struct vowi_todo *todo)
{
    place->state = VOWI_PLACE_RUNNING;
    place->stage->running++;
    place->next = NULL;
    if (todo->first == NULL)
        todo->first = place;
    else
        todo->last->next = place;
    todo->last = place;
}

static void
fill_locked(struct vowi_place *place, const struct vowi_item *item)
{
    vow_stage_figures *f = &place->stage->figures;

    place->item = *item;
    place->failed = false;
    f->in++;
    f->in_flight++;
    if (f->in_flight > f->peak)
        f->peak = f->in_flight;
}

static void
come_in_locked(struct vowi_place *place, const struct vowi_item *item,
               struct vowi_todo *todo)
{
    struct vowi_stage *s = place->stage;

    fill_locked(place, item);
    vowi_list_push(&s->line, &place->line);
    if (s->running < s->width) {
        start_locked(place, todo);
        return;
    }
    place->state = VOWI_PLACE_WAITING;
    vowi_list_push(&s->waiting, &place->turn);
}

/* One that is in no list. */
static void
tell_locked(vow_pipeline *p, struct vowi_place *place, enum vowi_fate fate,
            vow_error *error)
{
    place->state = VOWI_PLACE_ENDED;
    place->fate = fate;
    place->error = error;
    vowi_list_push(&p->ended, &place->turn);
}

/* One that is in `line`, and in no other list. */
static void
end_locked(vow_pipeline *p, struct vowi_place *place, enum vowi_fate fate,
           vow_error *error)
{
    vowi_list_remove(&place->line);
    tell_locked(p, place, fate, error);
}

/* ---- a pass ------------------------------------------------------------------------ */

static bool
has_room_behind_locked(const struct vowi_stage *s)
{
    return s->next == NULL || s->next->idle != NULL;
}

/* There is room behind, and nothing that has to leave before; it is in `line` alone. */
VOWI_INLINE void
leave_locked(vow_pipeline *p, struct vowi_place *place, struct vowi_todo *todo)
{
    struct vowi_stage *s = place->stage;

    if (s->next == NULL) {
        end_locked(p, place, VOWI_FINISHED, NULL);
        return;
    }
    vowi_list_remove(&place->line);
    s->figures.out++;
    s->figures.in_flight--;
    come_in_locked(take_locked(p, s->next), &place->item, todo);
    give_back_locked(p, place);
}

/* The one that leaves next, out of `ready`; NULL: none can. */
static struct vowi_place *
take_ready_locked(struct vowi_stage *s)
{
    struct vowi_place *place;

    if (vowi_list_is_empty(&s->ready))
        return NULL;
    if (s->unordered) {
        place = pop_in_turn(&s->ready);
    } else {
        place = first_in_line(s);
        if (place->state != VOWI_PLACE_READY)
            return NULL;
        vowi_list_remove(&place->turn);
    }
    s->figures.ready--;
    return place;
}

/* Returns whether there is more room in a stage than before. */
VOWI_INLINE bool
go_on_locked(vow_pipeline *p, struct vowi_stage *s, struct vowi_todo *todo)
{
    struct vowi_place *place;
    bool left = false;

    while (has_room_behind_locked(s) && (place = take_ready_locked(s)) != NULL) {
        leave_locked(p, place, todo);
        left = s->next != NULL; /* from the last, an item leaves when it was told of */
    }
    return left;
}

/* Lets all go on that can since something has changed in a stage: a function is done, or
 * there is a place. */
VOWI_INLINE void
flow_locked(vow_pipeline *p, struct vowi_stage *from, struct vowi_todo *todo)
{
    struct vowi_place *place;
    struct vowi_stage *s = from;

    go_on_locked(p, from, todo);
    while (from->running < from->width && (place = pop_in_turn(&from->waiting)) != NULL)
        start_locked(place, todo);
    while (s-- != p->stages && go_on_locked(p, s, todo))
        ;
}

static bool
is_at_rest_locked(const vow_pipeline *p)
{
    return p->taken == 0 && p->exhausted && !p->drawing && !p->telling;
}

static bool
posts_at_home(const struct vowi_todo *todo)
{
    const struct vowi_place *place = todo->first;

    while (place != NULL && todo->in_turn && place->stage->on == todo->turn_of &&
           place->stage->lasts)
        place = place->next;
    return place == NULL;
}

/* Whether what is to be drawn is drawn in a task of its own. */
static bool
draws_elsewhere(const vow_pipeline *p, const struct vowi_todo *todo)
{
    const vow_feed *feed = &p->feed;

    if (todo->post || todo->tell != NULL)
        return true;
    return feed->next != NULL && feed->on != NULL &&
           !(todo->in_turn && todo->turn_of == feed->on);
}

/* Whether there is something to do in which it may come to rest, and those go whom this
 * needs then. */
static bool
needs_use(const vow_pipeline *p, const struct vowi_todo *todo)
{
    if (todo->kept || todo->tell != NULL)
        return false;
    if (todo->halt)
        return true;
    if (todo->draw != NULL)
        return todo->post || p->feed.channel != NULL;
    return !todo->home;
}

VOWI_INLINE void
decide_locked(vow_pipeline *p, struct vowi_todo *todo)
{
    if (!p->telling && !vowi_list_is_empty(&p->ended)) {
        p->telling = true;
        todo->tell = pop_in_turn(&p->ended);
    }
    if (!p->drawing && !p->exhausted && (todo->draw = take_locked(p, p->stages)) != NULL)
        p->drawing = true;
    if (!p->over && is_at_rest_locked(p))
        p->over = todo->rests = true;
    if (todo->draw != NULL)
        todo->post = draws_elsewhere(p, todo);
    todo->home = posts_at_home(todo);
    if (todo->in_use || !needs_use(p, todo))
        return;
    todo->in_use = true;
    vowi_add_relaxed(&p->uses, 1); /* relaxed: under the lock, and not all have left */
}

void
vowi_pipeline_decide_locked(vow_pipeline *p, struct vowi_todo *todo)
{
    decide_locked(p, todo);
}

/* ---- drawing ----------------------------------------------------------------------- */

struct vowi_place *
vowi_pipeline_reserve_locked(vow_pipeline *p)
{
    return p->exhausted ? NULL : take_locked(p, &p->stages[0]);
}

void
vowi_pipeline_exhaust_locked(vow_pipeline *p, struct vowi_place *reserved)
{
    p->exhausted = true;
    if (reserved != NULL)
        give_back_locked(p, reserved);
}

void
vowi_pipeline_enter_locked(vow_pipeline *p, struct vowi_place *place, vow_value v,
                           struct vowi_todo *todo)
{
    vow_pipeline_figures *f = &p->figures;
    struct vowi_item item = {.value = v, .index = (size_t)f->drawn};

    f->drawn++;
    f->in_flight++;
    if (f->in_flight > f->peak)
        f->peak = f->in_flight;
    if (!p->stopped) {
        come_in_locked(place, &item, todo);
        return;
    }
    fill_locked(place, &item);
    tell_locked(p, place, VOWI_DROPPED, NULL);
}

/* ---- ending ------------------------------------------------------------------------ */

void
vowi_pipeline_done_locked(vow_pipeline *p, struct vowi_place *place,
                          struct vowi_todo *todo)
{
    struct vowi_stage *s = place->stage;

    s->running--;
    if (p->stopped) {
        end_locked(p, place, VOWI_DROPPED, NULL);
    } else if ((s->unordered || first_in_line(s) == place) && has_room_behind_locked(s)) {
        leave_locked(p, place, todo);
    } else {
        place->state = VOWI_PLACE_READY;
        vowi_list_push(&s->ready, &place->turn);
        s->figures.ready++;
    }
    flow_locked(p, s, todo);
    decide_locked(p, todo);
}

void
vowi_pipeline_failed_locked(vow_pipeline *p, struct vowi_place *place, vow_error *error,
                            bool closed, struct vowi_todo *todo)
{
    struct vowi_stage *s = place->stage;

    s->running--;
    if (!p->stopped) {
        place->failed = true;
        if (closed || s->on_error == VOW_STAGE_STOP)
            vowi_pipeline_stop_locked(p, error, true, (int64_t)place->item.index, todo);
    }
    if (p->stopped)
        end_locked(p, place, VOWI_DROPPED, error);
    else
        end_locked(p, place,
                   s->on_error == VOW_STAGE_DIVERT ? VOWI_DIVERTED : VOWI_SKIPPED, error);
    flow_locked(p, s, todo);
    decide_locked(p, todo);
}

struct vowi_place *
vowi_pipeline_next_end_locked(vow_pipeline *p)
{
    return pop_in_turn(&p->ended);
}

void
vowi_pipeline_told_locked(vow_pipeline *p, struct vowi_place *place,
                          struct vowi_todo *todo)
{
    vow_stage_figures *f = &place->stage->figures;

    p->ends[place->fate]++;
    p->figures.in_flight--;
    f->in_flight--;
    f->out += place->fate == VOWI_FINISHED;
    f->failed += place->failed;
    give_back_locked(p, place);
    flow_locked(p, place->stage, todo);
}

/* What waits, before or after a function, ends here. */
static void
drop_waiting_locked(vow_pipeline *p, struct vowi_stage *s)
{
    struct vowi_place *place;

    while ((place = pop_in_turn(&s->ready)) != NULL)
        end_locked(p, place, VOWI_DROPPED, NULL);
    while ((place = pop_in_turn(&s->waiting)) != NULL)
        end_locked(p, place, VOWI_DROPPED, NULL);
    s->figures.ready = 0;
}

void
vowi_pipeline_stop_locked(vow_pipeline *p, const vow_error *why, bool failed,
                          int64_t index, struct vowi_todo *todo)
{
    if (p->stopped || p->over)
        return;
    p->stopped = true;
    p->exhausted = true;
    p->why = vow_error_ref(why);
    p->failed = failed;
    p->failed_item = index;
    todo->halt = true;
    for (size_t i = p->count; i-- > 0;)
        drop_waiting_locked(p, &p->stages[i]);
}
