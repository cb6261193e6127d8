/* SPDX-License-Identifier: MIT */
/*
 * heap.c - the heap of the code under test, and its thread-locals.
 *
 * Each thread allocates from a part of its own, upwards, and nothing is used again
 * within a run: so an address does not depend on what other threads do, and what was
 * freed stays gone. Behind each block there are bytes that were never there.
 *
 * Thread-locals are such blocks, too: made when a thread first asks for them, freed
 * when it ends, so that a pointer into one that outlives it is found.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "model.h"

#define GAP    32 /* before each block: its header; what underflows or overflows hits it */
#define BLOCKS 1024

struct block {
    char *at;
    size_t size;
    const void *pc;
    bool live, tls;
};

static struct {
    char *next;
    struct block blocks[BLOCKS];
    unsigned count;
} heap[THREADS];

static void
empty(unsigned first)
{
    for (unsigned i = first; i < THREADS; i++) {
        heap[i].next = heap_start(i);
        heap[i].count = 0;
    }
}

void
heap_start_run(void)
{
    empty(0);
}

void
heap_copy(struct copier *c)
{
    for (unsigned i = 0; i < run.threads; i++) {
        copy(c, &heap[i].next, sizeof heap[i].next);
        copy(c, &heap[i].count, sizeof heap[i].count);
        copy(c, heap[i].blocks, heap[i].count * sizeof *heap[i].blocks);
        copy(c, heap_start(i), (size_t)(heap[i].next - heap_start(i)));
    }
    if (c->back)
        empty(run.threads); /* of threads that there are not any more */
}

bool
fails(const char *what, const void *pc)
{
    if (self()->failing >= run.settings.failing || choose('f', 2) == 0)
        return false;
    self()->failing++;
    TRACE(pc, "%s FAILS", what);
    return true;
}

static struct block *
allocate(size_t size, size_t align, const void *pc)
{
    unsigned id = run.current;
    uintptr_t at = ((uintptr_t)heap[id].next + GAP + align - 1) & ~(align - 1);
    struct block *b = &heap[id].blocks[heap[id].count];

    if (heap[id].count == BLOCKS || at + size + GAP > (uintptr_t)heap_end(id))
        fail_at(pc, "the explorer", "the heap of thread %u is full", id);
    heap[id].count++;
    heap[id].next = (char *)((at + size + 15) & ~(uintptr_t)15);
    *b = (struct block){(char *)at, size, pc, true, false};
    memory_alive(at, size);
    memset(b->at, 0xa5, size);
    TRACE(pc, "allocate %zu bytes: %s", size, name_of(at));
    return b;
}

static unsigned
owner_of(const void *p)
{
    unsigned id = 0;

    while (id < THREADS &&
           !((const char *)p >= heap_start(id) && (const char *)p < heap_end(id)))
        id++;
    return id;
}

static struct block *
find(const char *p, bool inside)
{
    unsigned id = owner_of(p);

    for (unsigned i = id < THREADS ? heap[id].count : 0; i-- > 0;) {
        struct block *b = &heap[id].blocks[i];

        if (b->at == p || (inside && p >= b->at - GAP && p < b->at + b->size + GAP))
            return b;
    }
    return NULL;
}

bool
heap_find(uintptr_t at, unsigned *block, size_t *offset)
{
    const char *p = (const char *)at;
    struct block *b = find(p, true);

    if (b == NULL)
        return false;
    *block = (unsigned)(b - heap[owner_of(p)].blocks);
    *offset = (size_t)(p - b->at);
    return true;
}

static void
release(struct block *b, const void *pc)
{
    TRACE(pc, "free %s", name_of((uintptr_t)b->at));
    memory_gone((uintptr_t)b->at, b->size, pc);
    b->live = false;
}

void
heap_check_leaks(void)
{
    for (unsigned id = 0; id < run.threads; id++)
        for (unsigned i = 0; i < heap[id].count; i++) {
            struct block *b = &heap[id].blocks[i];

            if (b->live && !b->tls)
                fail_at(b->pc, "leak", "%zu bytes, heap %u.%u", b->size, id, i);
        }
}

