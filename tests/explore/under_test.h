/* SPDX-License-Identifier: MIT */
/*
 * under_test.h - included first in the code under test: what it says to the explorer.
 *
 * A pause says that a loop spins. A weak compare-and-swap may fail without a reason,
 * which the compiler's entry points do not show: they are the same for a strong one.
 */
#ifndef EXPLORE_UNDER_TEST_H
#define EXPLORE_UNDER_TEST_H

#include <stdbool.h>

void explore_relax(void);
bool explore_weak_fails(void);

#define __builtin_ia32_pause explore_relax

#define __c11_atomic_compare_exchange_weak(at, expected, value, order, failed_order)     \
    (explore_weak_fails()                                                                \
         ? (*(expected) = __c11_atomic_load((at), (failed_order)), false)                \
         : __c11_atomic_compare_exchange_strong((at), (expected), (value), (order),      \
                                                (failed_order)))

#endif
