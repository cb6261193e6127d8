/* SPDX-License-Identifier: MIT */
/**
 * @file vow/result.h
 * Values, errors, and what a step returns.
 *
 * A vow_value is a word and how to free it. A scalar or a borrowed pointer has
 * nothing to free; vow_own(p, free) is freed exactly once, on every path. What
 * a step returns is owned (vow_result); what it is given is lent and looks it
 * (vow_view: its value has no drop, its error is const).
 *
 *     static vow_result parse(vow_value text, void *ctx)
 *     {
 *         struct tree *t = tree_parse(text.as.ptr);
 *
 *         if (t == NULL)
 *             return vow_fail(EILSEQ, "line %d is no expression", tree_line());
 *         return vow_ok(vow_own(t, tree_free));
 *     }
 *
 * An error is immutable and counted. Passing it on passes the pointer. Codes
 * below 4096 are errno values, those from VOW_E_CANCELLED on are the library's,
 * those from VOW_E_USER on are yours.
 */
#ifndef VOW_RESULT_H
#define VOW_RESULT_H

#include <stdio.h>

#include <vow/base.h>

VOW_BEGIN_DECLS

/** A value that is not there yet; see vow/future.h. */
typedef struct vow_future vow_future;

/** Frees what a value points to. Runs once, with no lock of the library held. */
typedef void vow_drop_fn(void *ptr);

/** A word, and how to free it. Both ends know which member is meant. */
typedef struct vow_value {
    union {
        void *ptr;     /**< a pointer that the library never looks through */
        int64_t i64;   /**< a signed number */
        uint64_t u64;  /**< an unsigned one */
        double f64;    /**< a measured one */
    } as;              /**< which member, its maker says */
    vow_drop_fn *drop; /**< frees as.ptr; NULL: nothing to free */
} vow_value;

/** Returns a borrowed pointer as a value: never freed by the library. */
static inline vow_value
vow_ptr(const void *p)
{
    union {
        const void *from;
        void *to;
    } cast;
    vow_value v;

    cast.from = p;
    v.as.u64 = 0;
    v.as.ptr = cast.to;
    v.drop = NULL;
    return v;
}

/** Returns an owned pointer as a value: @p drop frees it exactly once. */
static inline vow_value
vow_own(void *p, vow_drop_fn *drop)
{
    vow_value v;

    v.as.u64 = 0;
    v.as.ptr = p;
    v.drop = drop;
    return v;
}

/** Returns a signed number as a value. */
static inline vow_value
vow_i64(int64_t x)
{
    vow_value v;

    v.as.i64 = x;
    v.drop = NULL;
    return v;
}

/** Returns an unsigned number as a value. */
static inline vow_value
vow_u64(uint64_t x)
{
    vow_value v;

    v.as.u64 = x;
    v.drop = NULL;
    return v;
}

/** Returns a floating-point number as a value. */
static inline vow_value
vow_f64(double x)
{
    vow_value v;

    v.as.f64 = x;
    v.drop = NULL;
    return v;
}

/** The value of what has none. */
#define VOW_NIL vow_ptr(NULL)

/** Returns whether @p v is VOW_NIL: no word, nothing to free. */
static inline bool
vow_is_nil(vow_value v)
{
    return v.as.u64 == 0 && v.drop == NULL;
}

/**
 * Frees a value that nobody will use.
 *
 * @param v   consumed
 * @contract  any thread; blocks only if its drop does; frees; runs its drop
 */
void vow_value_drop(vow_value v);

/**
 * The library's own codes: name, number, message. One list, from which the enum
 * and the built-in errors are made.
 */
