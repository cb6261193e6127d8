/* SPDX-License-Identifier: MIT */
/*
 * executors/loop.c - an event loop's life: made, run by its owner, closed, destroyed.
 *
 * The protocol is in loop_internal.h.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/options.h"
#include "loop_internal.h"

#define DEFAULT_FRAME_RATE 60
#define SECOND             INT64_C(1000000000)

/* ---- finishing ------------------------------------------------------------------------- */

static bool
is_closing(const struct vow_loop *l)
{
    enum vowi_loop_life life = vowi_loop_life(l);

    return life == VOWI_LOOP_DRAINING || life == VOWI_LOOP_CANCELLING;
}

static void
set_life_locked(struct vow_loop *l, enum vowi_loop_life life)
{
    /* relaxed: read under the lock, as a hint, or in order [woken] */
    vowi_store_relaxed(&l->life, (int)life);
}

bool
vowi_loop_try_end(struct vow_loop *l)
{
    bool ended;

    vowi_lock_acquire(&l->lock);
    ended = is_closing(l) && l->entered == 1 && l->busy == 0 &&
            !vowi_loop_has_queued(l) && vowi_loop_end_inbox_locked(l);
    vowi_lock_release(&l->lock);
    return ended;
}

/* The last touch of a thread that closed it, or ran it. */
static void
leave(struct vow_loop *l)
{
    bool closing, finished;

    vowi_lock_acquire(&l->lock);
    l->busy--;
    closing = is_closing(l);
    finished = closing && l->entered == 0 && l->busy == 0 && !vowi_loop_has_queued(l) &&
               vowi_loop_end_inbox_locked(l);
    if (finished)
        set_life_locked(l, VOWI_LOOP_FINISHED);
    vowi_lock_release(&l->lock);
    if (finished)
        vow_executor_finished(&l->executor);
    else if (closing)
        vowi_loop_nudge(l); /* whoever runs it may have waited for this */
}

/* ---- coming in and going out ------------------------------------------------------------- */

static int
claim(struct vow_loop *l, bool nested)
{
    int rc = 0;

    if (vowi_loop_is_forked(l))
        return VOW_E_FORKED;
    vowi_lock_acquire(&l->lock);
    if (l->owner != NULL && l->owner != vowi_self()) {
        rc = EPERM;
    } else if (vowi_loop_life(l) == VOWI_LOOP_FINISHED) {
        rc = VOW_E_CLOSED;
    } else if (l->entered != 0 && !nested) {
        rc = VOW_E_INVALID;
    } else {
        l->owner = vowi_self();
        l->entered++;
        vowi_store_relaxed(&l->runner, vowi_self()); /* relaxed: see its reader */
    }
    vowi_lock_release(&l->lock);
    return rc;
}

int
vowi_loop_come_in(struct vow_loop *l, bool nested, vow_executor **before)
{
    int rc = claim(l, nested);

    if (rc != 0)
        return rc;
    vow_executor_ref(&l->executor);
    *before = vow_executor_enter(&l->executor);
    return 0;
}

/* Nobody runs it from here on: what was cancelled meanwhile is ended here. */
static void
give_up_queues_locked(struct vow_loop *l, struct vowi_tasks *refused)
{
    vowi_store_relaxed(&l->runner, NULL); /* relaxed: see its reader */
    if (vowi_loop_life(l) == VOWI_LOOP_CANCELLING)
        vowi_loop_take_queued(l, refused);
    vowi_loop_fall_asleep(l);
}

/* On the stack of who goes out. */
struct going_out {
    struct vow_loop *l;
    struct vowi_tasks refused;
    unsigned forks; /* as in a close */
    bool orphaned, closing;
};

/* What is ended may end the thread: then it goes on from there. */
static void
finish_going_out(void *going_out)
{
    struct going_out *g = going_out;

    pthread_cleanup_push(finish_going_out, g);
    vowi_tasks_refuse(&g->refused);
    if (g->closing)
        vowi_loop_close_fds(g->l); /* what a close has left to whoever was in */
    if (g->orphaned)
        vow_ignore(vow_executor_close(&g->l->executor, VOW_CANCEL_QUEUED));
    pthread_cleanup_pop(0);
    if (g->forks == vowi_globals.forks)
        leave(g->l);
    vow_executor_unref(&g->l->executor);
}

void
vowi_loop_go_out(struct vow_loop *l, vow_executor *before, bool exits)
{
    struct going_out g = {.l = l, .forks = vowi_globals.forks};

    vow_executor_enter(before);
    vowi_lock_acquire(&l->lock);
    l->busy++;
    if (--l->entered == 0) {
        if (exits) /* nor is there anything of it below: whoever runs it next owns it */
            l->owner = NULL;
        give_up_queues_locked(l, &g.refused);
    }
    /* relaxed: whoever gave up the last handle has seen entered under the lock, or sees
     * it at 0 and cancels by itself */
    g.orphaned = l->entered == 0 && vowi_load_relaxed(&l->handles) == 0;
    g.closing = is_closing(l);
    vowi_lock_release(&l->lock);
    finish_going_out(&g);
}

