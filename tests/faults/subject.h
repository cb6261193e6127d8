/* SPDX-License-Identifier: MIT */
/**
 * @file subject.h
 * Something small to be swept, with mistakes that can be switched on.
 *
 * It takes callbacks, keeps each in a block, and runs them on a thread of its own when
 * it is closed.
 */
#ifndef VOW_FAULT_SUBJECT_H
#define VOW_FAULT_SUBJECT_H

/** The mistakes. Each shows only when some call fails. */
enum subject_seed {
    SUBJECT_SOUND,
    SUBJECT_LEAKS_A_BLOCK,
    SUBJECT_LEAKS_A_FILE,
    SUBJECT_LEAKS_A_THREAD,
    SUBJECT_TRUSTS_MALLOC,
    SUBJECT_LOSES_A_CALLBACK,
    SUBJECT_RUNS_ONE_TWICE,
    SUBJECT_LIES_ABOUT_WHY,
    SUBJECT_WAITS_FOR_EVER,
    SUBJECT_FORGETS_A_CALL /**< it never calls what could fail */
};

extern enum subject_seed subject_seed;

struct subject;

/** Returns 0, ENOMEM, EMFILE or EACCES. */
int subject_open(struct subject **out);

/** Returns 0 or ENOMEM; after 0 it runs once. */
int subject_post(struct subject *s, void (*run)(void *), void *arg);

/** Runs what was posted, and frees it all. Without a thread it runs here. */
void subject_close(struct subject *s);

#endif
