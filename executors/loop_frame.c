/* SPDX-License-Identifier: MIT */
/*
 * executors/loop_frame.c - callbacks once a frame.
 *
 * A frame is due when somebody asked for one and the last is a period ago. It is
 * counted from when the last was due, so that the rate is kept, but a late frame moves
 * those after it: none is made up for.
 */
#include <pthread.h>

#include "base/mem.h"
#include "loop_internal.h"

struct request {
    struct vowi_link link;
    vow_frame_fn *fn;
    vow_value ctx;
};

static int
why_refuse(const struct vow_loop *l)
{
    if (vowi_loop_is_forked(l))
        return VOW_E_FORKED;
    return vowi_loop_life(l) == VOWI_LOOP_OPEN ? 0 : VOW_E_CLOSED;
}

int
vow_loop_request_frame(vow_loop *l, vow_frame_fn *fn, vow_value ctx)
{
    struct request *r = l != NULL ? vowi_alloc(sizeof *r) : NULL;
    bool sooner = false;
    int rc;

    if (r == NULL) {
        vow_value_drop(ctx);
        return VOW_E_NOMEM;
    }
    r->fn = fn;
    r->ctx = ctx;
    vowi_lock_acquire(&l->lock);
    rc = why_refuse(l);
    if (rc == 0) {
        vowi_list_push(&l->frames, &r->link);
        vowi_loop_set_timed_locked(l, true);
        sooner = vowi_loop_is_sooner_locked(l, l->next_frame);
    }
    vowi_lock_release(&l->lock);
    if (sooner)
        vowi_loop_nudge(l);
    if (rc == 0)
        return 0;
    vowi_free(r, sizeof *r);
    vow_value_drop(ctx);
    return rc;
}

vow_ns
vowi_loop_next_frame_locked(const struct vow_loop *l)
{
    if (!vowi_list_is_empty(&l->frame))
        return INT64_MIN;
    return vowi_list_is_empty(&l->frames) ? VOW_FOREVER : l->next_frame;
}

static struct request *
pop_locked(struct vowi_list *list)
{
    struct vowi_link *link = vowi_list_pop(list);

    return link != NULL ? vowi_container_of(link, struct request, link) : NULL;
}

/* Begins a frame if one is due: moves what was requested for it. */
static void
begin_frame(struct vow_loop *l)
{
    struct vowi_link *link;
    vow_ns now;

    vowi_lock_acquire(&l->lock);
    if (!vowi_list_is_empty(&l->frames)) {
        now = vowi_loop_now(l);
        if (now >= l->next_frame) {
            /* late by a period or more: not made up for */
            l->frame_time =
                vowi_time_sub(now, l->next_frame) < l->frame_period ? l->next_frame : now;
            l->next_frame = vowi_time_add(l->frame_time, l->frame_period);
            while ((link = vowi_list_pop(&l->frames)) != NULL)
                vowi_list_push(&l->frame, link);
        }
    }
    vowi_lock_release(&l->lock);
}

static void
has_been_called(void *request)
{
    struct request *r = request;
    vow_value ctx = r->ctx;

    vowi_free(r, sizeof *r);
    vow_value_drop(ctx);
}

static void
call(struct request *r, vow_ns time)
{
    pthread_cleanup_push(has_been_called, r);
    r->fn(time, r->ctx.as.ptr);
    pthread_cleanup_pop(1);
}

static struct request *
take_request(struct vow_loop *l)
{
    struct request *r;

    vowi_lock_acquire(&l->lock);
    r = pop_locked(&l->frame);
    vowi_lock_release(&l->lock);
    return r;
}

void
vowi_loop_run_frame(struct vow_loop *l)
{
    struct request *r;

    if (!vowi_loop_is_timed(l))
        return;
    begin_frame(l);
    while ((r = take_request(l)) != NULL) {
        call(r, l->frame_time);
        vowi_loop_count(&l->fired_events);
        l->ran = true;
        vowi_loop_after_callback(l);
    }
}

void
vowi_loop_close_frames(struct vow_loop *l)
{
    struct request *r;

    do {
        vowi_lock_acquire(&l->lock);
        r = pop_locked(&l->frame);
        if (r == NULL)
            r = pop_locked(&l->frames);
        vowi_lock_release(&l->lock);
        if (r != NULL)
            has_been_called(r);
    } while (r != NULL);
}