void
vowi_loop_end_queued(struct vow_loop *l)
{
    struct vowi_tasks queued = {NULL, NULL};

    vowi_loop_take_queued(l, &queued);
    vowi_tasks_refuse(&queued);
}

/* ---- closing ------------------------------------------------------------------------------- */

/* Makes the caller busy. Takes what it has to refuse. */
static void
begin_close(struct vow_loop *l, vow_close_mode mode, struct vowi_tasks *refused)
{
    enum vowi_loop_life life =
        mode == VOW_DRAIN ? VOWI_LOOP_DRAINING : VOWI_LOOP_CANCELLING;

    vowi_lock_acquire(&l->lock);
    l->busy++;
    if (life > vowi_loop_life(l))
        set_life_locked(l, life);
    if (vowi_loop_life(l) == VOWI_LOOP_CANCELLING) {
        vowi_loop_cancel_inbox_locked(l, refused);
        if (l->entered == 0 || vowi_loop_is_runner(l))
            vowi_loop_take_queued(l, refused);
    }
    vowi_lock_release(&l->lock);
}

/* On the stack of who closes it. */
struct closing {
    struct vow_loop *l;
    struct vowi_tasks refused;
    unsigned forks; /* before it: in a child nobody is busy with it */
};

/* What is ended may end the thread: then it goes on from there. */
static void
finish_close(void *closing)
{
    struct closing *c = closing;

    pthread_cleanup_push(finish_close, c);
    vowi_tasks_refuse(&c->refused);
    vowi_loop_close_timers(c->l);
    vowi_loop_close_fds(c->l);
    vowi_loop_close_signals(c->l);
    vowi_loop_close_frames(c->l);
    pthread_cleanup_pop(0);
    if (c->forks == vowi_globals.forks)
        leave(c->l);
}

static void
loop_close(vow_executor *self, vow_close_mode mode)
{
    struct closing c = {.l = vowi_loop_of(self), .forks = vowi_globals.forks};

    begin_close(c.l, mode, &c.refused);
    finish_close(&c);
}

void
vowi_loop_close_descriptors(struct vow_loop *l)
{
    const int fds[] = {l->signal_fd, l->timer_fd, l->wake_fd, l->epoll_fd};

    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            vowi_sys_close(fds[i]);
    l->epoll_fd = l->wake_fd = l->timer_fd = l->signal_fd = -1;
}

static void
loop_free(struct vow_loop *l)
{
    vowi_loop_close_descriptors(l);
    vowi_loop_free_fds(l);
    vowi_lock_fini(&l->lock);
    vowi_free_aligned(l, sizeof *l);
}

static void
destroy(vow_executor *self)
{
    struct vow_loop *l = vowi_loop_of(self);

    vowi_assert(l->busy == 0 && l->entered == 0 && vowi_load_relaxed(&l->watched) == 0);
    loop_free(l);
}

/* ---- making -------------------------------------------------------------------------------- */

static bool
is_current(vow_executor *self)
{
    return vow_executor_current() == self;
}

static vow_clock *
clock_of(vow_executor *self)
{
    return vowi_loop_of(self)->clock;
}

static const vow_error *
cannot_wait(vow_executor *self)
{
    (void)self;
    return vowi_error_of_wait(VOWI_WAIT_IN_LOOP);
}

/* No block_begin: a wait on its thread would stop all that could end it. */
static const vow_executor_ops ops = {
    .size = sizeof ops,
    .name = "loop",
    .post = vowi_loop_post,
    .post_many = vowi_loop_post_many,
    .arm = vowi_loop_arm,
    .disarm = vowi_loop_disarm,
    .is_current = is_current,
    .clock = clock_of,
    .close = loop_close,
    .destroy = destroy,
    .forked = vowi_loop_forked,
    .revive = vowi_loop_revive,
    .cannot_wait = cannot_wait,
    .revoke = vowi_loop_revoke,
    .waiting = vowi_loop_waiting,
};

bool
vowi_loop_is_forked(const struct vow_loop *l)
{
    return l->executor.ops != &ops; /* the library has put others there */
}

static vow_ns
read_monotonic(const vow_clock *self)
{
    (void)self;
    return vowi_monotonic_now();
}

static void
configure(struct vow_loop *l, const vow_loop_options *opt)
{
    vow_loop_options given;

    vowi_options_read(&given, sizeof given, opt);
    if (given.frame_rate == 0)
        given.frame_rate = DEFAULT_FRAME_RATE;
    l->frame_period = SECOND / given.frame_rate;
    l->next_frame = INT64_MIN;
    l->real.now = read_monotonic;
    l->real.timers = &l->executor;
    l->clock = given.clock;
    if (l->clock == NULL)
        l->clock = vowi_process_clock();
    if (l->clock == NULL)
        l->clock = &l->real;
}

/* Asks the kernel for its precise poll; what it has to say does not matter. */
static bool
has_precise_poll(struct vow_loop *l)
{
    int count;
    int rc = vowi_sys_epoll_wait_ns(l->epoll_fd, l->events, 1, 0, &count);

    return rc == 0 || rc == EINTR;
}

