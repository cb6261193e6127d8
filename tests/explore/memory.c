/* SPDX-License-Identifier: MIT */
/*
 * memory.c - what a load may see, and which plain accesses race.
 *
 * Atomics. A location keeps the stores of the run, in the order of the run, which is
 * its modification order. Each thread has a view (model.h). A release store carries a
 * copy of its thread's view, an acquire load takes the maximum with it. A relaxed load
 * puts it aside for an acquire fence, a release fence keeps a copy for later relaxed
 * stores. A read-modify-write reads the newest store and carries its view on: the
 * release sequence. The seq_cst operations share one more view of locations: each
 * reads nothing older, and adds what it read or wrote; a fence joins it both ways.
 *
 * A load may read any store that its thread's view does not rule out: that is a
 * choice. Each thread has a small number of such stale reads in a run, since memory
 * becomes visible after a while; that number belongs to the thread, so that it does
 * not make operations of different threads depend on each other.
 *
 * Every run is one that C11, as corrected by C++20, allows. Not every one that it
 * allows is among them: a load never reads a store that comes later in the run (load
 * buffering), and the modification order never contradicts the order of the run
 * (2+2W). On x86 neither happens.
 *
 * Plain accesses. For each 8 bytes a cell notes who wrote and who read them last, as
 * points on the vector clocks (after FastTrack, Flanagan and Freund, PLDI 2009). Two
 * accesses race if one writes and the later one's thread does not know of the earlier
 * one. This says so whatever the order of the two in the run, so plain accesses need
 * no schedules of their own. A free is a write. Memory of the heap that is not
 * allocated is gone, and so is the stack below the frame of a thread that is not
 * running.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "model.h"

#define STACK_SIZE  ((size_t)256 << 10)
#define HEAP_SIZE   ((size_t)256 << 10)
#define THREAD_SIZE (STACK_SIZE + HEAP_SIZE)
#define MEMORY      ((uintptr_t)0x200000000000) /* the same in each process, for replays */
#define CELLS       ((struct cell *)0x300000000000)
#define RUN_MEMORY  ((size_t)1 << 32) /* reserved, used as needed */

#define RELAXED 0
#define CONSUME 1
#define ACQUIRE 2
#define RELEASE 3
#define SEQ_CST 5

#define GONE UINT16_MAX

/* Who accessed some of 8 bytes, and when; which: none, if there is nothing. */
struct access {
    uint16_t clock;
    uint8_t thread;
    uint8_t mask;
};

#define READERS 5 /* of the same 8 bytes, not ordered with each other */

struct cell {
    uint16_t epoch;           /* when it was touched; before this run: it is blank */
    uint16_t location;        /* id + 1 of the first one in these bytes; GONE */
    struct access written[2]; /* lower and upper half */
    struct access read[READERS];
};

_Static_assert(sizeof(struct cell) == 32, "half a cache line");

/* The globals of the code under test: a section of its own. */
extern char __start_explored_data[], __stop_explored_data[];

/* At MEMORY: each thread's stack, then its heap. At CELLS: a cell for each 8 bytes. */
static struct cell *global_cells;
static char *globals;

/* What a cell was when it was first touched in an epoch. */
struct undo {
    struct cell *cell;
    struct cell was;
};

#define UNDOS ((size_t)1 << 22)

/* Epochs begin with a run, and with each snapshot taken or gone back to. */
static uint16_t epoch, run_epoch;
static struct undo *undos;
static size_t undo_count;

static char *run_memory_start, *run_memory_next;
static struct location locations[LOCATIONS];
static unsigned location_count;
static uint16_t seq_cst_oldest[LOCATIONS];

/* ---- memory for the model itself ------------------------------------------------------- */

static void *
reserve(void *at, size_t size)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *p = mmap(at, size, PROT_READ | PROT_WRITE,
                   flags | (at != NULL ? MAP_FIXED_NOREPLACE : 0), -1, 0);

    if (p == MAP_FAILED) {
        perror("explore: mmap");
        exit(2);
    }
    return p;
}

