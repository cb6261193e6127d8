/* SPDX-License-Identifier: MIT */
/*
 * threads.c - pthreads on fibers.
 *
 * An operation is a step (sched.c) that becomes possible when what it waits for holds:
 * a lock when nobody has the mutex, a join when the thread has ended. So no thread is
 * ever scheduled only to find that it must wait. A condition takes two steps: giving
 * the mutex up, and, once woken, getting it back. A futex takes two as well: looking at its
 * word, which is also where it falls asleep, and, once woken, going on.
 *
 * pthread_exit unwinds the stack as the C library does, by the tables that the compiler
 * makes with -fexceptions: so clean-up handlers run, with schedules of their own.
 *
 * What is not here ends the run or is a linker error: cancellation, rwlocks, barriers,
 * priorities.
 */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unwind.h>

#include "model.h"

struct thread thread[THREADS];

/* ---- fibers -------------------------------------------------------------------------------- */

static void *outside; /* the stack pointer of whoever started the run */

#if defined(__x86_64__)

/* Saves the registers that a call preserves, and continues another stack. */
__attribute__((naked, noinline)) static void
swap_stacks(void **from, void *to)
{
    __asm__("pushq %rbp\n\t"
            "pushq %rbx\n\t"
            "pushq %r12\n\t"
            "pushq %r13\n\t"
            "pushq %r14\n\t"
            "pushq %r15\n\t"
            "movq %rsp, (%rdi)\n\t"
            "movq %rsi, %rsp\n\t"
            "popq %r15\n\t"
            "popq %r14\n\t"
            "popq %r13\n\t"
            "popq %r12\n\t"
            "popq %rbx\n\t"
            "popq %rbp\n\t"
            "ret");
}

static void
prepare_stack(struct thread *t, void (*start)(void))
{
    union {
        void (*function)(void);
        void *address;
    } entry = {start};
    void **top = (void **)(void *)(stack_end(t->id) - 64);

    *--top = NULL; /* start returns nowhere */
    *--top = entry.address;
    for (int i = 0; i < 6; i++)
        *--top = NULL;
    t->stack_pointer = top;
}

#else
#error "the explorer switches stacks on x86-64 only"
#endif

void
switch_to(unsigned id)
{
    struct thread *t = self();

    if (id == t->id)
        return;
    run.current = id;
    swap_stacks(&t->stack_pointer, thread[id].stack_pointer);
}

static void
run_from(void *stack_pointer)
{
    swap_stacks(&outside, stack_pointer);
    while (run.halts) {
        run.halts = false;
        sched_save();
        swap_stacks(&outside, self()->stack_pointer);
    }
}

void
threads_halt(void)
{
    run.halts = true;
    swap_stacks(&self()->stack_pointer, outside);
}

void
threads_go_on(void)
{
    run_from(self()->stack_pointer);
}

void
leave_run(void)
{
    void *unused;

    run.active = false;
    swap_stacks(&unused, outside);
    abort();
}

/* ---- the life of a thread ---------------------------------------------------------------------- */

static struct {
    void (*destructor[TLS_KEYS])(void *);
    unsigned count;
} keys;

static struct _Unwind_Exception exceptions[THREADS];

static bool
run_destructors(struct thread *t)
{
    bool any = false;

    for (unsigned i = 0; i < keys.count; i++) {
        void *value = t->specific[i];

        t->specific[i] = NULL;
        if (value != NULL && keys.destructor[i] != NULL) {
            keys.destructor[i](value);
            any = true;
        }
    }
    return any;
}

static void
check_all_joined(void)
{
    for (unsigned i = 1; i < run.threads; i++)
        if (!thread[i].joined && !thread[i].detached)
            fail_at(NULL, "leak", "thread %u was neither joined nor detached", i);
}

static void
wait_for_end(unsigned first, unsigned n)
{
    self()->target = first;
    self()->targets = n;
    step_when((struct op){.at = {0}}, END);
}

