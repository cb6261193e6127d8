/* SPDX-License-Identifier: MIT */
/*
 * Tasks that wait on stacks of their own. The linker puts the functions below in the place
 * of the library's and libc's (--wrap), so this is built with the static library alone.
 */
#include "support/vow_test.h"

#include <errno.h>
#include <fenv.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "../executors/fibers_internal.h"
#include "base/sys.h"
#include "support/child.h"
#include "support/death.h"
#include "support/drops.h"
#include "support/pool_fixture.h"
#include "support/sanitizer.h"

#ifdef UNDER_ASAN
#include <sanitizer/lsan_interface.h>
#endif

/* ---- what fails, and how often it was asked for ---------------------------------------- */

static atomic_int stacks_made, no_memory, no_guard, no_mutex;
static _Atomic(void *) last_stack;
static atomic_size_t size_of_last;
static atomic_int sleeps, sleeps_with_an_end;
static int no_thread; /* what starting one gives */
static bool shadowed;

void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
int __real_mprotect(void *at, size_t size, int protection);
int __wrap_mprotect(void *at, size_t size, int protection);
int __real_vowi_sys_thread_create(pthread_t *thread, size_t stack, void *(*run)(void *),
                                  void *arg);
int __wrap_vowi_sys_thread_create(pthread_t *thread, size_t stack, void *(*run)(void *),
                                  void *arg);
int __real_vowi_sys_mutex_init(pthread_mutex_t *mutex);
int __wrap_vowi_sys_mutex_init(pthread_mutex_t *mutex);
bool __wrap_vowi_switch_is_shadowed(void);
bool __real_vowi_gate_pass(struct vowi_gate *g);
bool __wrap_vowi_gate_pass(struct vowi_gate *g);
bool __real_vowi_gate_pass_until(struct vowi_gate *g, vow_ns until);
bool __wrap_vowi_gate_pass_until(struct vowi_gate *g, vow_ns until);

static bool
fails_now(atomic_int *left)
{
    if (atomic_load(left) == 0)
        return false;
    atomic_fetch_sub(left, 1);
    return true;
}

void *
__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    void *memory;

    if (fails_now(&no_memory))
        return MAP_FAILED;
    atomic_fetch_add(&stacks_made, 1);
    memory = __real_mmap(at, size, protection, flags, fd, offset);
    atomic_store(&last_stack, memory);
    atomic_store(&size_of_last, size);
    return memory;
}

int
__wrap_mprotect(void *at, size_t size, int protection)
{
    return fails_now(&no_guard) ? -1 : __real_mprotect(at, size, protection);
}

int
__wrap_vowi_sys_thread_create(pthread_t *thread, size_t stack, void *(*run)(void *),
                              void *arg)
{
    if (no_thread != 0)
        return no_thread;
    return __real_vowi_sys_thread_create(thread, stack, run, arg);
}

/* The n-th from now on fails. */
int
__wrap_vowi_sys_mutex_init(pthread_mutex_t *mutex)
{
    if (atomic_load(&no_mutex) != 0 && atomic_fetch_sub(&no_mutex, 1) == 1)
        return ENOMEM;
    return __real_vowi_sys_mutex_init(mutex);
}

bool
__wrap_vowi_switch_is_shadowed(void)
{
    return shadowed;
}

bool
__wrap_vowi_gate_pass(struct vowi_gate *g)
{
    atomic_fetch_add(&sleeps, 1);
    return __real_vowi_gate_pass(g);
}

bool
__wrap_vowi_gate_pass_until(struct vowi_gate *g, vow_ns until)
{
    atomic_fetch_add(&sleeps_with_an_end, 1);
    return __real_vowi_gate_pass_until(g, until);
}

/* ---- work ------------------------------------------------------------------------------------ */

static vow_executor *
fibers_new(void)
{
    vow_executor *on = vow_fibers_new(NULL);

    assert_non_null(on);
    return on;
}

static void
fibers_free(vow_executor *on)
{
    vow_unref(vow_executor_close(on, VOW_DRAIN));
    assert_int_equal(vow_executor_join(on), 0);
    vow_executor_unref(on);
}

static int64_t
value_of(vow_future *f)
{
    vow_view got = vow_get(f);
    int64_t value = got.error == NULL ? got.value.as.i64 : -vow_error_code(got.error);

    vow_unref(f);
    return value;
}

static vow_result
give_seven(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(7));
}

/* The value of what it waits for and one; or the code of the error. */
static vow_result
get_and_add(void *f)
{
    vow_view got = vow_get(f);

    if (got.error != NULL)
        return vow_ok(vow_i64(vow_error_code(got.error)));
    return vow_ok(vow_i64(got.value.as.i64 + 1));
}

static void
unref_future(void *f)
{
    vow_unref(f);
}

/* The context of a task that is to find a future there whenever it begins. */
static vow_value
ref_of(vow_future *f)
{
    return vow_own(vow_ref(f), unref_future);
}

/* What waits, and what it waits for. */
struct answer {
    vow_promise *p;
    vow_future *f;
};

static struct answer
answer_new(void)
{
    struct answer a = {.p = vow_promise_new()};

    a.f = vow_promise_future(a.p);
    return a;
}

static void
answer_end(struct answer *a, int64_t value)
{
    vow_promise_fulfill(a->p, vow_i64(value));
    vow_promise_unref(a->p);
    vow_unref(a->f);
}

/* Whatever was posted before has had its first turn. */
static void
let_begin(vow_executor *on)
{
    assert_int_equal(value_of(vow_submit(on, give_seven, VOW_NIL)), 7);
}

/* ---- waiting ---------------------------------------------------------------------------------- */

VOW_CASE(task_that_waits_lets_others_begin)
{
    vow_executor *on = fibers_new();
    struct answer a = answer_new();
    vow_future *f = vow_submit(on, get_and_add, ref_of(a.f));

    let_begin(on);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    answer_end(&a, 41);
    assert_int_equal(value_of(f), 42);
    fibers_free(on);
}

VOW_CASE(lone_task_is_woken_on_its_stack)
{
    vow_executor *on = fibers_new();

    for (int i = 0; i < 100; i++) {
        struct answer a = answer_new();
        vow_future *f = vow_submit(on, get_and_add, ref_of(a.f));

        if (i % 2 == 0)
            let_begin(on);
        answer_end(&a, i);
        assert_int_equal(value_of(f), i + 1);
    }
    fibers_free(on);
}

enum { MANY = 500 };