static size_t
globals_size(void)
{
    return (size_t)(__stop_explored_data - __start_explored_data);
}

static struct view *
view_new(void)
{
    return reserve(NULL, sizeof(struct view) + LOCATIONS * sizeof(uint16_t));
}

static void
set_up(void)
{
    reserve((void *)MEMORY, THREADS * THREAD_SIZE);
    reserve(CELLS, THREADS * THREAD_SIZE / 8 * sizeof *CELLS);
    global_cells = reserve(NULL, (globals_size() / 8 + 2) * sizeof *global_cells);
    globals = malloc(globals_size());
    memcpy(globals, __start_explored_data, globals_size());
    run_memory_start = reserve(NULL, RUN_MEMORY);
    undos = reserve(NULL, UNDOS * sizeof *undos);
    for (unsigned i = 0; i < THREADS; i++) {
        /* stack overflow */
        mprotect((void *)(MEMORY + i * THREAD_SIZE), 4096, PROT_NONE);
        thread[i].id = (uint8_t)i;
        thread[i].now = view_new();
        thread[i].released_view = view_new();
        thread[i].acquired = view_new();
    }
}

void *
run_memory(size_t size)
{
    char *p = run_memory_next;

    run_memory_next += (size + 15) & ~(size_t)15;
    if ((size_t)(run_memory_next - run_memory_start) > RUN_MEMORY)
        fail_at(NULL, "the explorer", "the run is too long");
    return p;
}

void
memory_start_run(void)
{
    if (globals == NULL)
        set_up();
    memcpy(__start_explored_data, globals, globals_size());
    run_memory_next = run_memory_start;
    location_count = 0;
    undo_count = 0;
    if (memory_is_late()) { /* the cells' stamps start again */
        madvise(CELLS, THREADS * THREAD_SIZE / 8 * sizeof *CELLS, MADV_DONTNEED);
        memset(global_cells, 0, (globals_size() / 8 + 2) * sizeof *global_cells);
        epoch = 0;
    }
    run_epoch = ++epoch;
}

bool
memory_is_late(void)
{
    return epoch > UINT16_MAX - 4 || undo_count > UNDOS / 2;
}

/* Cells are not copied, but put back. */
void
memory_copy(struct copier *c)
{
    copy(c, &location_count, sizeof location_count);
    copy(c, &run_memory_next, sizeof run_memory_next);
    copy(c, locations, location_count * sizeof *locations);
    copy(c, seq_cst_oldest, location_count * sizeof *seq_cst_oldest);
    copy(c, __start_explored_data, globals_size());
    for (unsigned i = 0; i < run.threads; i++) {
        size_t size = sizeof(struct view) + location_count * sizeof(uint16_t);

        copy(c, thread[i].now, size);
        copy(c, thread[i].released_view, size);
        copy(c, thread[i].acquired, size);
    }
}

size_t
memory_begin_epoch(void)
{
    epoch++;
    return undo_count;
}

void
memory_go_back(size_t to)
{
    while (undo_count > to) {
        undo_count--;
        *undos[undo_count].cell = undos[undo_count].was;
    }
    epoch++;
}

void
memory_start_thread(struct thread *t, const struct view *from)
{
    size_t size = sizeof(struct view) + location_count * sizeof(uint16_t);

    memset(t->now, 0, size);
    memset(t->released_view, 0, size);
    memset(t->acquired, 0, size);
    if (from != NULL)
        view_join(t->now, from);
    t->now->locations = (uint16_t)location_count;
    t->released_view->locations = (uint16_t)location_count;
    t->acquired->locations = (uint16_t)location_count;
    t->now->clock[t->id]++;
}

char *
stack_end(unsigned id)
{
    return (char *)(MEMORY + id * THREAD_SIZE + STACK_SIZE);
}

bool
stack_has(unsigned id, const void *p)
{
    return (const char *)p < stack_end(id) &&
           (const char *)p >= stack_end(id) - STACK_SIZE;
}

