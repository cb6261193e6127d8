/* SPDX-License-Identifier: MIT */
/**
 * @file yields.h
 * Yields that are left out after one that was late, or not.
 */
#ifndef VOW_TEST_YIELDS_H
#define VOW_TEST_YIELDS_H

#include "base/atomic.h"
#include "base/thread.h"

/** From when on none is left out. */
static inline void
let_yields_from(vow_ns then)
{
    vowi_store_relaxed(&vowi_globals.yields_from, then);
}

#endif
