/* SPDX-License-Identifier: MIT */
/**
 * @file child.h
 * For tests of a process that forks: each case forks, and the child ends with 0 if all was
 * as it should be there. It says on stderr what was not.
 *
 * No case forks while another thread of the parent may allocate or begins: a sanitizer's
 * allocator has locks that the child would find taken.
 */
#ifndef VOW_TEST_CHILD_H
#define VOW_TEST_CHILD_H

#include "vow_test.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/state.h"
#include "core/word.h"
#include "coverage.h"
#include "sanitizer.h"

#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

enum { PATIENCE = 300 /* seconds, after which a child hangs */ };

static pid_t parent; /* main sets it */

/* ThreadSanitizer lets a child have threads only if it is told so. It does not survive
 * that the thread which forked ends there: those cases are left out under it. */
const char *__tsan_default_options(void);
const char *
__tsan_default_options(void)
{
    return "die_after_fork=0";
}

/* In a child that ends by the end of its last thread, what the stacks of the parent's
 * threads point to looks like leaks. */
int __lsan_is_turned_off(void);
int
__lsan_is_turned_off(void)
{
    return getpid() != parent;
}

/** Ends the child. */
static inline void
leave(int status)
{
    coverage_write();
    _exit(status);
}

/** In the child. */
#define require(condition)                                                               \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            fprintf(stderr, "child, line %d: %s\n", __LINE__, #condition);               \
            leave(1);                                                                    \
        }                                                                                \
    } while (0)

/** Returns in the child alone true. */
static inline bool
in_child(pid_t *pid)
{
    *pid = fork_counted();
    assert_true(*pid >= 0);
    if (*pid != 0)
        return false;
    alarm(PATIENCE);
    return true;
}

static inline void
assert_child_was_fine(pid_t pid)
{
    int status = -1;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/** Returns how many nodes hang on a future's state. */
static inline int
nodes_on(vow_future *f)
{
    uintptr_t word = vowi_lock_word(vowi_state(f));
    struct vowi_node *node = vowi_first_node(word);
    int found = 0;

    for (; node != NULL; node = node->next)
        found++;
    vowi_unlock_word(vowi_state(f));
    return found;
}

/** Until so many hang there. */
static inline void
await_nodes(vow_future *f, int n)
{
    while (nodes_on(f) < n)
        sched_yield();
}

static inline void *
dirty_the_stack(void *ctx)
{
    volatile unsigned char rubbish[32768];

    for (size_t i = 0; i < sizeof rubbish; i++)
        rubbish[i] = 0xa5;
    return rubbish[1] == 0xa5 ? ctx : NULL;
}

/** In the child: new threads get the stacks of the parent's, and write on them. */
static inline void
dirty_all_stacks(void)
{
    enum { AT_A_TIME = 8 };
    pthread_t threads[AT_A_TIME];

    for (int i = 0; i < AT_A_TIME; i++)
        require(pthread_create(&threads[i], NULL, dirty_the_stack, NULL) == 0);
    for (int i = 0; i < AT_A_TIME; i++)
        pthread_join(threads[i], NULL);
}

#endif