char *
stack_low(const struct thread *t)
{
    return stack_has(t->id, t->stack_pointer) ? t->stack_pointer : t->left_at;
}

char *
heap_start(unsigned id)
{
    return stack_end(id);
}

char *
heap_end(unsigned id)
{
    return stack_end(id) + HEAP_SIZE;
}

/* ---- views ---------------------------------------------------------------------------------- */

struct view *
view_release(struct thread *t)
{
    size_t size = sizeof *t->now + location_count * sizeof t->now->oldest[0];
    struct view *copy = run_memory(size);

    memcpy(copy, t->now, size);
    t->now->clock[t->id]++; /* what comes next is not released by this */
    return copy;
}

/* v, a thread's, has room for all locations. */
void
view_join(struct view *restrict v, const struct view *restrict other)
{
    unsigned n = other->locations;

    for (unsigned i = 0; i < THREADS; i++)
        v->clock[i] = v->clock[i] > other->clock[i] ? v->clock[i] : other->clock[i];
    for (unsigned i = 0; i < n; i++)
        v->oldest[i] = v->oldest[i] > other->oldest[i] ? v->oldest[i] : other->oldest[i];
}

/* ---- cells ----------------------------------------------------------------------------------- */

static bool
is_memory(uintptr_t at)
{
    return at - MEMORY < THREADS * THREAD_SIZE;
}

bool
is_heap(uintptr_t at)
{
    return is_memory(at) && (at - MEMORY) % THREAD_SIZE >= STACK_SIZE;
}

static bool
is_own_stack(uintptr_t at)
{
    return at - MEMORY - run.current * THREAD_SIZE < STACK_SIZE;
}

static bool
is_other_stack(uintptr_t at)
{
    return is_memory(at) && (at - MEMORY) % THREAD_SIZE < STACK_SIZE && !is_own_stack(at);
}

static bool
is_global(uintptr_t at)
{
    return at - (uintptr_t)__start_explored_data < globals_size();
}

/* A cell is touched for the first time in this epoch. */
static __attribute__((noinline)) void
renew(struct cell *c, uintptr_t at)
{
    if (run.saved) {
        if (undo_count == UNDOS)
            fail_at(NULL, "the explorer", "the run is too long");
        undos[undo_count++] = (struct undo){c, *c};
    }
    if (c->epoch < run_epoch) {
        memset(c, 0, sizeof *c);
        c->location = is_heap(at) ? GONE : 0;
    }
    c->epoch = epoch;
}

/* NULL: not memory of the code under test, but a constant, or libc's. */
static struct cell *
cell_of(uintptr_t at)
{
    struct cell *c;

    if (LIKELY(is_memory(at)))
        c = &CELLS[(at - MEMORY) >> 3];
    else if (is_global(at))
        c = &global_cells[(at - ((uintptr_t)__start_explored_data & ~(uintptr_t)7)) >> 3];
    else
        return NULL;
    if (c->epoch != epoch)
        renew(c, at);
    return c;
}

/* Whether an address is of a stack frame that its thread has left. */
static bool
is_left_frame(uintptr_t at)
{
    const struct thread *t;

    if (!is_other_stack(at))
        return false;
    t = &thread[(at - MEMORY) / THREAD_SIZE];
    return t->id >= run.threads || t->need == ENDED || at < (uintptr_t)stack_low(t);
}

static void
check_there(uintptr_t at, const struct cell *c, const char *what, const void *pc)
{
    if (c->location == GONE)
        fail_at(pc, "bad access", "%s of freed or never allocated memory, %s", what,
                name_of(at));
    if (is_left_frame(at))
        fail_at(pc, "bad access", "%s of a stack frame that thread %u has left", what,
                (unsigned)((at - MEMORY) / THREAD_SIZE));
}

void
memory_alive(uintptr_t at, size_t size)
{
    const struct thread *t = self();

    for (uintptr_t end = at + size; at < end; at += 8) {
        struct cell *c = cell_of(at);

        memset(c, 0, sizeof *c);
        c->epoch = epoch;
        c->written[0] = (struct access){t->now->clock[t->id], t->id, 0x0f};
        c->written[1] = (struct access){t->now->clock[t->id], t->id, 0xf0};
    }
}