VOW_CASE(many_wait_at_once_and_all_go_on)
{
    vow_executor *on = fibers_new();
    struct answer a = answer_new();
    vow_future *f[MANY];

    for (int i = 0; i < MANY; i++)
        f[i] = vow_submit(on, get_and_add, ref_of(a.f));
    let_begin(on);
    answer_end(&a, 1);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(value_of(f[i]), 2);
    fibers_free(on);
}

VOW_CASE(tasks_that_do_not_wait_share_a_stack)
{
    vow_executor *on = fibers_new();
    int before = atomic_load(&stacks_made);

    for (int i = 0; i < 100; i++)
        let_begin(on);
    assert_int_equal(atomic_load(&stacks_made), before);
    fibers_free(on);
}

VOW_CASE(stacks_are_used_again)
{
    vow_executor *on = fibers_new();
    int before = atomic_load(&stacks_made);

    for (int i = 0; i < 50; i++) {
        struct answer a = answer_new();
        vow_future *f = vow_submit(on, get_and_add, ref_of(a.f));

        let_begin(on);
        answer_end(&a, i);
        assert_int_equal(value_of(f), i + 1);
    }
    assert_true(atomic_load(&stacks_made) - before <= 2);
    fibers_free(on);
}

/* AddressSanitizer remembers what is fenced by address. */
VOW_CASE(memory_of_a_stack_is_clean_for_who_maps_it_next)
{
    vow_executor *on = fibers_new();
    struct answer a = answer_new();
    vow_future *f = vow_submit(on, get_and_add, ref_of(a.f));
    void *was;
    size_t size;

    let_begin(on);
    answer_end(&a, 1);
    assert_int_equal(value_of(f), 2);
    was = atomic_load(&last_stack);
    size = atomic_load(&size_of_last);
    fibers_free(on);
    assert_ptr_equal(
        __real_mmap(was, size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
                    0),
        was);
    memset((char *)was + size / 2, 1, size / 2);
    assert_int_equal(munmap(was, size), 0);
}

#ifdef UNDER_ASAN
static vow_result
keep_block_and_get(void *f)
{
    void *volatile block = malloc(100);
    vow_result r = get_and_add(f);

    free(block);
    return r;
}

