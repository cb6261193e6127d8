/* SPDX-License-Identifier: MIT */
/*
 * sync/switch.h - from one stack to another, in the machine's own words.
 */
#ifndef VOWI_SYNC_SWITCH_H
#define VOWI_SYNC_SWITCH_H

#include <stdbool.h>

#if defined(__x86_64__) || defined(__i386__) || defined(__aarch64__)
#define VOWI_HAS_SWITCH 1

/* Keeps what a call preserves on this stack, notes where that ends, and goes on with another
 * stack, of which that was noted. */
void vowi_switch(void **from, void *to) __attribute__((__visibility__("hidden")));
#else
#define VOWI_HAS_SWITCH 0
#endif

/* A fresh stack, which ends at top, as if main(arg) was about to be called on it. Returns
 * what vowi_switch takes. */
void *vowi_switch_prepare(void *top, void (*main)(void *arg), void *arg);

/* Whether return addresses are kept elsewhere as well, which a switch would not change. */
bool vowi_switch_is_shadowed(void);

#endif
