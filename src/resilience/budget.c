/* SPDX-License-Identifier: MIT */
/*
 * resilience/budget.c - how many retries many calls may make together.
 *
 * A bucket into which each call puts a share of a token and time a few, and out of
 * which each retry takes one (Finagle's RetryBudget; Site Reliability Engineering,
 * chapter 22, has the argument).
 */
#include <errno.h>

#include <vow/retry.h>

#include "base/mem.h"
#include "base/options.h"
#include "base/time.h"
#include "resilience/bucket.h"
#include "sync/kept.h"
#include "sync/lock.h"
#include "sync/refs.h"

struct vow_budget {
    struct vowi_refs refs;
    double ratio;
    vow_clock *clock;
    struct vowi_lock lock;
    struct vowi_kept at_fork;
    struct vowi_bucket bucket; /* guarded by lock */
};

/* Neither is 0 asked for, nor is it not a number. */
static double
given_or(double x, double otherwise)
{
    return x < 0 || x > 0 ? x : otherwise;
}

vow_budget *
vow_budget_new(const vow_budget_options *opt)
{
    vow_budget_options o;
    vow_budget *b;

    vowi_options_read(&o, sizeof o, opt);
    o.ratio = given_or(o.ratio, 0.1);
    o.per_second = given_or(o.per_second, 10);
    o.most = given_or(o.most, 10 * o.per_second + 10);
    if (o.ratio < 0 || o.per_second < 0 || o.most < 0) {
        errno = EINVAL;
        return NULL;
    }
    b = vowi_alloc(sizeof *b);
    if (b == NULL || vowi_kept_init(&b->at_fork, &b->lock, VOWI_RANK_BUDGET) != 0) {
        vowi_free(b, sizeof *b);
        errno = ENOMEM;
        return NULL;
    }
    vowi_refs_init(&b->refs);
    b->ratio = o.ratio;
    b->clock = o.clock;
    vowi_bucket_init(&b->bucket, o.per_second, o.most, vowi_now_on(o.clock));
    return b;
}

vow_budget *
vow_budget_ref(vow_budget *b)
{
    if (b != NULL)
        vowi_refs_take(&b->refs);
    return b;
}

void
vow_budget_unref(vow_budget *b)
{
    if (b == NULL || !vowi_refs_drop(&b->refs))
        return;
    vowi_kept_fini(&b->at_fork);
    vowi_free(b, sizeof *b);
}

void
vow_budget_deposit(vow_budget *b)
{
    if (b == NULL)
        return;
    vowi_lock_acquire(&b->lock);
    vowi_bucket_add(&b->bucket, b->ratio);
    vowi_lock_release(&b->lock);
}

bool
vow_budget_withdraw(vow_budget *b)
{
    bool allowed;
    vow_ns now;

    if (b == NULL)
        return true;
    now = vowi_now_on(b->clock);
    vowi_lock_acquire(&b->lock);
    vowi_bucket_move(&b->bucket, now);
    allowed = vowi_bucket_take(&b->bucket, 1);
    vowi_lock_release(&b->lock);
    return allowed;
}
