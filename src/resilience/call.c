/* SPDX-License-Identifier: MIT */
/*
 * resilience/call.c - running a protected call.
 *
 * Edges:
 *     [call]  what the job or the step behind it did with a call, to its freeing
 */
#include "resilience/call.h"

#include "base/mark.h"
#include "base/mem.h"
#include "core/caller.h"

static void
end(struct vowi_call *c, const vow_view *how)
{
    if (c->ended)
        return;
    c->ended = true;
    c->kind->end(c, how);
}

static void
drop_context(struct vowi_call *c)
{
    vow_value ctx = c->ctx;

    c->ctx = VOW_NIL;
    vow_value_drop(ctx);
}

static void
unref(struct vowi_call *c)
{
    if (vowi_sub_acq_rel(&c->refs, 1) == 1) /* [call] */
        vowi_free(c, c->kind->size);
}

/* The job's context goes: it has run, or never will. */
static void
drop_job(void *call)
{
    struct vowi_call *c = call;

    if (vowi_load_acquire(&c->refs) == 1) { /* [call]: no step, or it is done */
        drop_context(c);
        end(c, NULL);
    }
    unref(c);
}

/* The step's context goes: it has run, or was cancelled. */
static void
drop_step(void *call)
{
    end(call, NULL);
    unref(call);
}

vow_result
vowi_pass_on(vow_view how, void *unused)
{
    (void)how;
    (void)unused;
    return vow_forward();
}

static vow_result
has_settled(vow_view how, void *call)
{
    end(call, &how);
    return vow_forward();
}

vow_future *
vowi_call_behind(struct vowi_call *c, vow_future *f)
{
    return vow_handle(f, NULL, has_settled, vow_own(c, drop_step));
}

/* From here on the step behind what is followed says how the call ended. */
static vow_result
follow(struct vowi_call *c, vow_result r)
{
    vow_future *f = r.follow;

    r.follow = NULL;
    vow_result_drop(r);
    if (vowi_has_value(f)) {
        vow_view how = vow_peek(f);

        end(c, &how);
        return vow_follow(f);
    }
    vowi_add_relaxed(&c->refs, 1); /* relaxed: nobody else knows it yet */
    return vow_follow(vowi_call_behind(c, f));
}

static vow_result
run(void *call)
{
    struct vowi_call *c = call;
    vow_result r;

    if (c->kind->begin != NULL && !c->begun)
        c->kind->begin(c);
    c->begun = true;
    r = c->fn(c->ctx.as.ptr);
    if (vowi_marks_turn(&r))
        return r; /* the call goes on in another turn */
    drop_context(c);
    if (r.follow != NULL)
        return follow(c, r);
    end(c, &(vow_view){.value = r.value, .error = r.error});
    return r;
}

vow_future *
vowi_call_submit(struct vowi_call *c, vow_executor *on, const void *site)
{
    return vowi_submit_at(on, run, vow_own(c, drop_job), site);
}
