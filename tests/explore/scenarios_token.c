/* SPDX-License-Identifier: MIT */
/* scenarios_token.c - sources, tokens, registrations: who is told, and what a remove says. */
#include <vow/vow.h>

#include "explore.h"

static vow_source *source, *other;
static vow_token *token, *child;
static vow_registration *r, *s;
static int ran, late, dropped, removal, removal_2, won, won_2;

/* ---- what the threads do --------------------------------------------------------------- */

static void
make(void)
{
    source = vow_source_new();
    token = vow_source_token(source);
}

static void
unmake(void)
{
    vow_token_unref(token);
    vow_source_unref(source);
}

static void
cancels(void)
{
    won = vow_source_cancel(source, NULL) ? 1 : 0;
}

static void
cancels_too(void)
{
    won_2 = vow_source_cancel(source, NULL) ? 1 : 0;
}

static void
cancels_other(void)
{
    vow_source_cancel(other, NULL);
}

static void
notes(void *ctx)
{
    (void)ctx;
    ran++;
    require(dropped == 0);
}

static void
drops(void *ptr)
{
    (void)ptr;
    dropped++;
}

static void
drops_count(void *ptr)
{
    ++*(int *)ptr;
}

static void
registers(void)
{
    r = vow_token_on_cancel(token, NULL, notes, vow_own(&dropped, drops));
}

static void
removes(void)
{
    removal = (int)vow_registration_remove(r);
}

static void
removes_and_waits(void)
{
    removal = (int)vow_registration_remove_wait(r);
    late = ran;
}

static void
lets_go(void)
{
    unmake();
}

/* ---- registering and removing ------------------------------------------------------------ */

SCENARIO(token_register_cancel, 0, "a callback is registered while its token fires",
         EXPECTED("ran 1, dropped 1, removed 1", "once, whoever was first"),
         FORBIDDEN("ran 0, dropped 1, removed 0", "lost callback"))
{
    make();
    run_threads(registers, cancels);
    removes();
    unmake();
    outcome("ran %d, dropped %d, removed %d", ran, dropped, removal);
}

SCENARIO(token_cancel_cancel, 0, "two threads cancel",
         EXPECTED("1 0: ran 1, dropped 1", "the first one"),
         EXPECTED("0 1: ran 1, dropped 1", "or the second"))
{
    make();
    registers();
    run_threads(cancels, cancels_too);
    removes();
    unmake();
    outcome("%d %d: ran %d, dropped %d", won, won_2, ran, dropped);
}

SCENARIO(token_remove_cancel, 0, "a registration is removed while its token fires",
         EXPECTED("removal 0, ran 0, dropped 1", "in time"),
         EXPECTED("removal 1, ran 1, dropped 1", "too late"),
         EXPECTED("removal 2, ran 1, dropped 1", "while it runs"),
         FORBIDDEN("removal 0, ran 1, dropped 1", "told a lie"))
{
    make();
    registers();
    run_threads(removes, cancels);
    unmake();
    outcome("removal %d, ran %d, dropped %d", removal, ran, dropped);
}

SCENARIO(token_remove_wait_cancel, 0, "a remove waits for the callback",
         EXPECTED("removal 0, ran 0, dropped 1", "in time"),
         EXPECTED("removal 1, ran 1, dropped 1", "when it has returned"))
{
    make();
    registers();
    run_threads(removes_and_waits, cancels);
    require(late == ran);
    unmake();
    outcome("removal %d, ran %d, dropped %d", removal, ran, dropped);
}

SCENARIO(token_go_cancel, 0, "the last handles go while another thread cancels",
         EXPECTED("ran 1, dropped 1, removed 1", "the canceller holds it"))
{
    make();
    registers();
    vow_source_ref(source);
    run_threads(lets_go, cancels);
    vow_source_unref(source);
    removes();
    outcome("ran %d, dropped %d, removed %d", ran, dropped, removal);
}

/* ---- callbacks that remove each other --------------------------------------------------------- */