#define VOW_ERRORS(X)                                                                    \
    X(CANCELLED, 4096, "cancelled")                                                      \
    X(TIMEDOUT, 4097, "the deadline passed")                                             \
    X(BROKEN, 4098, "the promise was dropped before it was settled")                     \
    X(CLOSED, 4099, "the executor is closed")                                            \
    X(NOMEM, 4100, "out of memory")                                                      \
    X(DEADLOCK, 4101, "waiting here could never end")                                    \
    X(OPEN, 4102, "the circuit breaker is open")                                         \
    X(LIMIT, 4103, "a limit was reached")                                                \
    X(SHARED, 4104, "others hold it as well")                                            \
    X(FORKED, 4105, "the executor belongs to the parent process")                        \
    X(EMPTY, 4106, "nothing to choose from")                                             \
    X(AGGREGATE, 4107, "several operations failed")                                      \
    X(INVALID, 4108, "that makes no sense here")                                         \
    X(LOST, 4109, "another one was chosen")

/** @cond the headers' own */
#define VOW_ERROR_ENUM(name, code, message) VOW_E_##name = code,
/** @endcond */

/** Error codes of the library. Below them are errno values. */
enum vow_error_code {
    VOW_E_USER = 0x10000, /**< the first code that is yours to give a meaning */
    VOW_ERRORS(VOW_ERROR_ENUM)
};

#undef VOW_ERROR_ENUM

/** What went wrong: code, message, cause, where it was made. Immutable, counted. */
typedef struct vow_error vow_error;

/**
 * Makes an error. A macro over vow_error_new_at that notes the place.
 *
 * vow_error_new(code, format, ...), vow_error_wrap(cause, code, format, ...) and
 * vow_fail(code, format, ...) take a printf format and its arguments.
 */
#define vow_error_new(...) vow_error_new_at(VOW_HERE, __VA_ARGS__)
/** Makes an error with a cause; see vow_error_wrap_at. */
#define vow_error_wrap(...) vow_error_wrap_at(VOW_HERE, __VA_ARGS__)
/** Makes the result of a step that failed; see vow_fail_at. */
#define vow_fail(...) vow_fail_at(VOW_HERE, __VA_ARGS__)

/**
 * Makes an error.
 *
 * @param where   borrowed for ever: a string literal, "file:line"; may be NULL
 * @param code    an errno value, a VOW_E_ code, or one from VOW_E_USER on
 * @param format  borrowed for the call; printf's; followed by its arguments
 * @return        owned; never NULL: without memory it is the built-in error of
 *                that code, or VOW_E_NOMEM where there is none
 * @contract      any thread; never blocks; allocates; runs no user code
 */
vow_error *vow_error_new_at(const char *where, int code, const char *format, ...)
    VOW_PRINTF(3, 4) VOW_MUST_USE;

/**
 * Makes an error that has a cause.
 *
 * @param where   borrowed for ever: a string literal, "file:line"; may be NULL
 * @param cause   shared: it takes a reference of its own; may be NULL
 * @param code    as for vow_error_new_at
 * @param format  borrowed for the call; printf's; followed by its arguments
 * @return        owned; never NULL, as for vow_error_new_at
 * @contract      any thread; never blocks; allocates; runs no user code
 */
vow_error *vow_error_wrap_at(const char *where, const vow_error *cause, int code,
                             const char *format, ...) VOW_PRINTF(4, 5) VOW_MUST_USE;

/**
 * Returns the built-in error of a code: a static object that costs nothing.
 *
 * @param code  a VOW_E_ code of the library, or ENOMEM
 * @return      owned, though its count never changes; NULL for another code
 * @contract    any thread; never blocks; no memory; runs no user code
 */
vow_error *vow_error_of(int code);

/**
 * Returns the name of a code: "VOW_E_TIMEDOUT" of VOW_E_TIMEDOUT.
 *
 * @param code  an errno value, a VOW_E_ code, or one from VOW_E_USER on
 * @return      borrowed for ever; NULL for a code that is none of the library's
 * @contract    any thread; never blocks; no memory; runs no user code
 */
const char *vow_error_name(int code);

/**
 * Takes another reference to an error.
 *
 * @param e   borrowed; may be NULL
 * @return    owned; @p e itself
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_error *vow_error_ref(const vow_error *e);

/**
 * Lets go of an error. The last one frees it, its payload and, in a loop and
 * not on the stack, the causes that nobody else holds.
 *
 * @param e   consumed; may be NULL
 * @contract  any thread; never blocks; frees; runs a payload's drop
 */
