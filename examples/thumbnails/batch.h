/* SPDX-License-Identifier: MIT */
/* The batch: all pictures of a source, each through its chain. See ../thumbnails.c. */
#ifndef THUMBNAILS_BATCH_H
#define THUMBNAILS_BATCH_H

#include <stdbool.h>

struct source;
struct report;

/*
 * Makes all thumbnails, with at most in_flight pictures in memory and jobs threads that
 * decode; 0 chooses. Returns false if the threads could not be started.
 */
bool make_thumbnails(struct source *s, struct report *r, unsigned jobs,
                     unsigned in_flight);

#endif
