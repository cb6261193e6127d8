/* SPDX-License-Identifier: MIT */
/**
 * @file fault.h
 * Making the calls of a library fail, one at a time, and remembering which did.
 *
 * A library compiled with fault_points.h forced in calls the functions below in the
 * place of those that can fail. Each place in its text that does so is a site, known
 * whether it runs or not, so that what never failed can be listed by name.
 */
#ifndef VOW_FAULT_H
#define VOW_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/** A call in the library's text that can fail. */
struct fault_site {
    const char *file;
    int line;
    const char *call;
};

/** How it goes on from the call that is to fail. */
enum fault_mode {
    FAULT_ONCE,   /**< that one alone */
    FAULT_ONWARDS /**< that one and all that follow */
};

/** Which calls are counted, and so can be chosen. */
enum fault_level {
    FAULT_AT_SOURCE, /**< those of libc and of the allocator's hooks */
    /** the outermost of the library's own functions that hand such a failure on: an
     *  allocation fails though there is a free block in a cache */
    FAULT_AT_USE
};

/** What is to fail. */
struct fault_plan {
    size_t at; /**< the number of the call, from 1; 0: none */
    enum fault_mode mode;
    enum fault_level level;
    unsigned code; /**< which of the ways in which that function fails, from 0 */
};

/** What happened; shared by a process and its children. */
struct fault_record {
    atomic_size_t calls;  /**< counted while the plan was in force */
    atomic_size_t failed; /**< of them, made to fail */
    atomic_bool lasting;  /**< one of these for more than a signal */
    unsigned codes;       /**< in how many ways the first of them could have failed */
    size_t first;         /**< the site of the first */
};

/** For each site how often it was called, and how often that failed. */
struct fault_count {
    atomic_size_t called;
    atomic_size_t failed;
};

/** Returns how many sites there are. */
size_t fault_sites(void);

/** Returns one of them. */
const struct fault_site *fault_site(size_t i);

/** Says where to keep count from now on; in shared memory, so that it outlives a child.
 *  @p counts has an entry for each site. */
void fault_record_in(struct fault_record *record, struct fault_count *counts);

/** Puts a plan in force, in a record that starts at zero. */
void fault_begin(const struct fault_plan *plan);

/** Nothing fails any more. */
void fault_end(void);

/** Returns whether a call was made to fail since fault_begin. */
bool fault_happened(void);

/** Returns whether one of them was more than interrupted, so that no repetition helps. */
bool fault_is_lasting(void);

/** For an allocator's hook: returns whether this call is to fail. */
bool fault_in_hook(void);

/** Returns how many blocks of malloc the library has. */
long fault_plain_blocks(void);

#endif
