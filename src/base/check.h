/* SPDX-License-Identifier: MIT */
/*
 * base/check.h - what must be true, and what to do when it is not.
 *
 * vowi_assert is for our own bugs: checked in debug builds, type-checked always.
 * vowi_fatal is for corruption, a count below zero say: it ends the process with
 * a message in every build, since going on would spread it.
 */
#ifndef VOWI_BASE_CHECK_H
#define VOWI_BASE_CHECK_H

_Noreturn void vowi_fatal(const char *message);

#ifdef NDEBUG
#define vowi_assert(condition) ((void)sizeof(condition))
#else
#define vowi_assert(condition)                                                           \
    ((condition) ? (void)0 : vowi_fatal("assertion failed: " #condition))
#endif

/* For what is one function for each of a few constants. */
#define VOWI_INLINE   static inline __attribute__((always_inline))
#define VOWI_NOINLINE __attribute__((noinline))

#define vowi_likely(condition)   __builtin_expect(!!(condition), 1)
#define vowi_unlikely(condition) __builtin_expect(!!(condition), 0)

/* What the compiler may rely on, as it cannot know it. */
#ifdef NDEBUG
#define vowi_assume(condition) ((condition) ? (void)0 : __builtin_unreachable())
#else
#define vowi_assume(condition) vowi_assert(condition)
#endif

/* The struct of which p is a member; p's own type is checked. */
#define vowi_container_of(p, type, member)                                               \
    ((type *)(void *)((char *)(p)-offsetof(type, member)))

#define VOWI_CACHE_LINE 64

#endif
