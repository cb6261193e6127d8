/* SPDX-License-Identifier: MIT */
/*
 * core/frame.h - user code is running: who, and what if it never returns.
 *
 * A thread may end inside user code by pthread_exit. Then the clean-up handler of
 * the frame runs instead of what follows the call. With -fexceptions a handler is
 * an entry in the unwind table and costs nothing on the way in and out.
 */
#ifndef VOWI_CORE_FRAME_H
#define VOWI_CORE_FRAME_H

#include <pthread.h>

#include "base/thread.h"
#include "core/state.h"

struct vowi_wait;

/* What runs here, for finding cycles of waits. */
struct vowi_frame {
    struct vow_state *state; /* NULL: vow_post, a watch */
    struct vow_token *token; /* by which what has no state is asked to stop; or NULL */
    struct vowi_frame *outer;

    /* core/deadlock.c, while its thread is listed as one that waits and if it has a state. */
    const struct vowi_wait *wait;
    struct vowi_frame *next, **link; /* of its chain, and what points to it there */
};

/*
 * Runs `call`, which ends in the state `running`, with `frame` (a struct vowi_frame) pushed
 * on thread t; if the thread exits inside, exited(arg) runs with the frame still there.
 */
#define VOWI_USER_CODE(t, frame, running, call, exited, arg)                             \
    do {                                                                                 \
        (frame).state = (running);                                                       \
        (frame).outer = (t)->frames;                                                     \
        (t)->frames = &(frame);                                                          \
        pthread_cleanup_push((exited), (arg));                                           \
        call;                                                                            \
        pthread_cleanup_pop(0);                                                          \
        (t)->frames = (frame).outer;                                                     \
    } while (0)

/* The same for what has no state, and a token or NULL. */
#define VOWI_BARE_CODE(t, frame, asked_by, call, exited, arg)                            \
    do {                                                                                 \
        (frame).token = (asked_by);                                                      \
        VOWI_USER_CODE(t, frame, NULL, call, exited, arg);                               \
    } while (0)

/* A context's drop is user code as well, but nothing that others know of runs: if its thread
 * exits inside, exited(arg) runs instead of what follows. */
#define VOWI_DROP(context, exited, arg)                                                  \
    do {                                                                                 \
        pthread_cleanup_push((exited), (arg));                                           \
        vow_value_drop(context);                                                         \
        pthread_cleanup_pop(0);                                                          \
    } while (0)

/* First thing in a handler of one of the first two: the frame has gone. */
static inline struct vowi_thread *
vowi_frame_exited(void)
{
    struct vowi_thread *t = vowi_self();

    t->frames = t->frames->outer;
    return t;
}

/* The error of what was running when its thread exited. */
static inline vow_error *
vowi_thread_exit_error(void)
{
    return vow_error_new_at(NULL, VOW_E_BROKEN, "the thread exited inside it");
}

#endif
