/* SPDX-License-Identifier: MIT */
/*
 * combine/group.c - children that are waited for together: vow_group.
 *
 * A child is a future with a node of the group's on it, which is told when it settles. It
 * is counted before there is a future, and from then on nothing of it can be lost for want
 * of memory: room for its error is made first (combine/errors.h), and one place more is
 * kept for the error of a child for which there was no memory at all.
 *
 * How a child is cancelled depends on what it is. A task has the group's token, and core
 * does the rest. One that waits in line is a step behind a promise, its gate, which
 * whoever gives it a place fulfills, and whoever cancels rejects. What is under way is
 * listed, and asked. Which of these a child is changes only under the group's lock: so
 * each child is started, rejected or asked by one thread.
 *
 * A group ends when it has been joined and its last child has settled; whoever finds that
 * under the lock settles its promise. References to its memory: that of all handles
 * together, of each child until it has settled, of the hook of its promise, of the
 * registration on its token, and of the group itself until it has ended. The error that
 * it ends with lies in a block of its own, so that the two do not keep each other.
 */
#include "combine/group_internal.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/options.h"
#include "core/call.h"

/* ---- memory ----------------------------------------------------------------------------- */

void
vowi_group_release(vow_group *g)
{
    if (!vowi_refs_drop(&g->refs))
        return;
    vowi_errors_free(g->errors);
    vow_error_unref(g->stop);
    vow_error_unref(g->cancelled);
    vow_promise_unref(g->promise);
    vow_token_unref(g->token);
    vow_token_unref(g->until);
    vow_source_unref(g->source);
    vowi_lock_fini(&g->lock);
    vowi_free(g, sizeof *g);
}

static void
release_context(void *group)
{
    vowi_group_release(group);
}

/* A context that keeps the group. */
static vow_value
context_of(vow_group *g)
{
    vowi_refs_take(&g->refs);
    return vow_own(g, release_context);
}

/* ---- the end ---------------------------------------------------------------------------- */

/* Whether the caller ends it. */
bool
vowi_group_ends_locked(vow_group *g)
{
    bool ends = g->joined && g->seen.pending == 0 && g->asking == 0 && !g->ended;

    g->ended = g->ended || ends;
    return ends;
}

static vow_error *
error_of_all(vow_group *g)
{
    struct vowi_errors *errors = g->errors;

    g->errors = NULL;
    if (g->stopped_first)
        return vowi_errors_as_one(errors, g->stop, 0);
    return vowi_errors_as_one(errors, errors->items[0], (int64_t)g->first_failed + 1);
}

/* How it ends: an error, or NULL. Nobody changes what it reads any more. */
static vow_error *
outcome_of(vow_group *g)
{
    if (g->errors->count != 0)
        return error_of_all(g);
    if (!g->left_out && g->cancelled == NULL)
        return NULL;
    return vow_error_ref(g->stop != NULL ? g->stop : g->cancelled);
}

/* By whoever found that it ends. */
void
vowi_group_conclude(vow_group *g)
{
    vow_error *error = outcome_of(g);

    if (g->watch != NULL)
        vow_registration_remove(g->watch);
    if (error != NULL)
        vow_promise_reject(g->promise, error);
    else
        vow_promise_fulfill(g->promise, VOW_NIL);
    vowi_group_release(g);
}

/* ---- cancelling ------------------------------------------------------------------------- */

/* Takes the first child out of a list; NULL: there is none. */
static struct vowi_child *
unlist_first_locked(struct vowi_list *list)
{
    struct vowi_link *first = vowi_list_pop(list);
    struct vowi_child *c;

    if (first == NULL)
        return NULL;
    c = vowi_container_of(first, struct vowi_child, link);
    c->listed = false;
    return c;
}

/* The gate of the first in line, which is in line no more; NULL: there is none. */
vow_promise *
vowi_group_leave_line_locked(vow_group *g, struct vowi_child **first)
{
    struct vowi_child *c = unlist_first_locked(&g->line);
    vow_promise *gate = NULL;

    *first = c;
    if (c != NULL) {
        g->seen.waiting--;
        gate = c->gate;
        c->gate = NULL;
    }
    return gate;
}

/* What a child that is cancelled is rejected with. */
vow_error *
vowi_group_error_of_child(const vow_group *g)
{
    return vowi_error_cancelled_by(vow_error_ref(g->stop));
}

static void
reject_line(vow_group *g)
{
    vow_promise *gate;

    do {
        struct vowi_child *c;

        vowi_lock_acquire(&g->lock);
        gate = vowi_group_leave_line_locked(g, &c);
        vowi_lock_release(&g->lock);
        if (gate != NULL)
            vow_promise_reject(gate, vowi_group_error_of_child(g));
        vow_promise_unref(gate);
    } while (gate != NULL);
}