/* ---- races -------------------------------------------------------------------------------------- */

static _Noreturn void
fail_race(uintptr_t at, const char *what, const char *other, unsigned by, const void *pc)
{
    fail_at(pc, "data race", "%s, unordered with %s by thread %u, of %s", what, other, by,
            name_of(at));
}

/* Whether thread t knows how far another thread had come then. */
static bool
knows_clock(const struct thread *t, unsigned other, uint16_t clock)
{
    return other == t->id || clock <= t->now->clock[other];
}

static bool
knows(const struct thread *t, const struct access *a)
{
    return knows_clock(t, a->thread, a->clock);
}

static void
check_writers(const struct cell *c, unsigned mask, uintptr_t at, const char *what,
              const void *pc)
{
    for (unsigned half = 0; half < 2; half++)
        if ((c->written[half].mask & mask) != 0 && !knows(self(), &c->written[half]))
            fail_race(at, what, "a write", c->written[half].thread, pc);
}

static void
check_readers(const struct cell *c, unsigned mask, uintptr_t at, const char *what,
              const void *pc)
{
    for (unsigned i = 0; i < READERS && c->read[i].mask != 0; i++)
        if ((c->read[i].mask & mask) != 0 && !knows(self(), &c->read[i]))
            fail_race(at, what, "a read", c->read[i].thread, pc);
}

static bool
overlaps(const struct location *l, uintptr_t at, size_t size)
{
    return l->at < at + size && at < l->at + l->size;
}

/* A plain access meets an atomic or the like: are they ordered? */
static void
check_location(const struct location *l, uintptr_t at, bool writes, const void *pc)
{
    const char *what = writes ? "a plain write" : "a plain read";

    for (unsigned i = 0; i < run.threads; i++) {
        if (!knows_clock(self(), i, l->stores[i]))
            fail_race(at, what, "an atomic write", i, pc);
        if (writes && !knows_clock(self(), i, l->loads[i]))
            fail_race(at, what, "an atomic read", i, pc);
    }
    if (writes && l->kind == MUTEX && l->owner != NOBODY)
        fail_at(pc, "bad access", "%s is overwritten or freed while locked",
                name_of(l->at));
}

/* A plain write begins a location's life anew: what it was is forgotten. */
static void
check_locations(struct cell *c, uintptr_t at, size_t size, bool writes, const void *pc)
{
    uint16_t *link = &c->location;

    while (*link != 0) {
        struct location *l = &locations[*link - 1];

        if (!overlaps(l, at, size)) {
            link = &l->next_in_cell;
            continue;
        }
        check_location(l, at, writes, pc);
        if (writes)
            *link = l->next_in_cell;
        else
            link = &l->next_in_cell;
    }
}

/* Adds what thread t does now to what it did at the same time. */
static void
note_access(struct access *a, const struct thread *t, unsigned mask)
{
    uint16_t clock = t->now->clock[t->id];

    if (a->thread != t->id || a->clock != clock)
        a->mask = 0;
    a->thread = t->id;
    a->clock = clock;
    a->mask = (uint8_t)(a->mask | mask);
}

static void
note_write(struct cell *c, unsigned mask)
{
    if ((mask & 0x0f) != 0)
        note_access(&c->written[0], self(), mask & 0x0f);
    if ((mask & 0xf0) != 0)
        note_access(&c->written[1], self(), mask & 0xf0);
}

/* In the thread's own place, or that of a read which this one comes after and covers:
 * what races with that races with this. */
static void
note_read(struct cell *c, unsigned mask, const void *pc)
{
    const struct thread *t = self();

    for (unsigned i = 0; i < READERS; i++) {
        struct access *a = &c->read[i];

        if (a->mask == 0 || a->thread == t->id ||
            ((a->mask & ~mask) == 0 && knows(t, a))) {
            note_access(a, t, mask);
            return;
        }
    }
    fail_at(pc, "the explorer", "more than %d unordered readers", READERS);
}

