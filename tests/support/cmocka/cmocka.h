/* SPDX-License-Identifier: MIT */
/**
 * @file cmocka.h
 * As much of cmocka as the tests use, for targets that have none: a case at a time,
 * with its setup and teardown, and assertions that leave it by longjmp. Nothing is
 * mocked, no signal is caught.
 *
 * Used where the build finds no cmocka; what it says and returns is like cmocka's.
 */
#ifndef VOW_LITTLE_CMOCKA_H
#define VOW_LITTLE_CMOCKA_H

#include <stddef.h>
#include <stdint.h>

typedef void CMUnitTestFunction(void **state);
typedef int CMFixtureFunction(void **state);

struct CMUnitTest {
    const char *name;
    CMUnitTestFunction *test_func;
    CMFixtureFunction *setup_func;
    CMFixtureFunction *teardown_func;
    void *initial_state;
};

#define cmocka_unit_test_setup_teardown(f, setup, teardown)                              \
    {                                                                                    \
#f, f, setup, teardown, NULL                                                     \
    }
#define cmocka_unit_test(f)              cmocka_unit_test_setup_teardown(f, NULL, NULL)
#define cmocka_unit_test_setup(f, setup) cmocka_unit_test_setup_teardown(f, setup, NULL)
#define cmocka_unit_test_teardown(f, teardown)                                           \
    cmocka_unit_test_setup_teardown(f, NULL, teardown)

/** Runs a table of cases between a setup and a teardown, or none; returns how many failed. */
#define cmocka_run_group_tests(cases, setup, teardown)                                   \
    little_run(cases, sizeof(cases) / sizeof(cases)[0], setup, teardown)

int little_run(const struct CMUnitTest *cases, size_t count, CMFixtureFunction *setup,
               CMFixtureFunction *teardown);

#define LITTLE_HERE        __FILE__, __LINE__
#define LITTLE_WORD(value) ((uintmax_t)(value))
#define LITTLE_PTR(value)  ((uintptr_t)(value))

#define assert_true(c)     little_true(!!(c), #c, LITTLE_HERE)
#define assert_false(c)    little_true(!(c), "!(" #c ")", LITTLE_HERE)
#define assert_non_null(c) little_true((c) != NULL, #c " != NULL", LITTLE_HERE)
#define assert_null(c)     little_true((c) == NULL, #c " == NULL", LITTLE_HERE)
#define assert_ptr_equal(a, b)                                                           \
    little_equal(LITTLE_PTR(a), LITTLE_PTR(b), 1, #a ", " #b, LITTLE_HERE)
#define assert_ptr_not_equal(a, b)                                                       \
    little_equal(LITTLE_PTR(a), LITTLE_PTR(b), 0, #a ", " #b, LITTLE_HERE)
#define assert_int_equal(a, b)                                                           \
    little_equal(LITTLE_WORD(a), LITTLE_WORD(b), 1, #a ", " #b, LITTLE_HERE)
#define assert_int_not_equal(a, b)                                                       \
    little_equal(LITTLE_WORD(a), LITTLE_WORD(b), 0, #a ", " #b, LITTLE_HERE)
#define assert_in_range(a, least, most)                                                  \
    little_in_range(LITTLE_WORD(a), LITTLE_WORD(least), LITTLE_WORD(most), #a,           \
                    LITTLE_HERE)
#define assert_string_equal(a, b)        little_text(a, b, 1, LITTLE_HERE)
#define assert_string_not_equal(a, b)    little_text(a, b, 0, LITTLE_HERE)
#define assert_memory_equal(a, b, n)     little_bytes(a, b, n, 1, LITTLE_HERE)
#define assert_memory_not_equal(a, b, n) little_bytes(a, b, n, 0, LITTLE_HERE)

#define fail()        little_fail(LITTLE_HERE, "%s", "failed")
#define fail_msg(...) little_fail(LITTLE_HERE, __VA_ARGS__)
#define skip()        little_skip()

void little_true(int holds, const char *what, const char *file, int line);
void little_equal(uintmax_t a, uintmax_t b, int equal, const char *what, const char *file,
                  int line);
void little_in_range(uintmax_t a, uintmax_t least, uintmax_t most, const char *what,
                     const char *file, int line);
void little_text(const char *a, const char *b, int equal, const char *file, int line);
void little_bytes(const void *a, const void *b, size_t size, int equal, const char *file,
                  int line);
_Noreturn void little_fail(const char *file, int line, const char *format, ...)
    __attribute__((__format__(__printf__, 3, 4)));
_Noreturn void little_skip(void);

void print_message(const char *format, ...) __attribute__((__format__(__printf__, 1, 2)));
void print_error(const char *format, ...) __attribute__((__format__(__printf__, 1, 2)));

#endif
