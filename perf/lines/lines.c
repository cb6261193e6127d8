/* SPDX-License-Identifier: MIT */
/*
 * perf/lines/lines.c - counts how often a cache line goes from one thread to another.
 *
 * The library is compiled with -fsanitize=thread, which puts a call before each access to
 * memory, and linked with this instead of the sanitizer. Here a line has the set of the
 * threads that have a copy of it, as if each ran on a core of its own with a cache without
 * end: a read needs a copy, a write needs the only one, and who gets it from others counts
 * a transfer, where it stands in the program. Mutexes are part of the C library, which is
 * not compiled so: taking and giving one back is a write to where it is.
 *
 * Not seen: what the allocator, the C library and the kernel keep for themselves, and the
 * program that uses the library. At its end a process writes where its transfers were, one
 * place a line, to the file that VOW_LINES names: lines.py makes sense of them.
 *
 * The coherence protocol is MESI: Papamarcos and Patel, A Low-overhead Coherence Solution
 * for Multiprocessors with Private Cache Memories (ISCA 1984).
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BITS = 6, TABLE_BITS = 24, MOST_THREADS = 64, PLACE_BITS = 12 };
enum { MOST_PLACES = 1 << PLACE_BITS, MOST_CALLS = 64 };

/* What a transfer is for. A store is left to the store buffer, the other two are waited
 * for: a load, and a step that reads and writes. */
enum access { LOAD, STORE, STEP, ACCESSES };

static const char *const access_names[ACCESSES] = {"load", "store", "step"};

/* A place in the program; taken by the first that finds it empty. */
struct place {
    _Atomic(uintptr_t) pc;
    atomic_ulong transfers[ACCESSES];
};

static atomic_uint_fast64_t copies[1 << TABLE_BITS]; /* a bit for each thread; 0: none */
static struct place places[MOST_PLACES];
static atomic_uint threads;
static _Thread_local unsigned me; /* from 1 */
static _Thread_local unsigned depth;
static _Thread_local uintptr_t calls[MOST_CALLS]; /* where the functions here return to */

static uint64_t
hash(uintptr_t x, int bits)
{
    return x * UINT64_C(0x9e3779b97f4a7c15) >> (64 - bits);
}

static uint64_t
my_bit(void)
{
    if (me == 0)
        me = 1 + atomic_fetch_add(&threads, 1) % MOST_THREADS;
    return UINT64_C(1) << (me - 1);
}

static void
note(uintptr_t pc, enum access access)
{
    for (uint64_t i = hash(pc, PLACE_BITS);; i = (i + 1) % MOST_PLACES) {
        uintptr_t there = 0;

        if (atomic_compare_exchange_strong(&places[i].pc, &there, pc) || there == pc) {
            atomic_fetch_add(&places[i].transfers[access], 1);
            return;
        }
    }
}

static void
touch_line(uintptr_t line, enum access access, uintptr_t pc)
{
    atomic_uint_fast64_t *entry = &copies[hash(line, TABLE_BITS)];
    uint64_t mine = my_bit(), before = atomic_load(entry);

    if (before == mine || (access == LOAD && (before & mine) != 0))
        return;
    before = access == LOAD ? atomic_fetch_or(entry, mine) : atomic_exchange(entry, mine);
    if (access == LOAD ? before != 0 && (before & mine) == 0 : (before & ~mine) != 0)
        note(pc, access);
}

static void
touch(const void *p, size_t size, enum access access, void *pc)
{
    uintptr_t first = (uintptr_t)p >> LINE_BITS;
    uintptr_t last = ((uintptr_t)p + size - 1) >> LINE_BITS;

    for (uintptr_t line = first; size != 0 && line <= last; line++)
        touch_line(line, access, (uintptr_t)pc);
}

static void
write_places(void)
{
    const char *path = getenv("VOW_LINES");
    FILE *out = path != NULL ? fopen(path, "w") : NULL;

    for (size_t i = 0; out != NULL && i < MOST_PLACES; i++)
        for (int access = 0; access < ACCESSES; access++)
            if (places[i].transfers[access] != 0)
                fprintf(out, "%#lx %s %lu\n", (unsigned long)places[i].pc - 1,
                        access_names[access], places[i].transfers[access]);
    if (out != NULL)
        fclose(out);
}

/* ---- what the compiler calls -------------------------------------------------------- */

#define PC __builtin_return_address(0)

void __tsan_init(void);
void __tsan_func_entry(void *pc);
void __tsan_func_exit(void);

void
__tsan_init(void)
{
    static atomic_bool done;

    if (!atomic_exchange(&done, true))
        atexit(write_places);
}

void
__tsan_func_entry(void *pc)
{
    if (depth < MOST_CALLS)
        calls[depth] = (uintptr_t)pc;
    depth++;
}

void
__tsan_func_exit(void)
{
    depth--;
}

/* What runs on a stack of its own is counted as its thread's. */
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);

void *
__tsan_get_current_fiber(void)
{
    return NULL;
}

void *
__tsan_create_fiber(unsigned flags)
{
    (void)flags;
    return NULL;
}