static void
ask_to_stop(const vow_group *g, vow_future *f)
{
    vow_future_cancel(f, vow_error_ref(g->stop));
    vow_ignore(f);
}

/* Whoever asks holds up the end, since what he runs, and lets go of, is the children's. */
static void
end_asking(vow_group *g)
{
    bool over;

    vowi_lock_acquire(&g->lock);
    g->asking--;
    over = vowi_group_ends_locked(g);
    vowi_lock_release(&g->lock);
    if (over)
        vowi_group_conclude(g);
}

void
vowi_group_ask_to_stop(vow_group *g, vow_future *f)
{
    ask_to_stop(g, f);
    end_asking(g);
}

static void
ask_askers(vow_group *g)
{
    for (;;) {
        struct vowi_child *c;
        vow_future *f;

        vowi_lock_acquire(&g->lock);
        c = unlist_first_locked(&g->askers);
        f = c != NULL ? vow_ref(c->f) : NULL;
        vowi_lock_release(&g->lock);
        if (c == NULL)
            return;
        ask_to_stop(g, f);
    }
}

/*
 * Cancels it, unless it was or has ended: consumes why, and how the join is to be rejected.
 * Nothing is added or started after the flag; those that were before are told here.
 */
static bool
stop(vow_group *g, vow_error *reason, vow_error *outcome)
{
    bool first, outermost;

    vowi_lock_acquire(&g->lock);
    first = g->stop == NULL && !g->ended;
    if (first) {
        g->stop = outcome;
        g->asking++;
        g->stopped_first = g->errors->count == 0;
    }
    vowi_lock_release(&g->lock);
    if (!first) {
        vow_error_unref(reason);
        vow_error_unref(outcome);
        return false;
    }
    outermost = vowi_settling_begin();
    vow_source_cancel(g->source, reason);
    reject_line(g);
    ask_askers(g);
    vowi_settling_end(outermost);
    end_asking(g);
    return true;
}

/* Consumes the reason. */
bool
vowi_group_stop(vow_group *g, vow_error *reason)
{
    return stop(g, reason, vowi_error_cancelled_by(vow_error_ref(reason)));
}

/* The future of the join was asked to stop; it settles when the group ends. */
static void
join_cancelled(vow_promise *p, const vow_error *reason, void *group)
{
    const vow_error *cause = vow_error_cause(reason);

    (void)p;
    vowi_group_stop(group, vow_error_ref(cause != NULL ? cause : reason));
}

static bool
is_stopped(vow_group *g)
{
    bool stopped;

    vowi_lock_acquire(&g->lock);
    stopped = g->stop != NULL;
    vowi_lock_release(&g->lock);
    return stopped;
}

/* The token fired: because the group was cancelled, or by itself. */
static void
token_fired(void *group)
{
    vow_group *g = group;
    const vow_error *reason = vow_token_reason(g->token);

    if (is_stopped(g))
        return;
    if (vow_token_cancelled(g->until))
        stop(g, vow_error_ref(reason), vow_error_of(VOW_E_TIMEDOUT));
    else
        vowi_group_stop(g, vow_error_ref(reason));
}

/* Does so if nobody has yet: a child that saw the token fire may settle before that. */
void
vowi_group_look_at_token(vow_group *g)
{
    if (g->linked && vow_token_cancelled(g->token))
        token_fired(g);
}

/* ---- closing, joining ------------------------------------------------------------------- */

void
vow_group_close(vow_group *g)
{
    if (g == NULL)
        return;
    vowi_lock_acquire(&g->lock);
    g->closed = true;
    vowi_lock_release(&g->lock);
}

bool
vow_group_cancel(vow_group *g, vow_error *reason)
{
    if (g != NULL)
        return vowi_group_stop(g,
                               reason != NULL ? reason : vow_error_of(VOW_E_CANCELLED));
    vow_error_unref(reason);
    return false;
}

/* From now on it ends with its last child. */
static void
end_with_last_child(vow_group *g)
{
    bool over;

    vowi_lock_acquire(&g->lock);
    g->joined = true;
    over = vowi_group_ends_locked(g);
    vowi_lock_release(&g->lock);
    if (over)
        vowi_group_conclude(g);
}

static bool
is_joined(vow_group *g)
{
    bool joined;

    vowi_lock_acquire(&g->lock);
    joined = g->joined;
    vowi_lock_release(&g->lock);
    return joined;
}

vow_future *
vow_group_join(vow_group *g)
{
    vow_future *f = g != NULL ? vow_promise_future(g->promise) : NULL;

    if (g != NULL)
        end_with_last_child(g);
    vow_group_unref(g);
    return f;
}

/* A child may ask when all handles have gone: its own reference keeps the memory. */
vow_group *
vow_group_ref(vow_group *g)
{
    if (g != NULL && vowi_refs_take_anew(&g->handles))
        vowi_refs_take(&g->refs);
    return g;
}

