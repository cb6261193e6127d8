/* SPDX-License-Identifier: MIT */
/*
 * core/token.c - sources and tokens: references, firing, reading.
 *
 * Firing has two halves. Under the lock the fact comes true, which happens once; from
 * then on nothing more hangs on the token. Then the ties are taken off one by one,
 * each under the lock, and told without it: so a tie can be removed by its owner until
 * its turn has come, whichever thread is faster.
 *
 * What fires other tokens only puts them behind this one in the list of the firing:
 * tokens linked to tokens, however deep, are told on one stack frame.
 */
#include "core/token.h"

#include <string.h>

#include "base/mem.h"
#include "core/cancel.h"
#include "core/trampoline.h"

static struct vow_token *
token_of(const vow_source *s)
{
    return vow_ptr(s).as.ptr;
}

/* ---- memory ------------------------------------------------------------------------------ */

static size_t
size_of(size_t parents, bool timed)
{
    return sizeof(struct vow_token) + sizeof(struct vowi_upward) +
           parents * sizeof(struct vowi_bond) + (timed ? sizeof(struct vowi_alarm) : 0);
}

static struct vow_token *
token_alloc(size_t size)
{
    struct vow_token *token = vowi_alloc(size);

    if (token == NULL)
        return NULL;
    memset(token, 0, size);
    token->uses = 1;
    token->holds = 1;
    vowi_list_init(&token->ties);
    return token;
}

struct vow_token *
vowi_token_new(void)
{
    return token_alloc(sizeof(struct vow_token));
}

struct vow_token *
vowi_token_new_linked(size_t n, bool timed)
{
    struct vow_token *token;
    struct vowi_upward *up;

    if (n > SIZE_MAX / 2 / sizeof(struct vowi_bond))
        return NULL;
    token = token_alloc(size_of(n, timed));
    if (token == NULL)
        return NULL;
    up = (struct vowi_upward *)(void *)(token + 1);
    up->deadline = VOW_FOREVER;
    up->n = n;
    up->alarm = timed ? (struct vowi_alarm *)(void *)&up->bonds[n] : NULL;
    token->upward = up;
    token->building = true;
    return token;
}

static void
token_free(struct vow_token *token)
{
    const struct vowi_upward *up = token->upward;
    vow_error *reason = token->reason;
    vow_error *error = token->error;

    vowi_free(token, up != NULL ? size_of(up->n, up->alarm != NULL) : sizeof *token);
    vow_error_unref(reason);
    vow_error_unref(error);
}

void
vowi_token_release(struct vow_token *token)
{
    bool last;

    vowi_spin_acquire(&token->lock);
    last = --token->holds == 0;
    vowi_spin_release(&token->lock);
    if (last)
        token_free(token);
}

/* Whether the caller takes it off its parents. Under the lock. */
static bool
unhook_locked(struct vow_token *token)
{
    bool mine = token->upward != NULL && !token->building && !token->unhooked;

    if (mine)
        token->unhooked = true;
    return mine;
}

static void
unhook_unused(struct vow_token *token)
{
    bool unhook;

    vowi_spin_acquire(&token->lock);
    unhook = unhook_locked(token);
    vowi_spin_release(&token->lock);
    if (unhook)
        vowi_token_unhook(token);
    vowi_token_release(token);
}

/* A child may be all that used its parent: one after the other, not inside one another. */
void
vowi_token_unused(struct vow_token *token)
{
    struct vowi_thread *t = vowi_self();

    if (token->upward == NULL) {
        vowi_token_release(token);
        return;
    }
    token->upward->next = t->unused;
    t->unused = token;
    if (t->unhooking)
        return;
    t->unhooking = true;
    while ((token = t->unused) != NULL) {
        t->unused = token->upward->next;
        unhook_unused(token);
    }
    t->unhooking = false;
}

static void
token_use(struct vow_token *token)
{
    if (token == NULL)
        return;
    vowi_spin_acquire(&token->lock);
    token->uses++;
    vowi_spin_release(&token->lock);
}

static void
token_unuse(struct vow_token *token)
{
    bool last;

    if (token == NULL)
        return;
    vowi_spin_acquire(&token->lock);
    if (vowi_unlikely(token->uses == 0))
        vowi_fatal("a token was released more often than it was referenced");
    last = vowi_token_unuse_locked(token);
    vowi_spin_release(&token->lock);
    if (last)
        vowi_token_unused(token);
}

/* ---- ties -------------------------------------------------------------------------------- */

static enum vowi_tie_state
hang_locked(struct vow_token *token, struct vowi_tie *tie)
{
    if (tie->state == VOWI_TIE_REMOVED)
        return VOWI_TIE_REMOVED;
    token->uses++;
    /* relaxed: written under this lock */
    if (vowi_load_relaxed(&token->fired))
        return VOWI_TIE_FIRED;
    vowi_list_push(&token->ties, &tie->link);
    return VOWI_TIE_HANGS;
}

enum vowi_tie_state
vowi_tie_hang(struct vowi_tie *tie)
{
    struct vow_token *token = tie->token;
    enum vowi_tie_state state;

    vowi_spin_acquire(&token->lock);
    state = hang_locked(token, tie);
    tie->state = (unsigned char)state;
    vowi_spin_release(&token->lock);
    return state;
}

