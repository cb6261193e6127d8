/* SPDX-License-Identifier: MIT */
/*
 * sched.c - the list of choices, and what is searched.
 *
 * A run asks for a choice wherever things may go one way or another: which thread goes
 * on, asked before each operation that others may notice; which store a load reads;
 * whether an allocation fails. The list of answers is the path, and a path gives the
 * same run each time.
 *
 * EXHAUST goes through all paths, depth first, by running again with the last choice
 * changed. Most orders differ only in operations that do not notice each other. Sleep
 * sets (Godefroid, 1996) leave those out: after the paths that go on with thread A,
 * those that go on with B need not go on with A until something ran that A's next
 * operation depends on. Where all who could go on sleep, the run is cut: PRUNED. No
 * state is lost by that, and so no failure. Which threads are tried at all, races.c says.
 *
 * With a bound, only paths with so many preemptions are taken, most bugs needing two
 * or fewer (Musuvathi and Qadeer, PLDI 2007). No sleep sets then: both together lose
 * runs (Coons, Musuvathi and McKinley, OOPSLA 2013).
 *
 * PCT draws a priority for each thread and some steps at which the running one falls
 * to the lowest: a bug that needs d orders is found with probability 1 / (n k^(d-1))
 * or better, in a run of k steps and n threads (Burckhardt et al., ASPLOS 2010).
 * RANDOM draws each choice alone. Neither is better for all bugs.
 *
 * A thread that spins, or yields, goes on when another has done something for it;
 * when none can, all that spin go on once. So an unfair schedule never looks like a
 * hang, and a hang is found by counting steps.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model.h"

struct run run;

struct choice {
    char what; /* 's': who goes on */
    uint8_t n, chosen;
    uint16_t sleep;  /* 's': threads whose turn here is redundant */
    uint16_t wanted; /* 's': threads to be tried, by race */
    uint16_t tried;  /* 's': before the chosen one */
    uint8_t who[THREADS];
};

#define CHOICES 65536
#define ORDERS  8 /* PCT: change points at most */

static struct choice path[CHOICES];
static unsigned path_length; /* of them, known */
static unsigned path_at;     /* of them, taken in this run */
static uint16_t asleep;
static int preemptions;
static unsigned save_at; /* the choice before which the state of the run is kept */

#define NEVER    UINT_MAX
#define WORTH_IT 8 /* choices since the last snapshot */

static struct search how;
static uint64_t random_state;
static unsigned pct_steps = 16; /* the longest run so far */
static unsigned pct_changes[ORDERS];
static uint64_t pct_lowest;