static int
add_descriptor(struct vow_loop *l, int fd, uint64_t data)
{
    return vowi_sys_epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLET, data);
}

/* It can do without. */
static int
use_timerfd(struct vow_loop *l)
{
    int rc = vowi_sys_timerfd(&l->timer_fd);

    if (rc == 0)
        rc = add_descriptor(l, l->timer_fd, VOWI_LOOP_TIMER);
    if (rc == 0)
        return 0;
    if (l->timer_fd >= 0)
        vowi_sys_close(l->timer_fd);
    l->timer_fd = -1;
    return has_precise_poll(l) ? 0 : rc;
}

int
vowi_loop_open_descriptors(struct vow_loop *l)
{
    int rc = vowi_sys_epoll_create(&l->epoll_fd);

    if (rc == 0)
        rc = vowi_sys_eventfd(&l->wake_fd);
    if (rc == 0)
        rc = add_descriptor(l, l->wake_fd, VOWI_LOOP_WAKE);
    if (rc == 0)
        rc = use_timerfd(l);
    return rc;
}

void
vowi_loop_empty(struct vow_loop *l)
{
    const struct vowi_tasks none = {NULL, NULL};

    l->ready = l->self = l->steps = l->idle = none;
    l->event_at = l->event_count = 0;
    l->dispatched_fd = -1;
    l->dispatches_signal = false;
    l->sleep_until = VOW_FOREVER;
    l->timer_at = INT64_MIN;
    vowi_wheel_list_init(&l->due);
    vowi_list_init(&l->firing);
    vowi_list_init(&l->fired);
    vowi_list_init(&l->signals);
    vowi_list_init(&l->signalled);
    vowi_list_init(&l->frames);
    vowi_list_init(&l->frame);
}

static void
init_fields(struct vow_loop *l)
{
    memset(l, 0, sizeof *l);
    l->epoll_fd = l->wake_fd = l->timer_fd = l->signal_fd = -1;
    atomic_init(&l->handles, 1);
    atomic_init(&l->poster_cpu, -1);
    vowi_loop_empty(l);
}

vow_loop *
vow_loop_new(const vow_loop_options *opt)
{
    struct vow_loop *l = vowi_alloc_aligned(sizeof *l, VOWI_CACHE_LINE);
    int rc;

    if (l == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    init_fields(l);
    configure(l, opt);
    vowi_wheel_init(&l->timers, vowi_loop_now(l));
    rc = vowi_lock_init(&l->lock, VOWI_RANK_LOOP);
    if (rc != 0)
        goto fail_memory;
    rc = vowi_loop_open_descriptors(l);
    if (rc == 0 && vow_executor_init(&l->executor, &ops) != 0)
        rc = ENOMEM;
    if (rc != 0)
        goto fail_loop;
    vowi_loop_fall_asleep(l); /* until somebody runs it */
    return l;

fail_loop:
    loop_free(l);
    errno = rc;
    return NULL;
fail_memory:
    vowi_free_aligned(l, sizeof *l);
    errno = rc;
    return NULL;
}

/* ---- references ------------------------------------------------------------------------------ */

vow_loop *
vow_loop_ref(vow_loop *l)
{
    if (l != NULL)
        vowi_add_relaxed(&l->handles, 1); /* relaxed: the caller has one */
    return l;
}

/* Whoever runs it on after this ends it, or else it is ended here. */
static bool
is_running(struct vow_loop *l)
{
    bool running;

    vowi_lock_acquire(&l->lock);
    running = l->entered != 0;
    vowi_lock_release(&l->lock);
    return running;
}

void
vow_loop_unref(vow_loop *l)
{
    uint32_t before;
    vow_close_mode mode;

    if (l == NULL)
        return;
    before = vowi_sub_acq_rel(&l->handles, 1); /* [loop-handle] */
    if (before == 0)
        vowi_fatal("a loop was released more often than it was referenced");
    if (before != 1)
        return;
    mode = is_running(l) ? VOW_DRAIN : VOW_CANCEL_QUEUED;
    vow_ignore(
        vow_executor_close(&l->executor, mode)); /* refused if fork left it behind */
    vow_executor_unref(&l->executor);
}

vow_executor *
vow_loop_executor(vow_loop *l)
{
    return l != NULL ? &l->executor : NULL;
}

/* relaxed: statistics. */
void
vow_loop_read_stats(const vow_loop *l, vow_loop_stats *stats)
{
    vow_loop_stats now = {
        .turns = vowi_load_relaxed(&l->turns),
        .tasks = vowi_load_relaxed(&l->tasks),
        .microtasks = vowi_load_relaxed(&l->microtasks),
        .timers = vowi_load_relaxed(&l->fired_timers),
        .events = vowi_load_relaxed(&l->fired_events),
        .sleeps = vowi_load_relaxed(&l->sleeps),
        .wakes = vowi_load_relaxed(&l->wakes),
    };

    vowi_options_write(stats, &now, sizeof now);
}