void
__tsan_destroy_fiber(void *fiber)
{
    (void)fiber;
}

void
__tsan_switch_to_fiber(void *fiber, unsigned flags)
{
    (void)fiber;
    (void)flags;
}

#define PLAIN(name, size, access)                                                        \
    void __tsan_##name(void *p);                                                         \
    void __tsan_##name(void *p)                                                          \
    {                                                                                    \
        touch(p, size, access, PC);                                                      \
    }

#define PLAIN_OF(size)                                                                   \
    PLAIN(read##size, size, LOAD)                                                        \
    PLAIN(write##size, size, STORE)                                                      \
    PLAIN(unaligned_read##size, size, LOAD)                                              \
    PLAIN(unaligned_write##size, size, STORE)                                            \
    PLAIN(volatile_read##size, size, LOAD)                                               \
    PLAIN(volatile_write##size, size, STORE)

PLAIN_OF(1)
PLAIN_OF(2)
PLAIN_OF(4)
PLAIN_OF(8)
PLAIN_OF(16)

#define RANGE(name, access)                                                              \
    void __tsan_##name##_range(void *p, size_t size);                                    \
    void __tsan_##name##_range(void *p, size_t size)                                     \
    {                                                                                    \
        touch(p, size, access, PC);                                                      \
    }

RANGE(read, LOAD)
RANGE(write, STORE)

/* Whatever order was asked for, it is done in the strictest. */
#define STEP_OF(bits, type, name, operation)                                             \
    type __tsan_atomic##bits##_##name(_Atomic(type) *p, type v, int order);              \
    type __tsan_atomic##bits##_##name(_Atomic(type) *p, type v, int order)               \
    {                                                                                    \
        (void)order;                                                                     \
        touch((const void *)p, sizeof v, STEP, PC);                                      \
        return operation(p, v);                                                          \
    }

#define SWAP_IF_OF(bits, type, name)                                                     \
    int __tsan_atomic##bits##_##name(_Atomic(type) *p, type *expected, type v, int yes,  \
                                     int no);                                            \
    int __tsan_atomic##bits##_##name(_Atomic(type) *p, type *expected, type v, int yes,  \
                                     int no)                                             \
    {                                                                                    \
        (void)yes;                                                                       \
        (void)no;                                                                        \
        touch((const void *)p, sizeof v, STEP, PC);                                      \
        return atomic_compare_exchange_strong(p, expected, v);                           \
    }

/* A sequentially consistent store is a step on x86, the others are stores. */
#define ATOMIC_OF(bits, type)                                                            \
    type __tsan_atomic##bits##_load(const _Atomic(type) *p, int order);                  \
    type __tsan_atomic##bits##_load(const _Atomic(type) *p, int order)                   \
    {                                                                                    \
        (void)order;                                                                     \
        touch((const void *)p, sizeof(type), LOAD, PC);                                  \
        return atomic_load(p);                                                           \
    }                                                                                    \
    void __tsan_atomic##bits##_store(_Atomic(type) *p, type v, int order);               \
    void __tsan_atomic##bits##_store(_Atomic(type) *p, type v, int order)                \
    {                                                                                    \
        touch((const void *)p, sizeof v, order == memory_order_seq_cst ? STEP : STORE,   \
              PC);                                                                       \
        atomic_store(p, v);                                                              \
    }                                                                                    \
    STEP_OF(bits, type, exchange, atomic_exchange)                                       \
    STEP_OF(bits, type, fetch_add, atomic_fetch_add)                                     \
    STEP_OF(bits, type, fetch_sub, atomic_fetch_sub)                                     \
    STEP_OF(bits, type, fetch_or, atomic_fetch_or)                                       \
    STEP_OF(bits, type, fetch_and, atomic_fetch_and)                                     \
    SWAP_IF_OF(bits, type, compare_exchange_strong)                                      \
    SWAP_IF_OF(bits, type, compare_exchange_weak)

ATOMIC_OF(8, uint8_t)
ATOMIC_OF(16, uint16_t)
ATOMIC_OF(32, uint32_t)
ATOMIC_OF(64, uint64_t)

/* ---- mutexes: -Wl,--wrap ------------------------------------------------------------ */

/* Who asked for it is the caller of the library's function for locks. */
static void
touch_mutex(pthread_mutex_t *mutex)
{
    uintptr_t pc = depth > 0 && depth <= MOST_CALLS ? calls[depth - 1] : 0;

    touch_line((uintptr_t)mutex >> LINE_BITS, STEP, pc);
}

#define MUTEX(name)                                                                      \
    int __real_pthread_mutex_##name(pthread_mutex_t *mutex);                             \
    int __wrap_pthread_mutex_##name(pthread_mutex_t *mutex);                             \
    int __wrap_pthread_mutex_##name(pthread_mutex_t *mutex)                              \
    {                                                                                    \
        touch_mutex(mutex);                                                              \
        return __real_pthread_mutex_##name(mutex);                                       \
    }

MUTEX(lock)
MUTEX(unlock)
