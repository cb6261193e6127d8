/* SPDX-License-Identifier: MIT */
/**
 * @file prints.h
 * What vow_error_print makes of an error.
 */
#ifndef VOW_TEST_PRINTS_H
#define VOW_TEST_PRINTS_H

#include "vow_test.h"

#include <stdio.h>
#include <stdlib.h>

#include <vow/vow.h>

static inline void
assert_prints(const vow_error *e, const char *expected)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    assert_non_null(stream);
    vow_error_print(e, stream);
    fclose(stream);
    assert_string_equal(text, expected);
    free(text);
}

#endif
