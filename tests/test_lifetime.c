/* SPDX-License-Identifier: MIT */
/*
 * The end of an executor, whatever its kind, whatever it is doing, however it comes: every
 * future settles, nothing runs afterwards, nothing leaks.
 *
 * A table of kinds, a table of what the executor is doing, a table of ends; each triple is
 * a case. A kind is a few lines: how it is made, stepped until it is idle, and let go.
 */
#include "vow_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include <vow/vow.h>

#include "drops.h"

/* ---- kinds ---------------------------------------------------------------------------- */

struct rig {
    const struct kind *kind;
    vow_executor *on;     /* what is closed */
    vow_executor *behind; /* what it runs on; NULL: nothing */
    vow_manual *m;        /* steps it, or what is behind it; NULL: threads do */
    vow_loop *loop;
    vow_executor own;       /* of a user */
    vow_task *first, **end; /* its queue; one thread at a time */
    bool own_closed, own_cancelled, own_finished;
};

struct kind {
    const char *name;
    bool (*make)(struct rig *r);
    void (*step)(struct rig *r); /* runs what is queued; NULL: its threads do */
    void (*drop)(struct rig *r); /* lets go of it */
    void (*free)(struct rig *r); /* what is behind it, after it */
};

static void
nothing_behind(struct rig *r)
{
    (void)r;
}

static bool
make_pool(struct rig *r)
{
    r->on = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 2));
    return r->on != NULL;
}

static bool
make_small_pool(struct rig *r)
{
    r->on = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1, .queue_limit = 100));
    return r->on != NULL;
}

static bool
make_manual(struct rig *r)
{
    r->m = vow_manual_new();
    r->on = vow_manual_executor(r->m);
    return r->m != NULL;
}

static void
step_manual(struct rig *r)
{
    if (r->m != NULL)
        vow_manual_run(r->m);
}

static void
drop_executor(struct rig *r)
{
    vow_executor_unref(r->on);
}

/* Which is let go of by its stepper. */
static void
drop_manual(struct rig *r)
{
    vow_manual_unref(r->m);
    r->m = NULL;
}

static void
free_manual(struct rig *r)
{
    vow_manual_unref(r->m);
}

static bool
make_loop(struct rig *r)
{
    r->loop = vow_loop_new(NULL);
    r->on = vow_loop_executor(r->loop);
    return r->loop != NULL;
}

static void
step_loop(struct rig *r)
{
    for (int turns = 0; r->loop != NULL && turns < 4; turns++)
        vow_loop_run_once(r->loop, 0);
}

static void
drop_loop(struct rig *r)
{
    vow_loop_unref(r->loop);
    r->loop = NULL;
}

static bool
make_serial_on_pool(struct rig *r)
{
    r->behind = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 2));
    r->on = vow_serial_new(r->behind);
    return r->behind != NULL && r->on != NULL;
}

static void
free_pool_behind(struct rig *r)
{
    vow_unref(vow_executor_close(r->behind, VOW_DRAIN));
    assert_int_equal(vow_executor_join(r->behind), 0);
    vow_executor_unref(r->behind);
}

static bool
make_serial_on_manual(struct rig *r)
{
    r->m = vow_manual_new();
    r->on = vow_serial_new(vow_manual_executor(r->m));
    return r->m != NULL && r->on != NULL;
}

static bool
make_serial_inline(struct rig *r)
{
    r->on = vow_serial_new(NULL);
    return r->on != NULL;
}

/* A user's own: a queue, stepped by hand. */

static struct rig *
rig_of(vow_executor *self)
{
    return (struct rig *)(void *)((char *)self - offsetof(struct rig, own));
}

static int
own_post(vow_executor *self, vow_task *task)
{
    struct rig *r = rig_of(self);
    bool admitted = (task->flags & VOW_TASK_STEP) || vow_executor_current() == self;

    if (r->own_cancelled || (r->own_closed && !admitted))
        return VOW_E_CLOSED;
    task->next = NULL;
    *r->end = task;
    r->end = &task->next;
    return 0;
}

static void
step_own(struct rig *r)
{
    vow_executor *before = vow_executor_enter(&r->own);
    vow_task *task;

    while ((task = r->first) != NULL) {
        r->first = task->next;
        if (r->first == NULL)
            r->end = &r->first;
        task->run(task, r->own_cancelled ? VOW_E_CLOSED : 0);
    }
    vow_executor_enter(before);
    if (r->own_closed && !r->own_finished && vow_executor_current() != &r->own) {
        r->own_cancelled = true;
        r->own_finished = true;
        vow_executor_finished(&r->own);
    }
}

static void
own_close(vow_executor *self, vow_close_mode mode)
{
    struct rig *r = rig_of(self);

    r->own_closed = true;
    r->own_cancelled = r->own_cancelled || mode == VOW_CANCEL_QUEUED;
    if (vow_executor_current() != self && (r->first == NULL || r->own_cancelled))
        step_own(r);
}