bool
vowi_tie_remove(struct vowi_tie *tie)
{
    struct vow_token *token = tie->token;
    unsigned char state;
    bool last = false;

    vowi_spin_acquire(&token->lock);
    state = tie->state;
    if (state == VOWI_TIE_HANGS)
        vowi_list_remove(&tie->link);
    if (state != VOWI_TIE_IDLE)
        last = vowi_token_unuse_locked(token);
    tie->state = VOWI_TIE_REMOVED;
    vowi_spin_release(&token->lock);
    if (last)
        vowi_token_unused(token);
    return state != VOWI_TIE_FIRED;
}

/* ---- firing ------------------------------------------------------------------------------- */

/*
 * The fact comes true. Puts the token into the firing, with a hold, and takes it off
 * its parents. False, and nothing consumed: it has fired before, or nobody can see it.
 */
static bool
come_true(struct vow_token *token, vow_error *reason, vow_error *error, vow_ns when,
          struct vowi_firing *firing)
{
    bool first, unhook;

    vowi_spin_acquire(&token->lock);
    /* relaxed: written under this lock */
    first = token->uses != 0 && !vowi_load_relaxed(&token->fired);
    if (first) {
        token->reason = reason;
        token->error = error;
        token->when = when;
        vowi_store_release(&token->fired, true); /* [fired] */
        token->holds++;
    }
    unhook = first && unhook_locked(token);
    vowi_spin_release(&token->lock);
    if (!first)
        return false;
    token->next = NULL;
    if (firing->first == NULL)
        firing->first = token;
    else
        firing->last->next = token;
    firing->last = token;
    if (unhook)
        vowi_token_unhook(token);
    return true;
}

static struct vowi_tie *
take_tie(struct vow_token *token)
{
    struct vowi_link *link;
    struct vowi_tie *tie = NULL;

    vowi_spin_acquire(&token->lock);
    link = vowi_list_pop(&token->ties);
    if (link != NULL) {
        tie = vowi_container_of(link, struct vowi_tie, link);
        tie->state = VOWI_TIE_FIRED;
    }
    vowi_spin_release(&token->lock);
    return tie;
}

static void
tell_all(struct vowi_firing *firing)
{
    while (firing->first != NULL) {
        struct vow_token *token = firing->first;
        struct vowi_tie *tie;

        while ((tie = take_tie(token)) != NULL)
            tie->fire(tie, firing);
        firing->first = token->next;
        vowi_token_release(token);
    }
}

/* In what it tells one of: the others are told all the same. */
static void
thread_exits_in_firing(void *firing)
{
    tell_all(firing);
    vowi_drain_all(vowi_self());
}

bool
vowi_token_fire(struct vow_token *token, vow_error *reason, vow_error *error, vow_ns when)
{
    struct vowi_firing firing = {.thread = vowi_self()};
    bool outermost = vowi_enter(firing.thread);
    bool first = come_true(token, reason, error, when, &firing);

    pthread_cleanup_push(thread_exits_in_firing, &firing);
    tell_all(&firing);
    pthread_cleanup_pop(0);
    vowi_leave(firing.thread, outermost);
    if (!first) {
        vow_error_unref(reason);
        vow_error_unref(error);
    }
    return first;
}

void
vowi_token_cancel(struct vow_token *token, const vow_error *error)
{
    const vow_error *reason = vow_error_cause(error);

    if (reason == NULL)
        reason = error;
    if (!vowi_token_fired(token))
        vowi_token_fire(token, vow_error_ref(reason), vow_error_ref(error), vow_now());
}

bool
vowi_token_fire_as(struct vow_token *token, const struct vow_token *as,
                   struct vowi_firing *firing)
{
    vow_error *reason = vow_error_ref(as->reason);
    vow_error *error = vow_error_ref(as->error);
    bool first = come_true(token, reason, error, as->when, firing);

    if (!first) {
        vow_error_unref(reason);
        vow_error_unref(error);
    }
    return first;
}

/* ---- sources ------------------------------------------------------------------------------ */

vow_source *
vow_source_new(void)
{
    return (vow_source *)(void *)vowi_token_new();
}

vow_source *
vow_source_ref(vow_source *s)
{
    token_use(token_of(s));
    return s;
}

void
vow_source_unref(vow_source *s)
{
    token_unuse(token_of(s));
}

vow_token *
vow_source_token(vow_source *s)
{
    return vow_token_ref(token_of(s));
}

bool
vow_source_cancel(vow_source *s, vow_error *reason)
{
    struct vow_token *token = token_of(s);

    if (token == NULL || vowi_token_fired(token)) {
        vow_error_unref(reason);
        return false;
    }
    if (reason == NULL)
        reason = vow_error_of(VOW_E_CANCELLED);
    return vowi_token_fire(token, reason, vowi_cancelled_error(vow_error_ref(reason)),
                           vow_now());
}

/* ---- tokens ------------------------------------------------------------------------------- */

vow_token *
vow_token_ref(vow_token *t)
{
    token_use(t);
    return t;
}

void
vow_token_unref(vow_token *t)
{
    token_unuse(t);
}

bool
vow_token_cancelled(const vow_token *t)
{
    return vowi_token_fired(t);
}

const vow_error *
vow_token_reason(const vow_token *t)
{
    return vowi_token_fired(t) ? t->reason : NULL;
}

vow_ns
vow_token_cancelled_at(const vow_token *t)
{
    return vowi_token_fired(t) ? t->when : VOW_FOREVER;
}

vow_ns
vow_token_deadline_of(const vow_token *t, vow_clock **clock)
{
    const struct vowi_upward *up = t != NULL ? t->upward : NULL;

    if (clock != NULL)
        *clock = up != NULL ? up->clock : NULL;
    return up != NULL ? up->deadline : VOW_FOREVER;
}
