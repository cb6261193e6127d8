/* SPDX-License-Identifier: MIT */
/**
 * @file error.h
 * Errors, as the rest of the library makes them.
 */
#ifndef VOWI_BASE_ERROR_H
#define VOWI_BASE_ERROR_H

#include <stdarg.h>

#include <vow/result.h>

#include "base/atomic.h"

/** Why waiting is forbidden somewhere, and what to do instead. */
#define VOWI_WAITS(X)                                                                    \
    X(LOOP, "a callback of a loop waits, and what it waits for may need the loop: "      \
            "vow_loop_run_until waits and runs the loop meanwhile")                      \
    X(SERIAL, "a task of a serial executor waits for what may be queued behind it: "     \
              "return vow_follow(f), or hang a step on it")                              \
    X(MANUAL, "a task of a manual executor waits, and nobody steps it meanwhile: "       \
              "return vow_follow(f), or hang a step on it")

/** Where waiting is forbidden. */
enum vowi_wait_place {
#define VOWI_WAIT_PLACE(name, message) VOWI_WAIT_IN_##name,
    VOWI_WAITS(VOWI_WAIT_PLACE)
#undef VOWI_WAIT_PLACE
};

/**
 * Returns VOW_E_DEADLOCK with the message of a place.
 *
 * @param place  where
 * @return       borrowed for ever
 * @contract     any thread; never blocks; no memory
 */
const vow_error *vowi_error_of_wait(enum vowi_wait_place place);

/** What it is that has been closed. Of the first two nothing is lost but the waiting. */
#define VOWI_ENDS(X)                                                                     \
    X(WATCH, "the loop was closed while this waited at it")                              \
    X(EVERY, "the executor was closed, and so this is not done again")                   \
    X(CHANNEL, "the channel is closed")

/** What has been closed. */
enum vowi_end {
#define VOWI_END(name, message) VOWI_END_OF_##name,
    VOWI_ENDS(VOWI_END)
#undef VOWI_END
};

/**
 * Returns VOW_E_CLOSED with the message of what has been closed.
 *
 * @param what  what has been closed
 * @return      owned, though its count never changes
 * @contract    any thread; never blocks; no memory
 */
vow_error *vowi_error_of_end(enum vowi_end what);

/**
 * Returns whether an error says no more than that a wait was ended by a close, as every
 * wait for what may never come ends.
 *
 * @param e   borrowed
 * @return    true: nobody has to look at it
 * @contract  any thread; never blocks; no memory
 */
bool vowi_error_is_end_of_wait(const vow_error *e);

/** Room for the text of a code. */
#define VOWI_CODE_TEXT 48

/**
 * Writes how a code is printed: its number, and its name if it has one.
 *
 * @param code  any code
 * @param text  out; where
 * @return      text
 * @contract    any thread; never blocks; no memory
 */
const char *vowi_error_code_text(int code, char text[VOWI_CODE_TEXT]);

/* No hint whether to try again. */
#define VOWI_NO_HINT ((vow_ns)-1)

struct vowi_note;

/** What an error that lies in another object's block has of that object. */
struct vowi_error_kind {
    /** The last reference has gone: the block is needed no more by it. */
    void (*gone)(vow_error *e);
    /** How many errors it stands for; NULL: for its cause alone. */
    size_t (*count)(const vow_error *e);
    /** The one at a place; NULL if there is none. */
    const vow_error *(*at)(const vow_error *e, size_t i);
};

struct vow_error {
    _Atomic uint32_t refs;
    int code;
    size_t size; /* of the block, the message included; 0: built in */
    const char *where;
    const vow_error *cause;
    const char *message;
    const struct vowi_error_kind *kind; /* NULL: a block of its own */
    int64_t position;                   /* of the input that failed, from 1; 0: none */

    /* Written only before others see the error. */
    struct vowi_note *notes; /* newest first */
    vow_ns retry_after;      /* VOWI_NO_HINT, or the least time to wait */
    bool has_payload;
    vow_value payload;
};

/**
 * Makes an error in the caller's storage, with one reference. It says what its cause
 * says; without one, what the built-in error of the code says.
 *
 * @param e      where; it must stay until kind->gone
 * @param kind   borrowed for ever
 * @param code   a code of the library, if there is no cause; else that of the cause
 * @param cause  shared; may be NULL
 * @contract     one thread; never blocks; no memory
 */
void vowi_error_place(vow_error *e, const struct vowi_error_kind *kind, int code,
                      const vow_error *cause);

/**
 * Makes an error from a va_list; otherwise vow_error_wrap_at. A format of NULL is
 * the message that the built-in error of the code has.
 *
 * @param where   borrowed for ever; may be NULL
 * @param cause   shared; may be NULL
 * @param code    as for vow_error_new_at
 * @param format  borrowed for the call; may be NULL
 * @param args    the arguments of the format; used up
 * @return        owned; never NULL: without memory a built-in error
 * @contract      any thread; never blocks; allocates; keeps errno
 */
vow_error *vowi_error_vnew(const char *where, const vow_error *cause, int code,
                           const char *format, va_list args) VOW_PRINTF(4, 0)
    VOW_MUST_USE;

/**
 * Makes the error of what was cancelled for a reason: VOW_E_CANCELLED with it as its
 * cause, or a reason of that code itself.
 *
 * @param reason  consumed; not NULL
 * @return        owned; never NULL: without memory the built-in error
 * @contract      any thread; never blocks; allocates unless the reason is a built-in
 *                error or a cancellation; runs no user code
 */
vow_error *vowi_error_cancelled_by(vow_error *reason) VOW_MUST_USE;

#endif