void vow_error_unref(vow_error *e);

/**
 * Returns the code of an error.
 *
 * @param e   borrowed; may be NULL
 * @return    the code; 0 if @p e is NULL
 * @contract  any thread; never blocks; no memory; runs no user code
 */
int vow_error_code(const vow_error *e);

/**
 * Returns the message of an error, without its causes.
 *
 * @param e   borrowed; may be NULL
 * @return    borrowed from @p e; never NULL
 * @contract  any thread; never blocks; no memory; runs no user code
 */
const char *vow_error_message(const vow_error *e);

/**
 * Returns what caused an error.
 *
 * @param e   borrowed; may be NULL
 * @return    borrowed from @p e; NULL if it has no cause
 * @contract  any thread; never blocks; no memory; runs no user code
 */
const vow_error *vow_error_cause(const vow_error *e);

/**
 * Returns where an error was made.
 *
 * @param e   borrowed; may be NULL
 * @return    borrowed for ever; "file:line", or NULL for a built-in error
 * @contract  any thread; never blocks; no memory; runs no user code
 */
const char *vow_error_where(const vow_error *e);

/**
 * Returns whether an error, or anything that caused it, has a code.
 *
 * @param e     borrowed; may be NULL
 * @param code  the code looked for
 * @return      true if it is found along the causes
 * @contract    any thread; never blocks; no memory; runs no user code
 */
bool vow_error_is(const vow_error *e, int code);

/**
 * Returns which input of a combinator an error came from: of vow_when_all, say, the
 * one that failed. Such an error has the code and the message of its cause, which
 * is the input's own error.
 *
 * @param e   borrowed; may be NULL
 * @return    the index, the nearest along the causes; -1 if there is none
 * @contract  any thread; never blocks; no memory; runs no user code
 */
int64_t vow_error_index(const vow_error *e);

/**
 * Returns how many places an error has that stands for several: of VOW_E_AGGREGATE as
 * many as there were inputs; of a group's (vow/group.h) as many as its children had errors.
 *
 * @param e   borrowed; may be NULL
 * @return    the number of places; 0 if it stands for no others
 * @contract  any thread; never blocks; no memory; runs no user code
 */
size_t vow_error_count(const vow_error *e);

/**
 * Returns one of the errors that an error stands for.
 *
 * @param e   borrowed; may be NULL
 * @param i   the index of an input; of a group, of an error in the order of coming
 * @return    borrowed from @p e; NULL if that input had not failed, or there is no
 *            such place
 * @contract  any thread; never blocks; no memory; runs no user code
 */
const vow_error *vow_error_at(const vow_error *e, size_t i);

/**
 * Says whether trying again makes sense, and how long to wait first. Before the
 * error is shown to others.
 *
 * @param e      consumed; may be NULL
 * @param after  the least time to wait, 0 for none
 * @return       owned; @p e, or, for a built-in error, a new one of the same code
 *               with it as cause; without memory @p e, unmarked
 * @contract     one thread, before @p e is shown to others; never blocks;
 *               allocates for a built-in error; runs no user code
 */
vow_error *vow_error_retry(vow_error *e, vow_ns after) VOW_MUST_USE;

/**
 * Returns whether an error says that trying again makes sense.
 *
 * @param e   borrowed; may be NULL
 * @return    the nearest hint along the causes; false if there is none
 * @contract  any thread; never blocks; no memory; runs no user code
 */
bool vow_error_retryable(const vow_error *e);

/**
 * Returns how long an error says to wait before trying again.
 *
 * @param e   borrowed; may be NULL
 * @return    a duration from the nearest hint along the causes; 0 if none
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_ns vow_error_retry_after(const vow_error *e);

/**
 * Adds a note to an error, before it is shown to others.
 *
 * @param e      consumed; may be NULL
 * @param key    borrowed for the call, copied
 * @param value  borrowed for the call, copied
 * @return       owned; @p e, or, for a built-in error, a new one of the same code
 *               with it as cause; without memory @p e, without the note
 * @contract     one thread, before @p e is shown to others; never blocks;
 *               allocates; runs no user code
 */