static bool
is_same(const struct access *a, const struct thread *t, unsigned mask)
{
    return (mask & ~(unsigned)a->mask) == 0 && a->thread == t->id &&
           a->clock == t->now->clock[t->id];
}

/* Whether the thread has done the same since it last released anything: whoever has done
 * something since that races with this would have raced with that. */
static bool
is_known(const struct cell *c, unsigned mask, bool writes)
{
    const struct thread *t = self();

    if (c->location != 0)
        return false;
    if (writes)
        return ((mask & 0x0f) == 0 || is_same(&c->written[0], t, mask & 0x0f)) &&
               ((mask & 0xf0) == 0 || is_same(&c->written[1], t, mask & 0xf0));
    for (unsigned i = 0; i < READERS && c->read[i].mask != 0; i++)
        if (c->read[i].thread == t->id)
            return is_same(&c->read[i], t, mask);
    return false;
}

static void
access_cell(uintptr_t at, size_t size, bool writes, const void *pc)
{
    struct cell *c = cell_of(at);
    unsigned mask = ((1u << size) - 1) << (at & 7);
    const char *what = writes ? "a write" : "a read";

    if (c == NULL) {
        if (writes)
            fail_at(pc, "bad access",
                    "a write of memory that is not of the code under "
                    "test, %p",
                    (void *)at);
        return;
    }
    if (writes && !is_own_stack(at))
        self()->progress++;
    if (is_known(c, mask, writes) && !is_other_stack(at))
        return;
    check_there(at, c, what, pc);
    check_writers(c, mask, at, what, pc);
    if (writes)
        check_readers(c, mask, at, what, pc);
    if (c->location != 0)
        check_locations(c, at, size, writes, pc);
    if (writes)
        note_write(c, mask);
    else
        note_read(c, mask, pc);
}

void
plain_access(uintptr_t at, size_t size, bool writes, const void *pc)
{
    if (!run.active)
        return;
    while (size != 0) {
        size_t part = 8 - (at & 7);

        if (part > size)
            part = size;
        access_cell(at, part, writes, pc);
        at += part;
        size -= part;
    }
}

void
memory_gone(uintptr_t at, size_t size, const void *pc)
{
    for (uintptr_t end = at + size; at < end; at += 8) {
        struct cell *c = cell_of(at);
        unsigned part = end - at < 8 ? (unsigned)(end - at) : 8;

        check_there(at, c, "a free", pc);
        check_writers(c, (1u << part) - 1, at, "a free", pc);
        check_readers(c, (1u << part) - 1, at, "a free", pc);
        if (c->location != 0)
            check_locations(c, at, part, true, pc);
        c->location = GONE;
    }
    self()->progress++;
}

/* ---- locations -------------------------------------------------------------------------------------- */

static uint64_t
read_memory(uintptr_t at, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, (const void *)at, size); /* little-endian */
    return value;
}

static void
write_memory(uintptr_t at, unsigned size, uint64_t value)
{
    memcpy((void *)at, &value, size);
}

static struct location *
location_new(enum kind kind, uintptr_t at, unsigned size)
{
    struct location *l = &locations[location_count];

    if (location_count == LOCATIONS)
        fail_at(NULL, "the explorer", "more than %d atomic locations", LOCATIONS);
    memset(l, 0, sizeof *l);
    l->at = at;
    l->size = size;
    l->kind = kind;
    l->owner = NOBODY;
    l->id = (uint16_t)location_count++;
    seq_cst_oldest[l->id] = 0;
    for (unsigned i = 0; i < run.threads; i++) {
        thread[i].now->oldest[l->id] = 0;
        thread[i].released_view->oldest[l->id] = 0;
        thread[i].acquired->oldest[l->id] = 0;
        thread[i].now->locations = (uint16_t)location_count;
        thread[i].released_view->locations = (uint16_t)location_count;
        thread[i].acquired->locations = (uint16_t)location_count;
    }
    return l;
}

