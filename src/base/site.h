/* SPDX-License-Identifier: MIT */
/*
 * base/site.h - where in the code something was made or called.
 */
#ifndef VOWI_BASE_SITE_H
#define VOWI_BASE_SITE_H

#include <stddef.h>

/*
 * A code address as module(symbol+offset) or module+offset, for people and addr2line. It
 * asks the dynamic linker, which may take its lock: with none of ours held.
 */
void vowi_site_text(char *text, size_t size, const void *site);

#endif