double
seconds_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* splitmix64 */
uint64_t
draw(void)
{
    uint64_t x = (random_state += UINT64_C(0x9e3779b97f4a7c15));

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Of a thread, for PCT: above all to which one can fall. */
uint64_t
draw_priority(void)
{
    return draw() | UINT64_C(1) << 32;
}

/* ---- ending a run ---------------------------------------------------------------------- */

static _Noreturn void
prune(void)
{
    run.ending = PRUNED;
    leave_run();
}

void
fail_at(const void *pc, const char *kind, const char *format, ...)
{
    va_list args;

    run.failure = kind;
    run.failure_pc = pc;
    run.ending = FAILED;
    va_start(args, format);
    vsnprintf(run.failure_text, sizeof run.failure_text, format, args);
    va_end(args);
    TRACE(pc, "FAILS: %s: %s", kind, run.failure_text);
    for (unsigned i = self()->depth < CALLS ? self()->depth : CALLS; i-- > 1;)
        TRACE(self()->calls[i], "    called from");
    leave_run();
}

void
explore_fail(const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fail_at(PC, "requirement", "%s", text);
}

/* ---- the path ------------------------------------------------------------------------------ */

/* The next choice if the path has it already; else NULL, and `fresh` is for it. */
static struct choice *
next_choice(char what, unsigned n, struct choice **fresh)
{
    struct choice *c = &path[path_at];

    if (path_at == save_at) {
        save_at = NEVER;
        threads_halt();
    }
    if (path_at == CHOICES)
        fail_at(NULL, "the explorer", "more than %d choices", CHOICES);
    if (path_at == path_length) {
        memset(c, 0, sizeof *c);
        c->what = what;
        c->n = (uint8_t)n;
        *fresh = c;
        return NULL;
    }
    if (how.mode == REPLAY) { /* of a run whose choices may have been changed */
        c->what = what;
        c->n = (uint8_t)n;
        if (c->chosen >= n)
            c->chosen = 0;
    } else if (c->what != what || c->n != n) {
        fail_at(NULL, "the explorer", "a run is not a function of its path: choice %u",
                path_at);
    }
    path_at++;
    return c;
}

static unsigned
take_fresh(struct choice *c, unsigned chosen)
{
    c->chosen = (uint8_t)chosen;
    path_length = ++path_at;
    return chosen;
}

unsigned
choose(char what, unsigned n)
{
    struct choice *fresh;
    struct choice *c;

    if (n == 1 || run.calm)
        return 0;
    c = next_choice(what, n, &fresh);
    if (c != NULL)
        return c->chosen;
    if (how.mode == RANDOM || (how.mode == PCT && draw() % 4 == 0))
        return take_fresh(fresh, (unsigned)(draw() % n));
    return take_fresh(fresh, 0);
}

bool
happens(const char *what, const void *pc)
{
    if (self()->rare >= run.settings.rare || choose('w', 2) == 0)
        return false;
    self()->rare++;
    TRACE(pc, "%s", what);
    return true;
}

/* ---- who can go on ------------------------------------------------------------------------ */

static bool
have_ended(unsigned from, unsigned n)
{
    for (unsigned i = from; i < run.threads && i - from < n; i++)
        if (thread[i].need != ENDED)
            return false;
    return true;
}

static bool
can_go_on(const struct thread *t)
{
    switch (t->need) {
    case READY:
        return true;
    case YIELDED:
        return t->released;
    case SPINS:
        return spins_can_go_on(t);
    case LOCK:
        return t->location->owner == NOBODY;
    case A_FILE:
        return kernel_is_ready(t);
    case END:
        return have_ended(t->target, t->targets);
    case QUIET: /* see add_ready */
    case SIGNAL:
    case FUTEX:
    case ENDED:
        break;
    }
    return false;
}

struct candidates {
    uint8_t who[THREADS];
    unsigned n;     /* of them */
    unsigned ready; /* of them, not by a time-out */
    bool current;   /* the first is the current thread */
};

static void
add_ready(struct candidates *c)
{
    c->current = can_go_on(self());
    if (c->current)
        c->who[c->n++] = (uint8_t)run.current;
    for (unsigned i = 0; i < run.threads; i++)
        if (i != run.current && can_go_on(&thread[i]))
            c->who[c->n++] = (uint8_t)i;
    for (unsigned i = 0; c->n == 0 && i < run.threads; i++)
        if (thread[i].need == QUIET)
            c->who[c->n++] = (uint8_t)i;
    c->ready = c->n;
}

/* UINT64_MAX: time alone does not let it go on. */
static uint64_t
deadline_of(const struct thread *t)
{
    if ((t->need == SIGNAL || t->need == FUTEX) && t->timed)
        return t->deadline;
    return t->need == A_FILE && !kernel_is_ready(t) ? kernel_deadline(t) : UINT64_MAX;
}

/* Time may pass until the first deadline, whoever could go on before. */
static void
add_timeouts(struct candidates *c)
{
    uint64_t first = UINT64_MAX;

    for (unsigned i = 0; i < run.threads; i++)
        if (deadline_of(&thread[i]) < first)
            first = deadline_of(&thread[i]);
    for (unsigned i = 0; first != UINT64_MAX && i < run.threads; i++)
        if (deadline_of(&thread[i]) == first)
            c->who[c->n++] = (uint8_t)i;
}

/* Nobody can go on: lets those that spin or yielded look again, later. */
static bool
release_spinning(void)
{
    bool any = false;

    for (unsigned i = 0; i < run.threads; i++)
        if (thread[i].need == SPINS || thread[i].need == YIELDED) {
            thread[i].released = true;
            any = true;
        }
    run.now += 1000000;
    return any;
}

static const char *
need_name(const struct thread *t)
{
    static const char *const names[] = {"nothing", "others",         "a store",
                                        "a lock",  "a signal",       "a futex",
                                        "a file",  "a thread's end", "quiet"};

    return names[t->need];
}

static _Noreturn void
deadlock(void)
{
    char text[256];
    size_t n = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < run.threads && n < 200; i++)
        if (thread[i].need != ENDED)
            n += (size_t)snprintf(text + n, sizeof text - n, "%sthread %u waits for %s",
                                  n != 0 ? ", " : "", i, need_name(&thread[i]));
    fail_at(self()->depth != 0 ? self()->calls[self()->depth - 1] : NULL, "deadlock",
            "%s", text);
}

