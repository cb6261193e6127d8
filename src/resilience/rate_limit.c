/* SPDX-License-Identifier: MIT */
/*
 * resilience/rate_limit.c - when the next call may be made.
 *
 * Both kinds answer the same question, how long to wait, and take the time that they
 * answered with. A bucket goes below empty. A window is a ring of the times of the last
 * `calls` calls, made or reserved: the next one may be made `per` after the oldest of
 * them, and takes its place.
 *
 * A time once given is not given back: whoever cancels while waiting has used it up.
 * Those behind have been told theirs, and would not come earlier.
 */
#include <errno.h>
#include <string.h>

#include <vow/delayed.h>
#include <vow/rate_limit.h>

#include "base/mem.h"
#include "base/options.h"
#include "base/time.h"
#include "core/caller.h"
#include "resilience/bucket.h"
#include "resilience/later.h"
#include "resilience/rate_limit_internal.h"
#include "sync/kept.h"
#include "sync/lock.h"
#include "sync/refs.h"

#define MOST_CALLS 1048576

struct vow_rate_limit {
    struct vowi_refs refs;
    vow_rate_limit_options options; /* with the defaults filled in; not written again */

    struct vowi_lock lock;
    struct vowi_kept at_fork;
    vow_rate_limit_metrics seen; /* guarded by lock, like all that follows */
    struct vowi_bucket bucket;
    vow_ns *times; /* of a window: options.calls of them, the oldest at next */
    unsigned next;
};

/* ---- when ----------------------------------------------------------------------------- */

static vow_ns
wait_locked(vow_rate_limit *l, vow_ns now)
{
    vow_ns oldest, left;

    if (l->times == NULL) {
        vowi_bucket_move(&l->bucket, now);
        return vowi_bucket_wait(&l->bucket, 1);
    }
    oldest = l->times[l->next];
    if (oldest == INT64_MIN)
        return 0; /* fewer than that so far */
    if (l->options.per == VOW_FOREVER)
        return VOW_FOREVER;
    left = vowi_time_sub(vowi_time_add(oldest, l->options.per), now);
    return left > 0 ? left : 0;
}

static void
take_locked(vow_rate_limit *l, vow_ns when)
{
    if (l->times == NULL) {
        l->bucket.left -= 1;
        return;
    }
    l->times[l->next] = when;
    l->next = l->next + 1 < l->options.calls ? l->next + 1 : 0;
}

static vow_ns
now_of(const vow_rate_limit *l)
{
    return vowi_now_on(l->options.clock);
}

bool
vowi_rate_limit_allows(vow_rate_limit *l)
{
    vow_ns now = now_of(l);
    bool allowed;

    vowi_lock_acquire(&l->lock);
    allowed = wait_locked(l, now) == 0;
    if (allowed) {
        take_locked(l, now);
        l->seen.allowed++;
    }
    vowi_lock_release(&l->lock);
    return allowed;
}

int
vow_rate_limit_reserve(vow_rate_limit *l, vow_ns max_wait, vow_ns *wait)
{
    vow_ns now, needed = 0;
    bool reserved = true;

    if (l != NULL) {
        now = now_of(l);
        vowi_lock_acquire(&l->lock);
        needed = wait_locked(l, now);
        reserved = needed == 0 || (needed <= max_wait && needed != VOW_FOREVER);
        if (reserved)
            take_locked(l, vowi_time_add(now, needed));
        l->seen.allowed += reserved && needed == 0;
        l->seen.delayed += reserved && needed != 0;
        l->seen.refused += !reserved;
        vowi_lock_release(&l->lock);
    }
    if (wait != NULL)
        *wait = needed;
    return reserved ? 0 : VOW_E_LIMIT;
}

/* ---- calls ---------------------------------------------------------------------------- */

