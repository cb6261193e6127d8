/* SPDX-License-Identifier: MIT */
/*
 * litmus.c - which outcomes of small programs the model shows, against C11.
 *
 * The names are the usual ones of the literature: MP message passing, SB store
 * buffering, LB load buffering, CoRR coherence of two reads, IRIW independent reads of
 * independent writes, WRC write-to-read causality, 2+2W two threads with two writes.
 */
#include <stdatomic.h>

#include "explore.h"

static atomic_int x, y;
static int a, b, c, d;

#define RELAXED memory_order_relaxed
#define ACQUIRE memory_order_acquire
#define RELEASE memory_order_release
#define ACQ_REL memory_order_acq_rel
#define SEQ_CST memory_order_seq_cst

#define LOAD(from, order)       atomic_load_explicit(&(from), order)
#define STORE(to, value, order) atomic_store_explicit(&(to), value, order)
#define SWAP(to, value, order)  atomic_exchange_explicit(&(to), value, order)
#define ADD(to, value, order)   atomic_fetch_add_explicit(&(to), value, order)

/* A thread of a test. */
#define T(name, ...)                                                                     \
    static void name(void)                                                               \
    {                                                                                    \
        __VA_ARGS__                                                                      \
    }

T(mp_writes, STORE(x, 1, RELAXED); STORE(y, 1, RELAXED);)
T(mp_reads, a = LOAD(y, RELAXED); b = LOAD(x, RELAXED);)
LITMUS(mp_relaxed, FULL, "message passing without order",
       EXPECTED("1 0", "nothing orders the two stores"), OTHERS("in order"))
{
    run_threads(mp_writes, mp_reads);
    outcome("%d %d", a, b);
}

T(mp_releases, STORE(x, 1, RELAXED); STORE(y, 1, RELEASE);)
T(mp_acquires, a = LOAD(y, ACQUIRE); b = LOAD(x, RELAXED);)
LITMUS(mp_acquire, FULL, "message passing, release and acquire",
       FORBIDDEN("1 0", "x is written before y is"), EXPECTED("1 1", "passed"),
       EXPECTED("0 1", "early"), EXPECTED("0 0", "earlier"))
{
    run_threads(mp_releases, mp_acquires);
    outcome("%d %d", a, b);
}

T(mp_fence_writes, STORE(x, 1, RELAXED); atomic_thread_fence(RELEASE);
  STORE(y, 1, RELAXED);)
T(mp_fence_reads, a = LOAD(y, RELAXED); atomic_thread_fence(ACQUIRE);
  b = LOAD(x, RELAXED);)
LITMUS(mp_fences, FULL, "message passing, fences",
       FORBIDDEN("1 0", "x is written before y is"), EXPECTED("1 1", "passed"),
       OTHERS("early"))
{
    run_threads(mp_fence_writes, mp_fence_reads);
    outcome("%d %d", a, b);
}

T(sb_relaxed_x, STORE(x, 1, RELAXED); a = LOAD(y, RELAXED);)
T(sb_relaxed_y, STORE(y, 1, RELAXED); b = LOAD(x, RELAXED);)
LITMUS(sb_relaxed, FULL, "store buffering without order",
       EXPECTED("0 0", "both stores are late"), OTHERS("one store is seen"))
{
    run_threads(sb_relaxed_x, sb_relaxed_y);
    outcome("%d %d", a, b);
}

T(sb_acquire_x, STORE(x, 1, RELEASE); a = LOAD(y, ACQUIRE);)
T(sb_acquire_y, STORE(y, 1, RELEASE); b = LOAD(x, ACQUIRE);)
LITMUS(sb_acquire, FULL, "store buffering, release and acquire",
       EXPECTED("0 0", "both stores are late"), OTHERS("one store is seen"))
{
    run_threads(sb_acquire_x, sb_acquire_y);
    outcome("%d %d", a, b);
}

T(sb_change_x, SWAP(x, 1, ACQ_REL); a = LOAD(y, ACQUIRE);)
T(sb_change_y, SWAP(y, 1, ACQ_REL); b = LOAD(x, ACQUIRE);)
LITMUS(sb_changes, FULL, "store buffering, acq_rel exchanges",
       EXPECTED("0 0", "not on x86, but in C11"), OTHERS("one store is seen"))
{
    run_threads(sb_change_x, sb_change_y);
    outcome("%d %d", a, b);
}

T(sb_seq_cst_x, STORE(x, 1, SEQ_CST); a = LOAD(y, SEQ_CST);)
T(sb_seq_cst_y, STORE(y, 1, SEQ_CST); b = LOAD(x, SEQ_CST);)
LITMUS(sb_seq_cst, FULL, "store buffering, seq_cst",
       FORBIDDEN("0 0", "one store is first"), EXPECTED("0 1", "x is first"),
       EXPECTED("1 0", "y is first"), EXPECTED("1 1", "both stores are first"))
{
    run_threads(sb_seq_cst_x, sb_seq_cst_y);
    outcome("%d %d", a, b);
}

T(sb_fence_x, STORE(x, 1, RELAXED); atomic_thread_fence(SEQ_CST); a = LOAD(y, RELAXED);)
T(sb_fence_y, STORE(y, 1, RELAXED); atomic_thread_fence(SEQ_CST); b = LOAD(x, RELAXED);)
LITMUS(sb_fences, FULL, "store buffering, seq_cst fences",
       FORBIDDEN("0 0", "one fence is first"), OTHERS("one store is seen"))
{
    run_threads(sb_fence_x, sb_fence_y);
    outcome("%d %d", a, b);
}