VOW_CASE(what_only_a_stack_points_to_has_not_leaked)
{
    vow_executor *on = fibers_new();
    struct answer a = answer_new();
    vow_future *f[3];

    for (int i = 0; i < 3; i++)
        f[i] = vow_submit(on, keep_block_and_get, ref_of(a.f));
    let_begin(on);
    assert_int_equal(__lsan_do_recoverable_leak_check(), 0);
    answer_end(&a, 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(value_of(f[i]), 2);
    fibers_free(on);
}

static long
megabytes(void)
{
    FILE *in = fopen("/proc/self/statm", "r");
    long pages = 0;

    assert_int_equal(fscanf(in, "%ld", &pages), 1);
    fclose(in);
    return pages / 256;
}

/* Of each some 5 MB of addresses, if uses after a return are looked for. */
VOW_CASE(frames_that_are_kept_apart_go_with_their_stack)
{
    vow_executor *on = vow_fibers_new(&VOW_FIBERS_OPTIONS(.kept_stacks = 1));
    long before = megabytes();

    for (int round = 0; round < 20; round++) {
        struct answer a = answer_new();
        vow_future *f[20];

        for (int i = 0; i < 20; i++)
            f[i] = vow_submit(on, get_and_add, ref_of(a.f));
        let_begin(on);
        answer_end(&a, 1);
        for (int i = 0; i < 20; i++)
            assert_int_equal(value_of(f[i]), 2);
    }
    fibers_free(on);
    assert_true(megabytes() - before < 500);
}
#endif

VOW_CASE(no_more_stacks_are_kept_than_asked_for)
{
    vow_executor *on = vow_fibers_new(&VOW_FIBERS_OPTIONS(.kept_stacks = 1));

    for (int round = 0; round < 3; round++) {
        struct answer a = answer_new();
        vow_future *f[8];

        for (int i = 0; i < 8; i++)
            f[i] = vow_submit(on, get_and_add, ref_of(a.f));
        let_begin(on);
        answer_end(&a, 1);
        for (int i = 0; i < 8; i++)
            assert_int_equal(value_of(f[i]), 2);
    }
    fibers_free(on);
}

VOW_CASE(task_gets_what_it_submits_to_its_own_executor)
{
    vow_executor *on = fibers_new();
    struct answer a = answer_new();
    vow_future *inner = vow_submit(on, get_and_add, ref_of(a.f));
    vow_future *outer = vow_submit(on, get_and_add, ref_of(inner));

    let_begin(on);
    answer_end(&a, 5);
    assert_int_equal(value_of(outer), 7);
    vow_unref(inner);
    fibers_free(on);
}

static vow_result
fulfill_and_get(void *answers)
{
    struct answer *a = answers;

    vow_promise_fulfill(a[0].p, vow_i64(1));
    return get_and_add(a[1].f);
}

VOW_CASE(one_fiber_wakes_another)
{
    vow_executor *on = fibers_new();
    struct answer a[2] = {answer_new(), answer_new()};
    vow_future *first = vow_submit(on, get_and_add, ref_of(a[0].f));
    vow_future *second = vow_submit(on, fulfill_and_get, vow_ptr(a));

    assert_int_equal(value_of(first), 2);
    vow_promise_fulfill(a[1].p, vow_i64(9));
    assert_int_equal(value_of(second), 10);
    answer_end(&a[1], 9);
    vow_promise_unref(a[0].p);
    vow_unref(a[0].f);
    fibers_free(on);
}

/* ---- with a deadline --------------------------------------------------------------------------- */

static vow_result
wait_a_moment(void *f)
{
    return vow_ok(vow_i64(vow_wait(f, vow_ms(1))));
}

static vow_result
wait_an_hour(void *f)
{
    return vow_ok(vow_i64(vow_wait(f, vow_seconds(3600))));
}

VOW_CASE(wait_ends_at_its_deadline)
{
    vow_executor *on = fibers_new();
    struct answer a = answer_new();
    vow_future *f[20];

    for (int i = 0; i < 20; i++)
        f[i] = vow_submit(on, wait_a_moment, ref_of(a.f));
    for (int i = 0; i < 20; i++)
        assert_int_equal(value_of(f[i]), 0);
    answer_end(&a, 1);
    fibers_free(on);
}

VOW_CASE(wait_with_a_deadline_is_woken_before_it)
{
    vow_executor *on = fibers_new();
    struct answer a = answer_new();
    vow_future *f = vow_submit(on, wait_an_hour, ref_of(a.f));

    let_begin(on);
    answer_end(&a, 1);
    assert_int_equal(value_of(f), 1);
    fibers_free(on);
}

/* Whichever of the two is first, the wait ends. */
VOW_CASE(deadline_and_answer_may_come_at_once)
{
    vow_executor *on = fibers_new();

    for (int i = 0; i < 50; i++) {
        struct answer a = answer_new();
        vow_future *f = vow_submit(on, wait_a_moment, ref_of(a.f));
        int64_t in_time;

        vow_wait(f, vow_ms(1));
        answer_end(&a, 1);
        in_time = value_of(f);
        assert_true(in_time == 0 || in_time == 1);
    }
    fibers_free(on);
}

/* A sleep is over while others have the thread all the time. */
struct busy {
    vow_future *f;
    atomic_int over;
};

static vow_result
wait_and_say(void *busy)
{
    struct busy *b = busy;
    vow_result r = wait_a_moment(b->f);

    atomic_store(&b->over, 1);
    return r;
}

static vow_result
yield_until_over(void *busy)
{
    struct busy *b = busy;

    while (!atomic_load(&b->over))
        vow_fiber_yield();
    return vow_ok(vow_i64(1));
}

VOW_CASE(deadline_comes_while_others_yield)
{
    vow_executor *on = fibers_new();
    struct answer a = answer_new();
    struct busy b = {.f = a.f};
    vow_future *f[3] = {vow_submit(on, yield_until_over, vow_ptr(&b)),
                        vow_submit(on, yield_until_over, vow_ptr(&b)),
                        vow_submit(on, wait_and_say, vow_ptr(&b))};

    assert_int_equal(value_of(f[2]), 0);
    assert_int_equal(value_of(f[1]), 1);
    assert_int_equal(value_of(f[0]), 1);
    answer_end(&a, 1);
    fibers_free(on);
}

/* ---- taking turns -------------------------------------------------------------------------------- */

struct turns {
    struct journal *j;
    atomic_int *begun;
    int all;
    char mark;
};

static vow_result
write_in_turn(void *turns)
{
    struct turns *t = turns;

    atomic_fetch_add(t->begun, 1);
    while (atomic_load(t->begun) < t->all)
        vow_fiber_yield();
    for (int i = 0; i < 3; i++) {
        journal_add(t->j, t->mark);
        vow_fiber_yield();
    }
    return vow_ok(VOW_NIL);
}

VOW_CASE(fibers_that_yield_take_turns)
{
    vow_executor *on = fibers_new();
    struct journal j = {0};
    atomic_int begun = 0;
    struct turns t[3] = {
        {&j, &begun, 3, 'a'}, {&j, &begun, 3, 'b'}, {&j, &begun, 3, 'c'}};
    vow_future *f[3];

    for (int i = 0; i < 3; i++)
        f[i] = vow_submit(on, write_in_turn, vow_ptr(&t[i]));
    for (int i = 0; i < 3; i++)
        assert_int_equal(value_of(f[i]), 0);
    assert_int_equal(j.used, 9);
    for (int i = 0; i < 3; i++) /* each round has each of them once */
        assert_int_equal(j.text[3 * i] + j.text[3 * i + 1] + j.text[3 * i + 2],
                         'a' + 'b' + 'c');
    fibers_free(on);
}

static vow_result
yield_alone(void *ctx)
{
    bool here = vow_fiber_yield();
    bool deferred;

    (void)ctx;
    vow_defer_begin();
    deferred = vow_fiber_yield();
    vow_defer_end();
    return vow_ok(vow_i64(here && !deferred));
}

VOW_CASE(yield_alone_returns_and_elsewhere_does_nothing)
{
    vow_executor *on = fibers_new();

    assert_int_equal(value_of(vow_submit(on, yield_alone, VOW_NIL)), 1);
    assert_false(vow_fiber_yield());
    fibers_free(on);
}

/* One that never waits and one that was put off take turns with what is posted. */
static vow_result
yield_until_set(void *flag)
{
    while (!atomic_load((atomic_int *)flag))
        vow_fiber_yield();
    return vow_ok(vow_i64(1));
}

static void
set(void *flag)
{
    atomic_store((atomic_int *)flag, 1);
}

VOW_CASE(who_yields_lets_others_begin)
{
    vow_executor *on = fibers_new();
    atomic_int flag = 0;
    vow_future *f[2] = {vow_submit(on, yield_until_set, vow_ptr(&flag)),
                        vow_submit(on, yield_until_set, vow_ptr(&flag))};

    for (int i = 0; i < 100; i++)
        let_begin(on);
    assert_int_equal(vow_post(on, set, vow_ptr(&flag)), 0);
    assert_int_equal(value_of(f[0]), 1);
    assert_int_equal(value_of(f[1]), 1);
    fibers_free(on);
}

static vow_result
again_and_again(void *count)
{
    if (++*(int *)count < 10)
        return vow_yield_task();
    return vow_ok(vow_i64(*(int *)count));
}

VOW_CASE(task_that_wants_another_turn_gets_it)
{
    vow_executor *on = fibers_new();
    int count = 0;

    assert_int_equal(value_of(vow_submit(on, again_and_again, vow_ptr(&count))), 10);
    fibers_free(on);
}

/* ---- what belongs to a stack -------------------------------------------------------------------- */

static vow_result
round_upwards(void *f)
{
    bool kept;

    fesetround(FE_UPWARD);
    vow_get(f);
    kept = fegetround() == FE_UPWARD;
    fesetround(FE_TONEAREST);
    return vow_ok(vow_i64(kept));
}

static vow_result
round_down(void *f)
{
    bool kept;

    fesetround(FE_DOWNWARD);
    vow_get(f);
    kept = fegetround() == FE_DOWNWARD;
    fesetround(FE_TONEAREST);
    return vow_ok(vow_i64(kept));
}

VOW_CASE(modes_of_floating_point_are_of_the_stack)
{
    vow_executor *on = fibers_new();
    struct answer a = answer_new();
    vow_future *up = vow_submit(on, round_upwards, ref_of(a.f));
    vow_future *down = vow_submit(on, round_down, ref_of(a.f));

    let_begin(on);
    answer_end(&a, 1);
    assert_int_equal(value_of(up), 1);
    assert_int_equal(value_of(down), 1);
    fibers_free(on);
}

/* In the place of that of C++, of which there is none here. */
struct vowi_exceptions *__cxa_get_globals(void);

struct vowi_exceptions *
__cxa_get_globals(void)
{
    static _Thread_local struct vowi_exceptions here;

    return &here;
}

/* As a handler does that waits, with a destructor that waits inside it. */
static vow_result
handle_exception(void *f)
{
    struct vowi_exceptions *here = __cxa_get_globals();
    bool clean = here->caught == NULL && here->uncaught == 0, kept;

    here->caught = f;
    here->uncaught++;
    vow_get(f);
    kept = here->caught == f && here->uncaught == 1;
    *here = (struct vowi_exceptions){NULL, 0};
    return vow_ok(vow_i64(clean && kept));
}

VOW_CASE(exceptions_are_of_the_stack)
{
    vow_executor *on = fibers_new();
    struct answer a[2] = {answer_new(), answer_new()};
    vow_future *first = vow_submit(on, handle_exception, ref_of(a[0].f));
    vow_future *second = vow_submit(on, handle_exception, ref_of(a[1].f));

    let_begin(on);
    answer_end(&a[0], 1);
    assert_int_equal(value_of(first), 1);
    answer_end(&a[1], 1);
    assert_int_equal(value_of(second), 1);
    fibers_free(on);
}

static vow_result
see_token(void *f)
{
    bool before = vow_cancelled(), after;

    vow_get(f);
    after = vow_cancelled();
    return vow_ok(vow_i64(10 * before + after));
}

VOW_CASE(each_fiber_has_its_own_token)
{
    vow_executor *on = fibers_new();
    struct answer a = answer_new();
    vow_source *sources[2] = {vow_source_new(), vow_source_new()};
    vow_future *f[2];

    for (int i = 0; i < 2; i++) {
        vow_token *token = vow_source_token(sources[i]);

        f[i] = vow_submit_with(on, &VOW_SUBMIT_OPTIONS(.token = token), see_token,
                               ref_of(a.f));
        vow_token_unref(token);
    }
    let_begin(on);
    vow_source_cancel(sources[1], NULL);
    answer_end(&a, 1);
    assert_int_equal(value_of(f[0]), 0);
    assert_int_equal(value_of(f[1]), 1);
    for (int i = 0; i < 2; i++)
        vow_source_unref(sources[i]);
    fibers_free(on);
}

/* A callback that waits, and a fiber of the same thread that wants it to be over. */
struct callback {
    vow_registration *r;
    vow_future *f;
    atomic_int over;
};

static void
wait_in_callback(void *callback)
{
    struct callback *c = callback;

    vow_get(c->f);
    atomic_store(&c->over, 1);
}

static vow_result
remove_it(void *callback)
{
    struct callback *c = callback;

    (void)vow_registration_remove_wait(c->r);
    return vow_ok(vow_i64(atomic_load(&c->over)));
}

VOW_CASE(removal_waits_for_a_callback_on_another_fiber)
{
    vow_executor *on = fibers_new();
    struct answer a = answer_new();
    struct callback c = {.f = a.f};
    vow_source *source = vow_source_new();
    vow_token *token = vow_source_token(source);
    vow_future *f;

    c.r = vow_token_on_cancel(token, on, wait_in_callback, vow_ptr(&c));
    vow_token_unref(token);
    vow_source_cancel(source, NULL);
    let_begin(on);
    f = vow_submit(on, remove_it, vow_ptr(&c));
    let_begin(on);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_promise_fulfill(a.p, vow_i64(1));
    assert_int_equal(value_of(f), 1);
    answer_end(&a, 1);
    vow_source_unref(source);
    fibers_free(on);
}

/* A loop that a task runs has the thread: a wait in it is the thread's. */
static vow_result
run_a_loop(void *f)
{
    vow_loop *loop = vow_loop_new(NULL);
    vow_future *g = vow_submit(vow_loop_executor(loop), get_and_add, ref_of(f));
    bool yields, ran = vow_loop_run_until(loop, g) == 0;

    yields = vow_fiber_yield();
    vow_unref(g);
    vow_loop_unref(loop);
    return vow_ok(vow_i64(ran && yields));
}

VOW_CASE(task_may_run_a_loop)
{
    vow_executor *on = fibers_new();
    vow_future *seven = vow_submit(on, give_seven, VOW_NIL);

    vow_get(seven);
    assert_int_equal(value_of(vow_submit(on, run_a_loop, vow_ptr(seven))), 1);
    vow_unref(seven);
    fibers_free(on);
}

/* ---- what the thread gives back between two tasks ------------------------------------------------ */

/* An executor of a user's own, of which the last is seen where the last hold is given back. */
struct own {
    vow_executor executor;
    struct answer awaited; /* by its end, if there is a future */
    struct answer told;    /* of its end */
    atomic_int used, open, ending, ended;
};

static int
own_post(vow_executor *self, vow_task *task)
{
    (void)self;
    task->run(task, 0);
    return 0;
}

static void
own_destroy(vow_executor *self)
{
    struct own *o = vowi_container_of(self, struct own, executor);

    atomic_store(&o->ending, 1);
    if (o->awaited.f != NULL)
        vow_get(o->awaited.f);
    atomic_store(&o->ended, 1);
    vow_promise_fulfill(o->told.p, vow_i64(1));
}

static const vow_executor_ops own_ops = {
    .size = sizeof own_ops,
    .name = "own",
    .post = own_post,
    .destroy = own_destroy,
};

static vow_result
add_one(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(in.as.i64 + 1));
}

