/* SPDX-License-Identifier: MIT */
/* scenarios_callback.c - tickets: called twice, called as they are let go of, made meanwhile. */
#include <vow/vow.h>

#include <errno.h>

#include "explore.h"

static void *ticket, *other;
static vow_future *f, *g;
static int dropped_1, dropped_2;

static void
drop(void *counter)
{
    ++*(int *)counter;
}

static void
ignore_warning(int code, const char *message, void *ctx)
{
    (void)code;
    (void)message;
    (void)ctx;
}

static void
calls(void)
{
    vow_callback_fulfill(ticket, vow_own(&dropped_1, drop));
}

static void
calls_again(void)
{
    vow_callback_fulfill(ticket, vow_own(&dropped_2, drop));
}

static void
lets_go(void)
{
    vow_callback_drop(ticket);
}

static void
cancels(void)
{
    vow_future_cancel(f, NULL);
}

static void
makes_another(void)
{
    other = vow_callback_new(&g, NULL);
    require(other != NULL);
    vow_callback0(EIO, other);
}

static const char *
outcome_of(vow_future *future)
{
    int code = vow_error_code(vow_peek(future).error);

    vow_unref(future);
    return code == 0                 ? "called"
           : code == VOW_E_BROKEN    ? "broken"
           : code == VOW_E_CANCELLED ? "cancelled"
                                     : "failed";
}

static void
make(void)
{
    vow_on_warning(ignore_warning, NULL);
    ticket = vow_callback_new(&f, NULL);
}

SCENARIO(callback_twice, 0, "two threads call one ticket", EXPECTED("called", "by one"))
{
    make();
    run_threads(calls, calls_again);
    outcome("%s", outcome_of(f));
    require(dropped_1 == 1 && dropped_2 == 1);
}

SCENARIO(callback_drop, 0, "a ticket is called as it is let go of",
         EXPECTED("called", "the call was first"), EXPECTED("broken", "or the other"))
{
    make();
    run_threads(calls, lets_go);
    outcome("%s", outcome_of(f));
    require(dropped_1 == 1);
}

SCENARIO(callback_cancel, 0, "a ticket is called as its future is cancelled",
         EXPECTED("called", "the call was first"), EXPECTED("cancelled", "or the other"))
{
    make();
    run_threads(calls, cancels);
    outcome("%s", outcome_of(f));
    require(dropped_1 == 1);
}

SCENARIO(callback_made, 0, "the last ticket ends as another one is made",
         EXPECTED("called", "in one table, or the next"))
{
    make();
    run_threads(calls, makes_another);
    require(vow_error_code(vow_peek(g).error) == EIO);
    vow_unref(g);
    outcome("%s", outcome_of(f));
    require(dropped_1 == 1);
}

static void
makes_first(void)
{
    ticket = vow_callback_new(&f, NULL);
    require(ticket != NULL);
    vow_callback0(0, ticket);
}

SCENARIO(callback_first_two, 0, "the table is made by two, and emptied meanwhile",
         EXPECTED("called", "each had a table"))
{
    run_threads(makes_first, makes_another);
    require(vow_error_code(vow_peek(g).error) == EIO);
    vow_unref(g);
    outcome("%s", outcome_of(f));
}
