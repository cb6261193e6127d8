/* SPDX-License-Identifier: MIT */
/**
 * @file warnings.h
 * What the library warned of: while warnings_begin has been called and warnings_end has not,
 * warnings are counted and the last one is kept.
 */
#ifndef WARNINGS_H
#define WARNINGS_H

#include <stdio.h>

#include <vow/base.h>

static int warnings;
static int warning_code;
static char warning[256];

static inline void
note_warning(int code, const char *message, void *ctx)
{
    (void)ctx;
    warnings++;
    warning_code = code;
    snprintf(warning, sizeof warning, "%s", message);
}

static inline void
warnings_begin(void)
{
    warnings = 0;
    vow_on_warning(note_warning, NULL);
}

static inline void
warnings_end(void)
{
    vow_on_warning(NULL, NULL);
}

#endif
