/* SPDX-License-Identifier: MIT */
/* A picture on its way from a file to a thumbnail. */
#ifndef THUMBNAILS_PICTURE_H
#define THUMBNAILS_PICTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "format.h"

struct picture {
    char *from;    /* the file that is read */
    char *to;      /* the file that is written */
    unsigned size; /* the longest side of the thumbnail */
    int fault;     /* what went wrong when it was looked for; 0: nothing */

    enum format format;
    unsigned char *bytes; /* what was read, until it is decoded */
    size_t length;
    void *thumbnail; /* what is to be written, from gd */
    size_t thumbnail_length;

    char why[200]; /* what went wrong, in words */
};

/* Returns a new picture, or NULL without memory. Both paths are copied. */
struct picture *picture_new(const char *from, const char *to, unsigned size);

/* Frees a picture; takes a struct picture, which may be NULL. */
void picture_free(void *picture);

/* Returns whether the name of a file ends as that of a picture. */
bool picture_has_name(const char *path);

/* Returns whether a file passes for a picture: by its name, else by its first bytes. */
bool picture_seems(const char *path);

/* The steps. Each returns 0; or an errno value or an enum reason, and then why says it. */
int picture_read(struct picture *p);
int picture_shrink(struct picture *p);
int picture_write(struct picture *p);

#endif
