/* SPDX-License-Identifier: MIT */
/*
 * base/options.h - structs of the interface that may grow: their first member is their
 * size, as whoever compiled the caller knew it.
 */
#ifndef VOWI_BASE_OPTIONS_H
#define VOWI_BASE_OPTIONS_H

#include <stddef.h>
#include <string.h>

static inline size_t
vowi_options_shared(size_t known, size_t given)
{
    return given < known ? given : known;
}

/* Reads options, or none: what the caller did not know of is zero. */
static inline void
vowi_options_read(void *known, size_t size, const void *given)
{
    memset(known, 0, size);
    if (given != NULL)
        memcpy(known, given, vowi_options_shared(size, *(const size_t *)given));
}

/* Writes figures for a caller, as far as he has room; his size stays. */
static inline void
vowi_options_write(void *out, const void *known, size_t size)
{
    size_t given = *(const size_t *)out;

    memcpy(out, known, vowi_options_shared(size, given));
    *(size_t *)out = given;
}

#endif
