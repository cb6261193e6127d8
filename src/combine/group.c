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
#include <string.h>

#include <vow/group.h>

#include "base/error.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/options.h"
#include "combine/errors.h"
#include "core/hang.h"
#include "sync/lock.h"
#include "sync/refs.h"

struct vow_group {
    struct vowi_refs handles;
    struct vowi_refs refs; /* of its memory */

    /* Not written again once it is open. */
    const char *name;
    bool keeps_others;
    size_t limit;
    vow_source *source;
    vow_token *token; /* of the source, or linked to it */
    bool linked;
    vow_token *until;        /* its deadline, or NULL */
    vow_registration *watch; /* on a token that fires by itself, or NULL */
    vow_promise *promise;

    struct vowi_lock lock; /* guards all that follows */
    bool joined, closed, ended;
    bool lacked_memory;   /* that is among the errors */
    bool left_out;        /* a child was refused because the group was cancelled */
    bool stopped_first;   /* before the first error came */
    vow_error *stop;      /* it was cancelled: how its join is rejected */
    vow_error *cancelled; /* the first child that was cancelled has this */
    size_t first_failed;  /* the number of the first child that failed */
    struct vowi_errors *errors;
    struct vowi_list line;   /* children that wait for a place, the first to come first */
    struct vowi_list askers; /* children under way, which are asked to stop */
    vow_group_figures seen;
};

struct child {
    struct vowi_hanger hanger;
    vow_group *group;
    vow_future *f; /* a reference */
    size_t number; /* among the children, from 0 */

    /* Guarded by the group's lock. */
    bool has_place;
    bool listed; /* in line, or among those to be asked */
    struct vowi_link link;
    vow_promise *gate; /* a reference, while it is in line */

    /* What it will need when it has its turn in line. */
    vow_executor *on;
    vow_task_fn *fn;
    vow_value ctx;
};

/* ---- memory ----------------------------------------------------------------------------- */

static void
release(vow_group *g)
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
    release(group);
}

/* A context that keeps the group. */
static vow_value
context_of(vow_group *g)
{
    vowi_refs_take(&g->refs);
    return vow_own(g, release_context);
}

static struct child *
child_new(vow_group *g)
{
    struct child *c = vowi_alloc(sizeof *c);

    if (c == NULL)
        return NULL;
    memset(c, 0, sizeof *c);
    c->group = g;
    return c;
}

static void
child_free(struct child *c)
{
    vowi_free(c, sizeof *c);
}

/* ---- the end ---------------------------------------------------------------------------- */