/* Afterwards this thread keeps holds of it, for the next step there. */
static vow_result
use_own(void *own)
{
    struct own *o = own;
    struct answer a = answer_new();

    vow_unref(vow_then(vow_ref(a.f), &o->executor, add_one, VOW_NIL));
    answer_end(&a, 1);
    atomic_store(&o->used, 1);
    await_flag(&o->open, 1);
    return vow_ok(VOW_NIL);
}

/* The thread of the fibers has the last of them, and nothing else to do. */
static void
leave_last_holds_to(vow_executor *on, struct own *o)
{
    vow_future *f = vow_submit(on, use_own, vow_ptr(o));

    await_flag(&o->used, 1);
    vow_executor_unref(&o->executor);
    atomic_store(&o->open, 1);
    assert_int_equal(value_of(f), 0);
}

VOW_CASE(what_is_given_back_between_two_tasks_may_wake_one)
{
    vow_executor *on = fibers_new();
    struct own o = {.told = answer_new()};
    vow_future *f = vow_submit(on, get_and_add, ref_of(o.told.f));

    assert_int_equal(vow_executor_init(&o.executor, &own_ops), 0);
    let_begin(on);
    leave_last_holds_to(on, &o);
    assert_int_equal(value_of(f), 2);
    vow_promise_unref(o.told.p);
    vow_unref(o.told.f);
    fibers_free(on);
}