static struct candidates
find_candidates(void)
{
    struct candidates c = {.n = 0};

    add_ready(&c);
    add_timeouts(&c);
    if (c.n == 0 && release_spinning())
        add_ready(&c);
    if (c.n == 0)
        deadlock();
    return c;
}

/* ---- sleep sets ---------------------------------------------------------------------------- */

static bool
touches(const struct op *op, uintptr_t at)
{
    return at != 0 && (op->at[0] == at || op->at[1] == at || op->at[2] == at);
}

bool
depends(const struct op *a, const struct op *b)
{
    if (a->all || b->all)
        return true;
    if (a->seq_cst && b->seq_cst && (a->fence || b->fence))
        return true;
    if (!a->writes && !b->writes)
        return false;
    return touches(a, b->at[0]) || touches(a, b->at[1]) || touches(a, b->at[2]);
}

static bool
uses_sleep_sets(void)
{
    return how.mode == EXHAUST && how.sleep_sets && how.bound < 0;
}

static bool
searches_by_race(void)
{
    return uses_sleep_sets() && how.by_race;
}

/* What the next operations of the thread and of those asleep would write now. */
static void
refresh_ops(unsigned who)
{
    for (unsigned i = 0; i < run.threads; i++)
        if ((thread[i].op.catches_up || thread[i].op.compares) &&
            (i == who || (asleep >> i & 1) != 0))
            thread[i].op.writes = would_write(&thread[i].op);
}

static void
wake_dependent(unsigned who)
{
    for (unsigned i = 0; i < run.threads; i++)
        if ((asleep >> i & 1) != 0 &&
            (i == who || depends(&thread[i].op, &thread[who].op)))
            asleep = (uint16_t)(asleep & ~(1u << i));
}

/* ---- who goes on ------------------------------------------------------------------------------ */

/* How many of the candidates the bound leaves. */
static unsigned
within_bound(const struct candidates *c)
{
    if (how.mode != EXHAUST || how.bound < 0 || preemptions < how.bound)
        return c->n;
    if (c->current)
        return 1;
    return c->ready != 0 ? c->ready : c->n;
}

static void
pct_change(void)
{
    for (unsigned i = 0; i + 1 < how.depth; i++)
        if (run.steps == pct_changes[i])
            self()->priority = --pct_lowest;
}

static unsigned
pct_pick(const struct candidates *c)
{
    unsigned best = c->n;

    pct_change();
    for (unsigned i = 0; i < c->n; i++) {
        if (i >= c->ready && c->ready != 0 && draw() % 8 != 0)
            continue; /* time passes slowly */
        if (best == c->n || thread[c->who[i]].priority > thread[c->who[best]].priority)
            best = i;
    }
    return best;
}

