/* SPDX-License-Identifier: MIT */
/**
 * @file vow/combine.h
 * One future out of many: all of them, the first of them, some of them.
 *
 *     vow_future *pages = vow_when_all(VOW_FUTURES(fetch(a), fetch(b), fetch(c)));
 *     const vow_results *r = vow_get_results(pages);
 *     for (size_t i = 0; i < vow_results_count(r); i++)
 *         show(vow_results_at(r, i).value);
 *     vow_unref(pages);
 *
 * | function             | settles                     | with                             |
 * |----------------------|-----------------------------|----------------------------------|
 * | vow_when_all         | all worked, or one failed   | vow_results; that one's error    |
 * | vow_when_all_settled | all have settled            | vow_results, never an error      |
 * | vow_when_any         | the first one settled       | vow_winner: which, and how       |
 * | vow_race             | the first one settled       | its outcome itself               |
 * | vow_any              | one worked, or all failed   | its value; VOW_E_AGGREGATE       |
 * | vow_some             | k worked, or they cannot    | vow_results; VOW_E_AGGREGATE     |
 *
 * Each takes an array of futures and their number, which VOW_FUTURES spells. The
 * array is borrowed for the call, the references in it are consumed, also when the
 * call fails. The same future may be there more than once, with a reference each.
 * NULL among them is one that is rejected with VOW_E_NOMEM. A plain value stands
 * among futures as vow_resolved(value). One allocation, whatever their number.
 *
 * Order: an input counts when it settles, whatever waits to run then. Of those that
 * have settled before the call, the one with the lowest index comes first.
 *
 * As soon as it is decided, a combinator lets go of the inputs that it needs no
 * more, so that one that never settles holds nothing. That is a leave: it gives up
 * its reference, and if nobody else holds that input, asks it to stop, as
 * vow_future_cancel does, because of VOW_E_LOST. VOW_KEEP_OTHERS asks nothing. Errors
 * of the others count as handled.
 *
 * To cancel the result settles it with VOW_E_CANCELLED at once, and leaves all inputs
 * for that reason. Dropping it is not a leave: the inputs go on.
 *
 * VOW_WAIT: the result settles only after all inputs have, the others after they
 * were asked to stop. For inputs that use buffers of the caller's.
 *
 * A promise that follows a combinator of its own future is not found out as a ring:
 * it stays pending.
 */
#ifndef VOW_COMBINE_H
#define VOW_COMBINE_H

#include <vow/base.h>
#include <vow/cancel.h>
#include <vow/future.h>
#include <vow/result.h>

VOW_BEGIN_DECLS

/** Bits of vow_combine_options.flags. */
enum vow_combine_flag {
    VOW_KEEP_OTHERS = 1, /**< those that are needed no more are not asked to stop */
    VOW_WAIT = 2         /**< settle when all inputs have, not before */
};

/** How to combine; see VOW_COMBINE_OPTIONS. */
typedef struct vow_combine_options {
    size_t size;      /**< of this struct: the macro sets it */
    unsigned flags;   /**< VOW_KEEP_OTHERS, VOW_WAIT, or 0 */
    vow_token *token; /**< shared: cancels the result when it fires; NULL: none */
} vow_combine_options;

/** Options for vow_when_all_with and its kin: &VOW_COMBINE_OPTIONS(.flags = VOW_WAIT). */
#define VOW_COMBINE_OPTIONS(...) VOW_SIZED(vow_combine_options, __VA_ARGS__)

/**
 * Spells the two arguments "array, number" for a list of futures, each of which is
 * evaluated once: vow_race(VOW_FUTURES(a, b)). For C; in C++ use an array.
 */
#define VOW_FUTURES(...)                                                                 \
    (vow_future *const[]){__VA_ARGS__},                                                  \
        sizeof((vow_future *const[]){__VA_ARGS__}) / sizeof(vow_future *)

/** The outcomes of several inputs. Lent by the future whose value it is. */
typedef struct vow_results vow_results;

