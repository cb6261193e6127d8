/* SPDX-License-Identifier: MIT */
/**
 * @file vow/group.h
 * Work that is waited for together, whatever happens: nothing outlives its group.
 *
 *     vow_group *g = vow_group_new(NULL);
 *
 *     for (size_t i = 0; i < n; i++)
 *         vow_group_post(g, pool, fetch, vow_ptr(url[i]));
 *     f = vow_group_join(g);
 *     if (vow_get(f).error != NULL)
 *         vow_error_print(vow_get(f).error, stderr);
 *     vow_unref(f);
 *
 * The first child that fails cancels the others, by the group's token, which each of
 * them has as its own (vow_cancelled, vow_token_current). VOW_KEEP_OTHERS lets them go on.
 * The future of the join settles when every child has settled, those that were cancelled
 * too: then nothing of the group runs, and what its children used may go.
 *
 * A child may add children, to its own group also after the join: a group stays open
 * until it was closed, or was joined and its last child has settled. A child need not
 * hold a reference to its group; the group is there until that child has settled.
 *
 * What the join says:
 *
 * | what happened                            | the join                               |
 * |------------------------------------------|----------------------------------------|
 * | every child was fulfilled                | VOW_NIL, also if there were none       |
 * | a child failed                           | the code of the first that did, its    |
 * |                                          | error as the cause, its place as       |
 * |                                          | vow_error_index                        |
 * | the group was cancelled before that, and | VOW_E_CANCELLED, with the reason       |
 * | so a child did not do its work           |                                        |
 * | its deadline passed, likewise            | VOW_E_TIMEDOUT                         |
 *
 * Each error of a child is kept: vow_error_count and vow_error_at of the join's error list
 * them in the order in which they came. A child that is rejected with VOW_E_CANCELLED did
 * not fail, and cancels nobody; but the join is not fulfilled then. That a child could not
 * be added for want of memory is an error of the group as well: what the adding functions
 * return need not be looked at.
 *
 * NULL is a group for which there was no memory: whatever is added to it is let go of, and
 * its join is a NULL future.
 */
#ifndef VOW_GROUP_H
#define VOW_GROUP_H

#include <vow/base.h>
#include <vow/cancel.h>
#include <vow/combine.h>
#include <vow/executor.h>
#include <vow/future.h>
#include <vow/result.h>

VOW_BEGIN_DECLS

/** Children that are waited for together. Counted; any thread may add. */
typedef struct vow_group vow_group;

/** How a group behaves; see VOW_GROUP_OPTIONS. */
typedef struct vow_group_options {
    size_t size; /**< of this struct: the macro sets it */
    const char
        *name;      /**< for messages, and the name of its children; borrowed for ever */
    unsigned flags; /**< VOW_KEEP_OTHERS: a child that fails cancels nobody; or 0 */
    size_t limit;   /**< children that run at once, of those it starts; 0: no limit */
    vow_token *token;  /**< shared: cancels the group when it fires; NULL: none */
    vow_group *parent; /**< shared: the group is a child of it; NULL: none */
    vow_ns deadline;   /**< a time at which the group is cancelled; 0: none */
    vow_clock *clock;  /**< borrowed: of the deadline; NULL: the one in force (vow_now) */
} vow_group_options;

/** Options for vow_group_new: &VOW_GROUP_OPTIONS(.limit = 8). */
#define VOW_GROUP_OPTIONS(...) VOW_SIZED(vow_group_options, __VA_ARGS__)

/**
 * Opens a group.
 *
 * Opened in a task or a step it is cancelled when that should stop (vow_token_current).
 * With a parent it is cancelled with the parent, which waits for it; its error is one of
 * the parent's. If the parent takes no children any more, nor does the group, and its
 * join is rejected with VOW_E_CLOSED.
 *
 * @param opt  borrowed for the call; NULL is the defaults
 * @return     owned; NULL if memory ran out, or there is no thread to be had that fires
 *             timers
 * @contract   any thread; never blocks; allocates; runs no user code but the clock's now()
 */
vow_group *vow_group_new(const vow_group_options *opt) VOW_MUST_USE;

/**
 * Takes another reference to a group, for somebody who is no child of it. A child may take
 * one until it has settled, also if all others have gone.
 *
 * @param g   borrowed; may be NULL
 * @return    owned; @p g itself
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_group *vow_group_ref(vow_group *g);

/**
 * Lets go of a group. If it was the last reference, and nobody has joined the group, the
 * group is cancelled: it goes when its children have settled, and an error that one of
 * them had is reported (vow_on_unhandled).
 *
 * @param g   consumed; may be NULL
 * @contract  any thread, any callback; never blocks; frees; may run what cancelling runs
 */
void vow_group_unref(vow_group *g);

/**
 * Adds a child: runs @p fn on @p on, as soon as there is a place for it.
 *
 * With a limit, a child has its place from its start until its future has settled, what it
 * returned to follow included; who finds no place waits in line, without a thread, first
 * in, first out. So a child that waits for another one of its own limited group may wait
 * for ever.
 *
 * @param g    borrowed; may be NULL
 * @param on   shared until fn has run; NULL is inline: fn runs here if there is a place,
 *             else in the thread whose child gives one up
 * @param fn   called at most once
 * @param ctx  consumed: a pointer or VOW_NIL; dropped after fn returned, or instead of it
 * @return     0; else @p fn will not run. VOW_E_CLOSED: the group was closed, or has ended;
 *             VOW_E_CANCELLED: it was cancelled; VOW_E_NOMEM, which is an error of the
 *             group, too. What the executor refuses is an error of the child
 * @contract   any thread; never blocks (a bounded executor may); allocates; may run
 *             @p fn before it returns if @p on is inline
 */
