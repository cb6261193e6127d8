/* SPDX-License-Identifier: MIT */
/* resilience/chaos.c - faults drawn from a seed. */
#include <errno.h>

#include <vow/chaos.h>
#include <vow/delayed.h>

#include "base/mem.h"
#include "base/options.h"
#include "core/caller.h"
#include "resilience/later.h"
#include "resilience/random.h"
#include "sync/kept.h"
#include "sync/lock.h"
#include "sync/refs.h"

struct vow_chaos {
    struct vowi_refs refs;
    vow_chaos_options options; /* with the defaults filled in; not written again */
    struct vowi_lock lock;
    struct vowi_kept at_fork;
    struct vowi_random random; /* guarded by lock */
};

/* What is drawn for one call. */
enum fate { RUNS, FAILS, HANGS, IS_LATE };

static enum fate
draw(vow_chaos *c, vow_ns *delay)
{
    const vow_chaos_options *o = &c->options;
    double x, y;

    vowi_lock_acquire(&c->lock);
    x = vowi_random_unit(&c->random);
    y = vowi_random_unit(&c->random);
    vowi_lock_release(&c->lock);
    *delay = (vow_ns)(y * (double)o->delay);
    if ((x -= o->error_rate) < 0)
        return FAILS;
    if ((x -= o->hang_rate) < 0)
        return HANGS;
    return x < o->delay_rate ? IS_LATE : RUNS;
}

/* The drop of the context may let go of the chaos. */
static vow_future *
fail(const vow_chaos *c, vow_value ctx, const void *site)
{
    vow_error *e = vow_error_new_at(NULL, c->options.error, "an error put in on purpose");

    vow_value_drop(ctx);
    return vowi_rejected_at(e, site);
}

vow_future *
vow_chaos_call(vow_chaos *c, vow_executor *on, vow_task_fn *fn, vow_value ctx)
{
    const void *site = __builtin_return_address(0);
    vow_ns delay = 0;

    switch (c != NULL ? draw(c, &delay) : RUNS) {
    case FAILS:
        return fail(c, ctx, site);
    case HANGS:
        return vowi_call_after(vow_sleep(c->options.clock, VOW_FOREVER), on, fn, ctx,
                               site);
    case IS_LATE:
        return vowi_call_after(vow_sleep(c->options.clock, delay), on, fn, ctx, site);
    case RUNS:
        break;
    }
    return vowi_submit_at(on, fn, ctx, site);
}

static bool
fill_and_check(vow_chaos_options *o)
{
    if (o->error == 0)
        o->error = EIO;
    if (o->delay == 0)
        o->delay = vow_seconds(1);
    return o->error_rate >= 0 && o->hang_rate >= 0 && o->delay_rate >= 0 &&
           o->delay > 0 && o->error_rate + o->hang_rate + o->delay_rate <= 1;
}

vow_chaos *
vow_chaos_new(const vow_chaos_options *opt)
{
    vow_chaos_options o;
    vow_chaos *c;

    vowi_options_read(&o, sizeof o, opt);
    if (!fill_and_check(&o)) {
        errno = EINVAL;
        return NULL;
    }
    c = vowi_alloc(sizeof *c);
    if (c == NULL || vowi_kept_init(&c->at_fork, &c->lock, VOWI_RANK_LIMIT) != 0) {
        vowi_free(c, sizeof *c);
        errno = ENOMEM;
        return NULL;
    }
    vowi_refs_init(&c->refs);
    c->options = o;
    c->random.state = o.seed != 0 ? o.seed : vowi_random_seed(c);
    return c;
}

vow_chaos *
vow_chaos_ref(vow_chaos *c)
{
    if (c != NULL)
        vowi_refs_take(&c->refs);
    return c;
}

void
vow_chaos_unref(vow_chaos *c)
{
    if (c == NULL || !vowi_refs_drop(&c->refs))
        return;
    vowi_kept_fini(&c->at_fork);
    vowi_free(c, sizeof *c);
}
