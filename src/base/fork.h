/* SPDX-License-Identifier: MIT */
/*
 * base/fork.h - a process that forks.
 *
 * Only the thread that forked lives on in the child. What the others held there is held
 * for ever, what they were to do is never done, and their stacks are used again.
 */
#ifndef VOWI_BASE_FORK_H
#define VOWI_BASE_FORK_H

#include <stdbool.h>

/* Has fork take the library's locks from now on; false without memory. Again it does
 * nothing. */
bool vowi_fork_watch(void);

#endif
