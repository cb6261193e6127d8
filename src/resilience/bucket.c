/* SPDX-License-Identifier: MIT */
/* resilience/bucket.c - tokens that come at a steady rate. */
#include "resilience/bucket.h"

#include "base/time.h"

/* Whether so many are wanting that somebody has to wait for them: less than half of a
 * nanosecond's worth, or a rounding of what came in pieces, is not. */
static bool
is_wanting(const struct vowi_bucket *b, double tokens)
{
    double missing = tokens - b->left;

    return missing > 0.5 * b->per_ns && missing > 1e-12 * b->depth;
}

void
vowi_bucket_init(struct vowi_bucket *b, double per_second, double depth, vow_ns now)
{
    b->per_ns = per_second * 1e-9;
    b->depth = depth;
    b->left = depth;
    b->at = now;
}

void
vowi_bucket_add(struct vowi_bucket *b, double tokens)
{
    b->left += tokens;
    if (b->left > b->depth)
        b->left = b->depth;
}

void
vowi_bucket_move(struct vowi_bucket *b, vow_ns now)
{
    if (now <= b->at)
        return;
    vowi_bucket_add(b, (double)vowi_time_sub(now, b->at) * b->per_ns);
    b->at = now;
}

bool
vowi_bucket_take(struct vowi_bucket *b, double tokens)
{
    if (is_wanting(b, tokens))
        return false;
    b->left -= tokens;
    return true;
}

vow_ns
vowi_bucket_wait(const struct vowi_bucket *b, double tokens)
{
    double wait = (tokens - b->left) / b->per_ns;
    vow_ns whole;

    if (!is_wanting(b, tokens))
        return 0;
    if (!(wait < 0x1p62))
        return VOW_FOREVER;
    whole = (vow_ns)wait;
    return (double)whole < wait ? whole + 1 : whole;
}
