/* SPDX-License-Identifier: MIT */
/* resilience/rate_limit_internal.h - for a policy, whose layers call each other directly. */
#ifndef VOWI_RESILIENCE_RATE_LIMIT_INTERNAL_H
#define VOWI_RESILIENCE_RATE_LIMIT_INTERNAL_H

#include <vow/rate_limit.h>

/* Takes the time of a call if that is now; counts nothing if it is not. */
bool vowi_rate_limit_allows(vow_rate_limit *l);

#endif