static _Noreturn void
end_thread(struct thread *t)
{
    for (int round = 0; round < 4 && run_destructors(t); round++)
        ;
    heap_free_tls(t);
    TRACE(NULL, "ends");
    if (t->id == 0) { /* the scenario is over: but threads may still be on their way */
        wait_for_end(1, THREADS);
        check_all_joined();
        heap_check_leaks();
        kernel_check_leaks();
        leave_run();
    }
    step_when((struct op){.at = {0}}, ENDED);
    abort();
}

static void
start(void)
{
    struct thread *t = self();

    if (t->plain_main != NULL)
        t->plain_main();
    else
        t->result = t->main(t->arg);
    end_thread(t);
}

/* Called for each frame that is left, before its handlers run. */
static _Unwind_Reason_Code
leave_frame(int version, _Unwind_Action what, _Unwind_Exception_Class class,
            struct _Unwind_Exception *exception, struct _Unwind_Context *context,
            void *arg)
{
    (void)version;
    (void)class;
    (void)exception;
    (void)context;
    if (what & _UA_END_OF_STACK)
        end_thread(arg);
    return _URC_NO_REASON;
}

_Noreturn void
model_pthread_exit(void *result)
{
    struct thread *t = self();

    t->result = result;
    TRACE(PC, "pthread_exit");
    memset(&exceptions[t->id], 0, sizeof exceptions[t->id]);
    _Unwind_ForcedUnwind(&exceptions[t->id], leave_frame, t);
    fail_at(PC, "the explorer", "a thread cannot leave its stack");
}

static struct thread *
thread_new(void)
{
    struct thread *t = &thread[run.threads];
    struct thread kept = *t;

    if (run.threads == THREADS)
        fail_at(PC, "the explorer", "more than %d threads", THREADS);
    memset(t, 0, offsetof(struct thread, calls));
    t->id = (uint8_t)run.threads++;
    t->now = kept.now;
    t->released_view = kept.released_view;
    t->acquired = kept.acquired;
    memory_start_thread(t, t->id != 0 ? view_release(self()) : NULL);
    spins_start_thread(t);
    t->priority = draw_priority();
    prepare_stack(t, start);
    races_note_made(t);
    return t;
}

void
threads_start_run(void (*body)(void))
{
    struct thread *first;

    keys.count = 0;
    run.current = 0;
    first = thread_new();
    first->plain_main = body;
    run.active = true;
    run_from(first->stack_pointer);
}

/* Of a thread that is not running, the stack from its pointer on; of one that has ended,
 * too, if it is the one to say who goes on. */
void
threads_copy(struct copier *c)
{
    copy(c, &run, sizeof run);
    copy(c, &keys, sizeof keys);
    copy(c, exceptions, run.threads * sizeof *exceptions);
    for (unsigned i = 0; i < run.threads; i++) {
        struct thread *t = &thread[i];

        copy(c, t, offsetof(struct thread, calls));
        copy(c, t->calls, (t->depth < CALLS ? t->depth : CALLS) * sizeof *t->calls);
        if (t->need != ENDED || i == run.current)
            copy(c, stack_low(t), (size_t)(stack_end(i) - stack_low(t)));
    }
}

/* ---- for scenarios --------------------------------------------------------------------------------- */

static void
join_view(unsigned id)
{
    view_join(self()->now, thread[id].now);
    thread[id].joined = true;
}

void
explore_threads(unsigned n, void (*const mains[])(void))
{
    unsigned first = run.threads;

    for (unsigned i = 0; i < n; i++)
        thread_new()->plain_main = mains[i];
    wait_for_end(first, n);
    for (unsigned i = first; i < first + n; i++)
        join_view(i);
}

void
explore_wait_for_all(void)
{
    wait_for_end(1, THREADS);
    for (unsigned i = 1; i < run.threads; i++)
        view_join(self()->now, thread[i].now);
}

void
explore_no_more_threads(void)
{
    run.no_threads = true;
}

void
explore_wait_until_quiet(void)
{
    step_when((struct op){.all = true}, QUIET);
}

/* The wait depends on all that went before, so that nothing sleeps after it. */
void
explore_calmly(void (*function)(void))
{
    explore_wait_until_quiet();
    run.calm = true;
    function();
    explore_wait_until_quiet();
    run.calm = false;
}