VOW_CASE(what_is_given_back_between_two_tasks_may_wait)
{
    vow_executor *on = fibers_new();
    struct own o = {.awaited = answer_new(), .told = answer_new()};
    vow_future *closed;

    assert_int_equal(vow_executor_init(&o.executor, &own_ops), 0);
    leave_last_holds_to(on, &o);
    await_flag(&o.ending, 1);
    let_begin(on);
    closed = vow_executor_close(on, VOW_DRAIN);
    assert_false(vow_wait(closed, vow_ms(20))); /* its stack is not to go */
    vow_promise_fulfill(o.awaited.p, VOW_NIL);
    assert_int_equal(value_of(closed), 0);
    assert_int_equal(atomic_load(&o.ended), 1);
    vow_promise_unref(o.awaited.p);
    vow_unref(o.awaited.f);
    assert_int_equal(vow_executor_join(on), 0);
    vow_executor_unref(on);
    answer_end(&o.told, 1);
}

/* ---- what never ends ------------------------------------------------------------------------------ */

struct ring {
    vow_future *f[2];
    atomic_int ready;
    int at;
};

static vow_result
wait_in_ring(void *ring)
{
    struct ring *r = ring;

    while (!atomic_load(&r->ready))
        vow_fiber_yield();
    return get_and_add(r->f[r->at]);
}

VOW_CASE(task_that_waits_for_itself_is_told)
{
    vow_executor *on = fibers_new();
    struct ring r = {.at = 0};

    r.f[0] = vow_submit(on, wait_in_ring, vow_ptr(&r));
    atomic_store(&r.ready, 1);
    assert_int_equal(value_of(r.f[0]), VOW_E_DEADLOCK);
    fibers_free(on);
}

static vow_result
wait_for_second(void *ring)
{
    struct ring *r = ring;

    while (!atomic_load(&r->ready))
        vow_fiber_yield();
    return get_and_add(r->f[1]);
}

VOW_CASE(of_two_that_wait_for_each_other_one_is_told)
{
    vow_executor *on = fibers_new();
    struct ring r = {.at = 0};
    int64_t a, b;

    r.f[0] = vow_submit(on, wait_for_second, vow_ptr(&r));
    r.f[1] = vow_submit(on, wait_in_ring, vow_ptr(&r));
    atomic_store(&r.ready, 1);
    a = value_of(vow_ref(r.f[0]));
    b = value_of(vow_ref(r.f[1]));
    assert_int_equal(a < b ? a : b, VOW_E_DEADLOCK);
    assert_int_equal(a < b ? b : a, VOW_E_DEADLOCK + 1);
    vow_unref(r.f[0]);
    vow_unref(r.f[1]);
    fibers_free(on);
}

enum { CROWD = 1100 };

/* More than there are chains in which it is looked up who runs what: in some there are two,
 * and the newer one leaves first. ThreadSanitizer has a megabyte for each. */
VOW_CASE(of_a_crowd_the_last_to_wait_goes_on_first)
{
    vow_executor *on = fibers_new();
    const int crowd = UNDER_TSAN ? CROWD / 10 : CROWD;
    struct ring r = {.at = 0};
    struct answer *answers = calloc(CROWD, sizeof *answers);
    vow_future **f = calloc(CROWD, sizeof(vow_future *));

    assert_non_null(answers);
    assert_non_null(f);
    for (int i = 0; i < crowd; i++) {
        answers[i] = answer_new();
        f[i] = vow_submit(on, get_and_add, ref_of(answers[i].f));
    }
    let_begin(on);
    r.f[0] = vow_submit(on, wait_in_ring, vow_ptr(&r));
    atomic_store(&r.ready, 1);
    assert_int_equal(value_of(r.f[0]), VOW_E_DEADLOCK);
    for (int i = crowd; i-- > 0;) {
        answer_end(&answers[i], i);
        assert_int_equal(value_of(f[i]), i + 1);
    }
    free(answers);
    free(f);
    fibers_free(on);
}

/* ---- its end ----------------------------------------------------------------------------------------- */

VOW_CASE(drain_waits_for_those_that_wait)
{
    vow_executor *on = fibers_new();
    struct answer a = answer_new();
    vow_future *f = vow_submit(on, get_and_add, ref_of(a.f)), *closed;

    let_begin(on);
    closed = vow_executor_close(on, VOW_DRAIN);
    assert_int_equal(value_of(vow_submit(on, give_seven, VOW_NIL)), -VOW_E_CLOSED);
    assert_false(vow_wait(closed, vow_ms(1))); /* while it waits it does not settle */
    answer_end(&a, 1);
    assert_int_equal(value_of(closed), 0);
    assert_int_equal(value_of(f), 2);
    assert_int_equal(vow_executor_join(on), 0);
    assert_int_equal(vow_executor_join(on), 0);
    vow_executor_unref(on);
}

VOW_CASE(cancelling_ends_what_is_queued_and_not_what_has_begun)
{
    vow_executor *on = fibers_new();
    struct answer a = answer_new();
    struct gate b = {0};
    struct drop ctx = {0};
    vow_future *waits = vow_submit(on, get_and_add, ref_of(a.f));
    vow_future *holds = vow_submit(on, wait_at_gate, vow_ptr(&b)), *queued[2], *closed;

    await_flag(&b.entered, 1);
    for (int i = 0; i < 2; i++)
        queued[i] = vow_submit(on, give_seven, drop_value(&ctx));
    closed = vow_executor_close(on, VOW_CANCEL_QUEUED);
    assert_int_equal(drop_count(&ctx), 2);
    assert_int_equal(value_of(vow_submit(on, give_seven, VOW_NIL)), -VOW_E_CLOSED);
    for (int i = 0; i < 2; i++)
        assert_int_equal(value_of(queued[i]), -VOW_E_CLOSED);
    atomic_store(&b.open, 1);
    answer_end(&a, 1);
    assert_int_equal(value_of(closed), 0);
    assert_int_equal(value_of(waits), 2);
    assert_int_equal(value_of(holds), 0);
    assert_int_equal(vow_executor_join(on), 0);
    vow_executor_unref(on);
}

