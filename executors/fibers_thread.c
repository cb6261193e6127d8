/* SPDX-License-Identifier: MIT */
/* executors/fibers_thread.c - the thread of an executor of fibers. */
#include "base/sys.h"
#include "base/time.h"
#include "fibers_internal.h"

static void
begin(struct vowi_fibers *x)
{
    vowi_sys_thread_begins(x->name);
    vow_executor_enter(&x->executor);
    vowi_wheel_init(&x->sleeps, vowi_monotonic_now());
    x->thread = vowi_self();
}

/* What runs in here, a step on the close future, can wait for all but this thread. */
static void
finish(struct vowi_fibers *x)
{
    struct vowi_thread *t = vowi_self();

    vow_executor_enter(NULL);
    vowi_lock_acquire(&x->lock);
    x->exited = pthread_self();
    vowi_lock_release(&x->lock);
    t->ending = &x->executor;
    vow_executor_finished(&x->executor);
    t->ending = NULL;
}

static void *
run(void *fibers)
{
    struct vowi_fibers *x = fibers;

    begin(x);
    vowi_fibers_run(x);
    if (!vowi_fibers_left_behind(x))
        finish(x);
    return NULL;
}

int
vowi_fibers_start(struct vowi_fibers *x)
{
    pthread_t thread;

    return vowi_sys_thread_create(&thread, 0, run, x);
}