/* ---- creating and joining --------------------------------------------------------------------------- */

int
model_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*main)(void *),
                     void *arg)
{
    struct thread *t;

    (void)attr;
    step((struct op){.at = {AT_THREADS}, .writes = true});
    if (run.no_threads || fails("pthread_create", PC)) {
        TRACE(PC, "no thread is created");
        return EAGAIN;
    }
    t = thread_new();
    t->main = main;
    t->arg = arg;
    plain_access((uintptr_t)out, sizeof *out, true, PC);
    *out = (pthread_t)t->id;
    TRACE(PC, "create thread %u", t->id);
    return 0;
}

static struct thread *
joinable(pthread_t id, const void *pc)
{
    if (id >= run.threads || thread[id].joined || thread[id].detached)
        fail_at(pc, "bad join", "of thread %u, which was joined or detached",
                (unsigned)id);
    return &thread[id];
}

int
model_pthread_join(pthread_t id, void **result)
{
    struct thread *t = joinable(id, PC);

    if (t == self())
        return EDEADLK;
    wait_for_end(t->id, 1);
    joinable(id, PC);
    join_view(t->id);
    TRACE(PC, "join thread %u", t->id);
    if (result != NULL)
        *result = t->result;
    return 0;
}

int
model_pthread_detach(pthread_t id)
{
    joinable(id, PC)->detached = true;
    return 0;
}

pthread_t
model_pthread_self(void)
{
    return (pthread_t)run.current;
}

int
model_sched_yield(void)
{
    step_when((struct op){.all = true}, YIELDED);
    return 0;
}

/* Only naps are taken, which are as long as it takes for others to go on. */
int
model_clock_nanosleep(clockid_t clock, int flags, const struct timespec *t,
                      struct timespec *left)
{
    (void)clock;
    (void)flags;
    (void)t;
    (void)left;
    return model_sched_yield();
}

/* ---- mutexes --------------------------------------------------------------------------------------------- */

static struct location *
mutex_at(const pthread_mutex_t *m, const void *pc)
{
    struct location *l = location_of(MUTEX, m, sizeof *m, false, pc);

    if (l->destroyed)
        fail_at(pc, "bad access", "a mutex that was destroyed, %s", name_of(l->at));
    return l;
}

int
model_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attr)
{
    (void)attr;
    if (fails("pthread_mutex_init", PC))
        return ENOMEM;
    location_of(MUTEX, m, sizeof *m, true, PC);
    return 0;
}

int
model_pthread_mutex_destroy(pthread_mutex_t *m)
{
    struct location *l = mutex_at(m, PC);

    if (l->owner != NOBODY)
        fail_at(PC, "bad access", "%s is destroyed while locked", name_of(l->at));
    l->destroyed = true;
    return 0;
}

static void
take(struct location *l)
{
    l->owner = (uint8_t)run.current;
    if (l->view != NULL)
        view_join(self()->now, l->view);
}

static void
give(struct location *l, const void *pc)
{
    if (l->owner != run.current)
        fail_at(pc, "bad unlock", "%s is not locked by this thread", name_of(l->at));
    l->view = view_release(self());
    l->owner = NOBODY;
}

/* Only a forked child asks, and nobody forks. */
int
model_pthread_mutex_trylock(pthread_mutex_t *m)
{
    fail_at(PC, "the explorer", "%s is only tried", name_of(mutex_at(m, PC)->at));
}

int
model_pthread_mutex_lock(pthread_mutex_t *m)
{
    struct location *l = mutex_at(m, PC);

    if (l->owner == run.current)
        fail_at(PC, "deadlock", "%s is locked twice by one thread", name_of(l->at));
    self()->location = l;
    step_when((struct op){.at = {l->at}, .writes = true, .locks = true}, LOCK);
    take(mutex_at(m, PC));
    TRACE(PC, "lock %s", name_of(l->at));
    return 0;
}

int
model_pthread_mutex_unlock(pthread_mutex_t *m)
{
    struct location *l;

    step((struct op){.at = {(uintptr_t)m}, .writes = true, .unlocks = true});
    l = mutex_at(m, PC);
    give(l, PC);
    TRACE(PC, "unlock %s", name_of(l->at));
    return 0;
}

