/* SPDX-License-Identifier: MIT */
/*
 * combine/pipeline_flow.c - who moves on, who starts, who has ended. All under the lock.
 *
 * A pass begins at the stage where something has changed, and goes towards the first as
 * far as that makes room: so room made at the end is used by all stages before it in one
 * pass, and what changes nothing costs nothing. Nobody ever waits for who waits for him: an item waits
 * for a place in a later stage alone, or for an earlier item of its own stage, and the
 * earliest in the last stage waits for nobody.
 */
#include "combine/pipeline.h"

static struct vowi_place *
first_in_line(const struct vowi_list *l)
{
    return vowi_list_is_empty(l)
               ? NULL
               : vowi_container_of(vowi_list_first_or_head(l), struct vowi_place, line);
}

static struct vowi_place *
pop_in_turn(struct vowi_list *l)
{
    struct vowi_link *first = vowi_list_pop(l);

    return first != NULL ? vowi_container_of(first, struct vowi_place, turn) : NULL;
}

static bool
is_last(const vow_pipeline *p, const struct vowi_stage *s)
{
    return s == &p->stages[p->count - 1];
}

/* ---- places ------------------------------------------------------------------------ */

static void
give_back_locked(vow_pipeline *p, struct vowi_place *place)
{
    place->state = VOWI_PLACE_IDLE;
    vowi_list_push(&place->stage->idle, &place->turn);
    p->taken--;
}

static struct vowi_place *
take_locked(vow_pipeline *p, struct vowi_stage *s)
{
    struct vowi_place *place = pop_in_turn(&s->idle);

    if (place != NULL)
        p->taken++;
    return place;
}

static void
come_in_locked(struct vowi_place *place, struct vowi_item item)
{
    struct vowi_stage *s = place->stage;
    vow_stage_figures *f = &s->figures;

    place->item = item;
    place->failed = false;
    place->state = VOWI_PLACE_WAITING;
    vowi_list_push(&s->line, &place->line);
    vowi_list_push(&s->waiting, &place->turn);
    f->in++;
    f->in_flight++;
    if (f->in_flight > f->peak)
        f->peak = f->in_flight;
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

struct vowi_place *
vowi_pipeline_next_end_locked(vow_pipeline *p)
{
    return pop_in_turn(&p->ended);
}

void
vowi_pipeline_told_locked(vow_pipeline *p, struct vowi_place *place)
{
    vow_stage_figures *f = &place->stage->figures;

    p->ends[place->fate]++;
    p->figures.in_flight--;
    f->in_flight--;
    f->out += place->fate == VOWI_FINISHED;
    f->failed += place->failed;
    give_back_locked(p, place);
}

/* ---- a pass ------------------------------------------------------------------------ */

static void
start_locked(struct vowi_stage *s, struct vowi_todo *todo)
{
    struct vowi_place *place;

    while (s->running < s->width && (place = pop_in_turn(&s->waiting)) != NULL) {
        place->state = VOWI_PLACE_RUNNING;
        s->running++;
        place->next = NULL;
        if (todo->first == NULL)
            todo->first = place;
        else
            todo->last->next = place;
        todo->last = place;
    }
}

static bool
can_leave_locked(const struct vowi_stage *s)
{
    const struct vowi_place *first;

    if (s->unordered)
        return !vowi_list_is_empty(&s->ready);
    first = first_in_line(&s->line);
    return first != NULL && first->state == VOWI_PLACE_READY;
}

/* Takes the one that can leave out of its lists. */
static struct vowi_place *
take_out_locked(struct vowi_stage *s)
{
    struct vowi_place *place;

    if (s->unordered) {
        place = pop_in_turn(&s->ready);
        vowi_list_remove(&place->line);
    } else {
        place = first_in_line(&s->line);
        vowi_list_pop(&s->line);
        vowi_list_remove(&place->turn);
    }
    s->figures.ready--;
    return place;
}

static bool
leave_locked(vow_pipeline *p, struct vowi_stage *s)
{
    struct vowi_place *place, *to = NULL;

    if (!can_leave_locked(s))
        return false;
    if (!is_last(p, s)) {
        to = take_locked(p, s + 1);
        if (to == NULL)
            return false;
    }
    place = take_out_locked(s);
    if (to == NULL) {
        tell_locked(p, place, VOWI_FINISHED, NULL);
        return true;
    }
    s->figures.out++;
    s->figures.in_flight--;
    come_in_locked(to, place->item);
    give_back_locked(p, place);
    return true;
}

/* Returns whether there is more room in a stage than before. */
static bool
go_on_locked(vow_pipeline *p, struct vowi_stage *s, struct vowi_todo *todo)
{
    bool left = false;

    while (leave_locked(p, s)) {
        left = !is_last(p, s); /* from the last, an item leaves when it was told of */
        if (left)
            start_locked(s + 1, todo);
    }
    start_locked(s, todo);
    return left;
}

void
vowi_pipeline_flow_locked(vow_pipeline *p, struct vowi_stage *from,
                          struct vowi_todo *todo)
{
    size_t i = (size_t)(from - p->stages);

    go_on_locked(p, from, todo);
    while (i-- > 0 && go_on_locked(p, &p->stages[i], todo))
        ;
}

static bool
is_at_rest_locked(const vow_pipeline *p)
{
    return p->exhausted && p->taken == 0 && !p->drawing && !p->telling;
}

void
vowi_pipeline_decide_locked(vow_pipeline *p, struct vowi_todo *todo)
{
    if (!p->telling && !vowi_list_is_empty(&p->ended))
        p->telling = todo->tell = true;
    if (!p->drawing && vowi_pipeline_can_draw_locked(p))
        p->drawing = todo->draw = true;
    if (!p->over && is_at_rest_locked(p))
        p->over = todo->rests = true;
    if (todo->in_use ||
        !(todo->first != NULL || todo->tell || todo->draw || todo->halt || todo->rests))
        return;
    todo->in_use = true;
    vowi_add_relaxed(&p->uses, 1); /* relaxed: under the lock, and not all have left */
}

/* ---- drawing ----------------------------------------------------------------------- */

bool
vowi_pipeline_can_draw_locked(const vow_pipeline *p)
{
    return !p->exhausted && !vowi_list_is_empty(&p->stages[0].idle);
}

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
vowi_pipeline_enter_locked(vow_pipeline *p, struct vowi_place *place, vow_value v)
{
    vow_pipeline_figures *f = &p->figures;
    struct vowi_item item = {.value = v, .index = (size_t)f->drawn};

    f->drawn++;
    f->in_flight++;
    if (f->in_flight > f->peak)
        f->peak = f->in_flight;
    come_in_locked(place, item);
    if (!p->stopped)
        return;
    vowi_list_remove(&place->turn);
    end_locked(p, place, VOWI_DROPPED, NULL);
}

/* ---- ending ------------------------------------------------------------------------ */

void
vowi_pipeline_done_locked(vow_pipeline *p, struct vowi_place *place)
{
    struct vowi_stage *s = place->stage;

    s->running--;
    if (p->stopped) {
        end_locked(p, place, VOWI_DROPPED, NULL);
        return;
    }
    place->state = VOWI_PLACE_READY;
    vowi_list_push(&s->ready, &place->turn);
    s->figures.ready++;
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
