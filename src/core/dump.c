/* SPDX-License-Identifier: MIT */
/*
 * core/dump.c - what an executor is doing, as far as can be said without asking its threads.
 *
 * A thread that sleeps stands in the list of waits, and what it runs is on its stack: that
 * can be read as long as it stands there, which the lock of the list sees to. What
 * runs without sleeping leaves no trace that others may read, so that running costs nothing.
 * What is queued can be read where an executor takes it out under a lock alone: it says
 * that itself; so does a loop of what waits at it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/site.h"
#include "base/sys.h"
#include "core/block.h"
#include "core/deadlock.h"
#include "core/executor.h"
#include "core/fork.h"
#include "core/frame.h"
#include "core/wait.h"

#define ROOM  4096
#define SITE  '\001' /* stands for a place in the text, which is found out later */
#define SITES (ROOM / sizeof MADE_AT)

#define MADE_AT "a future made at "

/* Text under the lock, written out after it. What does not fit is left out. */
struct text {
    size_t used;
    size_t site_count;
    const void *sites[SITES];
    char of[ROOM];
};

static void add(struct text *t, const char *format, ...) VOW_PRINTF(2, 3);

static void
add(struct text *t, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(t->of + t->used, ROOM - t->used, format, args);
    va_end(args);
    if (n > 0)
        t->used += (size_t)n < ROOM - t->used ? (size_t)n : ROOM - t->used - 1;
}

/* A future by its name, or else by where it was made. */
static void
add_future(struct text *t, struct vow_state *s)
{
    const char *name = vow_future_name(vowi_future(s));
    size_t before = t->used;

    if (name != NULL) {
        add(t, "%s", name);
        return;
    }
    add(t, MADE_AT "%c", SITE);
    if (t->used == before + sizeof MADE_AT) /* it fitted */
        t->sites[t->site_count++] = vow_future_site(vowi_future(s));
}

/* Whoever waits, from the outermost task of its thread on. */
static void
add_wait(const struct vowi_wait *w, void *text)
{
    struct text *t = text;

    for (const struct vowi_frame *f = w->frames; f != NULL; f = f->outer) {
        add(t, f == w->frames ? "  running: " : ", inside: ");
        if (f->state != NULL)
            add_future(t, f->state);
        else
            add(t, "work without a future");
    }
    add(t, "; it waits for: ");
    if (w->awaited != NULL)
        add_future(t, w->awaited);
    else
        add(t, "a callback to return");
    add(t, "\n");
}

/* Returns whether there is room for more. relaxed: out of date when it is read */
static bool
add_queued(const vow_task *task, void *text)
{
    struct text *t = text;
    struct vow_state *s = vowi_state_of_task(task);

    if (s != NULL && (vowi_load_relaxed(&s->word) & VOWI_CLAIMED))
        return true; /* it was cancelled, or its waiter runs it */
    add(t, "  queued: ");
    if (s != NULL)
        add_future(t, s);
    else
        add(t, "work without a future");
    add(t, "\n");
    return t->used < ROOM - 1;
}

/* Likewise. */
static bool
add_waiting(const char *what, int number, const vow_promise *p, void *text)
{
    struct text *t = text;

    add(t, "  waiting: ");
    if (p != NULL)
        add_future(t, vowi_promise_state(p));
    else
        add(t, "a callback");
    add(t, ", for %s %d\n", what, number);
    return t->used < ROOM - 1;
}

/* The places are found out now that no lock is held. */
static int
write_out(const struct text *t, FILE *out)
{
    const char *from = t->of, *at;
    char site[256];

    for (size_t i = 0; i < t->site_count; i++) {
        at = strchr(from, SITE);
        vowi_site_text(site, sizeof site, t->sites[i]);
        if (fprintf(out, "%.*s%s", (int)(at - from), from, site) < 0)
            return errno;
        from = at + 1;
    }
    return fputs(from, out) < 0 ? errno : 0;
}

int
vow_executor_dump(vow_executor *on, FILE *out)
{
    struct text t = {.used = 0};
    int cancel, rc;

    if (on == NULL || on == vow_inline())
        return VOW_E_INVALID;
    add(&t, "executor %s at %p: %s\n", on->ops->name != NULL ? on->ops->name : "?",
        (void *)on, vowi_executor_state(on));
    vowi_waits_each(on, add_wait, &t);
    if (vowi_executor_op(on, waiting) != NULL)
        on->ops->waiting(on, add_waiting, &t);
    if (vowi_executor_op(on, queued) != NULL)
        on->ops->queued(on, add_queued, &t);
    cancel = vowi_sys_cancel_off();
    rc = write_out(&t, out);
    vowi_sys_cancel_back(cancel);
    return rc;
}
