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
removes_waits_and_looks(void)
{
    removal = (int)vow_registration_remove_wait(r);
    late = dropped;
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

static int
refuses(vow_executor *self, vow_task *task)
{
    (void)self;
    (void)task;
    return VOW_E_CLOSED;
}

SCENARIO(token_remove_wait_refused, 0,
         "a remove waits while the callback is refused and its context dropped",
         EXPECTED("removal 0, ran 0, dropped 1", "and it is when the remove returns"))
{
    static const vow_executor_ops ops = {
        .size = sizeof(vow_executor_ops), .name = "closed", .post = refuses};
    vow_executor closed = {.ops = &ops};

    make();
    r = vow_token_on_cancel(token, &closed, notes, vow_own(&dropped, drops));
    run_threads(removes_waits_and_looks, cancels);
    unmake();
    outcome("removal %d, ran %d, dropped %d", removal, ran, late);
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

/* ---- work with a token ------------------------------------------------------------------------ */

static vow_promise *p;
static vow_future *f, *g;
static int code, told;

/* A static executor with room for one task, which a thread takes when it likes. */
static vow_task *shelved;

static int
shelf_post(vow_executor *self, vow_task *task)
{
    (void)self;
    shelved = task;
    return 0;
}

static const vow_executor_ops shelf_ops = {
    .size = sizeof(vow_executor_ops), .name = "shelf", .post = shelf_post};
static vow_executor shelf = {.ops = &shelf_ops};

static void
runs_shelved(void)
{
    shelved->run(shelved, 0);
}

static vow_result
works(void *ctx)
{
    notes(ctx);
    return vow_ok(VOW_NIL);
}

static vow_result
works_and_looks(void *ctx)
{
    told = vow_cancelled();
    require(!told || vow_token_cancelled(token));
    return works(ctx);
}

static void
ends_work(void)
{
    code = vow_error_code(vow_get(f).error);
    vow_unref(f);
    unmake();
}

SCENARIO(token_task_starts, 0, "a task starts while its token fires",
         EXPECTED("ran 1 told 0, code 0, dropped 1", "before"),
         EXPECTED("ran 1 told 1, code 0, dropped 1", "it sees it"),
         EXPECTED("ran 0 told 0, code 4096, dropped 1", "too late"))
{
    make();
    f = vow_submit_with(&shelf, &VOW_SUBMIT_OPTIONS(.token = token), works_and_looks,
                        vow_own(&dropped, drops));
    run_threads(runs_shelved, cancels);
    ends_work();
    outcome("ran %d told %d, code %d, dropped %d", ran, told, code, dropped);
}

/* 2: it was told to stop, and not why. */
static vow_result
works_and_asks(void *ctx)
{
    vow_result stop = vow_check_cancelled();

    if (stop.error != NULL)
        told = vow_error_cause(stop.error) != NULL ? 1 : 2;
    vow_result_drop(stop);
    return works(ctx);
}

static void
cancels_because(void)
{
    vow_source_cancel(source, vow_error_of(VOW_E_TIMEDOUT));
}

SCENARIO(token_task_asks, 0, "a task asks why it should stop while its token fires",
         EXPECTED("ran 1 told 0, code 0", "before"),
         EXPECTED("ran 1 told 1, code 0", "it is told why"),
         EXPECTED("ran 0 told 0, code 4096", "too late"))
{
    make();
    f = vow_submit_with(&shelf, &VOW_SUBMIT_OPTIONS(.token = token), works_and_asks,
                        vow_own(&dropped, drops));
    run_threads(runs_shelved, cancels_because);
    ends_work();
    outcome("ran %d told %d, code %d", ran, told, code);
}

static void
cancels_f_because(void)
{
    vow_future_cancel(f, vow_error_of(VOW_E_TIMEDOUT));
}

SCENARIO(cancel_task_asks, 0,
         "a task that starts asks why it should stop while it is told",
         EXPECTED("ran 1 told 0, code 0", "before"),
         EXPECTED("ran 1 told 1, code 0", "it is told why"),
         EXPECTED("ran 0 told 0, code 4096", "too late"))
{
    make();
    f = vow_submit(&shelf, works_and_asks, vow_own(&dropped, drops));
    run_threads(runs_shelved, cancels_f_because);
    ends_work();
    outcome("ran %d told %d, code %d", ran, told, code);
}

static void
submits(void)
{
    f = vow_submit_with(&shelf, &VOW_SUBMIT_OPTIONS(.token = token), works,
                        vow_own(&dropped, drops));
}

SCENARIO(token_task_submit, 0, "a task is submitted while its token fires",
         EXPECTED("queued 1, ran 0, code 4096, dropped 1", "settled while it was queued"),
         EXPECTED("queued 0, ran 0, code 4096, dropped 1", "or before"))
{
    int queued;

    make();
    run_threads(submits, cancels);
    queued = shelved != NULL;
    if (queued)
        runs_shelved();
    ends_work();
    outcome("queued %d, ran %d, code %d, dropped %d", queued, ran, code, dropped);
}

static void
fulfills(void)
{
    vow_promise_fulfill(p, vow_own(&won_2, drops_count));
    vow_promise_unref(p);
}

SCENARIO(token_with_token_settle, 0,
         "a future that a token cuts short settles as it fires",
         EXPECTED("code 0, freed 1", "the outcome first"),
         EXPECTED("code 4096, freed 1", "or the token"))
{
    make();
    p = vow_promise_new();
    f = vow_with_token(vow_promise_future(p), token);
    run_threads(fulfills, cancels);
    ends_work();
    outcome("code %d, freed %d", code, won_2);
}

static void
cuts_short(void)
{
    f = vow_with_token(f, token);
}

SCENARIO(token_with_token_all, 0,
         "it is made while its source settles and its token fires",
         EXPECTED("code 0, freed 1", "the outcome first"),
         EXPECTED("code 4096, freed 1", "or the token"))
{
    make();
    p = vow_promise_new();
    f = vow_promise_future(p);
    run_threads(cuts_short, fulfills, cancels);
    ends_work();
    outcome("code %d, freed %d", code, won_2);
}

/* Registers on its own token, as work that can be interrupted does. */
static vow_result
registers_on_own(void *ctx)
{
    (void)ctx;
    child = vow_token_current();
    r = vow_token_on_cancel(child, NULL, notes, VOW_NIL);
    return vow_ok(VOW_NIL);
}

static void
asks(void)
{
    vow_future_cancel(f, NULL);
}

SCENARIO(token_own_request, 0, "a task makes its own token while it is asked to stop",
         EXPECTED("registered 1, ran 1, code 0", "it is told"),
         EXPECTED("registered 1, ran 0, code 0", "it had returned"),
         EXPECTED("registered 0, ran 0, code 4096", "it never started"))
{
    make();
    f = vow_submit(&shelf, registers_on_own, VOW_NIL);
    run_threads(runs_shelved, asks);
    vow_registration_remove(r);
    vow_token_unref(child);
    ends_work();
    outcome("registered %d, ran %d, code %d", r != NULL, ran, code);
}

/* ---- leaving -------------------------------------------------------------------------------------- */

static vow_result
passes(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(in);
}

static void
leaves_f(void)
{
    vow_future_cancel(f, NULL);
}

static void
leaves_g(void)
{
    vow_future_cancel(g, NULL);
}

static void
is_asked(vow_promise *promise, const vow_error *reason, void *ctx)
{
    (void)promise;
    (void)reason;
    (void)ctx;
    ran++;
}

SCENARIO(token_leave_leave, 0, "both consumers of a future leave it at once",
         EXPECTED("asked 1", "the last one asks it to stop"),
         FORBIDDEN("asked 0", "each left it to the other"))
{
    vow_future *source;

    p = vow_promise_new();
    source = vow_promise_future(p);
    vow_promise_on_cancel(p, NULL, is_asked, VOW_NIL);
    f = vow_then(vow_ref(source), NULL, passes, VOW_NIL);
    g = vow_then(source, NULL, passes, VOW_NIL);
    run_threads(leaves_f, leaves_g);
    vow_promise_unref(p);
    vow_unref(f);
    vow_unref(g);
    outcome("asked %d", ran);
}

/* Who is told that it is removed finds its context dropped. */
static void
removes_hook(void)
{
    removal = (int)vow_registration_remove(r);
    require(removal != (int)VOW_REMOVED || dropped == 1);
}

static void
hook(vow_promise *promise, const vow_error *reason, void *ctx)
{
    (void)promise;
    (void)reason;
    notes(ctx);
}

SCENARIO(token_hook_remove, 0, "a promise's hook is removed while it is asked for",
         EXPECTED("removal 0, ran 0, dropped 1", "in time"),
         EXPECTED("removal 2, ran 1, dropped 1", "on its way"),
         EXPECTED("removal 1, ran 1, dropped 1", "too late"))
{
    p = vow_promise_new();
    f = vow_promise_future(p);
    r = vow_promise_on_cancel(p, NULL, hook, vow_own(&dropped, drops));
    run_threads(removes_hook, asks);
    vow_promise_unref(p);
    vow_unref(f);
    outcome("removal %d, ran %d, dropped %d", removal, ran, dropped);
}

static void
settles(void)
{
    vow_promise_fulfill(p, VOW_NIL);
}

SCENARIO(token_hook_remove_settle, 0, "a promise's hook is removed while it settles",
         EXPECTED("removal 0, ran 0, dropped 1", "dropped once"),
         EXPECTED("removal 2, ran 0, dropped 1", "it is about to be"))
{
    p = vow_promise_new();
    f = vow_promise_future(p);
    r = vow_promise_on_cancel(p, NULL, hook, vow_own(&dropped, drops));
    run_threads(removes_hook, settles);
    vow_promise_unref(p);
    vow_unref(f);
    outcome("removal %d, ran %d, dropped %d", removal, ran, dropped);
}

/* ---- deadlines --------------------------------------------------------------------------------------- */

static vow_manual *m;

static void
advances(void)
{
    vow_manual_advance(m, 10);
}

static void
makes_deadline(void)
{
    m = vow_manual_new();
    child = vow_token_deadline(vow_manual_clock(m), 5);
}

SCENARIO(token_deadline_goes, 0, "a token goes as its deadline comes",
         EXPECTED("done", "and leaves nothing"))
{
    makes_deadline();
    run_threads(drops_child, advances);
    vow_manual_unref(m);
    outcome("done");
}

SCENARIO(token_deadline_cancel, 0, "a deadline comes as another reason does",
         EXPECTED("ran 1, reason 4097", "the deadline"),
         EXPECTED("ran 1, reason 4096", "or the other"))
{
    vow_token *tokens[2];
    vow_token *any;

    make();
    makes_deadline();
    tokens[0] = token;
    tokens[1] = child;
    any = vow_token_any(tokens, 2);
    vow_token_unref(child);
    r = vow_token_on_cancel(any, NULL, notes, VOW_NIL);
    run_threads(cancels, advances);
    vow_registration_remove(r);
    outcome("ran %d, reason %d", ran, vow_error_code(vow_token_reason(any)));
    vow_token_unref(any);
    vow_manual_unref(m);
    unmake();
}
