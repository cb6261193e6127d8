/* SPDX-License-Identifier: MIT */
/* resilience/backoff.c - pauses that grow and vary. */
#include "resilience/backoff.h"

void
vowi_backoff_init(struct vowi_backoff *b, vow_backoff growth, vow_jitter jitter,
                  vow_ns base, vow_ns most, double factor, uint64_t seed)
{
    b->growth = growth;
    b->jitter = jitter;
    b->base = (double)base;
    b->most = (double)most;
    b->factor = factor;
    b->random.state = seed;
    b->grown = 0;
    b->previous = b->base;
}

static double
at_most(double x, double most)
{
    return x < most ? x : most;
}

/* Once at the cap it stays there, so that nothing grows beyond what a double holds. */
static double
grow(struct vowi_backoff *b)
{
    if (b->grown == 0)
        b->grown = b->base;
    else if (b->growth == VOW_BACKOFF_LINEAR)
        b->grown += b->base;
    else if (b->growth == VOW_BACKOFF_EXPONENTIAL)
        b->grown *= b->factor;
    b->grown = at_most(b->grown, b->most);
    return b->grown;
}

static double
between(struct vowi_backoff *b, double from, double to)
{
    return from + vowi_random_unit(&b->random) * (to - from);
}

static double
decorrelated(struct vowi_backoff *b)
{
    b->previous = at_most(between(b, b->base, 3 * b->previous), b->most);
    return b->previous;
}

static double
vary(struct vowi_backoff *b)
{
    double pause;

    if (b->jitter == VOW_JITTER_DECORRELATED)
        return decorrelated(b);
    pause = grow(b);
    switch (b->jitter) {
    case VOW_JITTER_FULL:
        return between(b, 0, pause);
    case VOW_JITTER_EQUAL:
        return between(b, pause / 2, pause);
    case VOW_JITTER_NONE:
    case VOW_JITTER_DECORRELATED:
        break;
    }
    return pause;
}

vow_ns
vowi_backoff_next(struct vowi_backoff *b)
{
    double pause;

    if (b->growth == VOW_BACKOFF_NONE)
        return 0;
    pause = vary(b);
    return pause < 0x1p62 ? (vow_ns)pause : VOW_FOREVER;
}
