/* SPDX-License-Identifier: MIT */
/*
 * core/linked.c - tokens that fire because others do, or because it is time.
 *
 * The child keeps its parents (each bond is a use); they do not keep it: a bond is
 * removed when the child fires, or when nobody uses it any more. A parent that fires
 * may have taken a bond off already while the last use of the child goes: so the
 * child's memory has a hold for each bond, and whoever ends the bond gives it up.
 *
 * While a child is built its parents may fire it at once, from other threads, but
 * only its maker goes through its bonds.
 *
 * A deadline is a timer, armed with who fires timers on its clock, which holds the token
 * as a bond does. The executor where it is armed is held until the token is unhooked,
 * since that disarms it.
 */
#include "core/token.h"

#include "base/error.h"
#include "base/time.h"
#include "core/executor.h"
#include "core/timer.h"

static void
disarm(struct vow_token *token, struct vowi_alarm *alarm)
{
    vow_executor *home = alarm->timer.home;

    if (home == NULL)
        return; /* it was never armed */
    if (vow_timer_disarm(&alarm->timer) == VOW_REMOVED)
        vowi_token_release(token);
    vowi_executor_release(vowi_self(), home);
}

void
vowi_token_unhook(struct vow_token *token)
{
    struct vowi_upward *up = token->upward;

    for (size_t i = 0; i < up->hung; i++)
        if (vowi_tie_remove(&up->bonds[i].tie))
            vowi_token_release(token);
    if (up->alarm != NULL)
        disarm(token, up->alarm);
}

static void
fire_child(struct vowi_tie *tie, struct vowi_firing *firing)
{
    struct vow_token *child = vowi_container_of(tie, struct vowi_bond, tie)->child;

    vowi_token_fire_as(child, tie->token, firing);
    vowi_token_release(child);
}

/* ---- building ---------------------------------------------------------------------------- */

/* How long until it fires by itself. */
static vow_ns
time_left(const struct vowi_upward *up)
{
    return vowi_time_sub(up->deadline, vow_clock_now(up->clock));
}

static bool
is_earlier(const struct vowi_upward *a, const struct vowi_upward *b)
{
    if (a->clock == b->clock || a->deadline == VOW_FOREVER || b->deadline == VOW_FOREVER)
        return a->deadline < b->deadline;
    return time_left(a) < time_left(b);
}

static void
inherit_deadline(struct vowi_upward *up, const struct vow_token *parent)
{
    if (parent->upward == NULL || !is_earlier(parent->upward, up))
        return;
    up->deadline = parent->upward->deadline;
    up->clock = parent->upward->clock;
}

/* Hangs a token that is being built on one more parent. False: that has fired, and of its
 * clock there may be nothing left. */
static bool
add_parent(struct vow_token *token, vow_token *parent)
{
    struct vowi_bond *bond = &token->upward->bonds[token->upward->hung++];

    bond->tie.token = parent;
    bond->tie.fire = fire_child;
    bond->child = token;
    vowi_spin_acquire(&token->lock);
    token->holds++;
    vowi_spin_release(&token->lock);
    if (vowi_tie_hang(&bond->tie) != VOWI_TIE_HANGS)
        return false;
    inherit_deadline(token->upward, parent);
    return true;
}

/* Parents that have fired share their outcome with what nobody else knows yet. */
static void
born_fired(struct vow_token *token, const struct vow_token *as)
{
    struct vowi_firing firing = {.thread = vowi_self()};

    if (vowi_token_fire_as(token, as, &firing))
        vowi_token_release(token); /* nothing hangs on it */
    vowi_token_release(token);     /* the bond */
}

/* From now on whoever fires it takes it off its parents. */
static void
built(struct vow_token *token)
{
    bool unhook;

    vowi_spin_acquire(&token->lock);
    token->building = false;
    unhook = vowi_load_relaxed(&token->fired); /* relaxed: written under this lock */
    token->unhooked = unhook;
    vowi_spin_release(&token->lock);
    if (unhook)
        vowi_token_unhook(token);
}

static size_t
count_tokens(vow_token *const *tokens, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += tokens[i] != NULL;
    return count;
}

vow_token *
vow_token_any(vow_token *const *tokens, size_t n)
{
    struct vow_token *token = vowi_token_new_linked(count_tokens(tokens, n), false);

    if (token == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] != NULL && !add_parent(token, tokens[i])) {
            born_fired(token, tokens[i]);
            break;
        }
    }
    built(token);
    return token;
}

/* ---- deadlines --------------------------------------------------------------------------- */

/* Its own clock is not asked: that is there until it has fired or nobody holds it, and
 * either may have come first. */
static void
time_out(struct vow_token *token)
{
    vow_error *reason = vow_error_of(VOW_E_TIMEDOUT);

    vowi_token_fire(token, reason, vowi_error_cancelled_by(reason), vow_now());
}

static void
ring(vow_task *task, int why)
{
    vow_timer *timer = vowi_container_of(task, vow_timer, task);
    struct vow_token *token = vowi_container_of(timer, struct vowi_alarm, timer)->token;

    if (why == 0)
        time_out(token);
    vowi_token_release(token);
}

/* Arms the alarm of a token that is being built; 0 or a code. */
static int
arm(struct vow_token *token)
{
    struct vowi_upward *up = token->upward;
    vow_timer *timer = &up->alarm->timer;
    int why;

    up->alarm->token = token;
    timer->task.run = ring;
    why = vowi_timer_place_by(up->clock, timer);
    if (why != 0) {
        timer->home = NULL;
        return why;
    }
    vowi_executor_hold(vowi_self(), timer->home);
    vowi_spin_acquire(&token->lock);
    token->holds++;
    vowi_spin_release(&token->lock);
    why = vowi_timer_start(timer, up->deadline, false);
    if (why != 0)
        vowi_token_release(token);
    return why;
}

/* Makes a deadline its own if no parent has an earlier one. False: no timer was to be had. */
static bool
set_deadline(struct vow_token *token, vow_clock *clock, vow_ns when)
{
    struct vowi_upward *up = token->upward;
    struct vowi_upward own = {.deadline = when, .clock = clock};

    if (!is_earlier(&own, up))
        return true;
    up->deadline = when;
    up->clock = clock;
    if (when > vow_clock_now(clock))
        return arm(token) == 0;
    time_out(token);
    return true;
}

struct vow_token *
vowi_token_until(vow_token *parent, vow_clock *clock, vow_ns when)
{
    struct vow_token *token = vowi_token_new_linked(parent != NULL, true);
    bool timed = true;

    if (token == NULL)
        return NULL;
    if (parent != NULL && !add_parent(token, parent))
        born_fired(token, parent);
    else
        timed = set_deadline(token, clock != NULL ? clock : vowi_clock_here(), when);
    built(token);
    if (timed)
        return token;
    vow_token_unref(token);
    return NULL;
}

vow_token *
vow_token_deadline(vow_clock *clock, vow_ns when)
{
    return vowi_token_until(NULL, clock, when);
}
