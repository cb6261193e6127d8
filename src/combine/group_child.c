/* SPDX-License-Identifier: MIT */
/*
 * combine/group_child.c - a child of a group: how it is added, gets its turn, and ends.
 *
 * What group.c says of the lock and of memory holds here.
 */
#include "combine/group_internal.h"

#include <string.h>

#include "base/mem.h"
#include "base/options.h"
#include "core/caller.h"

static struct vowi_child *
child_new(vow_group *g)
{
    struct vowi_child *c = vowi_alloc(sizeof *c);

    if (c == NULL)
        return NULL;
    memset(c, 0, sizeof *c);
    c->group = g;
    return c;
}

static void
child_free(struct vowi_child *c)
{
    vowi_free(c, sizeof *c);
}

/* ---- a child settles -------------------------------------------------------------------- */

/* What is to be done about it, with no lock held. */
struct ending {
    vow_promise *next;  /* has a place now */
    vow_error *failure; /* cancels the others */
    bool over;
};

/* Keeps an error of a child. Returns it, a new reference, if it cancels the others. */
vow_error *
vowi_group_fail_locked(vow_group *g, uint64_t number, const vow_error *error)
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
    struct vowi_child *c = NULL;
    vow_promise *gate = NULL;

    if (g->stop == NULL)
        gate = vowi_group_leave_line_locked(g, &c);
    if (c != NULL)
        c->has_place = true;
    else
        g->seen.running--;
    return gate;
}

/* One that has settled leaves its list, and is asked no more: a gate, if it was in line. */
static vow_promise *
leave_list(vow_group *g, struct vowi_child *c)
{
    vow_promise *gate;

    vowi_lock_acquire(&g->lock);
    gate = c->gate;
    if (c->listed)
        vowi_list_remove(&c->link);
    if (gate != NULL)
        g->seen.waiting--;
    vowi_lock_release(&g->lock);
    return gate;
}

static void
end_locked(vow_group *g, struct vowi_child *c, const vow_error *error, struct ending *e)
{
    if (c->has_place)
        e->next = pass_place_locked(g);
    if (vow_error_code(error) != VOW_E_CANCELLED && error != NULL)
        e->failure = vowi_group_fail_locked(g, c->number, error);
    else if (error != NULL && g->cancelled == NULL)
        g->cancelled = vow_error_ref(error);
    g->seen.pending--;
    e->over = vowi_group_ends_locked(g);
}

/* What it leaves behind goes before it counts as settled. */
static void
child_ended(vow_task *task, int why)
{
    struct vowi_child *c = vowi_container_of(task, struct vowi_child, hanger.task);
    vow_group *g = c->group;
    vow_error *error = vow_error_ref(vow_peek(c->f).error);
    struct ending e = {.next = NULL};

    (void)why;
    vowi_group_look_at_token(g);
    if (c->waits)
        vow_promise_unref(leave_list(g, c));
    vow_ignore(c->f);
    vowi_lock_acquire(&g->lock);
    end_locked(g, c, error, &e);
    vowi_lock_release(&g->lock);
    vow_error_unref(error);
    child_free(c);
    vow_promise_fulfill(e.next, VOW_NIL);
    vow_promise_unref(e.next);
    if (e.failure != NULL)
        vowi_group_stop(g, e.failure);
    if (e.over)
        vowi_group_conclude(g);
    vowi_group_release(g);
}

/* Its last touch: the child may end, and go, any time now. */
static void
let_settle(struct vowi_child *c)
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
take_place_locked(vow_group *g, struct vowi_child *c)
{
    c->has_place = true;
    if (++g->seen.running > g->seen.most)
        g->seen.most = g->seen.running;
}

static void
count_locked(vow_group *g, struct vowi_child *c, bool under_way)
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
    uint64_t number = g->seen.added++;

    if (g->lacked_memory)
        return NULL;
    g->lacked_memory = true;
    return vowi_group_fail_locked(g, number, vow_error_of(VOW_E_NOMEM));
}

/* Takes a child into the group; NULL is one without memory. Returns 0 or a code. */
static int
admit(vow_group *g, struct vowi_child *c, bool under_way)
{
    vow_error *failure = NULL;
    int code;

    vowi_group_look_at_token(g);
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
        vowi_group_stop(g, failure);
    return code;
}

/* A child that is under way; if it is taken the future is consumed. */
int
vowi_group_adopt(vow_group *g, vow_future *f)
{
    struct vowi_child *c = child_new(g);
    vow_future *stopped = NULL;
    int code = admit(g, c, true);

    if (code != 0) {
        child_free(c);
        return code;
    }
    c->f = f;
    c->waits = true;
    vowi_lock_acquire(&g->lock);
    if (g->stop != NULL) {
        code = VOW_E_CANCELLED;
        stopped = vow_ref(f);
        g->asking++;
    } else {
        vowi_list_push(&g->askers, &c->link);
        c->listed = true;
    }
    vowi_lock_release(&g->lock);
    let_settle(c);
    if (code != 0)
        vowi_group_ask_to_stop(g, stopped);
    return code;
}

int
vow_group_add(vow_group *g, vow_future *f)
{
    int code = g != NULL ? vowi_group_adopt(g, f) : VOW_E_NOMEM;

    if (code != 0 && code != VOW_E_CANCELLED) {
        vow_future_cancel(f, NULL);
        vow_ignore(f);
    }
    return code;
}

/* ---- starting --------------------------------------------------------------------------- */

