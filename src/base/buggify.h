/* SPDX-License-Identifier: MIT */
/*
 * base/buggify.h - rare paths that the schedule explorer may take at any time.
 *
 * VOWI_BUGGIFY(name) stands where taking the rare way would be right, too: a ring that
 * is not full grows all the same. It is false, and gone, in every other build.
 */
#ifndef VOWI_BASE_BUGGIFY_H
#define VOWI_BASE_BUGGIFY_H

#include <stdbool.h>

#ifdef VOWI_EXPLORE
bool explore_buggify(const char *name);
#define VOWI_BUGGIFY(name) explore_buggify(name)
#else
#define VOWI_BUGGIFY(name) false
#endif

#endif