/* Nobody will ask: the future is let go of here, which says whether an error was seen. */
static void
abandon(vow_group *g)
{
    vow_future *f = vow_promise_future(g->promise);

    vowi_group_stop(g, vow_error_of(VOW_E_CANCELLED));
    end_with_last_child(g);
    vow_unref(f);
}

void
vow_group_unref(vow_group *g)
{
    if (g == NULL || !vowi_refs_drop(&g->handles))
        return;
    if (!is_joined(g))
        abandon(g);
    vowi_group_release(g);
}

/* ---- asking ----------------------------------------------------------------------------- */

vow_token *
vow_group_token(vow_group *g)
{
    return g != NULL ? vow_token_ref(g->token) : NULL;
}

void
vow_group_read(vow_group *g, vow_group_figures *figures)
{
    vow_group_figures seen = {0};

    if (g != NULL) {
        vowi_lock_acquire(&g->lock);
        seen = g->seen;
        vowi_lock_release(&g->lock);
    }
    vowi_options_write(figures, &seen, sizeof seen);
}

/* ---- opening ---------------------------------------------------------------------------- */

static vow_group *
group_alloc(const vow_group_options *o)
{
    vow_group *g = vowi_alloc(sizeof *g);

    if (g == NULL)
        return NULL;
    memset(g, 0, sizeof *g);
    if (vowi_lock_init(&g->lock, VOWI_RANK_GROUP) != 0) {
        vowi_free(g, sizeof *g);
        return NULL;
    }
    vowi_refs_init(&g->handles);
    vowi_refs_init(&g->refs);
    vowi_list_init(&g->line);
    vowi_list_init(&g->askers);
    g->name = o->name;
    g->limit = o->limit;
    g->keeps_others = (o->flags & VOW_KEEP_OTHERS) != 0;
    return g;
}

/* Makes its token, linked to all that cancel the group from outside. */
static bool
make_token(vow_group *g, const vow_group_options *o)
{
    vow_token *here = vow_token_current();
    vow_token *own = vow_source_token(g->source);
    vow_token *parent = o->parent != NULL ? o->parent->token : NULL;

    if (o->deadline != 0 && o->deadline != VOW_FOREVER) {
        g->until = vow_token_deadline(o->clock, o->deadline);
        if (g->until == NULL)
            goto done;
    }
    if (here == NULL && parent == NULL && o->token == NULL && g->until == NULL) {
        g->token = own;
        return true;
    }
    g->linked = true;
    g->token = vow_token_any((vow_token *[]){own, here, parent, o->token, g->until}, 5);
done:
    vow_token_unref(own);
    vow_token_unref(here);
    return g->token != NULL;
}

/* Has the group told when its token fires by itself. */
static bool
watch_token(vow_group *g)
{
    if (g->linked)
        g->watch = vow_token_on_cancel(g->token, NULL, token_fired, context_of(g));
    return !g->linked || g->watch != NULL;
}

/* All that may fail. What it has made goes with the group. */
static bool
furnish(vow_group *g, const vow_group_options *o, const void *site)
{
    g->errors = vowi_errors_new();
    g->promise =
        vow_promise_new_with(&VOW_PROMISE_OPTIONS(.name = o->name, .site = site));
    g->source = vow_source_new();
    if (g->errors == NULL || g->promise == NULL || g->source == NULL || !make_token(g, o))
        return false;
    return vow_promise_on_cancel(g->promise, NULL, join_cancelled, context_of(g)) !=
               NULL &&
           watch_token(g);
}

/* Of one that nobody got to see. */
static void
discard(vow_group *g)
{
    vow_promise *p = g->promise;

    g->promise = NULL;
    vow_promise_unref(p); /* and the hook's context with it */
    vowi_group_release(g);
}

/* Its parent takes it as a child, or it takes none itself, and says why in the end. */
static void
join_parent(vow_group *g, vow_group *parent)
{
    vow_future *f = vow_promise_future(g->promise);
    int code = vowi_group_adopt(parent, f);

    if (code == 0 || code == VOW_E_CANCELLED)
        return;
    vow_ignore(f);
    vowi_lock_acquire(&g->lock);
    g->closed = true;
    vow_error_unref(vowi_group_fail_locked(g, 0, vow_error_of(code)));
    vowi_lock_release(&g->lock);
}

vow_group *
vow_group_new(const vow_group_options *opt)
{
    vow_group_options o;
    vow_group *g;

    vowi_options_read(&o, sizeof o, opt);
    g = group_alloc(&o);
    if (g == NULL)
        return NULL;
    if (!furnish(g, &o, __builtin_return_address(0))) {
        discard(g);
        return NULL;
    }
    vowi_refs_take(&g->refs); /* its own, until it has ended */
    if (o.parent != NULL)
        join_parent(g, o.parent);
    return g;
}
