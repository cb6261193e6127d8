/* SPDX-License-Identifier: MIT */
/*
 * model.h - what the parts of the explorer know of each other.
 *
 * The code under test is compiled with -fsanitize=thread, so that each of its plain
 * accesses and each of its atomics calls a function named __tsan_*. We define these
 * functions instead of linking the sanitizer's runtime. Its threads are fibers of one
 * kernel thread, its memory is ours, and its libc calls come to us under other names
 * (symbols.map). So a run is a function of a list of choices, and nothing else:
 *
 *     sched.c     the list of choices, who goes on, what is searched
 *     races.c     which other orders are worth a run
 *     snapshots.c going back to where two runs part
 *     spins.c     which threads go round in circles
 *     memory.c    atomics under C11, races, and what each 8 bytes are
 *     heap.c      allocation, thread-locals
 *     threads.c   pthreads on fibers, and futexes
 *     kernel.c    eventfd, timerfd, epoll, pipes
 *     libc.c      the rest of libc that the code under test calls
 *     tsan.c      the compiler's entry points
 *     trace.c     telling a run step by step, with source lines
 *     explore.c   what is run, for how long, and what is printed
 *     jobs.c      on how many processors
 *
 * All state of a run is in `run`, `thread[]` and the memory that run_memory() gives
 * out; all of it is void when the next run starts.
 */
#ifndef EXPLORE_MODEL_H
#define EXPLORE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "explore.h"

#define THREADS           16
#define NOBODY            THREADS
#define PC                __builtin_return_address(0)
#define LIKELY(condition) __builtin_expect(!!(condition), 1)

/* ---- views -------------------------------------------------------------------------- */

/*
 * What a thread knows: of each thread, how far it has surely come (a vector clock);
 * of each atomic location, the oldest store that may still be read. A store, a mutex
 * or a thread's end carries a copy; whoever acquires it takes the maximum.
 */
struct view {
    uint16_t clock[THREADS];
    uint16_t locations; /* how many of `oldest` there are; the others are 0 */
    uint16_t oldest[];
};

#define LOCATIONS 8192

/* ---- locations: atomics, mutexes, conditions ------------------------------------------ */

enum kind { ATOMIC, MUTEX, CONDITION, ONCE };

struct store {
    uint64_t value;
    struct store *older;
    const struct view *view; /* what is acquired with it; NULL: nothing */
    uint16_t index;          /* the place in the modification order */
    uint16_t clock;
    uint8_t thread;
};

struct location {
    uintptr_t at;
    unsigned size;
    enum kind kind;
    uint16_t id;
    uint16_t next_in_cell;                    /* id + 1; 0: none */
    uint16_t loads[THREADS], stores[THREADS]; /* when each thread did so last */

    struct store *newest; /* atomics */

    const struct view *view; /* mutexes: of the last unlock */
    uint8_t owner;
    bool destroyed, done;
};

/* ---- threads ---------------------------------------------------------------------------- */

/* What has to hold before a thread can go on. */
enum need {
    READY,   /* nothing */
    YIELDED, /* somebody else has moved */
    SPINS,   /* one of the words that it looks at has a newer store */
    LOCK,    /* `location` has no owner */
    SIGNAL,  /* it is woken, or its deadline passes */
    FUTEX,   /* it is woken at the address of its operation, or its deadline passes */
    A_FILE,  /* `file` is ready, or its deadline passes */
    END,     /* `targets` threads from `target` on have ended */
    QUIET,   /* no other thread can go on */
    ENDED
};

#define SPIN_WORDS 3

/* What a thread does next, as far as other threads may notice. */
struct op {
    uintptr_t at[SPIN_WORDS]; /* 0: none */
    bool writes;              /* any of them; of the two below, as things are now */
    bool catches_up; /* a seq_cst load: writes if its location's floor is behind */
    bool compares;   /* a compare-and-swap: if it finds what it expects */
    bool locks;      /* waits for a mutex */
    bool unlocks;    /* lets one go */
    bool any;        /* waits for a store of any of them */
    bool seq_cst;
    bool fence; /* a seq_cst one: ordered with all seq_cst operations */
    bool all;   /* ordered with everything */
    unsigned size;
    uint64_t expected; /* compares */
};

