/* SPDX-License-Identifier: MIT */
/*
 * base/warn.h - saying that something is not as it was asked for, though nothing failed.
 */
#ifndef VOWI_BASE_WARN_H
#define VOWI_BASE_WARN_H

#include <stdbool.h>
#include <stdint.h>

#include <vow/base.h>

/* At most a few lines a second; the rest is counted. Guarded by a lock of the user's. */
struct vowi_rate {
    vow_ns second; /* the one that `lines` counts */
    unsigned lines;
    uint64_t suppressed;
};

/* Whether a line may be printed now; else it is counted as suppressed. */
bool vowi_rate_allows(struct vowi_rate *r);

/*
 * Hands a message to the hook of vow_on_warning. With no lock of ours held, since the
 * hook is a user's. errno is kept.
 */
void vowi_warn(int code, const char *format, ...) VOW_PRINTF(2, 3);

#endif
