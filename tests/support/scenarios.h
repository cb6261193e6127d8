/* SPDX-License-Identifier: MIT */
/**
 * @file scenarios.h
 * What a user does with the library, for tests in which calls fail: out of memory
 * (test_oom.c), and everything else (faults/).
 *
 * A scenario makes what it needs, uses it, and lets go of all of it. Its values and
 * contexts come from the set that it is given, so that the caller can ask of each
 * whether it was dropped exactly once and its function ran at most once. It fails by
 * cmocka's assertions.
 */
#ifndef VOW_TEST_SCENARIOS_H
#define VOW_TEST_SCENARIOS_H

#include "drops.h"

/** A scenario. */
typedef void scenario_fn(struct drop_set *drops);

/** A scenario by its name. */
struct scenario {
    const char *name;
    scenario_fn *run;
};

/** Their names. */
#define SCENARIOS(X)                                                                     \
    X(promise_fulfilled)                                                                 \
    X(promise_with_options_broken)                                                       \
    X(promise_rejected)                                                                  \
    X(settled_at_once)                                                                   \
    X(steps_on_ready)                                                                    \
    X(steps_on_pending)                                                                  \
    X(steps_on_manual)                                                                   \
    X(steps_left_in_a_manual_that_goes)                                                  \
    X(steps_on_null)                                                                     \
    X(called_when_settled)                                                               \
    X(one_source_of_many)                                                                \
    X(following)                                                                         \
    X(following_from_tasks)                                                              \
    X(ring_of_two)                                                                       \
    X(submitting_inline)                                                                 \
    X(submitting_many)                                                                   \
    X(submitting_to_manual)                                                              \
    X(submitting_for_later)                                                              \
    X(submitting_again_and_again)                                                        \
    X(refused_by_a_closed_executor)                                                      \
    X(hooked_and_not_cancelled)                                                          \
    X(cancelled_with_a_hook)                                                             \
    X(cancelled_in_a_queue)                                                              \
    X(tokens_cancelled)                                                                  \
    X(tokens_left_alone)                                                                 \
    X(tasks_with_a_token)                                                                \
    X(deadlines_on_manual)                                                               \
    X(unwanted)                                                                          \
    X(abandoned)                                                                         \
    X(dropped_unread)                                                                    \
    X(taken)                                                                             \
    X(deferred)                                                                          \
    X(waited_for)                                                                        \
    X(errors_of_every_make)                                                              \
    X(settled_without_errors_to_be_had)                                                  \
    X(pool_working)                                                                      \
    X(pool_closed_at_once)                                                               \
    X(serial_on_pool)                                                                    \
    X(serial_on_manual)                                                                  \
    X(serial_cancelled_before_its_turn)                                                  \
    X(all_of_several)                                                                    \
    X(first_of_several)                                                                  \
    X(some_of_several)                                                                   \
    X(several_on_a_pool)                                                                 \
    X(several_with_a_token)                                                              \
    X(mapped_inline)                                                                     \
    X(mapped_on_a_pool)                                                                  \
    X(filtered_and_in_sequence)                                                          \
    X(own_executor_that_refuses)

/** All of them, in that order; the last has no name. */
extern const struct scenario scenarios[];

/** Returns whether a call was made to fail in this run: the program's own. */
bool scenario_failed(void);

#endif