/* The drop of the context may let go of the limit. */
static vow_future *
refuse(const vow_rate_limit *l, vow_ns wait, vow_value ctx, const void *site)
{
    const char *name = l->options.name != NULL ? l->options.name : "the rate limit";
    vow_error *e;

    if (wait == VOW_FOREVER)
        e = vow_error_new_at(NULL, VOW_E_LIMIT, "%s allows no more calls", name);
    else
        e = vow_error_new_at(NULL, VOW_E_LIMIT, "%s allows the next call in %lld ms",
                             name, (long long)(wait / 1000000));
    e = vow_error_retry(e, wait);
    vow_value_drop(ctx);
    return vowi_rejected_at(e, site);
}

vow_future *
vow_rate_limit_call(vow_rate_limit *l, vow_executor *on, vow_task_fn *fn, vow_value ctx)
{
    const void *site = __builtin_return_address(0);
    vow_ns wait;

    if (vow_rate_limit_reserve(l, l != NULL ? l->options.max_wait : 0, &wait) != 0)
        return refuse(l, wait, ctx, site);
    if (wait == 0)
        return vowi_submit_at(on, fn, ctx, site);
    return vowi_call_after(vow_sleep(l->options.clock, wait), on, fn, ctx, site);
}

/* ---- making one, asking ----------------------------------------------------------------- */

static bool
fill_and_check(vow_rate_limit_options *o)
{
    if (o->calls == 0)
        o->calls = 10;
    if (o->per == 0)
        o->per = vow_seconds(1);
    if (o->burst == 0)
        o->burst = o->calls;
    return o->per > 0 && o->max_wait >= 0 &&
           (o->kind == VOW_RATE_BUCKET ||
            (o->kind == VOW_RATE_WINDOW && o->calls <= MOST_CALLS));
}

static bool
init(vow_rate_limit *l)
{
    const vow_rate_limit_options *o = &l->options;
    double per_second = 1e9 * o->calls / (double)o->per;

    vowi_refs_init(&l->refs);
    vowi_bucket_init(&l->bucket, per_second, o->burst, now_of(l));
    if (o->kind == VOW_RATE_WINDOW) {
        l->times = vowi_alloc(o->calls * sizeof *l->times);
        if (l->times == NULL)
            return false;
        for (unsigned i = 0; i < o->calls; i++)
            l->times[i] = INT64_MIN;
    }
    if (vowi_kept_init(&l->at_fork, &l->lock, VOWI_RANK_LIMIT) == 0)
        return true;
    vowi_free(l->times, o->calls * sizeof *l->times);
    return false;
}

vow_rate_limit *
vow_rate_limit_new(const vow_rate_limit_options *opt)
{
    vow_rate_limit_options o;
    vow_rate_limit *l;

    vowi_options_read(&o, sizeof o, opt);
    if (!fill_and_check(&o)) {
        errno = EINVAL;
        return NULL;
    }
    l = vowi_alloc(sizeof *l);
    if (l != NULL) {
        memset(l, 0, sizeof *l);
        l->options = o;
        if (init(l))
            return l;
        vowi_free(l, sizeof *l);
    }
    errno = ENOMEM;
    return NULL;
}

vow_rate_limit *
vow_rate_limit_ref(vow_rate_limit *l)
{
    if (l != NULL)
        vowi_refs_take(&l->refs);
    return l;
}

void
vow_rate_limit_unref(vow_rate_limit *l)
{
    if (l == NULL || !vowi_refs_drop(&l->refs))
        return;
    vowi_free(l->times, l->options.calls * sizeof *l->times);
    vowi_kept_fini(&l->at_fork);
    vowi_free(l, sizeof *l);
}

void
vow_rate_limit_read(const vow_rate_limit *l, vow_rate_limit_metrics *metrics)
{
    vow_rate_limit_metrics m = {0};

    if (l != NULL) {
        struct vowi_lock *lock = &((vow_rate_limit *)vow_ptr(l).as.ptr)->lock;

        vowi_lock_acquire(lock);
        m = l->seen;
        vowi_lock_release(lock);
    }
    vowi_options_write(metrics, &m, sizeof m);
}
