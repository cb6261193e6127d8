/* SPDX-License-Identifier: MIT */
/* resilience/random.c - a seed where none is asked for. */
#include "resilience/random.h"

#include "base/time.h"

uint64_t
vowi_random_seed(const void *owner)
{
    struct vowi_random r = {(uint64_t)vowi_monotonic_now() ^ (uintptr_t)owner << 20};

    return vowi_random_next(&r);
}
