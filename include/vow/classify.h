/* SPDX-License-Identifier: MIT */
/**
 * @file vow/classify.h
 * What kind of error is it? One table that retries, breakers and fallbacks all read.
 *
 *     static const vow_class_rule rules[] = {
 *         {ECONNREFUSED, VOW_CLASS_RETRY},
 *         {ENOENT, VOW_CLASS_IGNORE},
 *         {E_NO_LICENCE, VOW_CLASS_FALL_BACK},
 *     };
 *     static const vow_classes classes = VOW_CLASSES(rules, VOW_CLASS_FAIL);
 *
 * |                     | vow_retry   | vow_breaker | vow_fallback |
 * |---------------------|-------------|-------------|--------------|
 * | VOW_CLASS_RETRY     | tries again | failure     | falls back   |
 * | VOW_CLASS_FAIL      | gives up    | failure     | passes it on |
 * | VOW_CLASS_FALL_BACK | gives up    | failure     | falls back   |
 * | VOW_CLASS_IGNORE    | gives up    | neither     | passes it on |
 */
#ifndef VOW_CLASSIFY_H
#define VOW_CLASSIFY_H

#include <vow/base.h>
#include <vow/executor.h>
#include <vow/future.h>
#include <vow/result.h>

VOW_BEGIN_DECLS

/** What an error calls for. */
typedef enum vow_class {
    VOW_CLASS_RETRY = 0, /**< it may work another time */
    VOW_CLASS_FAIL,      /**< it will not, and nothing else will do instead */
    VOW_CLASS_FALL_BACK, /**< it will not, but something else may do */
    VOW_CLASS_IGNORE     /**< the answer is no, and nobody's fault: "not found", say */
} vow_class;

/** One code and its class. */
typedef struct vow_class_rule {
    int code;     /**< an errno value, a VOW_E_ code, or a user's */
    vow_class as; /**< what it calls for */
} vow_class_rule;

/** A table of classes; see VOW_CLASSES. Borrowed as long as anything reads it. */
typedef struct vow_classes {
    const vow_class_rule *rules; /**< borrowed */
    size_t count;                /**< of them */
    vow_class otherwise;         /**< the class of what no rule names */
} vow_classes;

/** An initialiser for vow_classes, out of an array of rules. */
#define VOW_CLASSES(array, otherwise_as)                                                 \
    {                                                                                    \
        (array), sizeof(array) / sizeof *(array), (otherwise_as)                         \
    }

/**
 * Returns the class of an error: that of the first rule for its code, or, if there is
 * none, for the code of its cause, and so on.
 *
 * @param classes  borrowed; NULL: what the library does by itself. VOW_E_CANCELLED and
 *                 errors of this process (VOW_E_CLOSED, _FORKED, _NOMEM, _OPEN,
 *                 _DEADLOCK, _INVALID) are ignored, all others may be tried again
 * @param e        borrowed; NULL is VOW_CLASS_IGNORE
 * @return         the class
 * @contract       any thread; never blocks; no memory; runs no user code
 */
vow_class vow_classify(const vow_classes *classes, const vow_error *e);

/**
 * Lets something else do if a future fails with an error that calls for it (the table
 * above): runs @p fn on @p on and settles as that does. Other outcomes pass through.
 *
 * @param f        consumed
 * @param classes  borrowed until it settles; NULL as for vow_classify
 * @param on       shared until fn has run; NULL is inline
 * @param fn       called at most once, with the error
 * @param ctx      consumed
 * @return         owned; NULL if memory ran out, and then @p fn never runs
 * @contract       as vow_catch
 */
vow_future *vow_fallback(vow_future *f, const vow_classes *classes, vow_executor *on,
                         vow_catch_fn *fn, vow_value ctx) VOW_MUST_USE;

/**
 * Lets a value do if a future fails with an error that calls for it.
 *
 * @param f        consumed
 * @param classes  borrowed until it settles; NULL as for vow_classify
 * @param v        consumed: the outcome, or dropped if it is not needed
 * @return         owned; NULL if memory ran out, and then @p v was dropped
 * @contract       any thread; never blocks; allocates; may run the drop of @p v
 */
vow_future *vow_fallback_value(vow_future *f, const vow_classes *classes, vow_value v)
    VOW_MUST_USE;

VOW_END_DECLS

#endif
