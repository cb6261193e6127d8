/* SPDX-License-Identifier: MIT */
/*
 * sync/stack.h - a stack of one's own, and how a thread goes from one to another.
 *
 * What is kept of a stack that is left is what a call preserves: some registers, on the
 * stack itself, and the modes of floating point. No signal mask: that is a system call, and
 * the thread's. A stack never goes to another thread, since compilers keep the address of
 * a thread-local across a call.
 *
 * There is assembly for x86-64, i386 and aarch64 (switch.c). Elsewhere, and in a process
 * whose return addresses the processor keeps in a shadow stack, there are none.
 *
 * What C++ knows of exceptions of a thread goes with the stack as well: a handler may wait,
 * and so may a destructor. Sanitizers and valgrind are told. In musl clean-up handlers are a
 * list of the thread: it changes with the stack. In glibc the library's own are in the unwind
 * tables, and those of code that was compiled without -fexceptions are looked for only when
 * a thread is cancelled or exits, which one with such stacks never does.
 */
#ifndef VOWI_SYNC_STACK_H
#define VOWI_SYNC_STACK_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define VOWI_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define VOWI_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(VOWI_ASAN)
#define VOWI_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__) && !defined(VOWI_TSAN)
#define VOWI_TSAN 1
#endif

/* What the runtime of C++ has of a thread (Itanium C++ ABI, 2.2.2): what is being handled,
 * and how many were thrown and not caught yet. */
struct vowi_exceptions {
    void *caught;
    unsigned uncaught;
};

struct vowi_stack {
    void *pointer;                     /* of one that was left: what it goes on with */
    struct vowi_exceptions *of_thread; /* NULL: there is no C++ in this process */
    struct vowi_exceptions exceptions; /* its own, while it is left */
    char *memory;                      /* the guard first; NULL: the thread's own stack */
    size_t size;                       /* of all of it */
    void *cleanups;
    const void *bottom; /* for AddressSanitizer, as it has it */
    size_t room;
    void *fake;
    void *fiber; /* for ThreadSanitizer */
    unsigned id; /* for valgrind */
};

/* Whether this process can have any. */
bool vowi_stack_is_supported(void);

/* The size of one with so much room at least: whole pages, and a guard below, which ends the
 * process when it is touched. 0: too much. */
size_t vowi_stack_size(size_t room);

/*
 * Makes one, which main(arg) is to begin on when it is switched to first, and never to
 * leave by returning. It ends below so many bytes of the caller's, aligned to a line of the
 * cache and zero, in which the struct is at an offset. NULL without memory.
 */
struct vowi_stack *vowi_stack_new(size_t size, size_t bytes, size_t offset,
                                  void (*main)(void *arg));
void vowi_stack_free(struct vowi_stack *s);

/* Makes the struct stand for the stack that the calling thread is on. */
void vowi_stack_adopt(struct vowi_stack *s);

/* Leaves the stack that runs for another one; returns when that is left for this again. */
void vowi_stack_switch(struct vowi_stack *from, struct vowi_stack *to);

/* First thing after that, and in main, which is given the struct: from where. */
#ifdef VOWI_ASAN
void vowi_stack_arrived(struct vowi_stack *s, struct vowi_stack *from);
#else
static inline void
vowi_stack_arrived(struct vowi_stack *s, struct vowi_stack *from)
{
    (void)s;
    (void)from;
}
#endif

#endif
