/* SPDX-License-Identifier: MIT */
/*
 * resilience/timeout.c - a join of two: what is waited for, and a sleep.
 *
 * Whichever settles first decides, and the other is left: the sleep's timer is disarmed
 * at once, the work is asked to stop. The error lies in the join's block, so that being
 * too late never depends on memory, and is put into words only then.
 */
#include <stdio.h>

#include <vow/combine.h>
#include <vow/delayed.h>
#include <vow/timeout.h>

#include "base/error.h"
#include "base/options.h"
#include "base/time.h"
#include "core/join.h"
#include "resilience/call.h"

/* The inputs. */
enum { WORK, SLEEP, INPUTS };

struct timeout {
    vow_error error; /* first */
    struct vowi_join *join;
    vow_ns after;
    char name[32];
    char message[96];
};

static void
error_gone(vow_error *e)
{
    vowi_join_release(((struct timeout *)(void *)e)->join);
}

/* In the largest unit that shows it: 5 s, 1500 ms, 20 us, 7 ns. */
static void
put_into_words(struct timeout *t)
{
    static const struct {
        vow_ns unit;
        const char *name;
    } units[] = {{1000000000, "s"}, {1000000, "ms"}, {1000, "us"}, {1, "ns"}};
    const char *what = t->name[0] != '\0' ? t->name : "it";
    size_t i = 0;

    while (t->after % units[i].unit != 0)
        i++;
    if (t->after > 0)
        snprintf(t->message, sizeof t->message, "%s had not settled after %lld %s", what,
                 (long long)(t->after / units[i].unit), units[i].name);
    else
        snprintf(t->message, sizeof t->message, "%s had not settled by its deadline",
                 what);
}

static bool
time_is_over(struct vowi_join *j, struct timeout *t)
{
    static const struct vowi_error_kind kind = {.gone = error_gone};

    vowi_error_place(&t->error, &kind, VOW_E_TIMEDOUT, NULL);
    put_into_words(t);
    t->error.message = t->message;
    t->join = j;
    vowi_join_leave_because(j, vowi_error_cancelled_by(vow_error_of(VOW_E_TIMEDOUT)));
    vowi_join_reject(j, &t->error);
    return true;
}

static bool
conclude(struct vowi_join *j, size_t by)
{
    if (by == SLEEP && vow_peek(vowi_join_inputs(j)[SLEEP]).error == NULL)
        return time_is_over(j, vowi_join_own(j));
    vowi_join_pass(j, by); /* a timer may fail, too */
    return false;
}

static const struct vowi_join_kind timeout_kind = {
    .decides = VOWI_BY_VALUE | VOWI_BY_ERROR,
    .conclude = conclude,
};

static vow_future *
give_up_after(const vow_timeout_options *o, vow_future *f, vow_ns after, const void *site)
{
    struct vowi_join *j;
    struct timeout *t;
    vow_future *inputs[INPUTS] = {f, NULL};
    const struct vowi_join_options opt = {.flags = o->flags & VOW_WAIT ? VOWI_WAIT : 0,
                                          .site = site};

    if (after == VOW_FOREVER || vowi_has_value(f))
        return f;
    j = vowi_join_new(&timeout_kind, INPUTS, sizeof *t, &opt);
    if (j != NULL)
        inputs[SLEEP] = after > 0 ? vow_sleep(o->clock, after) : vow_resolved(VOW_NIL);
    if (inputs[SLEEP] == NULL) {
        vow_unref(f);
        if (j != NULL)
            vowi_join_discard(j);
        return NULL;
    }
    t = vowi_join_own(j);
    t->after = after;
    if (o->name != NULL)
        snprintf(t->name, sizeof t->name, "%s", o->name);
    return vowi_join_start(j, inputs);
}

vow_future *
vow_timeout(vow_future *f, vow_ns after)
{
    static const vow_timeout_options defaults;

    return give_up_after(&defaults, f, after, __builtin_return_address(0));
}

vow_future *
vow_timeout_on(vow_clock *clock, vow_future *f, vow_ns after)
{
    vow_timeout_options o = {.clock = clock};

    return give_up_after(&o, f, after, __builtin_return_address(0));
}

vow_future *
vow_deadline(vow_future *f, vow_ns when)
{
    static const vow_timeout_options defaults;
    vow_ns after = when != VOW_FOREVER ? vowi_time_sub(when, vow_now()) : VOW_FOREVER;

    return give_up_after(&defaults, f, after, __builtin_return_address(0));
}

vow_future *
vow_timeout_with(const vow_timeout_options *opt, vow_future *f, vow_ns after)
{
    vow_timeout_options o;

    vowi_options_read(&o, sizeof o, opt);
    return give_up_after(&o, f, after, __builtin_return_address(0));
}
