/* SPDX-License-Identifier: MIT */
/**
 * @file system.h
 * Scenarios for what only the system can refuse: threads, clocks, files.
 */
#ifndef VOW_FAULT_SYSTEM_H
#define VOW_FAULT_SYSTEM_H

#include "scenarios.h"

/** Their names. */
#define SYSTEM_SCENARIOS(X)                                                              \
    X(pool_of_four)                                                                      \
    X(pool_with_a_small_stack)                                                           \
    X(pool_that_cancels)                                                                 \
    X(pool_whose_worker_waits)                                                           \
    X(pool_whose_deque_grows)                                                            \
    X(pool_whose_threads_exit)                                                           \
    X(pool_dropped_by_its_worker)                                                        \
    X(default_pool)                                                                      \
    X(waits_in_threads)                                                                  \
    X(blocks_freed_by_a_thread)                                                          \
    X(steps_attached_by_a_thread)                                                        \
    X(timers_on_manual)                                                                  \
    X(messages)                                                                          \
    X(unhandled_by_default)                                                              \
    X(close_of_inline)                                                                   \
    X(cpu_count)                                                                         \
    X(cpu_quota)

/** All of them, in that order; the last has no name. */
extern const struct scenario system_scenarios[];

/** Makes the files that cpu_quota reads, once, and removes them again. */
void system_make_files(void);
void system_remove_files(void);

#endif