/* In place of addresses: the clock, the numbering of threads, all descriptors. */
#define AT_CLOCK   ((uintptr_t)1)
#define AT_THREADS ((uintptr_t)2)
#define AT_FILES   ((uintptr_t)3)

#define TLS_VARIABLES 16
#define TLS_KEYS      16
#define CALLS         256

struct thread {
    uint8_t id;
    enum need need;
    struct location *location;
    unsigned target, targets;
    unsigned spin_words; /* SPINS */
    const struct location *spins_on[SPIN_WORDS];
    unsigned spins_seen[SPIN_WORDS]; /* the store of it that was read */
    bool released;     /* go on although the need is not met: nobody else can */
    bool timed;        /* SIGNAL, A_FILE */
    uint64_t deadline; /* if timed */
    struct location *mutex;
    int woken_by;     /* 0 or ETIMEDOUT */
    int file;         /* A_FILE: a descriptor */
    bool writes_file; /* for writing */
    struct op op;
    uint64_t priority; /* PCT */
    bool joined, detached;

    unsigned stale, rare, failing; /* used up of the run's settings */
    unsigned progress;             /* changes so far that its own stack does not show */

    struct view *now;           /* what it knows */
    struct view *released_view; /* what its last release fence knew */
    struct view *acquired;      /* what an acquire fence would take */

    void *(*main)(void *);
    void *arg;
    void *result;
    void (*plain_main)(void);

    void *stack_pointer; /* while another one runs */
    char *left_at; /* below it is nothing of its own stack, if it is on another one */
    void *tls[TLS_VARIABLES];
    void *specific[TLS_KEYS];

    unsigned depth;
    const void *calls[CALLS]; /* return addresses: who called the functions it is in */
};

extern struct thread thread[THREADS];

/* ---- the run ------------------------------------------------------------------------------ */

struct settings {
    unsigned stale;   /* reads of older stores, for each thread */
    unsigned rare;    /* wake-ups without a reason and the like, for each thread */
    unsigned failing; /* allocations and the like that fail, for each thread */
    unsigned steps;   /* more of them: it does not end */
};

enum ending { WHOLE, FAILED, PRUNED };

struct run {
    const struct scenario *scenario;
    struct settings settings;
    bool saved; /* it may be gone back to: cells are noted before they change */
    unsigned threads;
    unsigned current;
    unsigned steps;
    uint64_t now; /* ns */
    enum ending ending;
    bool active;     /* code under test is running */
    bool halts;      /* for its state to be saved */
    bool calm;       /* explore_calmly: there are no choices */
    bool no_threads; /* explore_no_more_threads */
    bool tracing;
    char outcome[128];
    const char *failure; /* its kind, a literal */
    char failure_text[512];
    const void *failure_pc;
};

extern struct run run;

static inline struct thread *
self(void)
{
    return &thread[run.current];
}

/* ---- sched.c ------------------------------------------------------------------------------- */

/* The calling thread is about to do op. Returns when it is its turn and need holds. */
void step(struct op op);
void step_when(struct op op, enum need need);
/* The same, of an op that only reads, for a thread that might spin, or does. */
void step_reading(struct op op, bool spins);

/* Among n things that may happen, which one does; 0 is the dull one. */
unsigned choose(char what, unsigned n);

/* Whether something rare happens now: a choice, if the settings allow for it. */
bool happens(const char *what, const void *pc);

/* The next number of the search's seed. */
uint64_t draw(void);
uint64_t draw_priority(void);

/* Wakes `t`, which waits for a signal. */
void wake(struct thread *t, int woken_by);
void wake_from_futex(struct thread *t);

/* Whether two operations of different threads do not commute. */
bool depends(const struct op *a, const struct op *b);

/* Keeps the state of the run, which has halted. */
void sched_save(void);

