/* SPDX-License-Identifier: MIT */
/**
 * @file error.h
 * Errors, as the rest of the library makes them.
 */
#ifndef VOWI_BASE_ERROR_H
#define VOWI_BASE_ERROR_H

#include <stdarg.h>

#include <vow/result.h>

/** Why waiting is forbidden somewhere, and what to do instead. */
#define VOWI_WAITS(X)                                                                    \
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
