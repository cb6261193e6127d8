/* SPDX-License-Identifier: MIT */
/**
 * @file system.h
 * Scenarios for what only the system can refuse: threads, clocks, files.
 */
#ifndef VOW_FAULT_SYSTEM_H
#define VOW_FAULT_SYSTEM_H

#include "scenarios.h"

/** With pools and threads. */
#define POOL_SCENARIOS(X)                                                                \
    X(pool_of_four)                                                                      \
    X(pool_with_a_small_stack)                                                           \
    X(pool_that_cancels)                                                                 \
    X(pool_on_one_cpu_with_hooks)                                                        \
    X(pool_with_a_limit)                                                                 \
    X(pool_that_keeps_posters_waiting)                                                   \
    X(pool_whose_worker_waits)                                                           \
    X(pool_whose_deque_grows)                                                            \
    X(pool_whose_threads_exit)                                                           \
    X(pool_dropped_by_its_worker)                                                        \
    X(pool_asked)                                                                        \
    X(fibers_that_wait)                                                                  \
    X(default_pool)                                                                      \
    X(timer_thread)                                                                      \
    X(timer_thread_alone)                                                                \
    X(waits_in_threads)                                                                  \
    X(blocks_freed_by_a_thread)                                                          \
    X(steps_attached_by_a_thread)

/** With event loops. */
#define LOOP_SCENARIOS(X)                                                                \
    X(loop_of_everything)                                                                \
    X(loop_that_sleeps)                                                                  \
    X(loop_without_a_timerfd)                                                            \
    X(loop_whose_descriptors_change)                                                     \
    X(loop_with_a_leftover)                                                              \
    X(loop_whose_signals_come)                                                           \
    X(loop_closed_at_once)                                                               \
    X(loop_run_until_a_thread_settles)

/** With the rest. */
#define SYSTEM_SCENARIOS(X)                                                              \
    X(timers_on_manual)                                                                  \
    X(looks)                                                                             \
    X(clocks)                                                                            \
    X(executor_of_ones_own)                                                              \
    X(messages)                                                                          \
    X(unhandled_by_default)                                                              \
    X(close_of_inline)                                                                   \
    X(cpu_count)                                                                         \
    X(cpu_quota)

/** With forks. */
#define FORK_JOIN_SCENARIOS(X) X(forks_on_a_pool)

/** With what keeps a program up. */
#define RESILIENCE_SCENARIOS(X)                                                          \
    X(breaker_calls)                                                                     \
    X(breaker_by_time)                                                                   \
    X(budget_of_calls)                                                                   \
    X(cache_of_values)                                                                   \
    X(bulkhead_with_a_queue)                                                             \
    X(rate_limits)                                                                       \
    X(fallbacks)                                                                         \
    X(retries_and_hedges)                                                                \
    X(too_late)                                                                          \
    X(paces)                                                                             \
    X(policy_with_chaos)

/** With tokens and threads. */
#define TOKEN_SCENARIOS(X) X(callback_waited_for)

/** With channels. */
#define CHANNEL_SCENARIOS(X)                                                             \
    X(channel_with_room)                                                                 \
    X(selecting)

/** With ranges. */
#define PARALLEL_SCENARIOS(X)                                                            \
    X(loop_on_manual)                                                                    \
    X(loop_on_a_pool)                                                                    \
    X(loop_here_on_manual)                                                               \
    X(loop_here_on_a_pool)                                                               \
    X(range_reduced_on_manual)                                                           \
    X(range_reduced_here)                                                                \
    X(items_reduced_on_manual)                                                           \
    X(items_reduced_on_a_pool)

/** With pipelines. */
#define PIPELINE_SCENARIOS(X)                                                            \
    X(pipeline_of_three)                                                                 \
    X(pipeline_stopped_at_a_channel)

/** With groups. */
#define GROUP_SCENARIOS(X)                                                               \
    X(group_with_a_line)                                                                 \
    X(group_in_a_group)                                                                  \
    X(group_that_fails)

/** With callbacks of other libraries. */
#define CALLBACK_SCENARIOS(X) X(tickets_of_callbacks)

/** All of them, in that order; the last has no name. */
extern const struct scenario pool_scenarios[];
extern const struct scenario loop_scenarios[];
extern const struct scenario system_scenarios[];
extern const struct scenario callback_scenarios[];
extern const struct scenario channel_scenarios[];
extern const struct scenario parallel_scenarios[];
extern const struct scenario fork_join_scenarios[];
extern const struct scenario pipeline_scenarios[];
extern const struct scenario group_scenarios[];
extern const struct scenario resilience_scenarios[];
extern const struct scenario token_scenarios[];

/** Makes a promise with a name. */
struct vow_promise *system_promise(void) __attribute__((__noinline__));

/** Makes the files that cpu_quota reads, once, and removes them again. */
void system_make_files(void);
void system_remove_files(void);

#endif
