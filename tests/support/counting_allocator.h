/* SPDX-License-Identifier: MIT */
/**
 * @file counting_allocator.h
 * An allocator for vow_set_allocator that counts, checks and fails on demand.
 *
 * It aborts with a message when a block is given back with another size than it
 * was asked for, twice, or with bytes written before or after it. Blocks are
 * filled with rubbish when they are handed out and when they come back. Every
 * function may be called from any thread; the counters order nothing, so that
 * they hide no race from a sanitizer.
 */
#ifndef COUNTING_ALLOCATOR_H
#define COUNTING_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>

#include <vow/base.h>

/** How an allocation fails once the chosen one is reached. */
enum counting_mode {
    COUNTING_ONCE,   /**< that one alone */
    COUNTING_ONWARDS /**< that one and all that follow */
};

/** Returns its functions, for a program that puts something of its own before them. */
vow_allocator counting_hooks(void);

/** Puts it in place: first thing in main. Returns what vow_set_allocator did. */
int counting_install(void);

/**
 * Makes the k-th allocation from now fail (1: the next one; 0: none). Empties the
 * caches of the library first, so that the next allocation is one seen here.
 */
void counting_fail_at(size_t k, enum counting_mode mode);

/** Returns whether an allocation has failed since the last counting_fail_at. */
bool counting_failed(void);

/**
 * Runs a block once for each allocation in it that can fail, and once more with
 * none failing; k is 1, 2 and so on:
 *
 *     counting_each_failure(k, COUNTING_ONCE)
 *     {
 *         ...
 *     }
 */
#define counting_each_failure(k, mode)                                                   \
    for (size_t k = 1; counting_next_failure(k, mode); k++)

/** The condition of counting_each_failure. */
bool counting_next_failure(size_t k, enum counting_mode mode);

/** Returns how many blocks are allocated, the library's caches emptied. */
size_t counting_live(void);

/** Returns how many bytes those blocks have, as asked for. */
size_t counting_live_bytes(void);

/** Returns how many allocations were tried since counting_install. */
size_t counting_calls(void);

/** Remembers how many blocks are allocated; the setup of a case. */
int counting_begin(void **state);

/** Fails if more are allocated than counting_begin saw; the teardown of a case. */
int counting_end(void **state);

#endif