/* Whether the caller ends it. */
static bool
ends_locked(vow_group *g)
{
    bool ends = g->joined && g->seen.pending == 0 && !g->ended;

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
static void
conclude(vow_group *g)
{
    vow_error *error = outcome_of(g);

    if (g->watch != NULL)
        vow_registration_remove(g->watch);
    if (error != NULL)
        vow_promise_reject(g->promise, error);
    else
        vow_promise_fulfill(g->promise, VOW_NIL);
    release(g);
}

/* ---- cancelling ------------------------------------------------------------------------- */

/* Takes the first child out of a list; NULL: there is none. */
static struct child *
unlist_first_locked(struct vowi_list *list)
{
    struct vowi_link *first = vowi_list_pop(list);
    struct child *c;

    if (first == NULL)
        return NULL;
    c = vowi_container_of(first, struct child, link);
    c->listed = false;
    return c;
}

/* The gate of the first in line, which is in line no more; NULL: there is none. */
static vow_promise *
leave_line_locked(vow_group *g, struct child **first)
{
    struct child *c = unlist_first_locked(&g->line);
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
static vow_error *
error_of_child(const vow_group *g)
{
    return vowi_error_cancelled_by(vow_error_ref(g->stop));
}

static void
reject_line(vow_group *g)
{
    vow_promise *gate;

    do {
        struct child *c;

        vowi_lock_acquire(&g->lock);
        gate = leave_line_locked(g, &c);
        vowi_lock_release(&g->lock);
        if (gate != NULL)
            vow_promise_reject(gate, error_of_child(g));
        vow_promise_unref(gate);
    } while (gate != NULL);
}

static void
ask_to_stop(const vow_group *g, vow_future *f)
{
    vow_future_cancel(f, vow_error_ref(g->stop));
    vow_ignore(f);
}

static void
ask_askers(vow_group *g)
{
    for (;;) {
        struct child *c;
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
    bool first;

    vowi_lock_acquire(&g->lock);
    first = g->stop == NULL && !g->ended;
    if (first) {
        g->stop = outcome;
        g->stopped_first = g->errors->count == 0;
    }
    vowi_lock_release(&g->lock);
    if (!first) {
        vow_error_unref(reason);
        vow_error_unref(outcome);
        return false;
    }
    vow_source_cancel(g->source, reason);
    reject_line(g);
    ask_askers(g);
    return true;
}

/* Consumes the reason. */
static bool
stop_because(vow_group *g, vow_error *reason)
{
    return stop(g, reason, vowi_error_cancelled_by(vow_error_ref(reason)));
}

/* The future of the join was asked to stop; it settles when the group ends. */
static void
join_cancelled(vow_promise *p, const vow_error *reason, void *group)
{
    const vow_error *cause = vow_error_cause(reason);

    (void)p;
    stop_because(group, vow_error_ref(cause != NULL ? cause : reason));
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
        stop_because(g, vow_error_ref(reason));
}

/* Does so if nobody has yet: a child that saw the token fire may settle before that. */
static void
look_at_token(vow_group *g)
{
    if (g->linked && vow_token_cancelled(g->token))
        token_fired(g);
}

/* ---- a child settles -------------------------------------------------------------------- */

/* What is to be done about it, with no lock held. */
struct ending {
    vow_promise *next;  /* has a place now */
    vow_promise *gate;  /* of the child itself, which left the line by settling */
    vow_error *failure; /* cancels the others */
    bool over;
};

/* Keeps an error of a child. Returns it, a new reference, if it cancels the others. */
static vow_error *
fail_locked(vow_group *g, size_t number, const vow_error *error)
{
    if (g->errors->count == 0)
        g->first_failed = number;
    vowi_errors_keep(g->errors, vow_error_ref(error));
    g->seen.failed++;
    return g->keeps_others || g->stop != NULL ? NULL : vow_error_ref(error);
}

/* A place is free: the next in line has it. */
static vow_promise *
pass_place_locked(vow_group *g)
{
    struct child *c = NULL;
    vow_promise *gate = NULL;

    if (g->stop == NULL)
        gate = leave_line_locked(g, &c);
    if (c != NULL)
        c->has_place = true;
    else
        g->seen.running--;
    return gate;
}

static void
unlist_locked(vow_group *g, struct child *c, struct ending *e)
{
    vowi_list_remove(&c->link);
    if (c->gate == NULL)
        return;
    g->seen.waiting--;
    e->gate = c->gate;
}

static void
end_locked(vow_group *g, struct child *c, struct ending *e)
{
    const vow_error *error = vow_peek(c->f).error;

    if (c->listed)
        unlist_locked(g, c, e);
    if (c->has_place)
        e->next = pass_place_locked(g);
    if (vow_error_code(error) != VOW_E_CANCELLED && error != NULL)
        e->failure = fail_locked(g, c->number, error);
    else if (error != NULL && g->cancelled == NULL)
        g->cancelled = vow_error_ref(error);
    g->seen.pending--;
    e->over = ends_locked(g);
}

static void
child_ended(vow_task *task, int why)
{
    struct child *c = vowi_container_of(task, struct child, hanger.task);
    vow_group *g = c->group;
    struct ending e = {.next = NULL};

    (void)why;
    look_at_token(g);
    vowi_lock_acquire(&g->lock);
    end_locked(g, c, &e);
    vowi_lock_release(&g->lock);
    vow_ignore(c->f);
    child_free(c);
    vow_promise_unref(e.gate);
    vow_promise_fulfill(e.next, VOW_NIL);
    vow_promise_unref(e.next);
    if (e.failure != NULL)
        stop_because(g, e.failure);
    if (e.over)
        conclude(g);
    release(g);
}

/* Its last touch: the child may end, and go, any time now. */
static void
let_settle(struct child *c)
{
    vowi_hang(c->f, &c->hanger, child_ended);
}

/* ---- adding ----------------------------------------------------------------------------- */

enum { NO_ROOM = -1 };

/* Whether a child is taken: 0, a code, or NO_ROOM for its error. */
static int
admits_locked(vow_group *g, bool under_way)
{
    if (g->closed || g->ended)
        return VOW_E_CLOSED;
    if (g->stop != NULL && !under_way) {
        g->left_out = true;
        return VOW_E_CANCELLED;
    }
    return g->errors->count + g->seen.pending + 2 > g->errors->room ? NO_ROOM : 0;
}

static bool
has_place_locked(const vow_group *g)
{
    return (g->limit == 0 || g->seen.running < g->limit) && vowi_list_is_empty(&g->line);
}

static void
take_place_locked(vow_group *g, struct child *c)
{
    c->has_place = true;
    if (++g->seen.running > g->seen.most)
        g->seen.most = g->seen.running;
}

static void
count_locked(vow_group *g, struct child *c, bool under_way)
{
    vowi_refs_take(&g->refs);
    c->number = g->seen.added++;
    g->seen.pending++;
    if (!under_way && has_place_locked(g))
        take_place_locked(g, c);
}

/* With the lock, which it gives up meanwhile. Returns false without memory. */
static bool
make_room_locked(vow_group *g)
{
    size_t room = 2 * g->errors->room;
    vow_error **items;

    vowi_lock_release(&g->lock);
    items = vowi_errors_room_new(room);
    vowi_lock_acquire(&g->lock);
    if (items == NULL)
        return false;
    if (!g->ended && room > g->errors->room)
        items = vowi_errors_move(g->errors, items, &room);
    vowi_lock_release(&g->lock);
    vowi_errors_room_free(items, room);
    vowi_lock_acquire(&g->lock);
    return true;
}

/* A child that there was no memory for has failed. */
static vow_error *
lack_memory_locked(vow_group *g)
{
    size_t number = g->seen.added++;

    if (g->lacked_memory)
        return NULL;
    g->lacked_memory = true;
    return fail_locked(g, number, vow_error_of(VOW_E_NOMEM));
}

/* Takes a child into the group; NULL is one without memory. Returns 0 or a code. */
static int
admit(vow_group *g, struct child *c, bool under_way)
{
    vow_error *failure = NULL;
    int code;

    look_at_token(g);
    vowi_lock_acquire(&g->lock);
    while ((code = admits_locked(g, under_way)) == NO_ROOM && c != NULL)
        if (!make_room_locked(g))
            c = NULL;
    if ((code == 0 || code == NO_ROOM) && c == NULL) {
        code = VOW_E_NOMEM;
        failure = lack_memory_locked(g);
    }
    if (code == 0)
        count_locked(g, c, under_way);
    vowi_lock_release(&g->lock);
    if (failure != NULL)
        stop_because(g, failure);
    return code;
}

/* A child that is under way; if it is taken the future is consumed. */
static int
adopt(vow_group *g, vow_future *f)
{
    struct child *c = child_new(g);
    vow_future *stopped = NULL;
    int code = admit(g, c, true);

    if (code != 0) {
        child_free(c);
        return code;
    }
    c->f = f;
    vowi_lock_acquire(&g->lock);
    if (g->stop != NULL) {
        code = VOW_E_CANCELLED;
        stopped = vow_ref(f);
    } else {
        vowi_list_push(&g->askers, &c->link);
        c->listed = true;
    }
    vowi_lock_release(&g->lock);
    let_settle(c);
    if (code != 0)
        ask_to_stop(g, stopped);
    return code;
}

int
vow_group_add(vow_group *g, vow_future *f)
{
    int code = g != NULL ? adopt(g, f) : VOW_E_NOMEM;

    if (code != 0 && code != VOW_E_CANCELLED) {
        vow_future_cancel(f, NULL);
        vow_ignore(f);
    }
    return code;
}

/* ---- starting --------------------------------------------------------------------------- */

static vow_future *
start(const vow_group *g, vow_executor *on, vow_task_fn *fn, vow_value ctx)
{
    return vow_submit_with(on, &VOW_SUBMIT_OPTIONS(.token = g->token, .name = g->name),
                           fn, ctx);
}

/* A child in line has its turn. */
static vow_result
take_turn(vow_value nothing, void *child)
{
    struct child *c = child;
    vow_value ctx = c->ctx;

    (void)nothing;
    c->ctx = VOW_NIL;
    return vow_follow(start(c->group, c->on, c->fn, ctx));
}

/* Before the child settles. */
static void
drop_turn(void *child)
{
    struct child *c = child;

    vow_executor_unref(c->on);
    vow_value_drop(c->ctx);
}

/* Makes a child wait behind a gate, which is returned. */
static vow_promise *
put_behind_gate(struct child *c, vow_executor *on, vow_task_fn *fn, vow_value ctx)
{
    vow_promise *gate = vow_promise_new();

    c->on = vow_executor_ref(on);
    c->fn = fn;
    c->ctx = ctx;
    c->f = vow_then(vow_promise_future(gate), NULL, take_turn, vow_own(c, drop_turn));
    return gate;
}

/* Gives it a place in line, unless there is one to run in by now, or no use. */
static void
line_up(vow_group *g, struct child *c, vow_promise *gate)
{
    vow_error *stopped = NULL;
    bool waits = false;

    vowi_lock_acquire(&g->lock);
    if (g->stop != NULL) {
        stopped = g->stop;
    } else if (has_place_locked(g)) {
        take_place_locked(g, c);
    } else {
        waits = true;
        c->gate = vow_promise_ref(gate);
        c->listed = true;
        vowi_list_push(&g->line, &c->link);
        g->seen.waiting++;
    }
    vowi_lock_release(&g->lock);
    if (stopped != NULL)
        vow_promise_reject(gate, error_of_child(g));
    else if (!waits)
        vow_promise_fulfill(gate, VOW_NIL);
    vow_promise_unref(gate);
}

static void
wait_in_line(vow_group *g, struct child *c, vow_executor *on, vow_task_fn *fn,
             vow_value ctx)
{
    vow_promise *gate = put_behind_gate(c, on, fn, ctx);

    if (c->f != NULL) {
        line_up(g, c, gate);
        return;
    }
    vow_promise_fulfill(gate, VOW_NIL); /* nobody waits for it */
    vow_promise_unref(gate);
}

/* Adds a child. Its future, if somebody wants it, is a new reference. */
static int
add(vow_group *g, vow_executor *on, vow_task_fn *fn, vow_value ctx, vow_future **f)
{
    struct child *c = child_new(g);
    int code = admit(g, c, false);

    if (code != 0) {
        vow_value_drop(ctx);
        child_free(c);
        return code;
    }
    if (c->has_place)
        c->f = start(g, on, fn, ctx);
    else
        wait_in_line(g, c, on, fn, ctx);
    if (f != NULL)
        *f = vow_ref(c->f);
    let_settle(c);
    return 0;
}

int
vow_group_post(vow_group *g, vow_executor *on, vow_task_fn *fn, vow_value ctx)
{
    if (g != NULL)
        return add(g, on, fn, ctx, NULL);
    vow_value_drop(ctx);
    return VOW_E_NOMEM;
}

static const char *
name_of(const vow_group *g)
{
    return g->name != NULL ? g->name : "the group";
}

/* The future of a child that was not taken. */
static vow_future *
refused(const vow_group *g, int code)
{
    if (code == VOW_E_NOMEM)
        return NULL;
    if (code == VOW_E_CANCELLED)
        return vow_rejected(error_of_child(g));
    return vow_rejected(vow_error_new_at(
        NULL, code, "%s takes no more children: it was closed, or has ended",
        name_of(g)));
}

vow_future *
vow_group_submit(vow_group *g, vow_executor *on, vow_task_fn *fn, vow_value ctx)
{
    vow_future *f = NULL;
    int code;

    if (g == NULL) {
        vow_value_drop(ctx);
        return NULL;
    }
    code = add(g, on, fn, ctx, &f);
    return code == 0 ? f : refused(g, code);
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
        return stop_because(g, reason != NULL ? reason : vow_error_of(VOW_E_CANCELLED));
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
    over = ends_locked(g);
    vowi_lock_release(&g->lock);
    if (over)
        conclude(g);
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

vow_group *
vow_group_ref(vow_group *g)
{
    if (g != NULL)
        vowi_refs_take(&g->handles);
    return g;
}

/* Nobody will ask: the future is let go of here, which says whether an error was seen. */
static void
abandon(vow_group *g)
{
    vow_future *f = vow_promise_future(g->promise);

    stop_because(g, vow_error_of(VOW_E_CANCELLED));
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
    release(g);
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
furnish(vow_group *g, const vow_group_options *o)
{
    g->errors = vowi_errors_new();
    g->promise = vow_promise_new_with(&VOW_PROMISE_OPTIONS(.name = o->name));
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
    release(g);
}

/* Its parent takes it as a child, or it takes none itself, and says why in the end. */
static void
join_parent(vow_group *g, vow_group *parent)
{
    vow_future *f = vow_promise_future(g->promise);
    int code = adopt(parent, f);

    if (code == 0 || code == VOW_E_CANCELLED)
        return;
    vow_ignore(f);
    vowi_lock_acquire(&g->lock);
    g->closed = true;
    vow_error_unref(fail_locked(g, 0, vow_error_of(code)));
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
    if (!furnish(g, &o)) {
        discard(g);
        return NULL;
    }
    vowi_refs_take(&g->refs); /* its own, until it has ended */
    if (o.parent != NULL)
        join_parent(g, o.parent);
    return g;
}
