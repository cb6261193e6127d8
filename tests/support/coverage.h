/* SPDX-License-Identifier: MIT */
/**
 * @file coverage.h
 * For a process that ends otherwise than by exit, in a build that measures coverage.
 */
#ifndef VOW_TEST_COVERAGE_H
#define VOW_TEST_COVERAGE_H

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#ifdef VOW_COVERAGE
extern void __gcov_dump(void);

/** Writes what was counted so far; one thread does, and any other waits for the end. */
static inline void
coverage_write(void)
{
    static atomic_flag written = ATOMIC_FLAG_INIT;

    while (atomic_flag_test_and_set(&written))
        pause();
    __gcov_dump();
}
#else
/** Nothing is counted. */
static inline void
coverage_write(void)
{
}
#endif

/**
 * fork, so called that gcc does not put its own in its place: that forgets in the child what
 * was counted so far, and with it what the library does there before fork returns.
 */
static inline pid_t
fork_counted(void)
{
    pid_t (*volatile call)(void) = fork;

    return call();
}

/** A signal's handler: writes, and dies of the signal. */
static inline void
coverage_write_and_die(int signal_number)
{
    coverage_write();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

#endif