/* ---- conditions --------------------------------------------------------------------------------------------- */

static struct location *
condition_at(const pthread_cond_t *c, const void *pc)
{
    struct location *l = location_of(CONDITION, c, sizeof *c, false, pc);

    if (l->destroyed)
        fail_at(pc, "bad access", "a condition that was destroyed, %s", name_of(l->at));
    return l;
}

int
model_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *attr)
{
    (void)attr;
    if (fails("pthread_cond_init", PC))
        return ENOMEM;
    location_of(CONDITION, c, sizeof *c, true, PC);
    return 0;
}

/* The threads that wait on a condition. */
static unsigned
waiters(const struct location *l, struct thread *who[])
{
    unsigned n = 0;

    for (unsigned i = 0; i < run.threads; i++)
        if (thread[i].need == SIGNAL && thread[i].location == l)
            who[n++] = &thread[i];
    return n;
}

int
model_pthread_cond_destroy(pthread_cond_t *c)
{
    struct location *l = condition_at(c, PC);
    struct thread *who[THREADS];

    if (waiters(l, who) != 0)
        fail_at(PC, "bad access", "%s is destroyed while thread %u waits on it",
                name_of(l->at), who[0]->id);
    l->destroyed = true;
    return 0;
}

static int
wait_on(pthread_cond_t *c, pthread_mutex_t *m, bool timed, uint64_t deadline,
        const void *pc)
{
    struct thread *t = self();
    uintptr_t clock = timed ? AT_CLOCK : 0;
    struct location *condition, *mutex;

    step((struct op){
        .at = {(uintptr_t)c, (uintptr_t)m, clock}, .writes = true, .unlocks = true});
    condition = condition_at(c, pc);
    mutex = mutex_at(m, pc);
    give(mutex, pc);
    TRACE(pc, "wait on %s%s", name_of(condition->at), timed ? " with a deadline" : "");
    t->mutex = mutex;
    t->woken_by = 0;
    if (happens("wakes for NO REASON", pc)) {
        t->location = mutex;
        step_when((struct op){.at = {mutex->at}, .writes = true, .locks = true}, LOCK);
    } else {
        t->location = condition;
        t->timed = timed;
        t->deadline = deadline;
        step_when((struct op){.at = {condition->at, clock}, .writes = true}, SIGNAL);
    }
    mutex = mutex_at(m, pc);
    take(mutex);
    TRACE(pc, "waited on %s: %s", name_of((uintptr_t)c),
          t->woken_by == 0 ? "woken" : "timed out");
    return t->woken_by;
}

int
model_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
    return wait_on(c, m, false, 0, PC);
}

static uint64_t
deadline_at(const struct timespec *until)
{
    return (uint64_t)until->tv_sec * 1000000000 + (uint64_t)until->tv_nsec;
}

int
model_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
                             const struct timespec *until)
{
    return wait_on(c, m, true, deadline_at(until), PC);
}

int
model_pthread_cond_signal(pthread_cond_t *c)
{
    struct location *l;
    struct thread *who[THREADS];
    unsigned n;

    step((struct op){.at = {(uintptr_t)c}, .writes = true});
    l = condition_at(c, PC);
    n = waiters(l, who);
    if (n != 0)
        wake(who[choose('g', n)], 0);
    TRACE(PC, "signal %s, %u waiting", name_of(l->at), n);
    return 0;
}

int
model_pthread_cond_broadcast(pthread_cond_t *c)
{
    struct location *l;
    struct thread *who[THREADS];
    unsigned n;

    step((struct op){.at = {(uintptr_t)c}, .writes = true});
    l = condition_at(c, PC);
    n = waiters(l, who);
    for (unsigned i = 0; i < n; i++)
        wake(who[i], 0);
    TRACE(PC, "broadcast %s, %u waiting", name_of(l->at), n);
    return 0;
}

/* ---- futexes ------------------------------------------------------------------------------------------------- */

