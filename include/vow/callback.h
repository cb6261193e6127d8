/* SPDX-License-Identifier: MIT */
/**
 * @file vow/callback.h
 * A future for what a library tells by a callback.
 *
 * Such a library takes a function and a pointer for it, and calls once, with an error or a
 * result. A ticket goes where the pointer would:
 *
 *     vow_future *f;
 *     find_page(url, vow_callback1, vow_callback_new(&f, free_page));
 *
 * where find_page takes a void (*)(int error, void *page, void *user). For a callback of
 * another shape write a function of that shape, which settles the ticket:
 *
 *     static void found(struct request *r, int status, struct page *page)
 *     {
 *         vow_callback_settle(r->user, status, vow_own(page, free_page));
 *     }
 *
 * A ticket is a number that looks like a pointer, and points to nothing. The first call
 * settles the future and ends the ticket. So a library that calls again, whenever that is,
 * or after it was told to forget, does no harm: the call is ignored, and reported
 * (vow_on_warning) as VOW_E_INVALID. A value that it brings is dropped; a bare result is
 * left alone.
 *
 * One that never calls leaves the future pending, as a promise does that somebody keeps.
 * Where the library says that it will not call, or lets go of its pointer, the ticket is
 * let go of by vow_callback_drop, and the future is rejected with VOW_E_BROKEN. Where it
 * does not say so, there is vow_timeout.
 *
 * To cancel the future settles it at once; the call that comes later brings a value that is
 * dropped, and is no reason for a warning. Where the operation can be stopped, make the
 * promise yourself, with a hook (vow_promise_on_cancel), and a ticket for it by
 * vow_callback_of.
 *
 * NULL is a ticket for which there was no memory: what is called with it is ignored without
 * a word, and its future is NULL. So the two lines above need no check.
 */
#ifndef VOW_CALLBACK_H
#define VOW_CALLBACK_H

#include <vow/base.h>
#include <vow/future.h>
#include <vow/result.h>

VOW_BEGIN_DECLS

/** What vow_callback2 was called with. Lent by the future whose value it is. */
typedef struct vow_callback_pair {
    void *first;  /**< the first result */
    void *second; /**< the second one */
} vow_callback_pair;

/**
 * Makes a ticket, and the future that its call settles.
 *
 * @param f     out: the future, owned; NULL if memory ran out
 * @param drop  frees each result that vow_callback1 or vow_callback2 is called with and
 *              that is not NULL; NULL: they are borrowed, or there are none
 * @return      a ticket, for one call or one vow_callback_drop, by whatever thread; NULL
 *              if memory ran out
 * @contract    any thread; never blocks; allocates; runs no user code
 */
void *vow_callback_new(vow_future **f, vow_drop_fn *drop) VOW_MUST_USE;

/**
 * Makes a ticket whose call settles a promise.
 *
 * @param p     consumed; may be NULL. Without memory for the ticket it is let go of, which
 *              breaks it
 * @param drop  as for vow_callback_new
 * @return      a ticket; NULL if memory ran out, or @p p is NULL
 * @contract    any thread; never blocks; allocates; may run inline steps without memory
 */
void *vow_callback_of(vow_promise *p, vow_drop_fn *drop) VOW_MUST_USE;

/**
 * Fulfills what a ticket stands for, and ends the ticket.
 *
 * @param user  a ticket, which may have ended, or NULL
 * @param v     consumed; dropped at once if this call did not settle
 * @return      true: this call settled it; false: the ticket had ended, or it was settled
 *              otherwise before
 * @contract    any thread; never blocks; frees; may run inline steps
 */
bool vow_callback_fulfill(void *user, vow_value v);

/**
 * Rejects what a ticket stands for, and ends the ticket.
 *
 * @param user  a ticket, which may have ended, or NULL
 * @param e     consumed; NULL means VOW_E_NOMEM
 * @return      as vow_callback_fulfill
 * @contract    any thread; never blocks; frees; may run inline steps
 */
bool vow_callback_reject(void *user, vow_error *e);

/**
 * Settles what a ticket stands for as a library says it that has 0 for success, and an
 * errno value or its negative for failure.
 *
 * @param user   a ticket, which may have ended, or NULL
 * @param error  0; else the code of the error is its absolute value
 * @param v      consumed; dropped if there is an error
 * @return       as vow_callback_fulfill
 * @contract     any thread; never blocks; allocates an error; may run inline steps
 */
bool vow_callback_settle(void *user, int error, vow_value v);

/**
 * Lets go of a ticket: there will be no call. What it stands for is rejected with
 * VOW_E_BROKEN. After the call it does nothing, so that it may be given to a library as the
 * function that frees the pointer.
 *
 * @param user  a ticket, which may have ended, or NULL
 * @contract    any thread; never blocks; frees; may run inline steps
 */
void vow_callback_drop(void *user);

/**
 * Is a callback without a result: see vow_callback_settle.
 *
 * @param error  0, or what went wrong
 * @param user   a ticket, which may have ended, or NULL
 * @contract     as vow_callback_settle
 */
void vow_callback0(int error, void *user);

/**
 * Is a callback with one result, which is the value of the future.
 *
 * @param error   0, or what went wrong: then there is no result
 * @param result  freed with the future, if the ticket was made with a drop; else borrowed:
 *                if the library frees it after the callback, only steps that run inline
 *                may look at it
 * @param user    a ticket, which may have ended, or NULL
 * @contract      as vow_callback_settle
 */
void vow_callback1(int error, void *result, void *user);

/**
 * Is a callback with two results: the value of the future is a vow_callback_pair.
 *
 * @param error   0, or what went wrong: then there are no results
 * @param first   as for vow_callback1
 * @param second  likewise
 * @param user    a ticket, which may have ended, or NULL
 * @contract      as vow_callback_settle
 */
void vow_callback2(int error, void *first, void *second, void *user);

VOW_END_DECLS

#endif