/** Which input settled first, and how. Lent by the future whose value it is. */
typedef struct vow_winner {
    size_t index;    /**< of the input */
    vow_view result; /**< what it settled as; its error counts as handled */
} vow_winner;

/**
 * Waits for all of them. Fulfilled with a vow_results, in the order of the inputs,
 * when all are fulfilled; at once if there are none. Rejected when the first one is
 * rejected: with an error that has the code of that one, it as its cause, and its
 * index (vow_error_index).
 *
 * @param fs  borrowed for the call; each element consumed; may be NULL if n is 0
 * @param n   how many
 * @return    owned; NULL if memory ran out
 * @contract  any thread; never blocks; one allocation, and one more for a token;
 *            may run cancel hooks and drops of those it leaves
 */
vow_future *vow_when_all(vow_future *const *fs, size_t n) VOW_MUST_USE;

/**
 * Waits for all of them, however they settle. Fulfilled with a vow_results, in the
 * order of the inputs; at once if there are none. Their errors count as handled.
 *
 * @param fs  borrowed for the call; each element consumed; may be NULL if n is 0
 * @param n   how many
 * @return    owned; NULL if memory ran out
 * @contract  as vow_when_all
 */
vow_future *vow_when_all_settled(vow_future *const *fs, size_t n) VOW_MUST_USE;

/**
 * Waits for the first one to settle. Fulfilled with a vow_winner, also when that
 * input was rejected. Of none: rejected with VOW_E_EMPTY at once.
 *
 * @param fs  borrowed for the call; each element consumed; may be NULL if n is 0
 * @param n   how many
 * @return    owned; NULL if memory ran out
 * @contract  as vow_when_all
 */
vow_future *vow_when_any(vow_future *const *fs, size_t n) VOW_MUST_USE;

/**
 * Settles as the first one to settle does. Of none: rejected with VOW_E_EMPTY.
 *
 * @param fs  borrowed for the call; each element consumed; may be NULL if n is 0
 * @param n   how many
 * @return    owned; NULL if memory ran out
 * @contract  as vow_when_all
 */
vow_future *vow_race(vow_future *const *fs, size_t n) VOW_MUST_USE;

/**
 * Settles with the first value. When all are rejected: VOW_E_AGGREGATE, which lists
 * their errors (vow_error_at). Of none: rejected with VOW_E_EMPTY.
 *
 * @param fs  borrowed for the call; each element consumed; may be NULL if n is 0
 * @param n   how many
 * @return    owned; NULL if memory ran out
 * @contract  as vow_when_all
 */
vow_future *vow_any(vow_future *const *fs, size_t n) VOW_MUST_USE;

/**
 * Waits for the first @p k to be fulfilled. Fulfilled with a vow_results of those k,
 * in the order in which they came (vow_results_index says which they are). As soon
 * as too many are rejected: VOW_E_AGGREGATE, which lists what had failed by then
 * (vow_error_at). Of none, VOW_E_EMPTY; k larger than n, VOW_E_INVALID; k 0, no
 * results; all three at once.
 *
 * @param k   how many are wanted
 * @param fs  borrowed for the call; each element consumed; may be NULL if n is 0
 * @param n   how many there are
 * @return    owned; NULL if memory ran out
 * @contract  as vow_when_all
 */
vow_future *vow_some(size_t k, vow_future *const *fs, size_t n) VOW_MUST_USE;

/**
 * Is vow_when_all with options.
 *
 * @param opt  borrowed for the call; NULL is the defaults
 * @param fs   borrowed for the call; each element consumed; may be NULL if n is 0
 * @param n    how many
 * @return     owned; NULL if memory ran out
 * @contract   as vow_when_all
 */
vow_future *vow_when_all_with(const vow_combine_options *opt, vow_future *const *fs,
                              size_t n) VOW_MUST_USE;

/**
 * Is vow_when_all_settled with options. Since it waits for all of them anyhow, the
 * flags say what becomes of the inputs when the result is cancelled.
 *
 * @param opt  borrowed for the call; NULL is the defaults
 * @param fs   borrowed for the call; each element consumed; may be NULL if n is 0
 * @param n    how many
 * @return     owned; NULL if memory ran out
 * @contract   as vow_when_all
 */