int vow_group_post(vow_group *g, vow_executor *on, vow_task_fn *fn, vow_value ctx);

/**
 * Adds a child as vow_group_post does, and returns its future: for its value. Its error is
 * the group's, and counts as handled. To cancel the future cancels that child alone.
 *
 * @param g    borrowed; may be NULL
 * @param on   as for vow_group_post
 * @param fn   called at most once
 * @param ctx  consumed: a pointer or VOW_NIL
 * @return     owned; rejected with the codes of vow_group_post if @p fn will not run, and a
 *             message that says why; NULL if memory ran out
 * @contract   as vow_group_post
 */
vow_future *vow_group_submit(vow_group *g, vow_executor *on, vow_task_fn *fn,
                             vow_value ctx) VOW_MUST_USE;

/**
 * Is vow_group_submit with options for the child. Its token and deadline stop that child
 * alone, beside the group's, which it has in any case; for one that waits in line they count
 * from its turn on. Without a name it has the group's. The flags mean nothing: the group
 * wants every child.
 *
 * @param g    borrowed; may be NULL
 * @param on   as for vow_group_post
 * @param opt  borrowed for the call; NULL is the defaults
 * @param fn   called at most once
 * @param ctx  consumed: a pointer or VOW_NIL
 * @return     as vow_group_submit
 * @contract   as vow_group_post
 */
vow_future *vow_group_submit_with(vow_group *g, vow_executor *on,
                                  const vow_submit_options *opt, vow_task_fn *fn,
                                  vow_value ctx) VOW_MUST_USE;

/**
 * Adds a child that is under way: a future, which the group waits for. It takes no place
 * of a limit. When the group is cancelled the future is, as by vow_future_cancel, whoever
 * else holds it; vow_shield keeps that from it.
 *
 * @param g   borrowed; may be NULL
 * @param f   consumed; NULL is a child that failed with VOW_E_NOMEM. If it is not taken it
 *            is asked to stop, and let go of
 * @return    0; VOW_E_CANCELLED: the group was cancelled: it takes the child, and asks it
 *            to stop; VOW_E_CLOSED, VOW_E_NOMEM: as for vow_group_post, not taken
 * @contract  any thread; never blocks; allocates; may run what cancelling @p f runs
 */
int vow_group_add(vow_group *g, vow_future *f);

/**
 * Takes no more children from now on, those that children would add neither. Those that
 * wait in line are children.
 *
 * @param g   borrowed; may be NULL
 * @contract  any thread; never blocks; no memory; runs no user code
 */
void vow_group_close(vow_group *g);

/**
 * Cancels a group: its token fires, children that have not started never do, the others
 * are asked to stop, and no more are started. It does not end by that: its children do,
 * and whoever joins it waits for them.
 *
 * @param g       borrowed; may be NULL
 * @param reason  consumed; may be NULL: VOW_E_CANCELLED
 * @return        true: this call did it; false: it was cancelled before, has ended, or is
 *                NULL
 * @contract      any thread; never blocks; may allocate one error and works without; runs
 *                callbacks, inline hooks and steps, and contexts' drops
 */
bool vow_group_cancel(vow_group *g, vow_error *reason);

/**
 * Joins a group: from now on it ends when its last child has settled, and this future
 * says so. To cancel the future that it returns cancels the group, and the future
 * settles when the children have. Joined again, by another reference, it says the same.
 *
 * @param g   consumed; may be NULL
 * @return    owned; fulfilled with VOW_NIL, or rejected, as the table above says; NULL if
 *            @p g is NULL
 * @contract  any thread, a child of the group included (which must not wait for it);
 *            never blocks; no memory; may run inline steps
 */
vow_future *vow_group_join(vow_group *g) VOW_MUST_USE;

/**
 * Returns the token of a group, which fires when it is cancelled: for what its children
 * call, and for others who want to know.
 *
 * @param g   borrowed; may be NULL
 * @return    owned; NULL, which never fires, if @p g is NULL
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_token *vow_group_token(vow_group *g) VOW_MUST_USE;

/** What a group has seen. */
typedef struct vow_group_figures {
    size_t size;    /**< set to sizeof(vow_group_figures) by the caller */
    uint64_t added; /**< children so far */
    uint64_t
        pending; /**< of them, those that have not settled: waiting in line included */
    uint64_t waiting; /**< in line for a place now */
    uint64_t running; /**< that have a place now: neither in line nor added under way */
    uint64_t most;    /**< that had a place at once, at most so far */
    uint64_t failed;  /**< errors kept so far */
} vow_group_figures;

/**
 * Reads what a group has seen, at one moment.
 *
 * @param g        borrowed; NULL is a group that saw nothing
 * @param figures  out; its size set by the caller
 * @contract       any thread; never blocks; no memory; runs no user code
 */
void vow_group_read(vow_group *g, vow_group_figures *figures);

VOW_END_DECLS

#endif
