/* SPDX-License-Identifier: MIT */
/* resilience/later.c - a call that waits for something. */
#include "resilience/later.h"

#include "base/mem.h"
#include "core/caller.h"

struct later {
    vow_executor *on;
    vow_task_fn *fn;
    vow_value ctx;
    const void *site; /* of whoever called */
};

static void
drop_later(void *later)
{
    struct later *w = later;

    vow_executor_unref(w->on);
    vow_value_drop(w->ctx);
    vowi_free(w, sizeof *w);
}

static vow_result
call_now(vow_value in, void *later)
{
    struct later *w = later;
    vow_value ctx = w->ctx;

    (void)in;
    w->ctx = VOW_NIL;
    return vow_follow(vowi_submit_at(w->on, w->fn, ctx, w->site));
}

vow_future *
vowi_call_after(vow_future *f, vow_executor *on, vow_task_fn *fn, vow_value ctx,
                const void *site)
{
    struct later *w = vowi_alloc(sizeof *w);

    if (w == NULL) {
        vow_value_drop(ctx);
        vow_unref(f);
        return NULL;
    }
    w->on = vow_executor_ref(on);
    w->fn = fn;
    w->ctx = ctx;
    w->site = site;
    return vowi_then_at(f, NULL, call_now, vow_own(w, drop_later), site);
}