static unsigned
fresh_pick(struct choice *fresh, const struct candidates *c)
{
    unsigned i = 0;

    if (how.mode == RANDOM)
        return (unsigned)(draw() % c->n);
    if (how.mode == PCT)
        return pct_pick(c);
    if (uses_sleep_sets()) {
        fresh->sleep = asleep;
        memcpy(fresh->who, c->who, sizeof fresh->who);
        while (i < c->n && (asleep >> c->who[i] & 1) != 0)
            i++;
        if (i == c->n)
            prune();
        fresh->wanted = (uint16_t)(1u << c->who[i]);
    }
    return i;
}

static unsigned
pick(const struct candidates *c)
{
    struct choice *fresh;
    struct choice *known;
    unsigned i;

    if (run.calm)
        return 0; /* nobody sleeps: see explore_calmly */
    if (c->n == 1) {
        if (uses_sleep_sets() && (asleep >> c->who[0] & 1) != 0)
            prune();
        return 0;
    }
    known = next_choice('s', within_bound(c), &fresh);
    i = known != NULL ? known->chosen : take_fresh(fresh, fresh_pick(fresh, c));
    if (known != NULL && uses_sleep_sets())
        asleep |= known->tried;
    if ((c->current && i != 0) || (i >= c->ready && c->ready != 0))
        preemptions++;
    return i;
}

void
wake(struct thread *t, int woken_by)
{
    t->need = LOCK;
    t->location = t->mutex;
    t->woken_by = woken_by;
    if (woken_by == 0 && searches_by_race())
        races_note_woken(t);
    t->timed = false;
    t->op = (struct op){.at = {t->mutex->at}, .writes = true, .locks = true};
}

void
wake_from_futex(struct thread *t)
{
    t->need = READY;
    t->timed = false;
    if (searches_by_race())
        races_note_woken(t);
}

static void
time_out(struct thread *t)
{
    if (deadline_of(t) > run.now)
        run.now = deadline_of(t);
    if (t->need == SIGNAL)
        wake(t, ETIMEDOUT);
    if (t->need == FUTEX) {
        t->need = READY;
        t->woken_by = ETIMEDOUT;
        t->timed = false;
    }
    if (run.tracing)
        trace_add(NULL, "the deadline of thread %u passes", t->id);
}

/* Somebody moves: those that yielded to it may go on after it. */
static void
note_move(unsigned who)
{
    for (unsigned i = 0; i < run.threads; i++)
        if (i != who && thread[i].need == YIELDED)
            thread[i].released = true;
    if (++run.steps > run.settings.steps)
        fail_at(self()->depth != 0 ? self()->calls[self()->depth - 1] : NULL, "no end",
                "within %u steps", run.settings.steps);
}

/* Lets whoever is chosen go on; returns when that is the calling thread. */
static void
go_on(void)
{
    for (;;) {
        struct candidates c = find_candidates();
        unsigned before = path_at;
        unsigned i = pick(&c);
        struct thread *t = &thread[c.who[i]];

        refresh_ops(t->id);
        if (asleep != 0)
            wake_dependent(t->id);
        if (searches_by_race())
            races_note_event(t, path_at != before ? (int)before : -1, path_at);
        note_move(t->id);
        if (i < c.ready) {
            t->need = READY;
            t->released = false;
            switch_to(t->id);
            return;
        }
        time_out(t);
    }
}

static void
take_turn(struct op op, enum need need)
{
    struct thread *t = self();

    t->op = op;
    t->need = need;
    t->released = false;
    go_on();
}

void
step_reading(struct op op, bool spins)
{
    take_turn(op, spins ? SPINS : READY);
}

void
step_when(struct op op, enum need need)
{
    self()->progress++;
    take_turn(op, need);
}

void
step(struct op op)
{
    step_when(op, READY);
}

/* ---- searching ---------------------------------------------------------------------------------- */

