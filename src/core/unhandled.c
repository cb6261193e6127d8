/* SPDX-License-Identifier: MIT */
/*
 * core/unhandled.c - an error whose last future went without anybody having read it.
 *
 * The default says so on stderr: at most PER_SECOND lines a second, so that a
 * failing batch does not drown what else is there, and a total at exit for the rest.
 */
#include "core/unhandled.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/site.h"
#include "base/sys.h"
#include "base/thread.h"
#include "base/warn.h"

/* guarded by VOWI_GLOBAL_UNHANDLED, a leaf */
static struct {
    vow_unhandled_fn *hook; /* NULL: the default */
    void *ctx;
    struct vowi_rate rate;
} unhandled;

void
vow_on_unhandled(vow_unhandled_fn *hook, void *ctx)
{
    vowi_global_lock(VOWI_GLOBAL_UNHANDLED);
    unhandled.hook = hook;
    unhandled.ctx = ctx;
    vowi_global_unlock(VOWI_GLOBAL_UNHANDLED);
}

/* ---- the default -------------------------------------------------------------------------- */

static bool
may_print(void)
{
    bool print;

    vowi_global_lock(VOWI_GLOBAL_UNHANDLED);
    print = vowi_rate_allows(&unhandled.rate);
    vowi_global_unlock(VOWI_GLOBAL_UNHANDLED);
    return print;
}

__attribute__((destructor)) static void
print_total(void)
{
    if (unhandled.rate.suppressed != 0)
        fprintf(stderr, "vow: %" PRIu64 " more errors went unhandled\n",
                unhandled.rate.suppressed);
}

static void
print_line(const vow_unhandled *u)
{
    const char *where = vow_error_where(u->error);
    char code[VOWI_CODE_TEXT];
    int cancel = vowi_sys_cancel_off();

    fprintf(stderr, "vow: unhandled error %s: %s%s%s%s, in %s%s%s\n",
            vowi_error_code_text(vow_error_code(u->error), code),
            vow_error_message(u->error), where != NULL ? " (" : "",
            where != NULL ? where : "", where != NULL ? ")" : "",
            u->name != NULL ? u->name : "",
            u->name != NULL ? " made at " : "a future of ", u->site);
    vowi_sys_cancel_back(cancel);
}

static void
report_by_default(const vow_unhandled *u)
{
    const char *what = secure_getenv("VOW_UNHANDLED");

    if (what != NULL && strcmp(what, "ignore") == 0)
        return;
    if (what != NULL && strcmp(what, "abort") == 0) {
        print_line(u);
        abort();
    }
    if (may_print())
        print_line(u);
}

/* ---- reporting ------------------------------------------------------------------------------ */

/* A promise that breaks after it was asked to stop did as it was told. And what waits for
 * a signal, say, waits until its loop is closed: that is no news. */
static bool
is_expected(struct vow_state *s, const vow_error *error)
{
    int code = vow_error_code(error);

    /* relaxed: a flag by itself */
    return code == VOW_E_CANCELLED || vowi_error_is_end_of_wait(error) ||
           (code == VOW_E_BROKEN && (vowi_load_relaxed(&s->refs) & VOWI_STOPPING));
}

void
vowi_report_unhandled(struct vow_state *s)
{
    char site[256];
    vow_unhandled u = {vowi_error_in(s), vow_future_name(vowi_future(s)), site};
    vow_unhandled_fn *hook;
    void *ctx;

    if (is_expected(s, u.error))
        return;
    vowi_site_text(site, sizeof site, vow_future_site(vowi_future(s)));
    vowi_global_lock(VOWI_GLOBAL_UNHANDLED);
    hook = unhandled.hook;
    ctx = unhandled.ctx;
    vowi_global_unlock(VOWI_GLOBAL_UNHANDLED);
    if (hook != NULL)
        hook(&u, ctx);
    else
        report_by_default(&u);
}
