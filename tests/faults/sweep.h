/* SPDX-License-Identifier: MIT */
/**
 * @file sweep.h
 * Running a scenario once for each call in it that can fail.
 *
 * Each run is a child process of its own with a time limit, so that a crash or a hang
 * is one failed run and no more. What a run may not leave behind: a block, a
 * descriptor, a thread, a context that was not dropped once or ran twice.
 */
#ifndef VOW_FAULT_SWEEP_H
#define VOW_FAULT_SWEEP_H

#include "fault.h"
#include "scenarios.h"

/** How a run ended. */
enum sweep_verdict {
    SWEEP_CLEAN,
    SWEEP_BLOCKS,    /**< blocks are left */
    SWEEP_FILES,     /**< descriptors are left */
    SWEEP_THREADS,   /**< threads are left */
    SWEEP_CALLBACKS, /**< something was not dropped exactly once, or ran twice */
    SWEEP_CHECK,     /**< the scenario saw something wrong, or the library gave up */
    SWEEP_CRASH,     /**< it died otherwise */
    SWEEP_HANG,      /**< the time limit ended it */
    SWEEP_VERDICTS
};

/** What is swept, and how. */
struct sweep {
    const char *name;
    scenario_fn *run;
    /** Called first in each child; may be NULL. */
    void (*prepare)(void);
    /** Returns how many blocks are allocated. */
    size_t (*live)(void);
    /** After this many milliseconds a run hangs; 0: a default. */
    unsigned limit_ms;
    /** After this many milliseconds a thread that is still there stays; 0: a default. */
    unsigned gone_ms;
    /** Says nothing about runs that are not clean. */
    bool quiet;
};

/** What came out. */
struct sweep_result {
    size_t points; /**< calls of a source in a run without a fault */
    size_t runs;
    size_t verdicts[SWEEP_VERDICTS]; /**< how many runs ended how */
    double seconds;
};

/** Makes the shared memory in which children write. Once, before the first sweep. */
void sweep_init(void);

/** Sweeps. */
struct sweep_result sweep_all(const struct sweep *s);

/** Runs one point in this process and returns; for a debugger. */
void sweep_one(const struct sweep *s, const struct fault_plan *plan);

/** Returns how often a site was called, or failed, in all sweeps so far. */
const struct fault_count *sweep_count(size_t site);

/** Returns how many runs were not clean. */
size_t sweep_wrong(const struct sweep_result *r);

#endif