static bool wait_for_other;
static int gone[2];

static vow_removal
end(vow_registration *which)
{
    return wait_for_other ? vow_registration_remove_wait(which)
                          : vow_registration_remove(which);
}

static void
removes_s(void *ctx)
{
    (void)ctx;
    removal = (int)end(s);
}

static void
removes_r(void *ctx)
{
    (void)ctx;
    removal_2 = (int)end(r);
}

static void
make_mutual(void)
{
    make();
    other = vow_source_new();
    token = vow_token_ref(token);
    r = vow_token_on_cancel(token, NULL, removes_s, vow_own(&gone[0], drops_count));
    vow_token_unref(token);
    child = vow_source_token(other);
    s = vow_token_on_cancel(child, NULL, removes_r, vow_own(&gone[1], drops_count));
    removal = removal_2 = -1;
}

/* A callback that was removed in time leaves its own registration of the other to us. */
static void
unmake_mutual(void)
{
    if (removal == -1)
        vow_registration_remove(s);
    if (removal_2 == -1)
        vow_registration_remove(r);
    vow_token_unref(child);
    vow_source_unref(other);
    unmake();
}

SCENARIO(token_remove_each_other, 0, "two callbacks remove each other",
         EXPECTED("2 2, dropped 2", "while both run"),
         EXPECTED("0 -1, dropped 2", "the first one in time"),
         EXPECTED("-1 0, dropped 2", "or the second"),
         EXPECTED("2 1, dropped 2", "the first had returned"),
         EXPECTED("1 2, dropped 2", "or the second"))
{
    make_mutual();
    run_threads(cancels, cancels_other);
    unmake_mutual();
    outcome("%d %d, dropped %d", removal, removal_2, gone[0] + gone[1]);
}

SCENARIO(token_wait_for_each_other, 0, "two callbacks wait for each other",
         EXPECTED("0 -1, dropped 2", "the first one in time"),
         EXPECTED("-1 0, dropped 2", "or the second"),
         EXPECTED("2 1, dropped 2", "the first goes on"),
         EXPECTED("1 2, dropped 2", "or the second"),
         FORBIDDEN("1 1, dropped 2", "each waited for the other"))
{
    make_mutual();
    wait_for_other = true;
    run_threads(cancels, cancels_other);
    unmake_mutual();
    outcome("%d %d, dropped %d", removal, removal_2, gone[0] + gone[1]);
}

/* ---- linked tokens ---------------------------------------------------------------------------- */

static void
drops_child(void)
{
    vow_token_unref(child);
}

SCENARIO(token_child_goes, 0, "a linked token goes while its parent fires",
         EXPECTED("cancelled 1", "and leaves nothing"))
{
    make();
    child = vow_token_any(&token, 1);
    run_threads(drops_child, cancels);
    outcome("cancelled %d", vow_token_cancelled(token));
    unmake();
}

static void
links(void)
{
    vow_token *parents[2];

    parents[0] = token;
    parents[1] = vow_source_token(other);
    child = vow_token_any(parents, 2);
    vow_token_unref(parents[1]);
}

SCENARIO(token_child_is_made, 0, "a token is linked while its parents fire",
         EXPECTED("cancelled 1", "whenever"))
{
    make();
    other = vow_source_new();
    run_threads(links, cancels, cancels_other);
    outcome("cancelled %d", vow_token_cancelled(child));
    vow_token_unref(child);
    vow_source_unref(other);
    unmake();
}

SCENARIO(token_child_by_two, 0, "both parents of a linked token fire",
         EXPECTED("ran 1, dropped 1", "one is enough"))
{
    make();
    other = vow_source_new();
    links();
    r = vow_token_on_cancel(child, NULL, notes, vow_own(&dropped, drops));
    run_threads(cancels, cancels_other);
    vow_registration_remove(r);
    vow_token_unref(child);
    vow_source_unref(other);
    unmake();
    outcome("ran %d, dropped %d", ran, dropped);
}
