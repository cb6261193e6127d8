/* SPDX-License-Identifier: MIT */
/* core/then.c - then and its kin: one block, and where it hangs. */
#include "base/mem.h"
#include "core/block.h"
#include "core/caller.h"
#include "core/step.h"

/* NULL: no memory. */
static struct vowi_step *
step_alloc(struct vowi_thread *t, vow_executor *on, bool wide)
{
    struct vowi_step_on *w;

    if (!wide)
        return vowi_alloc_on(t, sizeof(struct vowi_step));
    w = vowi_alloc_on(t, sizeof *w);
    if (w == NULL)
        return NULL;
    atomic_init(&w->on, on != NULL ? vowi_executor_hold(t, on) : NULL);
    return &w->step;
}

struct vowi_step *
vowi_step_new(struct vowi_thread *t, vow_future *source, vow_executor *on,
              enum vowi_step_kind kind, vow_value ctx, void *site)
{
    bool wide = on != NULL || kind == VOWI_CATCH_IF;
    struct vowi_step *step = step_alloc(t, on, wide);

    vowi_assert(ctx.drop != NULL || ctx.as.u64 == (uintptr_t)ctx.as.ptr);
    if (step == NULL) {
        vow_unref(source);
        vow_value_drop(ctx);
        return NULL;
    }
    vowi_hook_init(&step->hook, source, kind);
    atomic_init(&step->state.word, 0);
    atomic_init(&step->state.refs, VOWI_CONSUMER | VOWI_HOLD | VOWI_ASKED |
                                       (wide ? VOWI_STEP_ON : VOWI_STEP));
    vowi_set_value(&step->state, ctx);
    step->state.extra = site;
    return step;
}

VOWI_NOINLINE static void
attach_to_settled(struct vowi_thread *t, struct vowi_step *step, vow_executor *on,
                  enum vowi_step_kind kind)
{
    if (on != NULL || t->depth != 0)
        vowi_deliver_now(t, &step->hook);
    else
        vowi_step_at_once(t, step, kind);
}

static inline vow_future *
attach(struct vowi_thread *t, struct vowi_step *step, vow_executor *on,
       enum vowi_step_kind kind)
{
    vow_future *result = vowi_future(&step->state); /* before others may free it */

    if (vowi_unlikely(!vowi_attach(step->hook.source, &step->hook.as.node)))
        attach_to_settled(t, step, on, kind);
    return result;
}

VOWI_NOINLINE vow_future *
vowi_then_later(vow_future *f, vow_executor *on, vow_then_fn *fn, vow_value ctx,
                void *site)
{
    struct vowi_thread *t = vowi_self();
    struct vowi_step *step;

    if (f == NULL) { /* rejected already, and there would be nothing for fn to do */
        vow_value_drop(ctx);
        return NULL;
    }
    step = vowi_step_new(t, f, on, VOWI_THEN, ctx, site);
    if (step == NULL)
        return NULL;
    step->hook.fn.then = fn;
    return attach(t, step, on, VOWI_THEN);
}

/* Does not ask for the thread: to save the arguments across that is dear, and once is
 * enough. */
vow_future *
vow_then(vow_future *f, vow_executor *on, vow_then_fn *fn, vow_value ctx)
{
    void *site = __builtin_return_address(0);

    if (f != NULL && on == NULL && vowi_has_plain_value(vowi_state(f)))
        return vowi_then_on_plain(vowi_state(f), site, fn, ctx);
    return vowi_then_later(f, on, fn, ctx, site);
}

vow_future *
vowi_then_at(vow_future *f, vow_executor *on, vow_then_fn *fn, vow_value ctx,
             const void *site)
{
    return vowi_then_later(f, on, fn, ctx, vow_ptr(site).as.ptr);
}

vow_future *
vow_catch(vow_future *f, vow_executor *on, vow_catch_fn *fn, vow_value ctx)
{
    struct vowi_thread *t = vowi_self();
    struct vowi_step *step =
        vowi_step_new(t, f, on, VOWI_CATCH, ctx, __builtin_return_address(0));

    if (step == NULL)
        return NULL;
    step->hook.fn.catch = fn;
    return attach(t, step, on, VOWI_CATCH);
}

vow_future *
vow_catch_if(vow_future *f, int code, vow_executor *on, vow_catch_fn *fn, vow_value ctx)
{
    struct vowi_thread *t = vowi_self();
    struct vowi_step *step =
        vowi_step_new(t, f, on, VOWI_CATCH_IF, ctx, __builtin_return_address(0));

    if (step == NULL)
        return NULL;
    vowi_step_on(&step->state)->code = code;
    step->hook.fn.catch = fn;
    return attach(t, step, on, VOWI_CATCH_IF);
}

static inline vow_future *
handle(vow_future *f, vow_executor *on, vow_handle_fn *fn, vow_value ctx, void *site)
{
    struct vowi_thread *t = vowi_self();
    struct vowi_step *step = vowi_step_new(t, f, on, VOWI_HANDLE, ctx, site);

    if (step == NULL)
        return NULL;
    step->hook.fn.handle = fn;
    return attach(t, step, on, VOWI_HANDLE);
}

vow_future *
vow_handle(vow_future *f, vow_executor *on, vow_handle_fn *fn, vow_value ctx)
{
    return handle(f, on, fn, ctx, __builtin_return_address(0));
}

vow_future *
vowi_handle_at(vow_future *f, vow_executor *on, vow_handle_fn *fn, vow_value ctx,
               const void *site)
{
    return handle(f, on, fn, ctx, vow_ptr(site).as.ptr);
}

vow_future *
vow_finally(vow_future *f, vow_executor *on, vow_fn *fn, vow_value ctx)
{
    struct vowi_thread *t = vowi_self();
    struct vowi_step *step =
        vowi_step_new(t, f, on, VOWI_FINALLY, ctx, __builtin_return_address(0));

    if (step == NULL)
        return NULL;
    step->hook.fn.finally = fn;
    return attach(t, step, on, VOWI_FINALLY);
}

bool
vow_on_settled(vow_future *f, vow_executor *on, vow_settled_fn *fn, vow_value ctx)
{
    struct vowi_thread *t = vowi_self();
    struct vowi_watch *w = vowi_alloc_on(t, sizeof *w);

    if (w == NULL) {
        vow_unref(f);
        vow_value_drop(ctx);
        return false;
    }
    vowi_hook_init(&w->hook, f, VOWI_WATCH);
    w->on = on != NULL ? vowi_executor_hold(t, on) : NULL;
    w->hook.fn.settled = fn;
    w->ctx = ctx;
    vowi_hook_attach(t, &w->hook);
    return true;
}