vow_future *vow_when_all_settled_with(const vow_combine_options *opt,
                                      vow_future *const *fs, size_t n) VOW_MUST_USE;

/**
 * Is vow_when_any with options.
 *
 * @param opt  borrowed for the call; NULL is the defaults
 * @param fs   borrowed for the call; each element consumed; may be NULL if n is 0
 * @param n    how many
 * @return     owned; NULL if memory ran out
 * @contract   as vow_when_all
 */
vow_future *vow_when_any_with(const vow_combine_options *opt, vow_future *const *fs,
                              size_t n) VOW_MUST_USE;

/**
 * Is vow_race with options.
 *
 * @param opt  borrowed for the call; NULL is the defaults
 * @param fs   borrowed for the call; each element consumed; may be NULL if n is 0
 * @param n    how many
 * @return     owned; NULL if memory ran out
 * @contract   as vow_when_all
 */
vow_future *vow_race_with(const vow_combine_options *opt, vow_future *const *fs, size_t n)
    VOW_MUST_USE;

/**
 * Is vow_any with options.
 *
 * @param opt  borrowed for the call; NULL is the defaults
 * @param fs   borrowed for the call; each element consumed; may be NULL if n is 0
 * @param n    how many
 * @return     owned; NULL if memory ran out
 * @contract   as vow_when_all
 */
vow_future *vow_any_with(const vow_combine_options *opt, vow_future *const *fs, size_t n)
    VOW_MUST_USE;

/**
 * Is vow_some with options.
 *
 * @param opt  borrowed for the call; NULL is the defaults
 * @param k    how many are wanted
 * @param fs   borrowed for the call; each element consumed; may be NULL if n is 0
 * @param n    how many there are
 * @return     owned; NULL if memory ran out
 * @contract   as vow_when_all
 */
vow_future *vow_some_with(const vow_combine_options *opt, size_t k, vow_future *const *fs,
                          size_t n) VOW_MUST_USE;

/**
 * Returns how many results there are.
 *
 * @param r   borrowed; may be NULL
 * @return    the number; 0 if @p r is NULL
 * @contract  any thread; never blocks; no memory; runs no user code
 */
size_t vow_results_count(const vow_results *r);

/**
 * Reads one of the results.
 *
 * @param r   borrowed; may be NULL
 * @param i   its place
 * @return    lent by the future that lends @p r; VOW_E_INVALID if there is no such
 *            place, or the result was taken
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_view vow_results_at(const vow_results *r, size_t i);

/**
 * Returns which input a result came from: of vow_some; else it is the same number.
 *
 * @param r   borrowed; may be NULL
 * @param i   its place
 * @return    the index of the input; SIZE_MAX if there is no such place
 * @contract  any thread; never blocks; no memory; runs no user code
 */
size_t vow_results_index(const vow_results *r, size_t i);

/**
 * Moves one of the results out, if nobody else holds the input that it came from.
 *
 * @param r    borrowed; may be NULL; from the value of the future, as.ptr
 * @param i    its place
 * @param out  out; written when true: the outcome, owned (vow_result_drop)
 * @return     true: @p out is yours; false: others hold that input, or there is no
 *             such place, or it was taken before
 * @contract   one thread at a time, and while nobody reads @p r; never blocks; frees;
 *             runs no user code
 */
bool vow_results_take(vow_results *r, size_t i, vow_result *out) VOW_MUST_USE;

/**
 * Waits for a future whose value is a vow_results, as vow_get does.
 *
 * @param f   borrowed; may be NULL
 * @return    lent by @p f; NULL if it was rejected
 * @contract  as vow_get
 */
const vow_results *vow_get_results(vow_future *f);

/**
 * Waits for a future whose value is a vow_winner, as vow_get does.
 *
 * @param f   borrowed; may be NULL
 * @return    lent by @p f; NULL if it was rejected
 * @contract  as vow_get
 */
const vow_winner *vow_get_winner(vow_future *f);

VOW_END_DECLS

#endif
