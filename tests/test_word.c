/* SPDX-License-Identifier: MIT */
/*
 * The word of a state from inside: who holds its lock bit keeps others waiting, nodes
 * come off at any place of the list, and counts that no program reaches saturate.
 */
#include "support/vow_test.h"

#include "core/refs.h"
#include "core/word.h"
#include "support/drops.h"
#include "sync/spin.h"

static struct vow_state *
state_of(vow_future *f)
{
    return vowi_state(f);
}

static vow_result
add_one(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(in.as.i64 + 1));
}

/* ---- the lock bit ----------------------------------------------------------------------- */

struct rival {
    vow_promise *promise;
    vow_future *future;
    atomic_int begun;
    atomic_int done;
};

static void *
ask_for_the_name(void *arg)
{
    struct rival *r = arg;

    atomic_store(&r->begun, 1);
    assert_null(vow_future_name(r->future));
    atomic_store(&r->done, 1);
    return NULL;
}

static void *
fulfill(void *arg)
{
    struct rival *r = arg;

    atomic_store(&r->begun, 1);
    vow_promise_fulfill(r->promise, vow_i64(5));
    atomic_store(&r->done, 1);
    return NULL;
}

/* Another thread wants what is locked here: it waits, however long that takes. */
static void
hold_against(void *(*run)(void *))
{
    struct rival r = {.promise = vow_promise_new()};
    pthread_t thread;

    r.future = vow_promise_future(r.promise);
    vowi_lock_word(state_of(r.future));
    assert_int_equal(pthread_create(&thread, NULL, run, &r), 0);
    await_flag(&r.begun, 1);
    for (int i = 0; i < 2000; i++)
        sched_yield();
    assert_int_equal(atomic_load(&r.done), 0);
    vowi_unlock_word(state_of(r.future));
    pthread_join(thread, NULL);

    assert_int_equal(atomic_load(&r.done), 1);
    vow_promise_unref(r.promise);
    vow_ignore(r.future);
}

struct contender {
    struct vowi_spin lock;
    atomic_int begun, done;
};

static void *
acquire_spin(void *arg)
{
    struct contender *c = arg;

    atomic_store(&c->begun, 1);
    vowi_spin_acquire(&c->lock);
    atomic_store(&c->done, 1);
    vowi_spin_release(&c->lock);
    return NULL;
}

VOW_CASE(spin_lock_keeps_another_thread_waiting)
{
    struct contender c = {.begun = 0};
    pthread_t thread;

    vowi_spin_acquire(&c.lock);
    assert_int_equal(pthread_create(&thread, NULL, acquire_spin, &c), 0);
    await_flag(&c.begun, 1);
    for (int i = 0; i < 2000; i++)
        sched_yield();
    assert_int_equal(atomic_load(&c.done), 0);
    vowi_spin_release(&c.lock);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&c.done), 1);
}

VOW_CASE(lock_bit_keeps_another_lock_waiting)
{
    hold_against(ask_for_the_name);
}

VOW_CASE(lock_bit_keeps_a_settle_waiting)
{
    hold_against(fulfill);
}

/* ---- the list ------------------------------------------------------------------------------ */

/* A future that steps hang on, and a promise that follows it in between. */
struct list {
    vow_promise *source;
    vow_future *root;
    vow_future *before; /* a step attached before the promise followed */
    vow_future *after[2];
    vow_promise *follower;
    vow_future *followed;
};

static struct list
list_new(void)
{
    struct list l = {.source = vow_promise_new(), .follower = vow_promise_new()};

    l.root = vow_promise_future(l.source);
    l.followed = vow_promise_future(l.follower);
    l.before = vow_then(vow_ref(l.root), NULL, add_one, VOW_NIL);
    vow_promise_resolve(l.follower, vow_follow(vow_ref(l.root)));
    for (int i = 0; i < 2; i++)
        l.after[i] = vow_then(vow_ref(l.root), NULL, add_one, VOW_NIL);
    return l;
}

static void
list_settle(struct list *l)
{
    vow_promise_unref(l->follower);
    vow_promise_fulfill(l->source, vow_i64(1));
    vow_promise_unref(l->source);
    vow_unref(l->root);
}

static void
assert_value(vow_future *f, int64_t expected)
{
    assert_int_equal(vow_peek(f).value.as.i64, expected);
    vow_unref(f);
}

VOW_CASE(nodes_come_off_around_a_follower)
{
    struct list l = list_new();

    vow_future_cancel(l.before, NULL);
    vow_future_cancel(l.after[0], NULL);
    list_settle(&l);

    assert_int_equal(code_of(l.before), VOW_E_CANCELLED);
    assert_int_equal(code_of(l.after[0]), VOW_E_CANCELLED);
    vow_unref(l.before);
    vow_unref(l.after[0]);
    assert_value(l.after[1], 2);
    assert_value(l.followed, 1);
}

/* Its last promise goes: it is taken off, nobody follows it, it hangs there again. */
VOW_CASE(follower_comes_off_between_steps)
{
    struct list l = list_new();

    list_settle(&l);

    assert_value(l.before, 2);
    assert_value(l.after[0], 2);
    assert_value(l.after[1], 2);
    assert_value(l.followed, 1);
}

VOW_CASE(node_that_is_not_there_is_not_taken_off)
{
    struct vowi_node stranger = {.next = NULL};
    struct list l = list_new();

    assert_false(vowi_detach_if_there(state_of(l.root), &stranger));
    list_settle(&l);
    assert_value(l.before, 2);
    assert_value(l.after[0], 2);
    assert_value(l.after[1], 2);
    assert_value(l.followed, 1);
}