static bool
own_is_current(vow_executor *self)
{
    return vow_executor_current() == self;
}

static const vow_executor_ops own_ops = {.size = sizeof(vow_executor_ops),
                                         .name = "own",
                                         .post = own_post,
                                         .is_current = own_is_current,
                                         .close = own_close};

static bool
make_own(struct rig *r)
{
    r->end = &r->first;
    r->on = &r->own;
    return vow_executor_init(&r->own, &own_ops) == 0;
}

static const struct kind kinds[] = {
    {"pool", make_pool, NULL, drop_executor, nothing_behind},
    {"a pool of one with a limit", make_small_pool, NULL, drop_executor, nothing_behind},
    {"manual", make_manual, step_manual, drop_manual, nothing_behind},
    {"loop", make_loop, step_loop, drop_loop, nothing_behind},
    {"serial on a pool", make_serial_on_pool, NULL, drop_executor, free_pool_behind},
    {"serial on manual", make_serial_on_manual, step_manual, drop_executor, free_manual},
    {"serial inline", make_serial_inline, NULL, drop_executor, nothing_behind},
    {"a user's own", make_own, step_own, drop_executor, nothing_behind},
};

/* ---- what it is doing ----------------------------------------------------------------------- */

enum { WORK = 4 };

struct work {
    struct rig *rig;
    struct drop ctx[WORK];
    vow_future *f[WORK];
    vow_promise *source; /* what a step waits for, and settles late */
    vow_timer timer;
    atomic_int timer_ran; /* 1 + why */
    bool armed;
    atomic_int entered, open; /* of a task that is running as it closes */
    bool ran_in[WORK];
};

static vow_result
work_once(void *ctx)
{
    drop_ran(ctx);
    return vow_ok(vow_i64(1));
}

static vow_result
work_step(vow_value in, void *ctx)
{
    drop_ran(ctx);
    return vow_ok(in);
}

static void
run_timer(vow_task *task, int why)
{
    struct work *w =
        (struct work *)(void *)((char *)task - offsetof(struct work, timer.task));

    atomic_store(&w->timer_ran, 1 + why);
}

static void
be_idle(struct work *w)
{
    (void)w;
}

static void
have_queued(struct work *w)
{
    for (int i = 0; i < WORK; i++)
        w->f[i] = vow_submit(w->rig->on, work_once, drop_value(&w->ctx[i]));
}

static vow_result
stay_busy(void *work)
{
    struct work *w = work;

    atomic_store(&w->entered, 1);
    await_flag(&w->open, 1);
    return vow_ok(VOW_NIL);
}

/* With threads: one task runs, the others are behind it, or beside. */
static void
be_busy(struct work *w)
{
    if (w->rig->kind->step == NULL && w->rig->m == NULL &&
        w->rig->kind->make != make_serial_inline) {
        w->f[0] = vow_submit(w->rig->on, stay_busy, vow_ptr(w));
        await_flag(&w->entered, 1);
    }
    for (int i = 1; i < WORK; i++)
        w->f[i] = vow_submit(w->rig->on, work_once, drop_value(&w->ctx[i]));
}

static void
have_armed(struct work *w)
{
    w->timer.task.run = run_timer;
    w->armed = vow_timer_arm(w->rig->on, &w->timer, vow_now() + vow_seconds(1000)) == 0;
    assert_true(w->armed);
    w->f[0] = vow_submit_after(w->rig->on, vow_seconds(1000), work_once,
                               drop_value(&w->ctx[0]));
}

/* Steps whose source settles after the end. */
static void
be_watched(struct work *w)
{
    w->source = vow_promise_new();
    for (int i = 0; i < WORK; i++)
        w->f[i] = vow_then(vow_promise_future(w->source), w->rig->on, work_step,
                           drop_value(&w->ctx[i]));
}

static const struct doing {
    const char *name;
    void (*begin)(struct work *w);
} doings[] = {
    {"idle", be_idle},     {"busy", be_busy},       {"queued", have_queued},
    {"armed", have_armed}, {"watched", be_watched},
};

/* ---- how it ends ------------------------------------------------------------------------------- */

struct end {
    const char *name;
    vow_future *(*close)(struct work *w); /* the close future, or NULL */
    bool keeps;                           /* the reference */
};

static vow_future *
drain(struct work *w)
{
    return vow_executor_close(w->rig->on, VOW_DRAIN);
}

static vow_future *
cancel(struct work *w)
{
    return vow_executor_close(w->rig->on, VOW_CANCEL_QUEUED);
}

static vow_future *
drain_twice(struct work *w)
{
    vow_unref(drain(w));
    return drain(w);
}

static vow_future *
escalate(struct work *w)
{
    vow_future *drained = drain(w);
    vow_future *cancelled = cancel(w);

    vow_unref(drained);
    vow_unref(drain(w)); /* weaker: nothing */
    return cancelled;
}

