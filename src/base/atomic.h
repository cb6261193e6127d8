/* SPDX-License-Identifier: MIT */
/*
 * base/atomic.h - the only file that spells a memory order.
 *
 * The order is the last word of each name. There are no fences here, and none
 * elsewhere: TSan does not model them, so an ordered access says it instead.
 * Built with VOW_COUNT_RMW, every read-modify-write is counted for its thread.
 */
#ifndef VOWI_BASE_ATOMIC_H
#define VOWI_BASE_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef VOW_COUNT_RMW
extern _Thread_local unsigned long vowi_rmw_count;
#define VOWI_RMW(operation) (vowi_rmw_count++, (operation))
#else
#define VOWI_RMW(operation) (operation)
#endif

#define vowi_load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define vowi_load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define vowi_load_seq_cst(p) atomic_load_explicit((p), memory_order_seq_cst)

#define vowi_store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define vowi_store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
/* Costs what a read-modify-write costs: x86 has no cheaper store-load order. */
#define vowi_store_seq_cst(p, v)                                                         \
    VOWI_RMW(atomic_store_explicit((p), (v), memory_order_seq_cst))

#define vowi_add_relaxed(p, v)                                                           \
    VOWI_RMW(atomic_fetch_add_explicit((p), (v), memory_order_relaxed))
#define vowi_add_acquire(p, v)                                                           \
    VOWI_RMW(atomic_fetch_add_explicit((p), (v), memory_order_acquire))
#define vowi_add_acq_rel(p, v)                                                           \
    VOWI_RMW(atomic_fetch_add_explicit((p), (v), memory_order_acq_rel))
#define vowi_add_seq_cst(p, v)                                                           \
    VOWI_RMW(atomic_fetch_add_explicit((p), (v), memory_order_seq_cst))
#define vowi_sub_relaxed(p, v)                                                           \
    VOWI_RMW(atomic_fetch_sub_explicit((p), (v), memory_order_relaxed))
#define vowi_sub_acq_rel(p, v)                                                           \
    VOWI_RMW(atomic_fetch_sub_explicit((p), (v), memory_order_acq_rel))
#define vowi_sub_seq_cst(p, v)                                                           \
    VOWI_RMW(atomic_fetch_sub_explicit((p), (v), memory_order_seq_cst))
#define vowi_or_relaxed(p, v)                                                            \
    VOWI_RMW(atomic_fetch_or_explicit((p), (v), memory_order_relaxed))
#define vowi_or_acquire(p, v)                                                            \
    VOWI_RMW(atomic_fetch_or_explicit((p), (v), memory_order_acquire))
#define vowi_or_release(p, v)                                                            \
    VOWI_RMW(atomic_fetch_or_explicit((p), (v), memory_order_release))
#define vowi_or_acq_rel(p, v)                                                            \
    VOWI_RMW(atomic_fetch_or_explicit((p), (v), memory_order_acq_rel))
#define vowi_or_seq_cst(p, v)                                                            \
    VOWI_RMW(atomic_fetch_or_explicit((p), (v), memory_order_seq_cst))
#define vowi_and_relaxed(p, v)                                                           \
    VOWI_RMW(atomic_fetch_and_explicit((p), (v), memory_order_relaxed))
#define vowi_and_seq_cst(p, v)                                                           \
    VOWI_RMW(atomic_fetch_and_explicit((p), (v), memory_order_seq_cst))
#define vowi_and_release(p, v)                                                           \
    VOWI_RMW(atomic_fetch_and_explicit((p), (v), memory_order_release))
#define vowi_swap_acquire(p, v)                                                          \
    VOWI_RMW(atomic_exchange_explicit((p), (v), memory_order_acquire))
#define vowi_swap_acq_rel(p, v)                                                          \
    VOWI_RMW(atomic_exchange_explicit((p), (v), memory_order_acq_rel))
#define vowi_swap_seq_cst(p, v)                                                          \
    VOWI_RMW(atomic_exchange_explicit((p), (v), memory_order_seq_cst))

#define vowi_swap_release(p, v)                                                          \
    VOWI_RMW(atomic_exchange_explicit((p), (v), memory_order_release))
#define vowi_swap_relaxed(p, v)                                                          \
    VOWI_RMW(atomic_exchange_explicit((p), (v), memory_order_relaxed))

/*
 * Compare and swap; on failure *expected is what was there, read as the name says.
 *
 * None has to acquire only if it fails: C11 wants no order of a failure that is stronger
 * than that of a success, gcc refuses relaxed with acquire, and of release with acquire
 * gcc and clang make what they make of acq_rel. So a loop that needs it loads anew in
 * each round, and its swap acquires nothing.
 */
#define vowi_cas_relaxed(p, expected, v)                                                 \
    VOWI_RMW(atomic_compare_exchange_weak_explicit(                                      \
        (p), (expected), (v), memory_order_relaxed, memory_order_relaxed))
#define vowi_cas_release(p, expected, v)                                                 \
    VOWI_RMW(atomic_compare_exchange_weak_explicit(                                      \
        (p), (expected), (v), memory_order_release, memory_order_relaxed))
#define vowi_cas_acquire_or_relaxed(p, expected, v)                                      \
    VOWI_RMW(atomic_compare_exchange_weak_explicit(                                      \
        (p), (expected), (v), memory_order_acquire, memory_order_relaxed))
#define vowi_cas_acq_rel_or_relaxed(p, expected, v)                                      \
    VOWI_RMW(atomic_compare_exchange_weak_explicit(                                      \
        (p), (expected), (v), memory_order_acq_rel, memory_order_relaxed))
#define vowi_cas_acq_rel(p, expected, v)                                                 \
    VOWI_RMW(atomic_compare_exchange_weak_explicit(                                      \
        (p), (expected), (v), memory_order_acq_rel, memory_order_acquire))
#define vowi_cas_seq_cst(p, expected, v)                                                 \
    VOWI_RMW(atomic_compare_exchange_weak_explicit(                                      \
        (p), (expected), (v), memory_order_seq_cst, memory_order_seq_cst))
#define vowi_cas_strong_relaxed(p, expected, v)                                          \
    VOWI_RMW(atomic_compare_exchange_strong_explicit(                                    \
        (p), (expected), (v), memory_order_relaxed, memory_order_relaxed))
#define vowi_cas_strong_release(p, expected, v)                                          \
    VOWI_RMW(atomic_compare_exchange_strong_explicit(                                    \
        (p), (expected), (v), memory_order_release, memory_order_relaxed))
#define vowi_cas_strong_acquire_or_relaxed(p, expected, v)                               \
    VOWI_RMW(atomic_compare_exchange_strong_explicit(                                    \
        (p), (expected), (v), memory_order_acquire, memory_order_relaxed))
#define vowi_cas_strong_seq_cst(p, expected, v)                                          \
    VOWI_RMW(atomic_compare_exchange_strong_explicit(                                    \
        (p), (expected), (v), memory_order_seq_cst, memory_order_seq_cst))

/* Said once in each round of a loop that spins; such loops are bounded. */
static inline void
vowi_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

#endif