static void
start_path(void)
{
    path_at = 0;
    asleep = 0;
    preemptions = 0;
    if (how.mode == REPLAY)
        return;
    if (searches_by_race())
        races_start_run(path_length != 0 ? path_length - 1 : 0);
    if (how.mode != EXHAUST)
        path_length = 0;
    pct_lowest = UINT64_C(1) << 20;
    for (unsigned i = 0; i + 1 < how.depth; i++)
        pct_changes[i] = 1 + (unsigned)(draw() % pct_steps);
}

void
sched_save(void)
{
    snapshots_take(path_at);
}

void
sched_copy(struct copier *c)
{
    copy(c, &path_at, sizeof path_at);
    copy(c, &asleep, sizeof asleep);
    copy(c, &preemptions, sizeof preemptions);
}

/*
 * A run of a depth-first search goes on from where the state was kept before the choice
 * that differs from the last one; one at random from its first choice, with other
 * priorities.
 */
static bool
go_back(void)
{
    unsigned changed = path_length != 0 ? path_length - 1 : 0;
    int from = -1;

    save_at = NEVER;
    if (how.mode == REPLAY || !how.snapshots)
        return false;
    if (memory_is_late())
        snapshots_forget();
    else
        from = snapshots_go_back(changed);
    if ((int)changed - from > WORTH_IT || (from < 0 && how.mode != EXHAUST))
        save_at = changed;
    for (unsigned i = 0; from >= 0 && how.mode == PCT && i < run.threads; i++)
        thread[i].priority = draw_priority();
    return from >= 0;
}

static void
start_run(void)
{
    memory_start_run();
    heap_start_run();
    kernel_start_run();
    run.threads = 0;
    run.steps = 0;
    run.now = UINT64_C(1000000000);
    run.ending = WHOLE;
    run.failure = NULL;
    run.outcome[0] = '\0';
    run.calm = false;
    run.no_threads = false;
    run.saved = false;
    run.halts = false;
    threads_start_run(run.scenario->body);
}

static void
run_once(bool (*each)(void))
{
    start_path();
    if (go_back())
        threads_go_on();
    else
        start_run();
    if (run.ending == WHOLE && !each())
        run.ending = FAILED;
    if (run.steps > pct_steps && run.ending != PRUNED)
        pct_steps = run.steps;
}

/* Another thread to go on; false: none is left that is worth it. */
static bool
next_thread(struct choice *c)
{
    c->tried = (uint16_t)(c->tried | 1u << c->who[c->chosen]);
    for (c->chosen = 0; c->chosen < c->n; c->chosen++) {
        uint16_t bit = (uint16_t)(1u << c->who[c->chosen]);

        if (((c->sleep | c->tried) & bit) == 0 &&
            (!how.by_race || (c->wanted & bit) != 0))
            return true;
    }
    return false;
}

/* The next path of a depth-first search; false: there is none. */
static bool
next_path(void)
{
    for (; path_length != 0; path_length--) {
        struct choice *c = &path[path_length - 1];

        if (c->what == 's' && uses_sleep_sets() ? next_thread(c) : ++c->chosen < c->n)
            return true;
    }
    return false;
}

bool
is_candidate(unsigned choice, unsigned id)
{
    const struct choice *c = &path[choice];

    return memchr(c->who, (int)id, c->n) != NULL;
}

/* If none of them may go on there, all are tried: so nothing is lost. */
void
try_also(unsigned choice, uint16_t threads, unsigned rather)
{
    struct choice *c = &path[choice];
    uint16_t may = 0;

    for (unsigned i = 0; i < c->n; i++)
        may = (uint16_t)(may | 1u << c->who[i]);
    if ((threads & (c->wanted | c->sleep)) != 0)
        return;
    if ((threads & may) == 0)
        c->wanted |= may;
    else if ((threads & may) >> rather & 1)
        c->wanted = (uint16_t)(c->wanted | 1u << rather);
    else
        c->wanted = (uint16_t)(c->wanted | 1u << __builtin_ctz(threads & may));
}

