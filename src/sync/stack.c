/* SPDX-License-Identifier: MIT */
/* sync/stack.c - the memory of stacks, and who else wants to know of a switch. */
#include "sync/stack.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>

#include "sync/switch.h"

/* The largest page there is; so much is guarded as well. */
#ifndef VOWI_STACK_UNIT
#define VOWI_STACK_UNIT 65536
#endif
#define UNIT ((size_t)VOWI_STACK_UNIT)

#define SHIFTS 32            /* places at which a stack may end, */
#define SHIFT  ((size_t)128) /* so far apart */

#ifdef VOWI_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#ifdef VOWI_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif

/* ---- those who want to know ---------------------------------------------------------- */

static void
tell_of_leaving(struct vowi_stack *from, const struct vowi_stack *to)
{
#ifdef VOWI_ASAN
    __sanitizer_start_switch_fiber(&from->fake, to->bottom, to->room);
#endif
#ifdef VOWI_TSAN
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    (void)from;
    (void)to;
}

#ifdef VOWI_ASAN
/* It knows the bounds of the thread's own stack, and says them when that is left. */
void
vowi_stack_arrived(struct vowi_stack *s, struct vowi_stack *from)
{
    __sanitizer_finish_switch_fiber(s->fake, &from->bottom, &from->room);
}
#endif

#ifdef VOWI_ASAN
/* Frames that it keeps apart, to find uses after a return, are given back when their stack is
 * left for good. At that time it is not known: so it is told of a visit there. */
static void
give_back_frames(struct vowi_stack *s)
{
    void *fake;
    const void *bottom;
    size_t room;

    __sanitizer_start_switch_fiber(&fake, s->bottom, s->room);
    __sanitizer_finish_switch_fiber(s->fake, &bottom, &room);
    __sanitizer_start_switch_fiber(NULL, bottom, room);
    __sanitizer_finish_switch_fiber(fake, NULL, NULL);
}
#endif

static void
tell_of_new(struct vowi_stack *s)
{
#ifdef VOWI_ASAN
    __lsan_register_root_region(s->bottom, s->size - UNIT);
#endif
#ifdef VOWI_TSAN
    s->fiber = __tsan_create_fiber(0);
#endif
#ifdef VALGRIND_STACK_REGISTER
    s->id = VALGRIND_STACK_REGISTER(s->bottom, s->memory + s->size);
#endif
    (void)s;
}

/* Nothing returns from the first function there, whose frame stays fenced: whoever maps the
 * same addresses next would run into that. */
static void
tell_of_end(struct vowi_stack *s)
{
#ifdef VOWI_ASAN
    give_back_frames(s);
    __lsan_unregister_root_region(s->bottom, s->size - UNIT);
    __asan_unpoison_memory_region(s->memory, s->size);
#endif
#ifdef VOWI_TSAN
    __tsan_destroy_fiber(s->fiber);
#endif
#ifdef VALGRIND_STACK_DEREGISTER
    VALGRIND_STACK_DEREGISTER(s->id);
#endif
    (void)s;
}

/* ---- clean-up handlers ------------------------------------------------------------------ */

#if defined(__linux__) && !defined(__GLIBC__) && !defined(__ANDROID__)
/* musl: what is pushed is told what was there before, and what is popped says what is there
 * from then on. */
static void
swap_cleanups(struct vowi_stack *from, struct vowi_stack *to)
{
    struct __ptcb probe;

    _pthread_cleanup_push(&probe, NULL, NULL);
    from->cleanups = probe.__next;
    probe.__next = to->cleanups;
    _pthread_cleanup_pop(&probe, 0);
}
#else
static inline void
swap_cleanups(struct vowi_stack *from, struct vowi_stack *to)
{
    (void)from;
    (void)to;
}
#endif

/* ---- exceptions ----------------------------------------------------------------------------- */

/* There with C++. */
struct vowi_exceptions *__cxa_get_globals(void) __attribute__((__weak__));

static inline void
swap_exceptions(struct vowi_stack *from, struct vowi_stack *to)
{
    struct vowi_exceptions *now = from->of_thread;

    if (now == NULL)
        return;
    from->exceptions = *now;
    *now = to->exceptions;
    to->of_thread = now;
}

/* ---- memory ------------------------------------------------------------------------------- */

bool
vowi_stack_is_supported(void)
{
    return VOWI_HAS_SWITCH && !vowi_switch_is_shadowed();
}

size_t
vowi_stack_size(size_t room)
{
    if (room > SIZE_MAX / 2)
        return 0;
    return (room + SHIFTS * SHIFT + UNIT - 1) / UNIT * UNIT + UNIT;
}

/*
 * How much lower than it could one begins, of many that lie side by side. Else all that is at
 * the end of each, what a switch reads and writes, would be in the same few sets of the cache.
 */
static size_t
shift_of(const char *memory, size_t size)
{
    return (uintptr_t)memory / size % SHIFTS * SHIFT;
}

/* Nothing, or all but the guard. */
static char *
map(size_t size)
{
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

    if (memory == MAP_FAILED)
        return NULL;
    if (mprotect(memory, UNIT, PROT_NONE) == 0)
        return memory;
    munmap(memory, size);
    return NULL;
}

struct vowi_stack *
vowi_stack_new(size_t size, size_t bytes, size_t offset, void (*main)(void *arg))
{
    char *memory = map(size);
    struct vowi_stack *s;
    char *top;

    if (memory == NULL)
        return NULL;
    top = memory + size - shift_of(memory, size) - (bytes + 63) / 64 * 64;
    s = (struct vowi_stack *)(void *)(top + offset);
    s->memory = memory;
    s->size = size;
    s->bottom = memory + UNIT;
    s->room = (size_t)(top - memory) - UNIT;
    s->pointer = vowi_switch_prepare(top, main, s);
    tell_of_new(s);
    return s;
}

void
vowi_stack_free(struct vowi_stack *s)
{
    tell_of_end(s);
    munmap(s->memory, s->size);
}

void
vowi_stack_adopt(struct vowi_stack *s)
{
#ifdef VOWI_TSAN
    s->fiber = __tsan_get_current_fiber();
#endif
    s->memory = NULL;
    s->of_thread = __cxa_get_globals != NULL ? __cxa_get_globals() : NULL;
}

/* ---- going from one to another ---------------------------------------------------------- */

#if VOWI_HAS_SWITCH
void
vowi_stack_switch(struct vowi_stack *from, struct vowi_stack *to)
{
    swap_cleanups(from, to);
    swap_exceptions(from, to);
    tell_of_leaving(from, to);
    vowi_switch(&from->pointer, to->pointer);
}
#else
void
vowi_stack_switch(struct vowi_stack *from, struct vowi_stack *to)
{
    tell_of_leaving(from, to);
    swap_cleanups(from, to);
    swap_exceptions(from, to);
}
#endif