static void
exit_here(vow_task *task, int why)
{
    (void)task;
    (void)why;
    pthread_exit(NULL);
}

/* Without the future of vow_executor_close, which would go with the thread. */
static void *
cancel(void *executor)
{
    vow_executor *on = executor;

    on->ops->close(on, VOW_CANCEL_QUEUED);
    return NULL;
}

VOW_CASE(close_whose_thread_ends_ends_all_that_is_queued)
{
    vow_executor *on = fibers_new();
    struct gate b = {0};
    struct drop ctx = {0};
    vow_future *holds = vow_submit(on, wait_at_gate, vow_ptr(&b)), *queued;
    vow_task exits = {.run = exit_here};
    pthread_t thread;

    await_flag(&b.entered, 1);
    assert_int_equal(vow_post_task(on, &exits), 0);
    queued = vow_submit(on, give_seven, drop_value(&ctx));
    assert_int_equal(pthread_create(&thread, NULL, cancel, on), 0);
    pthread_join(thread, NULL);
    assert_int_equal(drop_count(&ctx), 1);
    assert_int_equal(value_of(queued), -VOW_E_CLOSED);
    atomic_store(&b.open, 1);
    assert_int_equal(value_of(holds), 0);
    fibers_free(on);
}

/* While it drains, what its own tasks post is taken, and steps. */
static vow_result
wait_and_submit(void *f)
{
    vow_future *inner;
    int64_t value;

    vow_get(f);
    inner = vow_submit(vow_executor_current(), give_seven, VOW_NIL);
    value = value_of(inner);
    return vow_ok(vow_i64(value));
}

VOW_CASE(draining_takes_steps_and_what_its_tasks_post)
{
    vow_executor *on = fibers_new();
    struct answer a = answer_new();
    vow_future *f = vow_submit(on, wait_and_submit, ref_of(a.f));
    vow_future *step = vow_then(vow_ref(f), on, add_one, VOW_NIL);

    let_begin(on);
    vow_unref(vow_executor_close(on, VOW_DRAIN));
    answer_end(&a, 1);
    assert_int_equal(value_of(f), 7);
    assert_int_equal(value_of(step), 8);
    assert_int_equal(vow_executor_join(on), 0);
    vow_executor_unref(on);
}

static void
unref_executor(void *on)
{
    vow_executor_unref(on);
}

VOW_CASE(last_reference_may_go_in_a_task)
{
    size_t before = counting_live();

    for (int i = 0; i < 20; i++) {
        vow_executor *on = fibers_new();

        assert_int_equal(vow_post(on, unref_executor, vow_ptr(on)), 0);
    }
    while (counting_live() != before) /* the threads end on their own */
        sched_yield();
}

static vow_result
join_own(void *on)
{
    return vow_ok(vow_i64(vow_executor_join(on)));
}

static vow_result
get_close(void *on)
{
    vow_future *closed = vow_executor_close(on, VOW_DRAIN);
    int code = code_of(closed);

    vow_unref(closed);
    return vow_ok(vow_i64(code));
}

VOW_CASE(its_own_end_cannot_be_waited_for)
{
    vow_executor *on = fibers_new();
    vow_future *f = vow_submit(on, get_close, vow_ptr(on));
    vow_future *g;

    assert_int_equal(value_of(f), VOW_E_DEADLOCK);
    assert_int_equal(vow_executor_join(on), 0);
    vow_executor_unref(on);
    on = fibers_new();
    vow_unref(vow_submit(on, give_seven, VOW_NIL));
    g = vow_submit(on, join_own, vow_ptr(on));
    assert_int_equal(value_of(g), VOW_E_INVALID); /* not closed yet */
    fibers_free(on);
}

/* Whoever only says so is none of its threads. */
VOW_CASE(thread_of_another_cannot_wait_as_one_of_its_own)
{
    vow_executor *on = fibers_new();
    struct answer a = answer_new();
    vow_executor *before = vow_executor_enter(on);

    assert_int_equal(code_of(a.f), VOW_E_DEADLOCK);
    assert_false(vow_fiber_yield());
    vow_executor_enter(before);
    answer_end(&a, 1);
    fibers_free(on);
}

