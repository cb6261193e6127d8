/* SPDX-License-Identifier: MIT */
/* Scenarios with tokens whose callbacks run in threads of the caller's own. */
#include <errno.h>

#include "system.h"
#include "vow_test.h"

/* A callback that runs until somebody who waits for it lets it go on. */
struct held_up {
    vow_source *source;
    vow_registration *r;
    atomic_int entered, go;
};

static void
hold_up(void *ctx)
{
    struct held_up *h = ctx;

    atomic_store(&h->entered, 1);
    await_flag(&h->go, 1);
}

static void
go_on(void *ctx)
{
    atomic_store(&((struct held_up *)ctx)->go, 1);
}

static void *
cancel_source(void *source)
{
    vow_source_cancel(source, vow_error_of(VOW_E_LIMIT));
    return NULL;
}

/* Whoever waits runs first what is queued on its own stack: here, what lets the other
 * one go on. */
static vow_result
wait_for_callback(void *ctx)
{
    struct held_up *h = ctx;

    if (vow_post(NULL, go_on, vow_ptr(h)) != 0)
        go_on(h);
    assert_int_equal(vow_registration_remove_wait(h->r), VOW_RAN);
    return vow_ok(VOW_NIL);
}

static void
callback_waited_for(struct drop_set *d)
{
    struct held_up h = {.source = vow_source_new()};
    vow_token *t = vow_source_token(h.source);
    vow_future *f = NULL;
    pthread_t thread;

    h.r = t != NULL ? vow_token_on_cancel(t, NULL, hold_up, vow_ptr(&h)) : NULL;
    if (h.r != NULL) {
        assert_int_equal(pthread_create(&thread, NULL, cancel_source, h.source), 0);
        await_flag(&h.entered, 1);
        f = vow_submit(NULL, wait_for_callback, vow_ptr(&h));
        if (f == NULL) {
            go_on(&h);
            vow_registration_remove(h.r);
        }
        pthread_join(thread, NULL);
    }
    vow_unref(f);
    vow_token_unref(t);
    vow_source_unref(h.source);
    (void)d;
}

#define ROW(name) {#name, name},

const struct scenario token_scenarios[] = {TOKEN_SCENARIOS(ROW){NULL, NULL}};
