/* SPDX-License-Identifier: MIT */
/* Where the pictures come from: a directory tree, walked once for each size. */
#ifndef THUMBNAILS_SOURCE_H
#define THUMBNAILS_SOURCE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "options.h"
#include "walk.h"

struct picture;

struct source {
    const struct options *options;
    const atomic_bool *stopped; /* when true, nothing more is handed out */

    pthread_mutex_t lock; /* guards what follows */
    struct walk walk;
    unsigned pass;        /* passes that are over */
    unsigned long handed; /* pictures handed out, in all passes */
    unsigned long files;  /* of them in the first pass; a guess until it is over */
    bool over;
};

/*
 * Begins at the directory of the options, and leaves out the one that avoid names.
 * Returns 0, and then it is to be closed; or errno's value.
 */
int source_open(struct source *s, const struct options *o, const struct stat *avoid,
                const atomic_bool *stopped);

/*
 * Hands out the next picture: 0; VOW_E_EMPTY if there is none left; or ENOMEM. From any
 * thread; blocks on reading directories and, if a name does not tell, the file's head.
 */
int source_next(struct source *s, struct picture **p);

/* Returns whether all pictures have been handed out. */
bool source_is_over(struct source *s);

/* Returns how many files there are, and how many thumbnails that makes. */
unsigned long source_files(struct source *s);
unsigned long source_expected(struct source *s);

void source_close(struct source *s);

#endif