VOW_CASE(node_does_not_come_off_what_has_settled)
{
    struct vowi_node stranger = {.next = NULL};
    vow_future *f = vow_resolved(VOW_NIL);

    assert_false(vowi_attach(state_of(f), &stranger));
    assert_false(vowi_detach_node(state_of(f), &stranger));
    assert_false(vowi_detach_if_there(state_of(f), &stranger));
    vow_unref(f);
}

/* ---- counts --------------------------------------------------------------------------------- */

static void
preset(struct vow_state *s, uint64_t count)
{
    vowi_add_relaxed(&s->refs, count);
}

static uint64_t
count_of(struct vow_state *s)
{
    return vowi_load_relaxed(&s->refs) & VOWI_COUNTS;
}

enum { VISITORS = 40 };

/* Holds are few: past a number of visits consumers are counted. */
VOW_CASE(visits_beyond_the_holds_are_counted_otherwise)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    struct vow_state *s = state_of(f);
    struct vowi_visit visits[VISITORS];
    uint64_t before = count_of(s);

    for (int i = 0; i < VISITORS; i++) {
        visits[i] = vowi_visit_begin(s);
        assert_ptr_equal(visits[i].state, s);
    }
    assert_int_equal(visits[0].by, VOWI_HOLD);
    assert_int_equal(visits[VISITORS - 1].by, VOWI_CONSUMER);
    assert_true(vowi_load_relaxed(&s->refs) & VOWI_HOLDS);
    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_unref(p);
    vow_unref(f);
    for (int i = VISITORS; i-- > 1;)
        vowi_visit_end(vowi_self(), visits[i]);
    assert_true((before & VOWI_HOLDS) == 0);
    vowi_visit_end(vowi_self(), visits[0]); /* frees it */
    vowi_visit_end(vowi_self(), (struct vowi_visit){NULL, 0});
}

VOW_CASE(lock_bit_that_is_taken_over_is_one_whatever_hangs_there)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    assert_int_equal(vowi_take_over_word(state_of(f)), 0);
    vowi_unlock_word(state_of(f));
    vow_promise_fulfill(p, VOW_NIL);
    assert_true(vowi_take_over_word(state_of(f)) & VOWI_SETTLED);
    vowi_unlock_word(state_of(f));
    vow_unref(f);
    vow_promise_unref(p);
}

VOW_CASE(futures_beyond_counting_are_not_counted_and_never_freed)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    struct vow_state *s = state_of(f);
    uint64_t many;

    preset(s, VOWI_CONSUMERS_MANY);
    many = count_of(s);
    assert_ptr_equal(vow_ref(f), f);
    assert_ptr_equal(vow_promise_future(p), f);
    for (int i = 0; i < 5; i++)
        vow_unref(f);
    assert_int_equal(count_of(s), many);

    vowi_sub_relaxed(&s->refs, VOWI_CONSUMERS_MANY);
    vow_promise_unref(p);
    vow_ignore(f);
}

VOW_CASE(promises_beyond_counting_are_not_counted_and_never_break)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    struct vow_state *s = state_of(f);
    uint64_t many;

    preset(s, VOWI_PROMISES_MANY);
    many = count_of(s);
    assert_ptr_equal(vow_promise_ref(p), p);
    for (int i = 0; i < 5; i++)
        vow_promise_unref(p);
    assert_int_equal(count_of(s), many);
    assert_int_equal(vow_future_status(f), VOW_PENDING);

    vowi_sub_relaxed(&s->refs, VOWI_PROMISES_MANY);
    vow_promise_unref(p);
    vow_ignore(f);
}

/* ---- freeing ---------------------------------------------------------------------------------- */

struct owner {
    vow_future *owned[2];
    struct journal *journal;
};

static void
drop_owner(void *arg)
{
    struct owner *o = arg;

    for (int i = 0; i < 2; i++)
        vow_unref(o->owned[i]);
    journal_add(o->journal, 'o');
}

/* A drop that lets go of two others: they are freed after it, not inside it. */
VOW_CASE(values_freed_by_a_drop_are_dropped_after_it)
{
    struct journal j = {0};
    struct drop a = {.journal = &j, .mark = 'a'};
    struct drop b = {.journal = &j, .mark = 'b'};
    struct owner o = {{vow_resolved(drop_value(&a)), vow_resolved(drop_value(&b))}, &j};

    vow_unref(vow_resolved(vow_own(&o, drop_owner)));

    assert_int_equal(j.text[0], 'o');
    assert_int_equal(drop_count(&a), 1);
    assert_int_equal(drop_count(&b), 1);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(spin_lock_keeps_another_thread_waiting),
        vow_test(lock_bit_keeps_another_lock_waiting),
        vow_test(lock_bit_keeps_a_settle_waiting),
        vow_test(nodes_come_off_around_a_follower),
        vow_test(follower_comes_off_between_steps),
        vow_test(node_that_is_not_there_is_not_taken_off),
        vow_test(node_does_not_come_off_what_has_settled),
        vow_test(visits_beyond_the_holds_are_counted_otherwise),
        vow_test(lock_bit_that_is_taken_over_is_one_whatever_hangs_there),
        vow_test(futures_beyond_counting_are_not_counted_and_never_freed),
        vow_test(promises_beyond_counting_are_not_counted_and_never_break),
        vow_test(values_freed_by_a_drop_are_dropped_after_it),
    };

    return vow_test_run(cases);
}
