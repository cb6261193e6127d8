/* SPDX-License-Identifier: MIT */
/*
 * support/stress.h - what stress programs share: dice, a seed that is printed, and for how
 * long they run.
 */
#ifndef VOW_TEST_STRESS_H
#define VOW_TEST_STRESS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <vow/base.h>

/* Marsaglia, "Xorshift RNGs", 2003: 64 bits, never 0. */
struct dice {
    uint64_t state;
};

static inline unsigned
roll(struct dice *d, unsigned sides)
{
    d->state ^= d->state << 13;
    d->state ^= d->state >> 7;
    d->state ^= d->state << 17;
    return (unsigned)(d->state >> 33) % sides;
}

/* VOW_STRESS_SEED, or another one each time; printed, so that a failure can be met again. */
static inline uint64_t
stress_seed(void)
{
    const char *text = getenv("VOW_STRESS_SEED");
    uint64_t seed =
        text != NULL ? strtoull(text, NULL, 0) : (uint64_t)vow_clock_now(NULL);

    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    return seed;
}

/* VOW_STRESS_MS, or so many milliseconds. */
static inline vow_ns
stress_duration(int64_t ms)
{
    const char *text = getenv("VOW_STRESS_MS");

    return vow_ms(text != NULL ? strtoll(text, NULL, 0) : ms);
}

#endif
