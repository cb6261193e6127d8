/* SPDX-License-Identifier: MIT */
/**
 * @file manual_fixture.h
 * A manual executor for each case: its clock stands still until the case lets time pass,
 * and what is posted runs when the case says so.
 */
#ifndef MANUAL_FIXTURE_H
#define MANUAL_FIXTURE_H

#include "vow_test.h"

#include <vow/vow.h>

static vow_manual *m;
static vow_executor *on; /* of it */

/** The setup of a case. */
static inline int
begin(void **state)
{
    int bad = counting_begin(state);

    m = vow_manual_new();
    on = vow_manual_executor(m);
    return bad != 0 || m == NULL ? 1 : 0;
}

/** Its teardown. */
static inline int
end(void **state)
{
    vow_manual_unref(m);
    return counting_end(state);
}

/** A line of the table of cases. */
#define manual_test(name) cmocka_unit_test_setup_teardown(name, begin, end)

#endif
