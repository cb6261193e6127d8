/* SPDX-License-Identifier: MIT */
/**
 * @file vow/base.h
 * Words that every other header uses: linkage, time, clocks, memory.
 *
 * Durations and deadlines are vow_ns: signed nanoseconds. A deadline is a point
 * on a clock; the process clock is CLOCK_MONOTONIC, and its zero means nothing.
 * Arithmetic on times saturates: VOW_FOREVER is never reached and adding to it
 * changes nothing.
 */
#ifndef VOW_BASE_H
#define VOW_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vow/version.h>

/** @cond the headers' own */
#if defined(__GNUC__)
#define VOW_VISIBLE_BEGIN      _Pragma("GCC visibility push(default)")
#define VOW_VISIBLE_END        _Pragma("GCC visibility pop")
#define VOW_MUST_USE           __attribute__((warn_unused_result))
#define VOW_PRINTF(nth, first) __attribute__((__format__(__printf__, nth, first)))
#define VOW_ALIGNED(bytes)     __attribute__((aligned(bytes)))
#else
#define VOW_VISIBLE_BEGIN
#define VOW_VISIBLE_END
#define VOW_MUST_USE
#define VOW_PRINTF(nth, first)
#define VOW_ALIGNED(bytes)
#endif

#ifdef __cplusplus
#define VOW_BEGIN_DECLS                                                                  \
    extern "C" {                                                                         \
    VOW_VISIBLE_BEGIN
#define VOW_END_DECLS                                                                    \
    VOW_VISIBLE_END                                                                      \
    }
#else
#define VOW_BEGIN_DECLS VOW_VISIBLE_BEGIN
#define VOW_END_DECLS   VOW_VISIBLE_END
#endif
/** @endcond */

/** @cond the headers' own */
/* What VOW_POOL_OPTIONS and its kin make: a struct with its size, whose address may be
 * taken until the end of the expression. In C++ the fields are named from C++20 on. */
#ifdef __cplusplus
/** Returns options with their size, as an lvalue. */
template <class T>
static inline const T &
vow_sized(T &&options)
{
    options.size = sizeof(T);
    return options;
}
#define VOW_SIZED(type, ...) vow_sized<type>(type{__VA_ARGS__})
#else
#define VOW_SIZED(type, ...)                                                             \
    (type)                                                                               \
    {                                                                                    \
        .size = sizeof(type), __VA_ARGS__                                                \
    }
#endif
/** @endcond */

/** "file:line" of the place where it is written, a string that lives for ever. */
#define VOW_HERE __FILE__ ":" VOW_STRING(__LINE__)
/** @cond the headers' own */
#define VOW_STRING(token)    VOW_STRING_OF(token)
#define VOW_STRING_OF(token) #token
/** @endcond */

VOW_BEGIN_DECLS

/** A duration or a deadline, in nanoseconds. */
typedef int64_t vow_ns;

/** No deadline; as a duration, longer than any other. */
#define VOW_FOREVER INT64_MAX

/** A place where time is read; users may write their own (see vow/executor.h). */
typedef struct vow_clock vow_clock;

struct vow_clock {
    /** Returns the time on this clock; called from any thread, must not block. */
    vow_ns (*now)(const vow_clock *self);
    /**
     * Who fires timers on this clock, those of executors without timers of their own
     * included (vow_timer_fire): an executor with arm and disarm, borrowed. NULL: the
     * timer thread of the process, for clocks that go as the real one does.
     */
    struct vow_executor *timers;
};

/** Returns @p n times @p unit, saturating. Meant for vow_seconds and its kin. */
static inline vow_ns
vow_times(int64_t n, int64_t unit)
{
    if (n > INT64_MAX / unit)
        return INT64_MAX;
    if (n < INT64_MIN / unit)
        return INT64_MIN;
    return n * unit;
}

/** Returns @p n seconds as nanoseconds, saturating at VOW_FOREVER. */
static inline vow_ns
vow_seconds(int64_t n)
{
    return vow_times(n, 1000000000);
}

/** Returns @p n milliseconds as nanoseconds, saturating at VOW_FOREVER. */
static inline vow_ns
vow_ms(int64_t n)
{
    return vow_times(n, 1000000);
}

/** Returns @p n microseconds as nanoseconds, saturating at VOW_FOREVER. */
static inline vow_ns
vow_us(int64_t n)
{
    return vow_times(n, 1000);
}

/**
 * Returns the time on the clock in force here: the one of the executor whose
 * task is running, else the process clock.
 *
 * @return    nanoseconds on that clock
 * @contract  any thread; never blocks; no memory; runs no user code but the
 *            clock's own now()
 */
vow_ns vow_now(void);

/**
 * Returns the time on one clock.
 *
 * @param c   borrowed; NULL is the real monotonic clock
 * @return    nanoseconds on that clock
 * @contract  any thread; never blocks; no memory; runs the clock's now()
 */
vow_ns vow_clock_now(const vow_clock *c);

/**
 * Replaces the process clock, so that a test can stand time still.
 *
 * @param c   borrowed until it is replaced; NULL is the real monotonic clock
 * @return    borrowed; the clock before, NULL if it was the real one
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_clock *vow_clock_use(vow_clock *c);

/**
 * Where the library gets its memory. All three may be called from any thread,
 * with no lock of the library held; they must not call back into it.
 */
typedef struct vow_allocator {
    /** Returns @p size bytes aligned to @p align (a power of two), or NULL. */
    void *(*alloc)(size_t size, size_t align, void *ctx);
    /** Resizes a block as realloc does; @p old_size is what was asked for. */
    void *(*realloc)(void *p, size_t old_size, size_t size, size_t align, void *ctx);
    /** Frees a block; @p size is what was asked for, so sized frees work. */
    void (*free)(void *p, size_t size, void *ctx);
    /** Handed to all three. */
    void *ctx;
} vow_allocator;

/**
 * Sets where all memory of the library comes from. Default: malloc and free.
 *
 * @param a   borrowed for the call, copied; NULL restores malloc and free
 * @return    0; VOW_E_INVALID once the library has allocated, or if one of the
 *            three functions is missing: call it first thing in main
 * @contract  one thread, before any other call; never blocks; no memory
 */
int vow_set_allocator(const vow_allocator *a);

/**
 * Gives the blocks that the library keeps for reuse back to the allocator:
 * those of this thread and those that all threads share. After every object is
 * released and every executor joined, a leak counter reads zero.
 *
 * @contract  any thread; never blocks; frees; runs no user code
 */
void vow_trim(void);

/** What hears of warnings: @p code is an errno value or a VOW_E_ code. */
typedef void vow_warning_fn(int code, const char *message, void *ctx);

/**
 * Sets who hears of what is not as it was asked for although nothing failed: a pool
 * with fewer threads than wanted, say. The default prints a line on stderr, at most 10
 * a second, and a total at exit for the rest.
 *
 * @param hook  called on whichever thread found out, with no lock of the library
 *              held; must not wait for a future; its message is lent for the call;
 *              NULL restores the default
 * @param ctx   handed to @p hook; borrowed until another hook is set and no call of
 *              this one is running
 * @contract    any thread; never blocks; no memory; runs no user code
 */
void vow_on_warning(vow_warning_fn *hook, void *ctx);

VOW_END_DECLS

#endif