static void
append_store(struct location *l, uint64_t value, const struct view *view)
{
    struct store *s = run_memory(sizeof *s);
    const struct thread *t = self();

    s->value = value;
    s->older = l->newest;
    s->view = view;
    s->index = l->newest != NULL ? (uint16_t)(l->newest->index + 1) : 0;
    s->clock = t->now->clock[t->id];
    s->thread = t->id;
    l->newest = s;
}

static struct location *
find_or_make(struct cell *c, enum kind kind, uintptr_t at, unsigned size, bool fresh)
{
    struct location *l;
    uint16_t *link = &c->location;

    for (; *link != 0; link = &l->next_in_cell) {
        l = &locations[*link - 1];
        if (l->at != at)
            continue;
        if (!fresh && l->kind == kind && l->size == size)
            return l;
        *link = l->next_in_cell; /* it is something else from now on */
        break;
    }
    l = location_new(kind, at, size);
    l->next_in_cell = c->location;
    c->location = (uint16_t)(l->id + 1);
    if (kind == ATOMIC)
        append_store(l, read_memory(at, size), NULL);
    return l;
}

/* The location at an address, which is accessed now, writing or not. */
static struct location *
access_location(enum kind kind, uintptr_t at, unsigned size, bool fresh, bool writes,
                const void *pc)
{
    struct cell *c = cell_of(at);
    unsigned mask = ((1u << (size < 8 ? size : 8)) - 1) << (at & 7);
    struct location *l;
    uint16_t clock = self()->now->clock[run.current];

    if (c == NULL)
        fail_at(pc, "bad access", "an atomic outside of the code under test, %p",
                (void *)at);
    check_there(at, c, "an atomic access", pc);
    check_writers(c, mask, at, "an atomic access", pc);
    if (writes)
        check_readers(c, mask, at, "an atomic write", pc);
    l = find_or_make(c, kind, at, size, fresh);
    if (writes)
        l->stores[run.current] = clock;
    else
        l->loads[run.current] = clock;
    return l;
}

struct location *
location_of(enum kind kind, const void *at, unsigned size, bool fresh, const void *pc)
{
    return access_location(kind, (uintptr_t)at, size, fresh, true, pc);
}

/* ---- atomics -------------------------------------------------------------------------------------------- */

static bool
acquires(int order)
{
    return order == CONSUME || order == ACQUIRE || order > RELEASE;
}

static bool
releases(int order)
{
    return order >= RELEASE;
}

static const char *
order_name(int order)
{
    static const char *const names[] = {"relaxed", "consume", "acquire",
                                        "release", "acq_rel", "seq_cst"};

    return names[order];
}

static void
step_atomic(uintptr_t at, bool writes, int order)
{
    step((struct op){.at = {at}, .writes = writes, .seq_cst = order == SEQ_CST});
}

/* The thread has read a store. */
static void
see(struct location *l, const struct store *s, int order)
{
    struct thread *t = self();

    if (s->index > t->now->oldest[l->id])
        t->now->oldest[l->id] = s->index;
    if (s->view != NULL)
        view_join(acquires(order) ? t->now : t->acquired, s->view);
    if (order == SEQ_CST && s->index > seq_cst_oldest[l->id])
        seq_cst_oldest[l->id] = s->index;
}

/* Stores; `carried` is the view of a release sequence that goes on, or NULL. */
static void
put(struct location *l, uint64_t value, int order, const struct view *carried)
{
    struct thread *t = self();
    struct view *view;
    size_t size = sizeof *view + location_count * sizeof view->oldest[0];

    t->now->oldest[l->id] = (uint16_t)(l->newest->index + 1);
    view = run_memory(size);
    memcpy(view, releases(order) ? t->now : t->released_view, size);
    if (carried != NULL)
        view_join(view, carried);
    if (view->oldest[l->id] <= l->newest->index)
        view->oldest[l->id] = (uint16_t)(l->newest->index + 1);
    append_store(l, value, view);
    t->now->clock[t->id]++; /* what comes next is not released by this */
    if (order == SEQ_CST)
        seq_cst_oldest[l->id] = l->newest->index;
    write_memory(l->at, l->size, value);
}