/* Its token is the group's, and one of its own if it has one. */
static vow_future *
start_with(const vow_group *g, const struct vowi_turn *turn)
{
    vow_submit_options opt = *turn->opt;
    vow_token *both = NULL;
    vow_future *f = NULL;

    if (opt.token != NULL)
        both = vow_token_any((vow_token *[]){g->token, opt.token}, 2);
    if (opt.token == NULL || both != NULL) {
        opt.token = both != NULL ? both : g->token;
        opt.name = opt.name != NULL ? opt.name : g->name;
        f = vowi_submit_with_at(turn->on, &opt, turn->fn, turn->ctx, turn->site);
    } else {
        vow_value_drop(turn->ctx);
    }
    vow_token_unref(both);
    return f;
}

/* Consumes the context. */
static vow_future *
start(const vow_group *g, const struct vowi_turn *turn)
{
    if (turn->opt != NULL)
        return start_with(g, turn);
    return vowi_submit_with_at(turn->on,
                               &VOW_SUBMIT_OPTIONS(.token = g->token, .name = g->name),
                               turn->fn, turn->ctx, turn->site);
}

/* A child in line has its turn. */
static vow_result
take_turn(vow_value nothing, void *child)
{
    struct vowi_child *c = child;
    struct vowi_turn turn = c->turn;

    (void)nothing;
    c->turn.ctx = VOW_NIL;
    return vow_follow(start(c->group, &turn));
}

/* Before the child settles. */
static void
drop_turn(void *child)
{
    struct vowi_child *c = child;

    vow_executor_unref(c->turn.on);
    vow_token_unref(c->opt.token);
    vow_value_drop(c->turn.ctx);
}

/* Makes a child wait behind a gate, which is returned. */
static vow_promise *
put_behind_gate(struct vowi_child *c, const struct vowi_turn *turn)
{
    vow_promise *gate = vowi_promise_new_at(turn->site);

    c->turn = *turn;
    vow_executor_ref(turn->on);
    if (turn->opt != NULL) {
        c->opt = *turn->opt;
        c->turn.opt = &c->opt;
        vow_token_ref(c->opt.token);
    }
    c->waits = true;
    c->f = vowi_then_at(vow_promise_future(gate), NULL, take_turn, vow_own(c, drop_turn),
                        turn->site);
    return gate;
}

/* Gives it a place in line, unless there is one to run in by now, or no use. */
static void
line_up(vow_group *g, struct vowi_child *c, vow_promise *gate)
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
        vow_promise_reject(gate, vowi_group_error_of_child(g));
    else if (!waits)
        vow_promise_fulfill(gate, VOW_NIL);
    vow_promise_unref(gate);
}

static void
wait_in_line(vow_group *g, struct vowi_child *c, const struct vowi_turn *turn)
{
    vow_promise *gate = put_behind_gate(c, turn);

    if (c->f != NULL) {
        line_up(g, c, gate);
        return;
    }
    vow_promise_fulfill(gate, VOW_NIL); /* nobody waits for it */
    vow_promise_unref(gate);
}

/* Adds a child. Its future, if somebody wants it, is a new reference. */
static int
add(vow_group *g, const struct vowi_turn *turn, vow_future **f)
{
    struct vowi_child *c = child_new(g);
    int code = admit(g, c, false);

    if (code != 0) {
        vow_value_drop(turn->ctx);
        child_free(c);
        return code;
    }
    if (c->has_place)
        c->f = start(g, turn);
    else
        wait_in_line(g, c, turn);
    if (f != NULL)
        *f = vow_ref(c->f);
    let_settle(c);
    return 0;
}

int
vow_group_post(vow_group *g, vow_executor *on, vow_task_fn *fn, vow_value ctx)
{
    const struct vowi_turn turn = {
        .on = on, .fn = fn, .ctx = ctx, .site = __builtin_return_address(0)};

    if (g != NULL)
        return add(g, &turn, NULL);
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
refused(const vow_group *g, int code, const void *site)
{
    if (code == VOW_E_NOMEM)
        return NULL;
    if (code == VOW_E_CANCELLED)
        return vowi_rejected_at(vowi_group_error_of_child(g), site);
    return vowi_rejected_at(
        vow_error_new_at(NULL, code,
                         "%s takes no more children: it was closed, or has ended",
                         name_of(g)),
        site);
}

static vow_future *
submit(vow_group *g, const struct vowi_turn *turn)
{
    vow_future *f = NULL;
    int code;

    if (g == NULL) {
        vow_value_drop(turn->ctx);
        return NULL;
    }
    code = add(g, turn, &f);
    return code == 0 ? f : refused(g, code, turn->site);
}

vow_future *
vow_group_submit(vow_group *g, vow_executor *on, vow_task_fn *fn, vow_value ctx)
{
    const struct vowi_turn turn = {
        .on = on, .fn = fn, .ctx = ctx, .site = __builtin_return_address(0)};

    return submit(g, &turn);
}

vow_future *
vow_group_submit_with(vow_group *g, vow_executor *on, const vow_submit_options *opt,
                      vow_task_fn *fn, vow_value ctx)
{
    vow_submit_options known;
    const struct vowi_turn turn = {.on = on,
                                   .opt = &known,
                                   .fn = fn,
                                   .ctx = ctx,
                                   .site = __builtin_return_address(0)};

    vowi_options_read(&known, sizeof known, opt);
    known.size = sizeof known;
    known.flags = 0;
    return submit(g, &turn);
}
