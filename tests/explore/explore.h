/* SPDX-License-Identifier: MIT */
/*
 * explore.h - writing a scenario.
 *
 *     static vow_promise *p;
 *
 *     static void fulfills(void) { vow_promise_fulfill(p, vow_i64(42)); }
 *     static void breaks(void) { vow_promise_reject(p, vow_error_of(VOW_E_BROKEN)); }
 *
 *     SCENARIO(fulfill_reject, 0, "two threads settle one promise",
 *              EXPECTED("won=1", "one of them"),
 *              FORBIDDEN("won=2", "settled twice"))
 *     {
 *         p = vow_promise_new();
 *         run_threads(fulfills, breaks);
 *         ...
 *         outcome("won=%d", won);
 *     }
 *
 * The body runs once for each schedule, as the first thread. Variables have their
 * initial values again each time, thread-locals too. It ends with its outcome in
 * words, which must be one of the table. An EXPECTED outcome that no schedule of an
 * exhausted search has is a failure, too. Memory that is not freed is one, and a
 * deadlock, a race, a bad access, an assertion.
 *
 * run_threads starts the threads together and returns when all have ended. Threads
 * that the code under test starts by itself are threads like the others.
 */
#ifndef EXPLORE_H
#define EXPLORE_H

#include <stddef.h>

enum outcome_kind {
    OUTCOME_EXPECTED = 1, /* happens */
    OUTCOME_ALLOWED,      /* may happen */
    OUTCOME_FORBIDDEN,    /* must not happen */
    OUTCOME_MISSED        /* C11 allows it, this explorer cannot show it */
};

struct outcome {
    enum outcome_kind kind;
    const char *text; /* NULL: any that is not listed */
    const char *why;
};

#define EXPECTED(text, why)                                                              \
    {                                                                                    \
        OUTCOME_EXPECTED, (text), (why)                                                  \
    }
#define ALLOWED(text, why)                                                               \
    {                                                                                    \
        OUTCOME_ALLOWED, (text), (why)                                                   \
    }
#define FORBIDDEN(text, why)                                                             \
    {                                                                                    \
        OUTCOME_FORBIDDEN, (text), (why)                                                 \
    }
#define MISSED(text, why)                                                                \
    {                                                                                    \
        OUTCOME_MISSED, (text), (why)                                                    \
    }
#define OTHERS(why)                                                                      \
    {                                                                                    \
        OUTCOME_ALLOWED, NULL, (why)                                                     \
    }

enum scenario_kind { LITMUS_TEST, SEEDED_BUG, LIBRARY };

enum scenario_flag {
    /* Its body copes with failing allocations: explored with one, too. */
    CAN_FAIL = 1,
    /* LITMUS: small enough to be searched in full, without sleep sets, as well. */
    FULL = 2
};

struct scenario {
    const char *name;
    enum scenario_kind kind;
    unsigned flags;
    const char *about;
    const char *must_fail; /* SEEDED_BUG: with what */
    void (*body)(void);
    const struct outcome *outcomes; /* until text and why are NULL */
};

#define SCENARIO_OF(kind_, name_, flags_, about_, must_fail_, ...)                       \
    static void body_##name_(void);                                                      \
    static const struct outcome outcomes_##name_[] = {__VA_ARGS__, {0}};                 \
    static const struct scenario scenario_##name_ = {                                    \
        #name_, kind_, flags_, about_, must_fail_, body_##name_, outcomes_##name_};      \
    static const struct scenario *const entry_##name_                                    \
        __attribute__((section("explore_scenarios"), used)) = &scenario_##name_;         \
    static void body_##name_(void)

/* Of the library: all is well. */
#define SCENARIO(name, flags, about, ...)                                                \
    SCENARIO_OF(LIBRARY, name, flags, about, NULL, __VA_ARGS__)

/* Of the memory model itself. */
#define LITMUS(name, flags, about, ...)                                                  \
    SCENARIO_OF(LITMUS_TEST, name, flags, about, NULL, __VA_ARGS__)

/* A bug put in on purpose: it must be found, as `must_fail` says. */
#define SEEDED(name, must_fail, about)                                                   \
    SCENARIO_OF(SEEDED_BUG, name, 0, about, must_fail,                                   \
                EXPECTED("fine", "the schedules that go well"))

/* Runs functions, each in a thread, and returns when all have ended. */
void explore_threads(unsigned n, void (*const mains[])(void));
#define run_threads(...)                                                                 \
    explore_threads(sizeof((void (*[])(void)){__VA_ARGS__}) / sizeof(void (*)(void)),    \
                    (void (*[])(void)){__VA_ARGS__})

/* Waits until all other threads have ended: those that nobody joins, too. */
void explore_wait_for_all(void);

/* Waits until no other thread can go on: they all sleep. What comes after that is then
 * explored more thoroughly, for less is explored that comes before. */
void explore_wait_until_quiet(void);

/* Waits until quiet, calls a function in one order, without choices, and waits until
 * quiet again: for what has to be made before or ended after what is explored, and is
 * explored itself in a scenario of its own. */
void explore_calmly(void (*function)(void));

/* From now on pthread_create fails. */
void explore_no_more_threads(void);

/* Says what has happened in this run. */
void outcome(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the run as a failure. */
_Noreturn void explore_fail(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
#define require(condition)                                                               \
    ((condition) ? (void)0 : explore_fail("%s:%d: %s", __FILE__, __LINE__, #condition))

#endif