/*
 * The store that a load reads: a choice among those that its view allows; the newest,
 * if the thread spins, since it could have read the others when they were it. With
 * `unless`, stores of that value are none of them but the newest: so reads a compare
 * that does not fail without a reason.
 */
static struct store *
choose_store(struct location *l, int order, bool spins, const uint64_t *unless)
{
    struct thread *t = self();
    unsigned oldest = t->now->oldest[l->id];
    struct store *may[16];
    unsigned n = 1;
    unsigned i;

    if (order == SEQ_CST && seq_cst_oldest[l->id] > oldest)
        oldest = seq_cst_oldest[l->id];
    may[0] = l->newest;
    if (t->stale < run.settings.stale && !spins)
        for (struct store *s = l->newest; s->index > oldest && n < 16;) {
            s = s->older;
            if (unless == NULL || s->value != *unless)
                may[n++] = s;
        }
    i = choose('r', n);
    if (i != 0)
        t->stale++;
    return may[i];
}

/* A load of a thread that spins depends on all that the loop looks at. */
static void
step_load(uintptr_t at, int order, bool spins)
{
    const struct thread *t = self();
    struct op op = {.at = {at},
                    .writes = order == SEQ_CST,
                    .catches_up = order == SEQ_CST,
                    .seq_cst = order == SEQ_CST};

    for (unsigned i = 0, n = 1; spins && i < t->spin_words; i++)
        if (t->spins_on[i]->at != at)
            op.at[n++] = t->spins_on[i]->at;
    op.any = op.at[1] != 0;
    step_reading(op, spins);
}

static const struct location *
find_location(const struct cell *c, uintptr_t at)
{
    for (unsigned link = c != NULL && c->location != GONE ? c->location : 0; link != 0;
         link = locations[link - 1].next_in_cell)
        if (locations[link - 1].at == at && locations[link - 1].kind == ATOMIC)
            return &locations[link - 1];
    return NULL;
}

/* A seq_cst read moves what later ones may read, if that is not the newest store yet. */
bool
would_write(const struct op *op)
{
    const struct location *l = find_location(cell_of(op->at[0]), op->at[0]);

    if (l == NULL)
        return op->compares && read_memory(op->at[0], op->size) == op->expected;
    return (op->compares && l->newest->value == op->expected) ||
           (op->catches_up && seq_cst_oldest[l->id] < l->newest->index);
}

void explore_relax(void);
void
explore_relax(void)
{
    spins_note_pause();
}

uint64_t
atomic_read(uintptr_t at, unsigned size, int order, const void *pc, const char *stack_at)
{
    struct location *l;
    struct store *s;
    bool spins;

    if (!run.active)
        return read_memory(at, size);
    spins = spins_come_to_load(at, pc, stack_at);
    step_load(at, order, spins);
    l = access_location(ATOMIC, at, size, false, false, pc);
    s = choose_store(l, order, spins, NULL);
    see(l, s, order);
    spins_note_load(l, s);
    TRACE(pc, "load %s %s: %#llx%s", order_name(order), name_of(at),
          (unsigned long long)s->value, s != l->newest ? "  STALE" : "");
    return s->value;
}

void
atomic_write(uintptr_t at, unsigned size, uint64_t value, int order, const void *pc)
{
    struct location *l;

    if (!run.active) {
        write_memory(at, size, value);
        return;
    }
    step_atomic(at, true, order);
    l = access_location(ATOMIC, at, size, false, true, pc);
    put(l, value, order, NULL);
    TRACE(pc, "store %s %s: %#llx", order_name(order), name_of(at),
          (unsigned long long)value);
}

