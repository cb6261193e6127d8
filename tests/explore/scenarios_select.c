/* SPDX-License-Identifier: MIT */
/* scenarios_select.c - who has in the end what a select received. */
#include <vow/vow.h>

#include "explore.h"

static vow_channel *c;
static vow_future *f, *g;
static int dropped; /* plain: each drop comes after what was done with the value */

static void
drops(void *value)
{
    *(int *)value += 1;
}

/* A select has received the one value; f and g are its future. */
static void
make(void)
{
    c = vow_channel_new(1);
    require(c != NULL && vow_channel_try_send(c, vow_own(&dropped, drops)) == 0);
    f = vow_select((const vow_case[]){VOW_CASE_RECEIVE(c)}, 1);
}

static void
end(void)
{
    vow_channel_unref(c);
    require(dropped == 1);
}

static int taken[2];

static void
takes(vow_future *future, int i)
{
    vow_value v;

    taken[i] = vow_selected_take(vow_get_selected(future), &v);
    vow_unref(future);
    vow_value_drop(v);
}

static void
takes_f(void)
{
    takes(f, 0);
}

static void
takes_g(void)
{
    takes(g, 1);
}

SCENARIO(select_take_take, 0, "two take the value that a select received",
         EXPECTED("1 and 0", "one of them has it"), EXPECTED("0 and 1", "the other"))
{
    make();
    g = vow_ref(f);
    run_threads(takes_f, takes_g);
    outcome("%d and %d", taken[0], taken[1]);
    end();
}

static void
lets_go_of_g(void)
{
    vow_unref(g);
}

SCENARIO(select_take_drop, 0, "one takes the value as another one lets go of it",
         EXPECTED("1, 0 left", "it was there as long as one held it"))
{
    make();
    g = vow_ref(f);
    run_threads(takes_f, lets_go_of_g);
    outcome("%d, %d left", taken[0], (int)vow_channel_count(c));
    end();
}

static void
lets_go_of_f(void)
{
    vow_unref(f);
}

static void
receives_to_g(void)
{
    g = vow_channel_receive(c);
}

SCENARIO(select_back_receive, 0, "a value goes back as another one receives",
         EXPECTED("done", "it gets the value that came back"))
{
    make();
    run_threads(lets_go_of_f, receives_to_g);
    outcome(vow_future_status(g) == VOW_FULFILLED ? "done" : "waits");
    vow_unref(g);
    end();
}
