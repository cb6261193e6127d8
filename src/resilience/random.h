/* SPDX-License-Identifier: MIT */
/*
 * resilience/random.h - numbers for jitter: repeatable from a seed, not for secrets.
 *
 * SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
 * generators", OOPSLA 2014): one word of state, and every seed is a good one. It
 * locks nothing: its owner says what guards it.
 */
#ifndef VOWI_RESILIENCE_RANDOM_H
#define VOWI_RESILIENCE_RANDOM_H

#include <stdint.h>

struct vowi_random {
    uint64_t state;
};

static inline uint64_t
vowi_random_next(struct vowi_random *r)
{
    uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* At least 0, less than 1: 53 bits, as many as a double has. */
static inline double
vowi_random_unit(struct vowi_random *r)
{
    return (double)(vowi_random_next(r) >> 11) * 0x1p-53;
}

/* A seed of one's own where none is asked for: the time and an address differ. */
uint64_t vowi_random_seed(const void *owner);

#endif
