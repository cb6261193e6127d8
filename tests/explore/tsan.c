/* SPDX-License-Identifier: MIT */
/*
 * tsan.c - the functions that -fsanitize=thread makes the compiler call.
 *
 * Their names and arguments are the compiler's (its tsan_interface_atomic.h and
 * tsan_interface.h). A weak compare-and-swap looks like a strong one here; for that,
 * see under_test.h.
 */
#include <string.h>

#include "model.h"

bool explore_weak_fails(void);
bool
explore_weak_fails(void)
{
    return run.active && happens("a weak compare fails for NO REASON", PC);
}

/* VOWI_BUGGIFY, base/buggify.h. */
bool explore_buggify(const char *name);
bool
explore_buggify(const char *name)
{
    return run.active && happens(name, PC);
}

void __tsan_init(void);
void
__tsan_init(void)
{
}

/* ---- calls: who called whom, for messages ------------------------------------------------- */

void __tsan_func_entry(void *caller);
void
__tsan_func_entry(void *caller)
{
    struct thread *t = self();

    if (t->depth < CALLS)
        t->calls[t->depth] = caller;
    t->depth++;
}

void __tsan_func_exit(void);
void
__tsan_func_exit(void)
{
    struct thread *t = self();

    if (t->depth != 0)
        t->depth--;
}

/* ---- fibers ---------------------------------------------------------------------------------- */

/* They are their thread's, whatever stack it is on: they know what it knows. */
void *__tsan_get_current_fiber(void);
void *
__tsan_get_current_fiber(void)
{
    return NULL;
}

void *__tsan_create_fiber(unsigned flags);
void *
__tsan_create_fiber(unsigned flags)
{
    (void)flags;
    return NULL;
}

void __tsan_destroy_fiber(void *fiber);
void
__tsan_destroy_fiber(void *fiber)
{
    (void)fiber;
}

/* Said before the stack is left. */
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
void
__tsan_switch_to_fiber(void *fiber, unsigned flags)
{
    char *frame = __builtin_frame_address(0);

    (void)fiber;
    (void)flags;
    if (stack_has(run.current, frame))
        self()->left_at = frame - 512;
}

/* ---- plain accesses ---------------------------------------------------------------------------- */

#define ACCESS(name, size, writes)                                                       \
    void __tsan_##name(void *at);                                                        \
    void __tsan_##name(void *at)                                                         \
    {                                                                                    \
        plain_access((uintptr_t)at, size, writes, PC);                                   \
    }

