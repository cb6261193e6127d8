/* SPDX-License-Identifier: MIT */
/**
 * @file vow/resilience.h
 * Staying up when the world misbehaves: one header for each means.
 *
 *     vow/breaker.h   stops calling what keeps failing
 *     vow/cache.h     makes one call for many who ask for the same
 *     vow/retry.h     tries again, with pauses that grow
 *
 * Each works alone, on any function that returns a value, an error or a future. Time
 * is read on the clock in force at the call (vow_now), so that a test on a manual
 * executor takes no time at all.
 */
#ifndef VOW_RESILIENCE_H
#define VOW_RESILIENCE_H

#include <vow/breaker.h>
#include <vow/cache.h>
#include <vow/retry.h>

#endif
