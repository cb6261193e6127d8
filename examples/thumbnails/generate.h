/* SPDX-License-Identifier: MIT */
/* Pictures for whoever has none. */
#ifndef THUMBNAILS_GENERATE_H
#define THUMBNAILS_GENERATE_H

/*
 * Draws a few dozen pictures of all formats and several shapes under a directory, which
 * is made if need be. Those that are there already stay. Returns 0 or errno's value.
 */
int generate_pictures(const char *directory);

#endif