static uint64_t
changed(uint64_t old, char how, uint64_t value)
{
    switch (how) {
    case '+':
        return old + value;
    case '-':
        return old - value;
    case '&':
        return old & value;
    case '|':
        return old | value;
    case '^':
        return old ^ value;
    case '~':
        return ~(old & value);
    default:
        return value;
    }
}

uint64_t
atomic_change(uintptr_t at, unsigned size, char how, uint64_t value, int order,
              const void *pc)
{
    uint64_t mask = size == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * size) - 1;
    struct location *l;
    uint64_t old;

    if (!run.active) {
        old = read_memory(at, size);
        write_memory(at, size, changed(old, how, value) & mask);
        return old;
    }
    step_atomic(at, true, order);
    l = access_location(ATOMIC, at, size, false, true, pc);
    old = l->newest->value;
    see(l, l->newest, order);
    put(l, changed(old, how, value) & mask, order, l->newest->view);
    TRACE(pc, "change %s %s: %#llx %c %#llx = %#llx", order_name(order), name_of(at),
          (unsigned long long)old, how, (unsigned long long)value,
          (unsigned long long)l->newest->value);
    return old;
}

uint64_t
atomic_compare(uintptr_t at, unsigned size, uint64_t expected, uint64_t value, int order,
               int failed_order, const void *pc)
{
    struct location *l;
    struct store *s;
    bool swaps;

    if (!run.active) {
        uint64_t old = read_memory(at, size);

        if (old == expected)
            write_memory(at, size, value);
        return old;
    }
    step((struct op){.at = {at},
                     .writes = true,
                     .catches_up = failed_order == SEQ_CST,
                     .compares = true,
                     .seq_cst = order == SEQ_CST || failed_order == SEQ_CST,
                     .size = size,
                     .expected = expected});
    l = access_location(ATOMIC, at, size, false, true, pc);
    s = choose_store(l, failed_order, false, &expected);
    swaps = s == l->newest && s->value == expected;
    see(l, s, swaps ? order : failed_order);
    if (swaps)
        put(l, value, order, s->view);
    TRACE(pc, "compare %s %s: %#llx, %s%s", order_name(swaps ? order : failed_order),
          name_of(at), (unsigned long long)s->value,
          swaps ? "becomes " : "not as expected",
          swaps            ? ""
          : s != l->newest ? "  STALE"
                           : "");
    if (swaps)
        TRACE(NULL, "        %#llx", (unsigned long long)value);
    return s->value;
}

void
atomic_fence(int order, const void *pc)
{
    struct thread *t = self();

    if (!run.active)
        return;
    if (order == SEQ_CST)
        step((struct op){.seq_cst = true, .fence = true});
    if (acquires(order))
        view_join(t->now, t->acquired);
    for (unsigned i = 0; order == SEQ_CST && i < location_count; i++) {
        if (seq_cst_oldest[i] > t->now->oldest[i])
            t->now->oldest[i] = seq_cst_oldest[i];
        seq_cst_oldest[i] = t->now->oldest[i];
    }
    if (releases(order))
        memcpy(t->released_view, t->now,
               sizeof *t->now + location_count * sizeof t->now->oldest[0]);
    TRACE(pc, "fence %s", order_name(order));
}

/* ---- names ------------------------------------------------------------------------------------------------ */

const char *
name_of(uintptr_t at)
{
    static char names[3][96];
    static unsigned turn;
    char *name = names[turn++ % 3];
    unsigned owner = (unsigned)((at - MEMORY) / THREAD_SIZE);
    unsigned block;
    size_t offset;

    if (is_heap(at) && heap_find(at, &block, &offset))
        snprintf(name, sizeof names[0], "heap %u.%u+%zu", owner, block, offset);
    else if (is_heap(at))
        snprintf(name, sizeof names[0], "heap %u, in no block", owner);
    else if (is_memory(at))
        snprintf(name, sizeof names[0], "stack %u-%zu", owner,
                 (size_t)(stack_end(owner) - (char *)at));
    else
        snprintf(name, sizeof names[0], "%s", global_name(at));
    return name;
}