T(sb_half_x, STORE(x, 1, SEQ_CST); a = LOAD(y, ACQUIRE);)
LITMUS(sb_half, FULL, "store buffering, one load not seq_cst",
       EXPECTED("0 0", "an acquire load takes no part in the order"), OTHERS("or not"))
{
    run_threads(sb_half_x, sb_seq_cst_y);
    outcome("%d %d", a, b);
}

T(co_writes, STORE(x, 1, RELAXED); STORE(x, 2, RELAXED);)
T(co_reads, a = LOAD(x, RELAXED); b = LOAD(x, RELAXED);)
LITMUS(corr, FULL, "two reads of one location", FORBIDDEN("2 1", "backwards"),
       FORBIDDEN("1 0", "backwards"), FORBIDDEN("2 0", "backwards"),
       EXPECTED("0 0", "old"), EXPECTED("0 1", "in between"), EXPECTED("0 2", "skipped"),
       EXPECTED("1 1", "in between"), EXPECTED("1 2", "both"), EXPECTED("2 2", "new"))
{
    run_threads(co_writes, co_reads);
    outcome("%d %d", a, b);
}

T(iriw_x, STORE(x, 1, RELEASE);)
T(iriw_y, STORE(y, 1, RELEASE);)
T(iriw_xy, a = LOAD(x, ACQUIRE); b = LOAD(y, ACQUIRE);)
T(iriw_yx, c = LOAD(y, ACQUIRE); d = LOAD(x, ACQUIRE);)
LITMUS(iriw_acquire, FULL, "two readers, two orders, acquire",
       EXPECTED("1 0 1 0", "not on x86, but in C11"), OTHERS("one order"))
{
    run_threads(iriw_x, iriw_y, iriw_xy, iriw_yx);
    outcome("%d %d %d %d", a, b, c, d);
}

T(iriw_seq_cst_x, STORE(x, 1, SEQ_CST);)
T(iriw_seq_cst_y, STORE(y, 1, SEQ_CST);)
T(iriw_seq_cst_xy, a = LOAD(x, SEQ_CST); b = LOAD(y, SEQ_CST);)
T(iriw_seq_cst_yx, c = LOAD(y, SEQ_CST); d = LOAD(x, SEQ_CST);)
LITMUS(iriw_seq_cst, FULL, "two readers, two orders, seq_cst",
       FORBIDDEN("1 0 1 0", "there is one order"), OTHERS("one order"))
{
    run_threads(iriw_seq_cst_x, iriw_seq_cst_y, iriw_seq_cst_xy, iriw_seq_cst_yx);
    outcome("%d %d %d %d", a, b, c, d);
}

T(rs_writes, STORE(x, 1, RELAXED); STORE(y, 1, RELEASE);)
T(rs_changes, ADD(y, 1, RELAXED);)
LITMUS(release_sequence, FULL, "a relaxed change carries the release on",
       FORBIDDEN("2 0", "the change continues the sequence"), EXPECTED("2 1", "passed"),
       OTHERS("early"))
{
    run_threads(rs_writes, rs_changes, mp_acquires);
    outcome("%d %d", a, b);
}

T(rs_breaks, if (LOAD(y, RELAXED) == 1) STORE(y, 2, RELAXED);)
LITMUS(broken_sequence, FULL, "a relaxed store ends the sequence",
       EXPECTED("2 0", "it is no change of what was there"), OTHERS("or early"))
{
    run_threads(rs_writes, rs_breaks, mp_acquires);
    outcome("%d %d", a, b);
}

T(wrc_x, STORE(x, 1, RELAXED);)
T(wrc_xy, a = LOAD(x, ACQUIRE); STORE(y, 1, RELEASE);)
T(wrc_yx, b = LOAD(y, ACQUIRE); c = LOAD(x, RELAXED);)
LITMUS(wrc, FULL, "what was read is written before what comes after",
       FORBIDDEN("1 1 0", "causality"), EXPECTED("1 1 1", "passed on"), OTHERS("early"))
{
    run_threads(wrc_x, wrc_xy, wrc_yx);
    outcome("%d %d %d", a, b, c);
}

static int
swap_if_zero(int value)
{
    int zero = 0;

    return atomic_compare_exchange_strong_explicit(&x, &zero, value, RELAXED, RELAXED);
}

T(cas_1, a = swap_if_zero(1);)
T(cas_2, b = swap_if_zero(2);)
LITMUS(cas, FULL, "two compare-and-swaps of one value", FORBIDDEN("1 1", "both"),
       FORBIDDEN("0 0", "none"), EXPECTED("1 0", "the first"),
       EXPECTED("0 1", "the second"))
{
    run_threads(cas_1, cas_2);
    outcome("%d %d", a, b);
}

T(lb_y, a = LOAD(y, RELAXED); STORE(x, 1, RELAXED);)
T(lb_x, b = LOAD(x, RELAXED); STORE(y, 1, RELAXED);)
LITMUS(lb, FULL, "load buffering", MISSED("1 1", "a load reads from a later store"),
       EXPECTED("0 0", "both early"), OTHERS("one early"))
{
    run_threads(lb_y, lb_x);
    outcome("%d %d", a, b);
}

T(two_xy, STORE(x, 1, RELAXED); STORE(y, 2, RELAXED);)
T(two_yx, STORE(y, 1, RELAXED); STORE(x, 2, RELAXED);)
LITMUS(two_plus_two, FULL, "two threads write both in opposite order",
       MISSED("1 1", "the orders of x and y contradict the run"),
       EXPECTED("2 2", "interleaved"), OTHERS("one after the other"))
{
    run_threads(two_xy, two_yx);
    outcome("%d %d", LOAD(x, RELAXED), LOAD(y, RELAXED));
}
