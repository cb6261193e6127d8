/* SPDX-License-Identifier: MIT */
/* Walks a directory tree one file at a time, in memory for one path. */
#ifndef THUMBNAILS_WALK_H
#define THUMBNAILS_WALK_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/* What is nested deeper is told of as an error: File name too long. */
enum { WALK_DEPTH = 128 };

struct walk {
    struct level {
        DIR *directory;
        size_t length; /* of its path */
    } levels[WALK_DEPTH];
    size_t depth;
    char *path; /* of what was found last; starts with the root */
    size_t room;
    size_t root;       /* the length of the root's path */
    struct stat avoid; /* a directory that is not entered */
};

enum walk_found {
    WALK_END,  /* nothing is left; the next call begins again */
    WALK_FILE, /* path is a file, or anything else that is no directory */
    WALK_ERROR /* path is a directory that cannot be read; errno says why */
};

/*
 * Begins at a directory; the one that avoid names is left out, and links to directories
 * are not followed. Returns 0 or errno's value. To be ended in either case.
 */
int walk_begin(struct walk *w, const char *root, const struct stat *avoid);

/* Finds the next file and sets path. */
enum walk_found walk_next(struct walk *w);

/* Returns the path of what was found last, relative to the root. */
const char *walk_relative(const struct walk *w);

/* Closes what is open. */
void walk_end(struct walk *w);

#endif
