/* SPDX-License-Identifier: MIT */
/*
 * resilience/attempts.h - retries and hedges for a policy, whose layers call each other
 * without a task between: an attempt is the future of the next layer.
 */
#ifndef VOWI_RESILIENCE_ATTEMPTS_H
#define VOWI_RESILIENCE_ATTEMPTS_H

#include <vow/hedge.h>
#include <vow/retry.h>

/* Begins one attempt, here and now. What it does later keeps what it needs by itself. */
typedef vow_future *vowi_attempt_fn(void *ctx);

/* As vow_retry and vow_hedge. The context is consumed, and kept until the last attempt
 * has begun. */
vow_future *vowi_retry(const vow_retry_options *opt, vowi_attempt_fn *begin,
                       vow_value ctx);
vow_future *vowi_hedge(const vow_hedge_options *opt, vowi_attempt_fn *begin,
                       vow_value ctx);

#endif