VOW_CASE(many_are_posted_at_once)
{
    vow_executor *on = fibers_new();
    vow_value ctxs[3] = {VOW_NIL, VOW_NIL, VOW_NIL};
    vow_future *f[3];

    assert_int_equal(vow_submit_many(on, give_seven, ctxs, 3, f), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(value_of(f[i]), 7);
    assert_int_equal(on->ops->post_many(on, NULL, 0), 0);
    assert_false(on->ops->is_current(on));
    fibers_free(on);
}

/* ---- looked at ------------------------------------------------------------------------------------------ */

VOW_CASE(dump_says_who_waits_and_what_is_queued)
{
    vow_executor *on = fibers_new();
    vow_promise *p = vow_promise_new_with(&VOW_PROMISE_OPTIONS(.name = "the answer"));
    vow_future *answer = vow_promise_future(p);
    struct gate b = {0};
    vow_future *f[3];
    char text[4096] = "";
    FILE *out = fmemopen(text, sizeof text, "w");

    f[0] = vow_submit_with(on, &VOW_SUBMIT_OPTIONS(.name = "the patient one"),
                           get_and_add, ref_of(answer));
    f[1] = vow_submit(on, wait_at_gate, vow_ptr(&b));
    await_flag(&b.entered, 1);
    f[2] = vow_submit_with(on, &VOW_SUBMIT_OPTIONS(.name = "the next one"), give_seven,
                           VOW_NIL);
    assert_int_equal(vow_executor_dump(on, out), 0);
    fclose(out);
    assert_non_null(strstr(text, "executor fibers"));
    assert_non_null(strstr(text, "running: the patient one; it waits for: the answer"));
    assert_non_null(strstr(text, "queued: the next one"));
    atomic_store(&b.open, 1);
    vow_promise_fulfill(p, vow_i64(1));
    vow_promise_unref(p);
    vow_unref(answer);
    for (int i = 0; i < 3; i++)
        vow_unref(f[i]);
    fibers_free(on);
}

/* ---- what cannot be had ------------------------------------------------------------------------------------ */

VOW_CASE(task_waits_to_begin_until_a_stack_can_be_had)
{
    vow_executor *on = fibers_new();
    struct answer a = answer_new();
    vow_future *waits, *begins;

    atomic_store(&no_memory, 2);
    waits = vow_submit(on, get_and_add, ref_of(a.f));
    begins = vow_submit(on, give_seven, VOW_NIL);
    assert_int_equal(value_of(begins), 7); /* it was asked for again */
    answer_end(&a, 1);
    assert_int_equal(value_of(waits), 2);
    fibers_free(on);
}

VOW_CASE(lone_task_waits_without_another_stack)
{
    vow_executor *on = fibers_new();
    struct answer a = answer_new();
    vow_future *waits;

    atomic_store(&no_memory, 1);
    atomic_store(&no_guard, 1000);
    waits = vow_submit(on, get_and_add, ref_of(a.f));
    while (atomic_load(&no_memory) != 0)
        sched_yield();
    answer_end(&a, 1);
    assert_int_equal(value_of(waits), 2);
    atomic_store(&no_guard, 0);
    fibers_free(on);
}

VOW_CASE(stack_without_a_guard_is_none)
{
    vow_executor *on = fibers_new();
    struct answer a = answer_new();
    vow_future *waits;

    atomic_store(&no_guard, 1);
    waits = vow_submit(on, get_and_add, ref_of(a.f));
    while (atomic_load(&no_guard) != 0)
        sched_yield();
    let_begin(on);
    answer_end(&a, 1);
    assert_int_equal(value_of(waits), 2);
    fibers_free(on);
}

VOW_CASE(no_more_begin_than_asked_for)
{
    vow_executor *on = vow_fibers_new(&VOW_FIBERS_OPTIONS(.most = 2, .name = "two"));
    struct answer a = answer_new();
    struct gate b = {.open = 1};
    vow_future *f[3];

    f[0] = vow_submit(on, get_and_add, ref_of(a.f));
    f[1] = vow_submit(on, get_and_add, ref_of(a.f));
    f[2] = vow_submit(on, wait_at_gate, vow_ptr(&b));
    assert_false(vow_wait(f[2], vow_ms(20)));
    assert_int_equal(atomic_load(&b.entered), 0);
    answer_end(&a, 1);
    assert_int_equal(value_of(f[0]), 2);
    assert_int_equal(value_of(f[1]), 2);
    assert_int_equal(value_of(f[2]), 0);
    fibers_free(on);
}

/* Waits, and leaves behind what cannot begin. */
struct last_to_begin {
    vow_future *waits_for, *left;
    atomic_int begun;
};

static vow_result
submit_and_get(void *last)
{
    struct last_to_begin *l = last;

    l->left = vow_submit(vow_executor_current(), give_seven, VOW_NIL);
    atomic_store(&sleeps, 0);
    atomic_store(&sleeps_with_an_end, 0);
    set(&l->begun);
    return get_and_add(l->waits_for);
}

VOW_CASE(thread_whose_stacks_all_wait_sleeps_until_it_is_woken)
{
    vow_executor *on = vow_fibers_new(&VOW_FIBERS_OPTIONS(.most = 1, .name = "one"));
    struct answer a = answer_new();
    struct last_to_begin last = {.waits_for = vow_ref(a.f)};
    vow_future *waits = vow_submit(on, submit_and_get, vow_ptr(&last));

    while (!atomic_load(&last.begun) ||
           atomic_load(&sleeps) + atomic_load(&sleeps_with_an_end) == 0)
        sched_yield();
    assert_int_equal(atomic_load(&sleeps_with_an_end), 0);
    answer_end(&a, 1);
    assert_int_equal(value_of(waits), 2);
    assert_int_equal(value_of(last.left), 7);
    vow_unref(last.waits_for);
    fibers_free(on);
}

static vow_result
get_own_submit(void *ctx)
{
    vow_future *f = vow_submit(vow_executor_current(), give_seven, VOW_NIL);
    int64_t value = value_of(f);

    (void)ctx;
    return vow_ok(vow_i64(value));
}

VOW_CASE(wait_for_what_can_never_begin_is_told)
{
    vow_executor *on = vow_fibers_new(&VOW_FIBERS_OPTIONS(.most = 1));

    assert_int_equal(value_of(vow_submit(on, get_own_submit, VOW_NIL)), -VOW_E_DEADLOCK);
    fibers_free(on);
}

static vow_result
set_and_get_own_submit(void *flag)
{
    set(flag);
    return get_own_submit(NULL);
}

/* The other one has its turn when this waits, and leaves its stack. */
VOW_CASE(who_yields_may_leave_a_stack_to_what_is_waited_for)
{
    vow_executor *on = vow_fibers_new(&VOW_FIBERS_OPTIONS(.most = 2));
    atomic_int flag = 0;
    vow_future *yields = vow_submit(on, yield_until_set, vow_ptr(&flag));

    assert_int_equal(value_of(vow_submit(on, set_and_get_own_submit, vow_ptr(&flag))), 7);
    assert_int_equal(value_of(yields), 1);
    fibers_free(on);
}

VOW_CASE(without_a_thread_there_is_no_executor)
{
    no_thread = EAGAIN;
    errno = 0;
    assert_null(vow_fibers_new(NULL));
    assert_int_equal(errno, EAGAIN);
    no_thread = 0;
    shadowed = true;
    assert_null(vow_fibers_new(NULL));
    assert_int_equal(errno, ENOTSUP);
    shadowed = false;
    atomic_store(&no_memory, 1);
    assert_null(vow_fibers_new(NULL));
    assert_int_equal(errno, ENOMEM);
    for (int i = 1; i <= 2; i++) {
        atomic_store(&no_mutex, i);
        assert_null(vow_fibers_new(NULL));
        assert_int_equal(errno, ENOMEM);
    }
    counting_each_failure(k, COUNTING_ONCE)
    {
        vow_executor *on = vow_fibers_new(NULL);

        if (on != NULL)
            fibers_free(on);
        else
            assert_int_equal(errno, ENOMEM);
    }
}

VOW_CASE(options_are_checked)
{
    vow_executor *on;

    assert_null(vow_fibers_new(&VOW_FIBERS_OPTIONS(.stack_size = 100)));
    assert_int_equal(errno, EINVAL);
    assert_null(vow_fibers_new(&VOW_FIBERS_OPTIONS(.stack_size = SIZE_MAX)));
    assert_int_equal(errno, EINVAL);
    on = vow_fibers_new(&VOW_FIBERS_OPTIONS(.stack_size = (size_t)1 << 20));
    let_begin(on);
    fibers_free(on);
}

/* ---- threads and processes that end ------------------------------------------------------------------------ */

static vow_result
exit_thread(void *ctx)
{
    (void)ctx;
    pthread_exit(NULL);
}

static void
exit_in_fiber(void *waits_before)
{
    vow_executor *on = vow_fibers_new(NULL);
    struct answer a = answer_new();

    if (waits_before != NULL)
        vow_ignore(vow_submit(on, get_and_add, ref_of(a.f)));
    vow_get(vow_submit(on, exit_thread, VOW_NIL));
    vow_executor_join(on);
    for (;;)
        pause();
}

VOW_CASE(task_that_ends_the_thread_ends_the_process)
{
    int waits = 1;

    if (UNDER_TSAN)
        skip(); /* it knows of no thread that exits on a stack of its own */
    assert_true(death_is_of(exit_in_fiber, NULL, "a task ended the thread"));
    assert_true(death_is_of(exit_in_fiber, &waits, "a task ended the thread"));
}

VOW_CASE(child_has_none_of_the_parents_fibers)
{
    vow_executor *on = fibers_new();
    struct answer a = answer_new();
    vow_future *f = vow_submit(on, get_and_add, ref_of(a.f));
    pid_t child;

    let_begin(on);
    if (in_child(&child)) {
        vow_future *g;

        require(vow_executor_revive(on) == VOW_E_INVALID);
        require(vow_wait(f, 0));              /* nothing will come of it */
        vow_promise_fulfill(a.p, vow_i64(3)); /* the fiber hangs there still */
        require(vow_get(a.f).value.as.i64 == 3);
        if (!UNDER_TSAN) {
            vow_executor *own = vow_fibers_new(NULL);

            g = vow_submit(own, get_and_add, ref_of(a.f));
            require(vow_get(g).value.as.i64 == 4);
        }
        leave(0);
    }
    assert_child_was_fine(child);
    answer_end(&a, 1);
    assert_int_equal(value_of(f), 2);
    fibers_free(on);
}

/* A task forks while another one waits; the child's ends its thread when it returns. */
struct forker {
    vow_future *f;
    pid_t child;
    bool exits;
};

static vow_result
fork_here(void *forker)
{
    struct forker *k = forker;

    k->child = fork_counted();
    if (k->child == 0) {
        alarm(PATIENCE);
        require(vow_executor_current() == NULL);
        require(!vow_fiber_yield());
        require(!vow_wait(k->f, vow_ms(1)));
        if (k->exits)
            pthread_exit(NULL);
    }
    return vow_ok(VOW_NIL);
}

VOW_CASE(task_may_fork)
{
    vow_executor *on = fibers_new();
    struct answer a = answer_new();
    struct forker k = {.f = a.f};

    if (UNDER_TSAN) { /* which looks away in a child, but only on the stack that forked */
        answer_end(&a, 1);
        fibers_free(on);
        skip();
    }
    for (int i = 0; i < 2; i++) { /* on the first stack, and on another one */
        vow_future *f, *g;

        k.exits = i == 1;
        f = vow_submit(on, fork_here, vow_ptr(&k));
        assert_int_equal(value_of(f), 0);
        assert_child_was_fine(k.child);
        g = vow_submit(on, get_and_add, ref_of(a.f));
        let_begin(on);
        vow_ignore(g);
    }
    answer_end(&a, 1);
    fibers_free(on);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(task_that_waits_lets_others_begin),
        vow_test(lone_task_is_woken_on_its_stack),
        vow_test(many_wait_at_once_and_all_go_on),
        vow_test(tasks_that_do_not_wait_share_a_stack),
        vow_test(stacks_are_used_again),
        vow_test(memory_of_a_stack_is_clean_for_who_maps_it_next),
#ifdef UNDER_ASAN
        vow_test(what_only_a_stack_points_to_has_not_leaked),
        vow_test(frames_that_are_kept_apart_go_with_their_stack),
#endif
        vow_test(no_more_stacks_are_kept_than_asked_for),
        vow_test(task_gets_what_it_submits_to_its_own_executor),
        vow_test(one_fiber_wakes_another),
        vow_test(wait_ends_at_its_deadline),
        vow_test(wait_with_a_deadline_is_woken_before_it),
        vow_test(deadline_and_answer_may_come_at_once),
        vow_test(deadline_comes_while_others_yield),
        vow_test(fibers_that_yield_take_turns),
        vow_test(yield_alone_returns_and_elsewhere_does_nothing),
        vow_test(who_yields_lets_others_begin),
        vow_test(task_that_wants_another_turn_gets_it),
        vow_test(modes_of_floating_point_are_of_the_stack),
        vow_test(exceptions_are_of_the_stack),
        vow_test(each_fiber_has_its_own_token),
        vow_test(removal_waits_for_a_callback_on_another_fiber),
        vow_test(task_may_run_a_loop),
        vow_test(what_is_given_back_between_two_tasks_may_wake_one),
        vow_test(what_is_given_back_between_two_tasks_may_wait),
        vow_test(task_that_waits_for_itself_is_told),
        vow_test(of_two_that_wait_for_each_other_one_is_told),
        vow_test(of_a_crowd_the_last_to_wait_goes_on_first),
        vow_test(drain_waits_for_those_that_wait),
        vow_test(cancelling_ends_what_is_queued_and_not_what_has_begun),
        vow_test(close_whose_thread_ends_ends_all_that_is_queued),
        vow_test(draining_takes_steps_and_what_its_tasks_post),
        vow_test(last_reference_may_go_in_a_task),
        vow_test(its_own_end_cannot_be_waited_for),
        vow_test(thread_of_another_cannot_wait_as_one_of_its_own),
        vow_test(many_are_posted_at_once),
        vow_test(dump_says_who_waits_and_what_is_queued),
        vow_test(task_waits_to_begin_until_a_stack_can_be_had),
        vow_test(lone_task_waits_without_another_stack),
        vow_test(stack_without_a_guard_is_none),
        vow_test(no_more_begin_than_asked_for),
        vow_test(thread_whose_stacks_all_wait_sleeps_until_it_is_woken),
        vow_test(wait_for_what_can_never_begin_is_told),
        vow_test(who_yields_may_leave_a_stack_to_what_is_waited_for),
        vow_test(without_a_thread_there_is_no_executor),
        vow_test(options_are_checked),
        vow_test(task_that_ends_the_thread_ends_the_process),
        vow_test(child_has_none_of_the_parents_fibers),
        vow_test(task_may_fork),
    };

    parent = getpid();
    return vow_test_run(cases);
}
