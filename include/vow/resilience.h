/* SPDX-License-Identifier: MIT */
/**
 * @file vow/resilience.h
 * Staying up when the world misbehaves: one header for each means.
 *
 *     vow/breaker.h     stops calling what keeps failing
 *     vow/bulkhead.h    so many calls at once, and a queue before them
 *     vow/cache.h       one call for many who ask for the same
 *     vow/chaos.h       faults put in on purpose, for tests
 *     vow/classify.h    what kind of error it is; doing without
 *     vow/debounce.h    one run for many calls: debouncing, throttling
 *     vow/hedge.h       a second attempt while the first is on its way
 *     vow/policy.h      all of these in layers
 *     vow/rate_limit.h  so many calls in so much time
 *     vow/retry.h       tries again, with pauses that grow
 *     vow/timeout.h     waits for so long and no longer
 *
 * Each works alone, on any function that returns a value, an error or a future. Time
 * is read on the clock in force at the call (vow_now), so that a test on a manual
 * executor takes no time at all.
 */
#ifndef VOW_RESILIENCE_H
#define VOW_RESILIENCE_H

#include <vow/breaker.h>
#include <vow/bulkhead.h>
#include <vow/cache.h>
#include <vow/chaos.h>
#include <vow/classify.h>
#include <vow/debounce.h>
#include <vow/hedge.h>
#include <vow/policy.h>
#include <vow/rate_limit.h>
#include <vow/retry.h>
#include <vow/timeout.h>

#endif