/*
 * The kernel looks at a word and puts the thread to sleep under a lock of its own, which a
 * wake takes as well: one step, that finds the newest store as a read-modify-write would.
 * It orders no more than that.
 */
static long
futex_wait(uintptr_t at, uint32_t expected, const struct timespec *until, const void *pc)
{
    struct thread *t = self();
    uintptr_t clock = until != NULL ? AT_CLOCK : 0;

    if (atomic_change(at, sizeof expected, '+', 0, __ATOMIC_RELAXED, pc) != expected) {
        *model_errno_location() = EAGAIN;
        return -1;
    }
    TRACE(pc, "sleeps on %s%s", name_of(at), until != NULL ? " with a deadline" : "");
    t->woken_by = 0;
    t->timed = until != NULL;
    if (t->timed)
        t->deadline = deadline_at(until);
    if (!happens("wakes for NO REASON", pc))
        step_when((struct op){.at = {at, clock}, .writes = true}, FUTEX);
    t->timed = false;
    if (t->woken_by == 0)
        return 0;
    *model_errno_location() = t->woken_by;
    return -1;
}

/* The word may be gone: only its address counts. */
static long
futex_wake(uintptr_t at, const void *pc)
{
    struct thread *who[THREADS];
    unsigned n = 0;

    step((struct op){.at = {at}, .writes = true});
    for (unsigned i = 0; i < run.threads; i++)
        if (thread[i].need == FUTEX && thread[i].op.at[0] == at)
            who[n++] = &thread[i];
    TRACE(pc, "wakes who sleeps on %#lx, %u of them", (unsigned long)at, n);
    if (n == 0)
        return 0;
    wake_from_futex(who[choose('g', n)]);
    return 1;
}

long model_syscall(long number, ...);
long
model_syscall(long number, ...)
{
    va_list args;
    uintptr_t at;
    int operation;
    uint32_t value;
    const struct timespec *until;

    va_start(args, number);
    at = (uintptr_t)va_arg(args, void *);
    operation = va_arg(args, int);
    value = va_arg(args, uint32_t);
    until = va_arg(args, const struct timespec *);
    va_end(args);
    if (number != SYS_futex)
        fail_at(PC, "the explorer", "system call %ld", number);
    if (operation == FUTEX_WAIT_PRIVATE)
        return futex_wait(at, value, NULL, PC);
    if (operation == FUTEX_WAIT_BITSET_PRIVATE)
        return futex_wait(at, value, until, PC);
    if (operation != FUTEX_WAKE_PRIVATE || value != 1)
        fail_at(PC, "the explorer", "futex operation %d", operation);
    return futex_wake(at, PC);
}

/* ---- once, and thread-specific data ---------------------------------------------------------------------- */

int
model_pthread_once(pthread_once_t *once, void (*function)(void))
{
    struct location *l = location_of(ONCE, once, sizeof *once, false, PC);

    self()->location = l;
    step_when((struct op){.at = {l->at}, .writes = true}, LOCK);
    l->owner = (uint8_t)run.current;
    if (!l->done)
        function();
    else
        view_join(self()->now, l->view);
    if (!l->done)
        l->view = view_release(self());
    l->done = true;
    l->owner = NOBODY;
    return 0;
}

int
model_pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
    if (fails("pthread_key_create", PC))
        return EAGAIN;
    if (keys.count == TLS_KEYS)
        fail_at(PC, "the explorer", "more than %d keys", TLS_KEYS);
    keys.destructor[keys.count] = destructor;
    plain_access((uintptr_t)key, sizeof *key, true, PC);
    *key = keys.count++;
    return 0;
}

/* Nobody forks. */
int
model_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    (void)prepare;
    (void)parent;
    (void)child;
    return fails("pthread_atfork", PC) ? ENOMEM : 0;
}

int
model_pthread_setspecific(pthread_key_t key, const void *value)
{
    union {
        const void *from;
        void *to;
    } cast = {value};

    if (fails("pthread_setspecific", PC))
        return ENOMEM;
    self()->specific[key] = cast.to;
    return 0;
}

void *
model_pthread_getspecific(pthread_key_t key)
{
    return self()->specific[key];
}
