/* SPDX-License-Identifier: MIT */
/**
 * @file vow_test.h
 * What every test program includes first: cmocka with the headers it wants, and
 * three small words.
 *
 *     VOW_CASE(then_on_broken_passes_the_error)
 *     {
 *         ...
 *     }
 *
 *     int main(void)
 *     {
 *         const struct CMUnitTest cases[] = {
 *             vow_test(then_on_broken_passes_the_error),
 *         };
 *
 *         return vow_test_run(cases);
 *     }
 */
#ifndef VOW_TEST_H
#define VOW_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "counting_allocator.h"

/** Opens the definition of a case. */
#define VOW_CASE(name) static void name(void **state __attribute__((__unused__)))

/** A line of the table of cases: the case fails if it leaves a block allocated. */
#define vow_test(name) cmocka_unit_test_setup_teardown(name, counting_begin, counting_end)

/** Installs the counting allocator and runs a table of cases; main returns it. */
#define vow_test_run(cases)                                                              \
    (counting_install() != 0 ? 1 : cmocka_run_group_tests(cases, NULL, NULL))

#endif