/* Ends the run: it has failed. `kind` is a literal. */
_Noreturn void fail_at(const void *pc, const char *kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- races.c: for searches by race ------------------------------------------------------------ */

/* Nothing is known of an earlier run. */
void races_forget(void);
/* The next run makes so many choices as the one before did. */
void races_start_run(unsigned same_choices);
/* A thread goes on; by a choice of the path or -1, and there have been so many. */
void races_note_event(const struct thread *t, int choice, unsigned choices);
/* The current thread has made, or woken, another one. */
void races_note_made(const struct thread *t);
void races_note_woken(const struct thread *t);

/* What races.c asks for, in sched.c: that at a choice one of some threads goes on, this
 * one if it may; and whether a thread may. */
void try_also(unsigned choice, uint16_t threads, unsigned rather);
bool is_candidate(unsigned choice, unsigned id);

/* ---- snapshots.c ----------------------------------------------------------------------------- */

/* Of the state of a run, either way: to where it is kept, or back from there. */
struct copier {
    char *kept;
    bool back;
};

void copy(struct copier *c, void *at, size_t size);

/* Each copies what it knows of a run: first how much there is. */
void threads_copy(struct copier *c);
void memory_copy(struct copier *c);
void heap_copy(struct copier *c);
void kernel_copy(struct copier *c);
void spins_copy(struct copier *c);
void races_copy(struct copier *c);
void sched_copy(struct copier *c);

void snapshots_forget(void);
/* Keeps the state of the run, in which so many choices have been made. */
void snapshots_take(unsigned choices);
/* Goes back to the last one with no more choices. Returns how many; -1: there is none. */
int snapshots_go_back(unsigned choices);

/* ---- spins.c ------------------------------------------------------------------------------------ */

#define PRESERVED 6

/* The registers that a call preserves, as they were when the last load was called. */
extern uintptr_t preserved_registers[PRESERVED];

void spins_start_thread(const struct thread *t);
/* The current thread says that it spins. */
void spins_note_pause(void);
/* It is about to load a word: says whether it spins, and on what it does. */
bool spins_come_to_load(uintptr_t at, const void *pc, const char *stack_at);
void spins_note_load(const struct location *l, const struct store *s);
bool spins_can_go_on(const struct thread *t);

/* ---- memory.c ------------------------------------------------------------------------------- */

/* Memory for one run: never freed, aligned to 16. */
void *run_memory(size_t size);

void memory_start_run(void);
/* Begins to note cells anew; returns to where to go back then. */
size_t memory_begin_epoch(void);
void memory_go_back(size_t to);
/* Whether it can do neither any more, but start a run from its beginning. */
bool memory_is_late(void);
void memory_start_thread(struct thread *t, const struct view *from);

/* Where threads have their stacks and their heaps. */
char *stack_end(unsigned id);
bool stack_has(unsigned id, const void *p);

/* Of a thread that is not running: below there is nothing on its own stack. */
char *stack_low(const struct thread *t);
char *heap_start(unsigned id);
char *heap_end(unsigned id);

/* What a thread knows, for others to acquire. */
struct view *view_release(struct thread *t);
void view_join(struct view *v, const struct view *other);

/* A plain access: checked, not a step. */
void plain_access(uintptr_t at, size_t size, bool writes, const void *pc);

/* The stack of the code under test begins at `stack_at`. */
uint64_t atomic_read(uintptr_t at, unsigned size, int order, const void *pc,
                     const char *stack_at);
void atomic_write(uintptr_t at, unsigned size, uint64_t value, int order, const void *pc);
uint64_t atomic_change(uintptr_t at, unsigned size, char how, uint64_t value, int order,
                       const void *pc);
uint64_t atomic_compare(uintptr_t at, unsigned size, uint64_t expected, uint64_t value,
                        int order, int failed_order, const void *pc);
void atomic_fence(int order, const void *pc);

/* Whether an operation whose `writes` is not certain would write now. */
bool would_write(const struct op *op);

/* The mutex or the like at an address; made there if fresh. Notes the access. */
struct location *location_of(enum kind kind, const void *at, unsigned size, bool fresh,
                             const void *pc);

/* Marks memory of the heap as there; as gone, which counts as a write. */
void memory_alive(uintptr_t at, size_t size);
void memory_gone(uintptr_t at, size_t size, const void *pc);

/* Whether an address is of the heap. */
bool is_heap(uintptr_t at);

/* Says in words what is at an address. Lent until the third call after this one. */
const char *name_of(uintptr_t at);

/* ---- heap.c ---------------------------------------------------------------------------------- */

void heap_start_run(void);
void heap_free_tls(struct thread *t);
void heap_check_leaks(void);
/* Which block an address is in, for name_of; false if it is in none. */
bool heap_find(uintptr_t at, unsigned *block, size_t *offset);
int *model_errno_location(void);
/* Whether this call fails: a choice, if the settings allow for it. */
bool fails(const char *what, const void *pc);

/* ---- kernel.c --------------------------------------------------------------------------------- */

void kernel_start_run(void);
void kernel_check_leaks(void);
/* Of a thread that waits for a file: whether it can go on, and when time lets it. */
bool kernel_is_ready(const struct thread *t);
uint64_t kernel_deadline(const struct thread *t);

/* ---- threads.c -------------------------------------------------------------------------------- */

void threads_start_run(void (*body)(void));
/* The same, from where it was when it halted. */
void threads_go_on(void);
/* The calling thread halts the run for its state to be saved. */
void threads_halt(void);
void switch_to(unsigned id);
_Noreturn void leave_run(void);

/* ---- trace.c ----------------------------------------------------------------------------------- */

void trace_start(void);
void trace_add(const void *pc, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void trace_print(void);
/* The name of a global variable, with the offset in it. */
const char *global_name(uintptr_t at);

#define TRACE(pc, ...)                                                                   \
    do {                                                                                 \
        if (__builtin_expect(run.tracing, 0))                                            \
            trace_add((pc), __VA_ARGS__);                                                \
    } while (0)

/* ---- jobs.c --------------------------------------------------------------------------------------- */

/* One for each processor. */
unsigned jobs_online(void);
/* Calls one(item) for each below n, in so many processes; returns how many said no. */
unsigned jobs_run(unsigned jobs, unsigned n, bool (*one)(unsigned item));
/* Memory that all of them see, zero at first, and who may change it. */
void *jobs_memory(size_t size);
void jobs_lock(void);
void jobs_unlock(void);

/* ---- searching: sched.c ------------------------------------------------------------------------- */

enum mode { EXHAUST, REPLAY, PCT, RANDOM };

struct search {
    enum mode mode;
    int bound;       /* EXHAUST: preemptions; -1: any number */
    bool sleep_sets; /* EXHAUST without a bound: skip equivalent orders */
    bool by_race;    /* with them: try another order only where operations race */
    bool snapshots;  /* EXHAUST: go on from where two runs part */
    unsigned depth;  /* PCT */
    uint64_t seed;
    double seconds;     /* stop after so many; 0: no limit */
    unsigned long runs; /* and after so many runs; 0: no limit */
};

struct found {
    unsigned long runs, pruned;
    unsigned long long steps;
    unsigned longest;
    bool exhausted;
    bool failed;
    double seconds;
    const char *failure;
    char text[512];
};

/* Runs a scenario again and again, `each` after each whole run, until it fails or the
 * search is over. `each` returns false if the run has failed after all. */
struct found search(const struct scenario *s, const struct settings *settings,
                    const struct search *how, bool (*each)(void));

/* The choices of the last run as a string, and a run by such a string. */
void path_print(char *text, size_t size);
bool path_parse(const char *text);

/* Drops what choices of the failed run can be dropped. Returns how many runs it took. */
unsigned shrink(bool (*each)(void), const char *failure);

/* Runs the parsed or last path once more. */
void run_again(bool (*each)(void));

/* Of processor time: so a search is as thorough on a busy machine. */
double seconds_now(void);

#endif