static bool
is_over(struct found *f, double start)
{
    if (run.ending == FAILED) {
        f->failed = true;
        f->failure = run.failure;
        memcpy(f->text, run.failure_text, sizeof f->text);
        return true;
    }
    if (how.mode == EXHAUST && !next_path()) {
        f->exhausted = true;
        return true;
    }
    if (how.runs != 0 && f->runs >= how.runs)
        return true;
    return how.seconds > 0 && f->runs % 64 == 0 && seconds_now() - start > how.seconds;
}

struct found
search(const struct scenario *s, const struct settings *settings, const struct search *by,
       bool (*each)(void))
{
    struct found f = {0};
    double start = seconds_now();

    how = *by;
    run.scenario = s;
    run.settings = *settings;
    path_length = 0;
    races_forget();
    snapshots_forget();
    pct_steps = 16;
    random_state = how.seed;
    do {
        run_once(each);
        f.runs++;
        f.pruned += run.ending == PRUNED;
        f.steps += run.steps;
        if (run.steps > f.longest)
            f.longest = run.steps;
    } while (!is_over(&f, start));
    f.seconds = seconds_now() - start;
    return f;
}

void
run_again(bool (*each)(void))
{
    how.mode = REPLAY;
    run_once(each);
}

/* ---- paths as text ---------------------------------------------------------------------------------- */

/* A number is so many dull choices, a letter is another one: a is the first of these. */
void
path_print(char *text, size_t size)
{
    size_t n = 0;
    unsigned dull = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < path_length && n + 16 < size; i++) {
        if (path[i].chosen == 0) {
            dull++;
            continue;
        }
        if (dull != 0)
            n += (size_t)snprintf(text + n, size - n, "%u", dull);
        dull = 0;
        text[n++] = (char)('a' + path[i].chosen - 1);
        text[n] = '\0';
    }
}

static void
append_choice(unsigned chosen)
{
    memset(&path[path_length], 0, sizeof path[0]);
    path[path_length++].chosen = (uint8_t)chosen;
}

bool
path_parse(const char *text)
{
    path_length = 0;
    while (*text != '\0') {
        if (*text >= 'a' && *text <= 'z' && path_length < CHOICES) {
            append_choice((unsigned)(*text++ - 'a' + 1));
            continue;
        }

        char *end;
        unsigned long dull = strtoul(text, &end, 10);

        if (end == text || dull > CHOICES - path_length)
            return false;
        while (dull-- != 0)
            append_choice(0);
        text = end;
    }
    return true;
}

/* ---- shrinking ---------------------------------------------------------------------------------------- */

static unsigned
last_interesting(void)
{
    unsigned n = path_length;

    while (n != 0 && path[n - 1].chosen == 0)
        n--;
    return n;
}

static bool
still_fails(bool (*each)(void), const char *failure)
{
    run_once(each);
    return run.ending == FAILED && run.failure == failure;
}

/* Makes choices from `at` on dull, as many as `n`; puts them back if that is no failure. */
static bool
try_dull(unsigned at, unsigned n, bool (*each)(void), const char *failure)
{
    static struct choice kept[CHOICES];
    unsigned length = path_length;
    bool any = false;

    memcpy(kept, path, length * sizeof *path);
    for (unsigned i = at; i < at + n && i < length; i++) {
        any = any || path[i].chosen != 0;
        path[i].chosen = 0;
    }
    if (any && still_fails(each, failure)) {
        path_length = path_at;
        return true;
    }
    memcpy(path, kept, length * sizeof *path);
    path_length = length;
    return false;
}

unsigned
shrink(bool (*each)(void), const char *failure)
{
    unsigned runs = 0;

    how.mode = REPLAY;
    path_length = path_at;
    for (unsigned n = last_interesting(); n != 0; n /= 2)
        for (unsigned at = 0; at < last_interesting() && runs < 5000; at += n, runs++)
            try_dull(at, n, each, failure);
    path_length = last_interesting();
    return runs;
}