vow_error *vow_error_with(vow_error *e, const char *key, const char *value) VOW_MUST_USE;

/**
 * Returns a note of an error.
 *
 * @param e    borrowed; may be NULL
 * @param key  borrowed for the call
 * @return     borrowed from @p e; the newest of that key, nearest along the
 *             causes; NULL if there is none
 * @contract   any thread; never blocks; no memory; runs no user code
 */
const char *vow_error_note(const vow_error *e, const char *key);

/**
 * Makes an error carry an object of the caller's, before it is shown to others.
 *
 * @param e        consumed; may be NULL
 * @param payload  consumed: dropped with the error, or at once if @p e is NULL or
 *                 memory ran out; replaces (and drops) an earlier one
 * @return         owned; @p e, or, for a built-in error, a new one of the same
 *                 code with it as cause
 * @contract       one thread, before @p e is shown to others; never blocks;
 *                 allocates for a built-in error; may run a payload's drop
 */
vow_error *vow_error_attach(vow_error *e, vow_value payload) VOW_MUST_USE;

/**
 * Returns the object that an error carries.
 *
 * @param e   borrowed; may be NULL
 * @return    lent; the nearest along the causes, VOW_NIL if there is none
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_value vow_error_payload(const vow_error *e);

/**
 * Prints an error and its causes, one line each; and one for each of the others that it
 * stands for (vow_error_at), up to sixteen. What says the same as its cause, and only
 * which input that was, shares the line of that. A code is printed as its number and,
 * if it has one, its name (vow_error_name).
 *
 * @param e       borrowed; may be NULL
 * @param stream  borrowed for the call
 * @contract      any thread; blocks as the stream does; no memory; runs no user code
 */
void vow_error_print(const vow_error *e, FILE *stream);

/**
 * What a step returns: owned. With more than one member set, follow counts
 * before error, error before value, and the rest is released.
 */
typedef struct vow_result {
    vow_value value;    /**< fulfill with this */
    vow_error *error;   /**< not NULL: reject with this */
    vow_future *follow; /**< not NULL: settle as this one settles */
} vow_result;

/** What a step or a reader sees: lent, valid while a reference is held. */
typedef struct vow_view {
    vow_value value;        /**< its drop is NULL; VOW_NIL if rejected */
    const vow_error *error; /**< not NULL: rejected with this */
} vow_view;

/** Returns the result of a step that worked; consumes @p v. */
static inline vow_result
vow_ok(vow_value v)
{
    vow_result r;

    r.value = v;
    r.error = NULL;
    r.follow = NULL;
    return r;
}

/**
 * Returns the result of a step that failed.
 *
 * @param e   consumed; NULL means VOW_E_NOMEM
 * @return    owned
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_result vow_err(vow_error *e);

/**
 * Makes an error and returns it as the result of a step.
 *
 * @param where   borrowed for ever: a string literal, "file:line"; may be NULL
 * @param code    as for vow_error_new_at
 * @param format  borrowed for the call; printf's; followed by its arguments
 * @return        owned
 * @contract      any thread; never blocks; allocates; runs no user code
 */
vow_result vow_fail_at(const char *where, int code, const char *format, ...)
    VOW_PRINTF(3, 4);

/**
 * Returns the result "settle as this future settles", so that a step can go on
 * without blocking.
 *
 * @param f   consumed; NULL means VOW_E_NOMEM
 * @return    owned
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_result vow_follow(vow_future *f);

/**
 * Returns the result "settle as my input did": the value or error that the step
 * was given is passed on, moved or shared, never copied or freed twice.
 * Returning the lent value itself means the same. Outside a step it is
 * VOW_E_INVALID.
 *
 * @return    owned
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_result vow_forward(void);

/**
 * Releases a result that nobody will use.
 *
 * @param r   consumed
 * @contract  any thread; blocks only if a drop does; frees; runs drops
 */
void vow_result_drop(vow_result r);

VOW_END_DECLS

#endif