/* ---- what the code under test calls -------------------------------------------------------- */

void *
model_malloc(size_t size)
{
    if (fails("malloc", PC)) {
        *model_errno_location() = ENOMEM;
        return NULL;
    }
    return allocate(size, 16, PC)->at;
}

void *
model_calloc(size_t n, size_t size)
{
    struct block *b;

    if (fails("calloc", PC)) {
        *model_errno_location() = ENOMEM;
        return NULL;
    }
    b = allocate(n * size, 16, PC);
    memset(b->at, 0, n * size);
    return b->at;
}

int
model_posix_memalign(void **p, size_t align, size_t size)
{
    if (fails("posix_memalign", PC))
        return ENOMEM;
    plain_access((uintptr_t)p, sizeof *p, true, PC);
    *p = allocate(size, align < 16 ? 16 : align, PC)->at;
    return 0;
}

void
model_free(void *p)
{
    struct block *b = find(p, false);

    if (p == NULL)
        return;
    if (b == NULL)
        fail_at(PC, "bad free", "of %s, which no allocation returned",
                name_of((uintptr_t)p));
    if (!b->live)
        fail_at(PC, "double free", "of %s", name_of((uintptr_t)p));
    release(b, PC);
}

/* ---- stacks of the code's own ----------------------------------------------------------------- */

/* Blocks like others, and zero. What is guarded lies behind their gap. */
void *
model_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    void *p;

    (void)at;
    (void)protection;
    (void)flags;
    (void)fd;
    (void)offset;
    if (fails("mmap", PC))
        return MAP_FAILED;
    p = allocate(size, 4096, PC)->at;
    memset(p, 0, size);
    return p;
}

int
model_mprotect(void *at, size_t size, int protection)
{
    (void)at;
    (void)size;
    (void)protection;
    return fails("mprotect", PC) ? -1 : 0;
}

int
model_munmap(void *at, size_t size)
{
    (void)size;
    model_free(at);
    return 0;
}

/* ---- thread-locals: -femulated-tls ----------------------------------------------------------- */

/* What the compiler makes of each variable. */
struct tls_control {
    size_t size, align;
    void *unused;
    const void *initial; /* NULL: zero */
};

void *__emutls_get_address(struct tls_control *control);

/* A library's own, and errno. Known for ever: what they are does not change. */
static struct tls_control *variables[TLS_VARIABLES];

static unsigned
index_of(struct tls_control *control)
{
    unsigned i = 0;

    while (i < TLS_VARIABLES && variables[i] != control && variables[i] != NULL)
        i++;
    if (i == TLS_VARIABLES)
        fail_at(PC, "the explorer", "more than %d thread-locals", TLS_VARIABLES);
    variables[i] = control;
    return i;
}

static void *
outside(struct tls_control *control)
{
    static char storage[TLS_VARIABLES][4096];

    return storage[index_of(control)];
}

void *
__emutls_get_address(struct tls_control *control)
{
    struct thread *t = self();
    unsigned i = index_of(control);

    if (!run.active) /* a destructor at exit */
        return outside(control);
    if (t->tls[i] == NULL) {
        struct block *b =
            allocate(control->size, control->align < 16 ? 16 : control->align, PC);

        b->tls = true;
        if (control->initial != NULL)
            memcpy(b->at, control->initial, control->size);
        else
            memset(b->at, 0, control->size);
        t->tls[i] = b->at;
    }
    return t->tls[i];
}

int *
model_errno_location(void)
{
    static struct tls_control control = {sizeof(int), _Alignof(int), NULL, NULL};

    return __emutls_get_address(&control);
}

void
heap_free_tls(struct thread *t)
{
    for (unsigned i = 0; i < TLS_VARIABLES; i++)
        if (t->tls[i] != NULL)
            release(find(t->tls[i], false), NULL);
}
