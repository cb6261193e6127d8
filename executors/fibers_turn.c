/* SPDX-License-Identifier: MIT */
/* executors/fibers_turn.c - whose turn it is, and going there. */
#include <string.h>

#include "base/buggify.h"
#include "base/time.h"
#include "base/warn.h"
#include "fibers_internal.h"

#define LOOK_EVERY 64       /* turns until it looks whether a sleep is over */
#define ASK_AGAIN  10000000 /* ns until it asks for a stack again that it could not have */

/* ---- going to another stack ---------------------------------------------------------------- */

/* What of the thread belongs to the stack: kept for one fiber, and put back for another. */
static inline void
change_thread(struct vowi_thread *t, struct vowi_fiber *from, struct vowi_fiber *to)
{
    char *of_stack = (char *)t + VOWI_OF_STACK;

    memcpy(from->kept, of_stack, VOWI_OF_STACK_SIZE);
    memcpy(of_stack, to->kept, VOWI_OF_STACK_SIZE);
    t->fiber = to;
}

static inline void
change_stack(struct vowi_fibers *x, struct vowi_stack *from, struct vowi_stack *to)
{
    x->left = from;
    vowi_stack_switch(from, to);
    vowi_stack_arrived(from, x->left);
}

/* From the one that runs. Returns when it is its turn again. */
static inline void
go_to(struct vowi_fibers *x, struct vowi_fiber *from, struct vowi_fiber *to)
{
    change_thread(x->thread, from, to);
    change_stack(x, &from->stack, &to->stack);
}

/* ---- stacks on which nothing runs ------------------------------------------------------------ */

/* In its executor, and in nothing else. */
static void
fiber_init(struct vowi_fiber *f, struct vowi_fibers *x)
{
    vow_executor *executor = &x->executor;

    f->of = x;
    f->on = &x->executor;
    f->parker.fiber = f;
    f->parker.ready = true;
    memset(f->kept, 0, sizeof f->kept);
    memcpy(&f->kept[offsetof(struct vowi_thread, executor) - VOWI_OF_STACK], &executor,
           sizeof executor);
}

static void
put_away(struct vowi_fibers *x, struct vowi_fiber *f)
{
    f->next = x->idle;
    x->idle = f;
    x->idle_count++;
}

static struct vowi_fiber *
take_idle(struct vowi_fibers *x)
{
    struct vowi_fiber *f = x->idle;

    if (f != NULL) {
        x->idle = f->next;
        x->idle_count--;
    }
    return f;
}

static void
fiber_free(struct vowi_fibers *x, struct vowi_fiber *f)
{
    x->stacks--;
    vowi_stack_free(&f->stack);
}

void
vowi_fibers_free_idle(struct vowi_fibers *x)
{
    struct vowi_fiber *f;

    while ((f = take_idle(x)) != NULL)
        fiber_free(x, f);
}

static void begin(void *stack);

static bool
has_most(const struct vowi_fibers *x)
{
    return x->most != 0 && x->stacks >= x->most;
}

static struct vowi_stack *
stack_new(const struct vowi_fibers *x)
{
    if (has_most(x) || VOWI_BUGGIFY("no stack is to be had"))
        return NULL;
    return vowi_stack_new(x->stack_size, sizeof(struct vowi_fiber),
                          offsetof(struct vowi_fiber, stack), begin);
}

bool
vowi_fibers_has_idle(struct vowi_fibers *x)
{
    struct vowi_stack *stack;
    struct vowi_fiber *f;

    if (x->idle != NULL)
        return true;
    stack = stack_new(x);
    if (stack == NULL)
        return false;
    f = vowi_container_of(stack, struct vowi_fiber, stack);
    fiber_init(f, x);
    x->stacks++;
    put_away(x, f);
    return true;
}

/* ---- whose turn it is ------------------------------------------------------------------------ */

static void
append(struct vowi_fibers *x, struct vowi_fiber *f)
{
    f->next = NULL;
    if (x->first == NULL)
        x->first = f;
    else
        x->last->next = f;
    x->last = f;
}

static struct vowi_fiber *
take_ready(struct vowi_fibers *x)
{
    struct vowi_fiber *f = x->first;

    if (f != NULL)
        x->first = f->next;
    return f;
}

void
vowi_fiber_ready(struct vowi_fiber *f)
{
    f->woken = true;
    if (!f->sleeps)
        return; /* it has not gone to sleep yet, or its time has come as well */
    f->sleeps = false;
    if (f->timed)
        vowi_wheel_remove(&f->of->sleeps, &f->timer);
    f->timed = false;
    append(f->of, f);
}

static void
end_sleeps(struct vowi_fibers *x, vow_ns now)
{
    vow_timer *timer;

    x->turns = 0;
    while ((timer = vowi_wheel_take_due(&x->sleeps, now)) != NULL) {
        struct vowi_fiber *f = vowi_container_of(timer, struct vowi_fiber, timer);

        f->timed = false;
        f->sleeps = false;
        append(x, f);
    }
}

/* Looks at all that may have made one ready. */
static void
look_around(struct vowi_fibers *x)
{
    /* relaxed: it looks under the lock before it sleeps */
    if (vowi_load_relaxed(&x->news))
        (void)vowi_fibers_look(x, false);
    if (vowi_wheel_count(&x->sleeps) != 0 &&
        (x->first == NULL || ++x->turns >= LOOK_EVERY))
        end_sleeps(x, vowi_monotonic_now());
}

/* Whether it is time for one to begin rather than for one to go on. */
static bool
is_time_to_begin(const struct vowi_fibers *x)
{
    return x->queued && (x->first == NULL || !x->began);
}

