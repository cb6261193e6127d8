/* SPDX-License-Identifier: MIT */
/* Reading and writing whole files. */
#ifndef THUMBNAILS_FILES_H
#define THUMBNAILS_FILES_H

#include <stddef.h>

/* Reads up to *length bytes and sets it to how many there were. Returns 0 or errno's. */
int file_read(int fd, void *bytes, size_t *length);

/*
 * Writes a file: to another name first, in the same directory, which is made if need be,
 * and then renamed. Nobody ever sees half a file. Returns 0 or errno's value.
 */
int file_store(const char *path, const void *bytes, size_t length);

/* Makes a directory and those above it. Returns 0, also if it is there, or errno's. */
int make_directories(const char *path);

#endif
