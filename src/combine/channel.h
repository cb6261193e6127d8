/* SPDX-License-Identifier: MIT */
/*
 * combine/channel.h - what channel.c and select.c share: a channel, and who waits at it.
 *
 * Everything about a channel is decided under its lock and done after it. Who waits is a
 * struct vowi_party in one of two queues. A send or a receive alone has a party of its
 * own; a select has one in each of its channels, and all of them share a claim: who takes
 * a party out of a queue to serve it claims it, and a party that is claimed already is
 * passed over. The claim needs no order of its own: it is read and written under the lock
 * of one of the select's channels, by an atomic exchange.
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
    struct vowi_link link; /* guarded by the channel's lock */
    bool queued;           /* guarded by the channel's lock */
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

struct vow_channel {
    struct vowi_refs handles; /* its users'; without any it is closed */
    struct vowi_refs
        memory; /* one for all handles, one for each party that may come back */
    size_t capacity;
    struct vowi_lock lock;
    struct vowi_kept at_fork;

    /* guarded by lock */
    bool closed;
    bool dead; /* it has no handle, so that nobody will receive what comes back */
    size_t first, count; /* in values */
    struct vowi_list senders, receivers;
    struct vowi_list returned; /* to go first */
    vow_value values[];
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