#define ACCESSES(size)                                                                   \
    ACCESS(read##size, size, false)                                                      \
    ACCESS(write##size, size, true)                                                      \
    ACCESS(read_write##size, size, true)                                                 \
    ACCESS(unaligned_read##size, size, false)                                            \
    ACCESS(unaligned_write##size, size, true)                                            \
    ACCESS(unaligned_read_write##size, size, true)                                       \
    ACCESS(volatile_read##size, size, false)                                             \
    ACCESS(volatile_write##size, size, true)

ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

#define RANGE(name, writes)                                                              \
    void __tsan_##name(void *at, unsigned long size);                                    \
    void __tsan_##name(void *at, unsigned long size)                                     \
    {                                                                                    \
        plain_access((uintptr_t)at, size, writes, PC);                                   \
    }

RANGE(read_range, false)
RANGE(write_range, true)

/* From clang 15 on. */
void *__tsan_memcpy(void *to, const void *from, size_t n);
void *
__tsan_memcpy(void *to, const void *from, size_t n)
{
    plain_access((uintptr_t)from, n, false, PC);
    plain_access((uintptr_t)to, n, true, PC);
    return memcpy(to, from, n);
}

void *__tsan_memmove(void *to, const void *from, size_t n);
void *
__tsan_memmove(void *to, const void *from, size_t n)
{
    plain_access((uintptr_t)from, n, false, PC);
    plain_access((uintptr_t)to, n, true, PC);
    return memmove(to, from, n);
}

void *__tsan_memset(void *to, int byte, size_t n);
void *
__tsan_memset(void *to, int byte, size_t n)
{
    plain_access((uintptr_t)to, n, true, PC);
    return memset(to, byte, n);
}

/* ---- atomics --------------------------------------------------------------------------------------- */

#define CHANGE(bits, type, name, how)                                                    \
    type __tsan_atomic##bits##_##name(volatile type *at, type value, int order);         \
    type __tsan_atomic##bits##_##name(volatile type *at, type value, int order)          \
    {                                                                                    \
        return (type)atomic_change((uintptr_t)at, sizeof *at, how, value, order, PC);    \
    }

#define COMPARE(bits, type, name)                                                        \
    int __tsan_atomic##bits##_compare_exchange_##name(                                   \
        volatile type *at, type *expected, type value, int order, int failed_order);     \
    int __tsan_atomic##bits##_compare_exchange_##name(                                   \
        volatile type *at, type *expected, type value, int order, int failed_order)      \
    {                                                                                    \
        type before = *expected;                                                         \
                                                                                         \
        *expected = (type)atomic_compare((uintptr_t)at, sizeof *at, before, value,       \
                                         order, failed_order, PC);                       \
        return *expected == before;                                                      \
    }

/* Loads note the registers that calls preserve, before a call here preserves them. */
#define LOAD(bits, type)                                                                 \
    type __tsan_atomic##bits##_load(const volatile type *at, int order);                 \
    __attribute__((naked))                                                               \
    type __tsan_atomic##bits##_load(const volatile type *at, int order)                  \
    {                                                                                    \
        __asm__("movq %rbx, preserved_registers\n\t"                                     \
                "movq %rbp, preserved_registers+8\n\t"                                   \
                "movq %r12, preserved_registers+16\n\t"                                  \
                "movq %r13, preserved_registers+24\n\t"                                  \
                "movq %r14, preserved_registers+32\n\t"                                  \
                "movq %r15, preserved_registers+40\n\t"                                  \
                "jmp load" #bits);                                                       \
    }                                                                                    \
    type load##bits(const volatile type *at, int order);                                 \
    type load##bits(const volatile type *at, int order)                                  \
    {                                                                                    \
        const char *stack_at = (const char *)__builtin_frame_address(0) + 16;            \
                                                                                         \
        return (type)atomic_read((uintptr_t)at, sizeof *at, order, PC, stack_at);        \
    }

#define ATOMICS(bits, type)                                                              \
    LOAD(bits, type)                                                                     \
    void __tsan_atomic##bits##_store(volatile type *at, type value, int order);          \
    void __tsan_atomic##bits##_store(volatile type *at, type value, int order)           \
    {                                                                                    \
        atomic_write((uintptr_t)at, sizeof *at, value, order, PC);                       \
    }                                                                                    \
    type __tsan_atomic##bits##_compare_exchange_val(                                     \
        volatile type *at, type expected, type value, int order, int failed_order);      \
    type __tsan_atomic##bits##_compare_exchange_val(                                     \
        volatile type *at, type expected, type value, int order, int failed_order)       \
    {                                                                                    \
        return (type)atomic_compare((uintptr_t)at, sizeof *at, expected, value, order,   \
                                    failed_order, PC);                                   \
    }                                                                                    \
    COMPARE(bits, type, strong)                                                          \
    COMPARE(bits, type, weak)                                                            \
    CHANGE(bits, type, exchange, '=')                                                    \
    CHANGE(bits, type, fetch_add, '+')                                                   \
    CHANGE(bits, type, fetch_sub, '-')                                                   \
    CHANGE(bits, type, fetch_and, '&')                                                   \
    CHANGE(bits, type, fetch_or, '|')                                                    \
    CHANGE(bits, type, fetch_xor, '^')                                                   \
    CHANGE(bits, type, fetch_nand, '~')

ATOMICS(8, uint8_t)
ATOMICS(16, uint16_t)
ATOMICS(32, uint32_t)
ATOMICS(64, uint64_t)

void __tsan_atomic_thread_fence(int order);
void
__tsan_atomic_thread_fence(int order)
{
    atomic_fence(order, PC);
}

void __tsan_atomic_signal_fence(int order);
void
__tsan_atomic_signal_fence(int order)
{
    (void)order;
}