static vow_result
drain_inside(void *work)
{
    struct work *w = work;
    vow_future *closed = drain(w);

    assert_int_equal(vow_executor_current() == NULL ? VOW_E_DEADLOCK
                                                    : vow_executor_join(w->rig->on),
                     VOW_E_DEADLOCK);
    return vow_ok(vow_own(closed, (vow_drop_fn *)vow_unref));
}

static vow_result
cancel_inside(void *work)
{
    return vow_ok(vow_own(cancel(work), (vow_drop_fn *)vow_unref));
}

static vow_future *
inside(struct work *w, vow_task_fn *fn)
{
    vow_future *f = vow_submit(w->rig->on, fn, vow_ptr(w));

    atomic_store(&w->open, 1);
    if (w->rig->kind->step != NULL)
        w->rig->kind->step(w->rig);
    if (vow_get(f).error == NULL) {
        vow_future *closed = vow_ref(vow_get(f).value.as.ptr);

        vow_unref(f);
        return closed;
    }
    vow_unref(f);
    return drain(w);
}

static vow_future *
drain_from_a_task(struct work *w)
{
    return inside(w, drain_inside);
}

static vow_future *
cancel_from_a_task(struct work *w)
{
    return inside(w, cancel_inside);
}

static vow_future *
let_go(struct work *w)
{
    w->rig->kind->drop(w->rig);
    return NULL;
}

static const struct end ends[] = {
    {"drain", drain, true},
    {"cancel", cancel, true},
    {"drain twice", drain_twice, true},
    {"drain, then cancel", escalate, true},
    {"drain from a task", drain_from_a_task, true},
    {"cancel from a task", cancel_from_a_task, true},
    {"the last reference", let_go, false},
};

/* ---- each with each ------------------------------------------------------------------------------ */

static void
step(struct rig *r)
{
    if (r->kind->step != NULL)
        r->kind->step(r);
}

/* It is over: as a deadline says that does not pass, and as join does. */
static void
await_end(struct rig *r, const struct end *e, vow_future *closed)
{
    if (!e->keeps)
        return;
    assert_true(vow_wait(closed, vow_seconds(300)));
    assert_int_equal(code_of(closed), 0);
    assert_int_equal(vow_executor_join(r->on), 0);
    assert_int_equal(vow_post_task(r->on, &(vow_task){.run = NULL}), VOW_E_CLOSED);
}

static void
settle_late(struct work *w)
{
    if (w->source == NULL)
        return;
    vow_promise_fulfill(w->source, vow_i64(1));
    vow_promise_unref(w->source);
}

/* A step that is ready before the executor has ended still runs; whether it has, nobody
 * knows who let go of it. */
static void
check(struct work *w, const struct end *e)
{
    for (int i = 0; i < WORK; i++) {
        bool ran;

        if (w->f[i] == NULL)
            continue;
        assert_true(vow_wait(w->f[i], vow_seconds(300)));
        ran = atomic_load(&w->ctx[i].ran) != 0;
        if (w->entered == 0 || i != 0) {
            assert_int_equal(code_of(w->f[i]), ran ? 0 : VOW_E_CLOSED);
            assert_int_equal(drop_count(&w->ctx[i]), 1);
        }
        if (w->source != NULL && e->keeps)
            assert_false(ran);
        vow_unref(w->f[i]);
    }
    if (w->armed)
        assert_int_equal(atomic_load(&w->timer_ran), 1 + VOW_E_CLOSED);
}

static void
run_case(const struct kind *k, const struct doing *d, const struct end *e)
{
    struct rig rig = {.kind = k};
    struct work w = {.rig = &rig};
    vow_future *closed;

    assert_true(k->make(&rig));
    d->begin(&w);
    closed = e->close(&w);
    atomic_store(&w.open, 1);
    step(&rig);
    await_end(&rig, e, closed);
    settle_late(&w);
    check(&w, e);
    vow_unref(closed);
    if (e->keeps)
        k->drop(&rig);
    k->free(&rig);
}

/* A pool whose last reference went is freed by its last thread. A leak is a test that does
 * not end. */
static void
await_blocks(size_t before)
{
    while (counting_live() > before)
        sched_yield();
}

static void
kind_ends_whatever_it_does(void **state)
{
    const struct kind *k = *state;
    size_t before = counting_live();

    for (size_t d = 0; d < sizeof doings / sizeof *doings; d++) {
        for (size_t e = 0; e < sizeof ends / sizeof *ends; e++) {
            printf("%s, %s: %s\n", k->name, doings[d].name, ends[e].name);
            fflush(stdout);
            run_case(k, &doings[d], &ends[e]);
            await_blocks(before);
        }
    }
}

int
main(void)
{
    struct CMUnitTest cases[sizeof kinds / sizeof *kinds];

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        cases[i] = (struct CMUnitTest){kinds[i].name, kind_ends_whatever_it_does, NULL,
                                       NULL, vow_ptr(&kinds[i]).as.ptr};
    return vow_test_run(cases);
}
