/* SPDX-License-Identifier: MIT */
/* What the files of the three formats look like, and how gd reads and writes them. */
#ifndef THUMBNAILS_FORMAT_H
#define THUMBNAILS_FORMAT_H

#include <stddef.h>

#include <gd.h>

enum format { FORMAT_NONE = 0, FORMAT_JPEG, FORMAT_PNG, FORMAT_WEBP };

/* This many bytes of a file tell its format. */
enum { FORMAT_HEAD = 16 };

struct extent {
    unsigned width, height;
};

/* Makes gd say what is wrong to format_complaint and not on stderr. Before any thread. */
void format_prepare(void);

/* Returns the format of a file by its first bytes. */
enum format format_of(const unsigned char *bytes, size_t length);

/* Returns the name of a format. */
const char *format_name(enum format format);

/* Reads the size of a picture from its header. Returns NULL, or what is wrong with it. */
const char *format_measure(enum format format, const unsigned char *bytes, size_t length,
                           struct extent *size);

/* Decodes a picture; writes to the bytes. Returns NULL if it is damaged in any way. */
gdImage *format_decode(enum format format, unsigned char *bytes, size_t length);

/* Encodes a picture. Returns NULL without memory; free the result with gdFree. */
void *format_encode(enum format format, gdImage *image, size_t *length);

/* Returns what gd found wrong with the last picture that this thread decoded. */
const char *format_complaint(void);

#endif
