/* SPDX-License-Identifier: MIT */
/**
 * @file coverage.h
 * For a process that ends otherwise than by exit, in a build that measures coverage.
 */
#ifndef VOW_TEST_COVERAGE_H
#define VOW_TEST_COVERAGE_H

#include <signal.h>

#ifdef VOW_COVERAGE
extern void __gcov_dump(void);
#endif

/** Writes what was counted so far. Elsewhere it does nothing. */
static inline void
coverage_write(void)
{
#ifdef VOW_COVERAGE
    __gcov_dump();
#endif
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
