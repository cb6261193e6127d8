/* SPDX-License-Identifier: MIT */
/**
 * @file vow/channel.h
 * Values handed from many to many, with room for some, or for none, in between.
 *
 *     vow_channel *c = vow_channel_new(16);
 *     vow_future *sent = vow_channel_send(c, vow_own(job, free_job));
 *     vow_future *got = vow_channel_receive(c);
 *
 * Sending and receiving are futures: pending while there is no room, or nothing there.
 * Whoever waits is served in the order of coming. With room for nothing (a rendezvous) a
 * send settles when its value has been received.
 *
 * A value belongs to the channel from the send that took it until a receive has it. A
 * future that is cancelled while it waits takes itself away: a send drops its value, a
 * receive leaves the channel as it is. A receive that is cancelled at the moment in which
 * it gets a value either has it, and is fulfilled, or has not.
 *
 * Closing says that nothing more is sent: sends that wait are rejected with VOW_E_CLOSED,
 * what is in the channel is still received, and then receives are rejected likewise.
 *
 * NULL is a channel for which there was no memory. It is not closed: who receives from it
 * gets VOW_E_NOMEM, and so does not take it for one that has given all it had.
 */
#ifndef VOW_CHANNEL_H
#define VOW_CHANNEL_H

#include <vow/base.h>
#include <vow/future.h>
#include <vow/result.h>

VOW_BEGIN_DECLS

/** A channel. Counted; any number of threads may send and receive. */
typedef struct vow_channel vow_channel;

/**
 * Makes a channel.
 *
 * @param capacity  values that it keeps for receivers to come; 0: a rendezvous
 * @return          owned; NULL if memory ran out
 * @contract        any thread; never blocks; allocates; runs no user code
 */
vow_channel *vow_channel_new(size_t capacity) VOW_MUST_USE;

/**
 * Takes another reference to a channel.
 *
 * @param c   borrowed; may be NULL
 * @return    owned; @p c itself
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_channel *vow_channel_ref(vow_channel *c);

/**
 * Lets go of a channel. The last reference closes it and drops what is in it. Sends and
 * receives that wait have none.
 *
 * @param c   consumed; may be NULL
 * @contract  any thread; never blocks; frees; runs drops and inline steps
 */
void vow_channel_unref(vow_channel *c);

/**
 * Sends a value.
 *
 * @param c   borrowed; NULL is one for which there was no memory
 * @param v   consumed: received, or dropped if the future is rejected
 * @return    owned; fulfilled with VOW_NIL when the channel, or a receiver, has the value;
 *            rejected with VOW_E_CLOSED; NULL if memory ran out, and then it was not sent
 * @contract  any thread; never blocks; allocates; runs inline steps of a receiver, and the
 *            drop of a value that cannot be sent
 */
vow_future *vow_channel_send(vow_channel *c, vow_value v) VOW_MUST_USE;

/**
 * Receives a value.
 *
 * @param c   borrowed; NULL is one for which there was no memory
 * @return    owned; fulfilled with the value; rejected with VOW_E_CLOSED when the channel
 *            is closed and empty; NULL if memory ran out
 * @contract  any thread; never blocks; allocates; runs inline steps of a sender
 */
vow_future *vow_channel_receive(vow_channel *c) VOW_MUST_USE;

/**
 * Sends a value if nobody has to wait for it.
 *
 * @param c   borrowed; may be NULL
 * @param v   consumed if 0 is returned; else still the caller's
 * @return    0; VOW_E_LIMIT: there is no room and no receiver; VOW_E_CLOSED;
 *            VOW_E_NOMEM: @p c is NULL
 * @contract  any thread; never blocks; no memory; runs inline steps of a receiver
 */
int vow_channel_try_send(vow_channel *c, vow_value v) VOW_MUST_USE;

/**
 * Receives a value if there is one.
 *
 * @param c    borrowed; may be NULL
 * @param out  out; owned; VOW_NIL unless 0 is returned
 * @return     0; VOW_E_EMPTY: there is none, and no sender; VOW_E_CLOSED: nor will there
 *             be; VOW_E_NOMEM: @p c is NULL
 * @contract   any thread; never blocks; no memory; runs inline steps of a sender
 */
int vow_channel_try_receive(vow_channel *c, vow_value *out) VOW_MUST_USE;

/**
 * Says that nothing more is sent.
 *
 * @param c   borrowed; may be NULL
 * @return    true: this call closed it
 * @contract  any thread; never blocks; no memory; runs drops and inline steps of those who
 *            wait
 */
bool vow_channel_close(vow_channel *c);

/**
 * Returns how many values are in a channel.
 *
 * @param c   borrowed; may be NULL
 * @return    a number at most its capacity, perhaps out of date when it returns
 * @contract  any thread; never blocks; no memory; runs no user code
 */
size_t vow_channel_count(const vow_channel *c);

/* ---- one of several ------------------------------------------------------- */

/** What a case of vow_select waits for. */
typedef enum vow_case_kind { VOW_CASE_IS_RECEIVE = 0, VOW_CASE_IS_SEND } vow_case_kind;

/** A case of vow_select. Made by the macros below. */
typedef struct vow_case {
    vow_case_kind kind;   /**< a send or a receive */
    vow_channel *channel; /**< borrowed for the call; NULL never happens */
    vow_value value;      /**< of a send: consumed */
} vow_case;

/** Receives from a channel. */
#define VOW_CASE_RECEIVE(c)                                                              \
    {                                                                                    \
        VOW_CASE_IS_RECEIVE, (c), VOW_NIL                                                \
    }
/** Sends a value to a channel. */
#define VOW_CASE_SEND(c, v)                                                              \
    {                                                                                    \
        VOW_CASE_IS_SEND, (c), (v)                                                       \
    }

/** What vow_select did. */
typedef struct vow_selected {
    size_t index;    /**< of the case */
    vow_view result; /**< lent: the value received, VOW_NIL for a send; or VOW_E_CLOSED */
} vow_selected;

/**
 * Does one of several sends and receives: the first that can be done, and no other.
 *
 * Of those that can be done at once the one with the lowest index is. A case whose channel
 * is closed, and for a receive empty, is done by being rejected with VOW_E_CLOSED. If the
 * future is cancelled none is done. A value that was received is the caller's once it was
 * taken (vow_selected_take); one that nobody takes goes back to its channel, first in line,
 * with the last reference to the outcome: so a select that loses a race loses no value.
 *
 * @param cases  borrowed for the call; the values in it are consumed: sent, or dropped
 * @param n      how many; 0: rejected with VOW_E_EMPTY
 * @return       owned; the value is a vow_selected *; NULL if memory ran out, and then
 *               nothing was done
 * @contract     any thread; never blocks; one allocation of its own, and the promise's;
 *               runs inline steps of those on the other side, and drops
 */
vow_future *vow_select(const vow_case *cases, size_t n) VOW_MUST_USE;

/**
 * Waits for a vow_select and returns what it did.
 *
 * @param f   borrowed
 * @return    lent by @p f; NULL if it was rejected
 * @contract  as vow_get
 */
const vow_selected *vow_get_selected(vow_future *f);

/**
 * Takes the value that a vow_select received.
 *
 * @param s    borrowed: the outcome of vow_select; may be NULL
 * @param out  out; owned; VOW_NIL unless true is returned
 * @return     true: it received a value, and nobody has taken it before
 * @contract   any thread; never blocks; no memory; runs no user code
 */
bool vow_selected_take(const vow_selected *s, vow_value *out) VOW_MUST_USE;

VOW_END_DECLS

#endif
