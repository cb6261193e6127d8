/* SPDX-License-Identifier: MIT */
/*
 * combine/channel.h - what channel.c and select.c share: a channel, and who waits at it.
 *
 * A channel has two ends, where values go in and where they come out, each with a lock of
 * its own, and the places between them are a ring (Michael and Scott, "Simple, Fast, and
 * Practical Non-Blocking and Blocking Concurrent Queue Algorithms", PODC 1996, have such
 * a queue with two locks). To put a value into a free place takes the lock of the one end,
 * to get one out of a full place that of the other: who sends and who receives do not meet
 * as long as nobody waits. All else is decided with both locks held, which is what "_locked"
 * means and what "the locks" are, and done after it. What is written with both may be read
 * with either.
 *
 * How far an end has come is counted by it alone, and read by the other one, which keeps
 * what it saw: it looks again when the places seem to be full, or empty (Lamport's queue,
 * with the cached indices of Lee, Bu and Chandranmenon, "A Lock-Free, Cache-Efficient
 * Multi-Core Synchronization Mechanism for Line-Rate Network Traffic Monitoring", IPDPS
 * 2010).
 *
 * Who waits is a struct vowi_party in one of two queues. A send or a receive alone has a
 * party of its own; a select has one in each of its channels, and all of them share a
 * claim: who takes a party out of a queue to serve it claims it, and a party that is
 * claimed already is passed over. The claim needs no order of its own: it is read and
 * written under the locks of one of the select's channels, by an atomic exchange.
 *
 * Edges:
 *     [filled]   a value in its place, to who gets it out
 *     [emptied]  that it was got out, to who puts the next one there
 */
#ifndef VOWI_COMBINE_CHANNEL_H
#define VOWI_COMBINE_CHANNEL_H

#include <vow/channel.h>

#include "base/atomic.h"
#include "base/list.h"
#include "sync/kept.h"
#include "sync/lock.h"
#include "sync/refs.h"

struct vowi_party;

/* How a party is told; without a lock, once, by whoever claimed it. A receiver is given
 * the value, a sender VOW_NIL (its value has been taken out before), either may be given
 * an error. */
typedef void vowi_serve_fn(struct vowi_party *p, vow_value v, vow_error *error);

struct vowi_party {
    struct vowi_link link; /* guarded by the channel's locks */
    bool queued;           /* guarded by the channel's locks */
    atomic_bool *claim;    /* of a select; NULL: being queued says it */
    vow_value value;       /* of a sender: what it sends */
    vowi_serve_fn *serve;
};

/* A value that was received and came back, in the storage of whoever received it. */
struct vowi_returned {
    struct vowi_link link;
    vow_value value;
    void (*gone)(struct vowi_returned *r); /* it is in the channel no more */
};

#define VOWI_CHANNEL_LINE 64 /* of a cache: what one end writes is on lines of its own */

struct vowi_channel_end {
    _Alignas(VOWI_CHANNEL_LINE) struct vowi_lock lock;
    size_t at;              /* guarded by lock; the place that is its next */
    size_t seen;            /* guarded by lock; the other's count, when it last looked */
    _Atomic(size_t) passed; /* values, ever; written under lock */
    struct vowi_kept at_fork;
};

struct vow_channel {
    struct vowi_channel_end in, out;

    _Alignas(VOWI_CHANNEL_LINE) struct vowi_refs handles; /* its users'; without any it is
                                                             closed */
    struct vowi_refs
        memory; /* one for all handles, one for each party that may come back */
    size_t capacity;

    /* guarded by both locks */
    bool closed;
    bool dead; /* it has no handle, so that nobody will receive what comes back */
    struct vowi_list senders, receivers;
    struct vowi_list returned; /* to go first */

    _Alignas(VOWI_CHANNEL_LINE) vow_value values[];
};

/* What a step at a channel came to. */
enum vowi_channel_step {
    VOWI_CHANNEL_DONE,
    VOWI_CHANNEL_WAITS, /* it could not be done: the party, if there is one, is queued */
    VOWI_CHANNEL_CLOSED
};

/* What is left to do after the lock: serve the other side, let go of what came back. */
struct vowi_errand {
    struct vowi_party *party;
    vow_value value;
    struct vowi_returned *returned;
};

void vowi_errand_run(struct vowi_errand *e);

/* Takes and lets go of both locks. */
void vowi_channel_lock(vow_channel *c);
void vowi_channel_unlock(vow_channel *c);

/* Sends v; queues the party if it has to wait and is not NULL. */
enum vowi_channel_step vowi_channel_send_locked(vow_channel *c, vow_value v,
                                                struct vowi_party *party,
                                                struct vowi_errand *errand);

/* Receives into *out; likewise. */
enum vowi_channel_step vowi_channel_receive_locked(vow_channel *c, vow_value *out,
                                                   struct vowi_party *party,
                                                   struct vowi_errand *errand);

/* Takes a party out of the queue it is in, if it is. */
bool vowi_channel_unqueue_locked(struct vowi_party *p);

/* Queues a party of a select. */
void vowi_channel_enqueue_locked(vow_channel *c, struct vowi_party *p, bool sends);

/* Gives back a value that nobody took: to who waits for one, else it is received before all
 * that was sent since. Its storage is the channel's until it is gone. */
void vowi_channel_give_back(vow_channel *c, struct vowi_returned *r);

void vowi_channel_memory_unref(vow_channel *c);

#endif