static struct vowi_fiber *
pick(struct vowi_fibers *x)
{
    look_around(x);
    if (is_time_to_begin(x) && vowi_fibers_has_idle(x))
        return take_idle(x);
    x->began = false;
    return take_ready(x);
}

static void
sleep_a_while(struct vowi_fibers *x)
{
    vow_ns until = vowi_wheel_next(&x->sleeps);

    if (x->queued && !has_most(x)) { /* there was no memory for its stack */
        vow_ns again = vowi_time_add(vowi_monotonic_now(), ASK_AGAIN);

        until = again < until ? again : until;
    }
    vowi_fibers_idle(x, until);
}

/* The one that runs does not go on, unless it is ready and it is its turn. */
static void
leave(struct vowi_fibers *x, struct vowi_fiber *f)
{
    struct vowi_fiber *next;

    while ((next = pick(x)) == NULL)
        sleep_a_while(x);
    if (next != f)
        go_to(x, f, next);
}

/* ---- waiting ------------------------------------------------------------------------------------ */

static void
arm(struct vowi_fiber *f, vow_ns deadline)
{
    f->timer = (vow_timer){.when = deadline};
    f->timed = true;
    vowi_wheel_add(&f->of->sleeps, &f->timer);
}

bool
vowi_fiber_sleep(struct vowi_fiber *f, vow_ns deadline)
{
    bool woken;

    if (!f->woken) {
        f->sleeps = true;
        if (deadline != VOW_FOREVER)
            arm(f, deadline);
        leave(f->of, f);
    }
    woken = f->woken;
    f->woken = false;
    return woken;
}

int
vowi_fibers_block_begin(vow_executor *self)
{
    struct vowi_fibers *x = vowi_fibers_of(self);

    if (vowi_self()->fiber == NULL || vowi_self()->fiber->of != x)
        return VOW_E_DEADLOCK; /* a thread on its way out */
    if (vowi_fibers_has_idle(x) || x->first != NULL)
        return 0; /* who is ready may end, and leave a stack */
    vowi_warn(VOW_E_LIMIT, "all %u stacks of %s wait, and no other one can be had",
              x->stacks, x->name);
    return VOW_E_LIMIT;
}

void
vowi_fibers_block_end(vow_executor *self)
{
    (void)self;
}

bool
vow_fiber_yield(void)
{
    struct vowi_thread *t = vowi_self();
    struct vowi_fiber *f = t->fiber, *next;
    struct vowi_fibers *x;

    if (f == NULL || t->executor != f->on || t->deferred != 0)
        return false;
    x = f->of;
    append(x, f);
    /* relaxed: as in look_around */
    if (vowi_unlikely(vowi_load_relaxed(&x->news) || vowi_wheel_count(&x->sleeps) != 0)) {
        leave(x, f);
        return true;
    }
    next = x->first;
    vowi_assume(next != NULL);
    x->first = next->next;
    if (next != f)
        go_to(x, f, next);
    return true;
}

/* ---- the loop ------------------------------------------------------------------------------------- */

static void
exits_inside(void *x)
{
    if (!vowi_fibers_left_behind(x))
        vowi_fatal("a task ended the thread of an executor of fibers");
}

static void
run_one(struct vowi_fibers *x)
{
    vow_task *task = vowi_fibers_look(x, true);

    if (task == NULL)
        return; /* a close was faster */
    x->began = true;
    x->begun++;
    task->run(task, 0);
    x->begun--;
}

/* The loop has nothing to do on this stack while there is one that is ready. */
static void
make_way(struct vowi_fibers *x, struct vowi_fiber *f)
{
    struct vowi_fiber *next = take_ready(x);

    x->began = false;
    if (x->idle_count >= x->kept_stacks)
        fiber_free(x, take_idle(x));
    put_away(x, f);
    go_to(x, f, next);
}

/* What this thread keeps for others is given back. That may run what waits, which counts as
 * a task meanwhile, and may make one ready. Returns whether there is nothing to do still. */
static bool
rests(struct vowi_fibers *x)
{
    x->begun++;
    vowi_thread_unload(x->thread);
    x->begun--;
    return x->first == NULL;
}

static void
take_turns(struct vowi_fibers *x, struct vowi_fiber *f)
{
    while (!x->over && !vowi_fibers_left_behind(x)) {
        look_around(x);
        if (is_time_to_begin(x)) {
            run_one(x);
        } else if (x->first != NULL) {
            make_way(x, f);
        } else if (rests(x) && !vowi_fibers_end(x)) {
            sleep_a_while(x);
        }
    }
}

/* Where a stack begins. When all is over it counts as put away, as the others are. */
static void
begin(void *stack)
{
    struct vowi_fiber *f =
        vowi_container_of((struct vowi_stack *)stack, struct vowi_fiber, stack);
    struct vowi_fibers *x = f->of;

    vowi_stack_arrived(&f->stack, x->left);
    pthread_cleanup_push(exits_inside, x);
    take_turns(x, f);
    pthread_cleanup_pop(0);
    put_away(x, f);
    change_stack(x, &f->stack, &x->home);
}

void
vowi_fibers_run(struct vowi_fibers *x)
{
    struct vowi_fiber *f = take_idle(x);

    x->thread->fiber = f;
    vowi_stack_adopt(&x->home);
    change_stack(x, &x->home, &f->stack);
    x->thread->fiber = NULL;
    if (!vowi_fibers_left_behind(x))
        vowi_fibers_free_idle(x);
}
