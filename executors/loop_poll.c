/* SPDX-License-Identifier: MIT */
/*
 * executors/loop_poll.c - how a loop sleeps, and what it looks at when it wakes.
 *
 * The eventfd is edge-triggered: it is written to and never read. So is the timerfd, by
 * which a loop sleeps until a time: the kernel's poll takes nanoseconds as well
 * (epoll_pwait2, Linux 5.11), but may end 50 us late, or a thousandth of the time. It is what is
 * left if there is no timerfd to be had. On either, waking early does no harm: what is due is
 * decided by the clock alone. So the timerfd is left as it is while it is set to an earlier
 * time than is needed: it wakes the loop once for nothing instead of being set at each sleep.
 *
 * While nobody runs the loop it counts as asleep, so that a post makes its descriptor
 * readable for whoever polls that.
 */
#include <errno.h>

#include "loop_internal.h"

/* How long to sleep on a clock that may stand still, with a timer armed on it. */
#define STRANGE_CLOCK_MOST  INT64_C(1000000)
#define STRANGE_CLOCK_LEAST INT64_C(50000)

vow_ns
vowi_loop_now(const struct vow_loop *l)
{
    return vow_clock_now(l->clock);
}

/* The owner asks again before anybody sleeps. */
bool
vowi_loop_is_sooner_locked(const struct vow_loop *l, vow_ns when)
{
    return when < l->sleep_until && l->owner != vowi_self();
}

static vow_ns
next_time_locked(const struct vow_loop *l)
{
    vow_ns timer = vowi_loop_next_timer_locked(l);
    vow_ns frame = vowi_loop_next_frame_locked(l);

    return timer < frame ? timer : frame;
}

/* How long nothing is due; and from now on what is due earlier wakes the loop. If it was
 * never before, whatever has come since wakes it as well, so there is no need to look. */
static vow_ns
time_left(struct vow_loop *l)
{
    vow_ns next, left;

    if (!vowi_loop_is_timed(l))
        return VOW_FOREVER; /* as sleep_until has said since then */
    vowi_lock_acquire(&l->lock);
    next = vowi_wheel_ahead(&l->timers) ? INT64_MIN : next_time_locked(l);
    l->sleep_until = next;
    vowi_loop_set_timed_locked(l, next != VOW_FOREVER);
    vowi_lock_release(&l->lock);
    if (next == VOW_FOREVER)
        return VOW_FOREVER;
    left = vowi_time_sub(next, vowi_loop_now(l));
    if (left <= 0)
        return 0;
    if (l->clock == &l->real)
        return left;
    if (left < STRANGE_CLOCK_LEAST)
        return STRANGE_CLOCK_LEAST;
    return left < STRANGE_CLOCK_MOST ? left : STRANGE_CLOCK_MOST;
}

/* ---- polling ------------------------------------------------------------------------- */

/* It will wake the loop after that time, or before. */
static int
set_timer(struct vow_loop *l, vow_ns timeout)
{
    vow_ns now = vowi_monotonic_now();
    vow_ns until = vowi_time_add(now, timeout);
    int rc;

    if (l->timer_at > now && l->timer_at <= until)
        return 0;
    rc = vowi_sys_timerfd_set(l->timer_fd, timeout);
    l->timer_at = rc == 0 ? until : INT64_MIN;
    return rc;
}

static int
wait_with_timer(struct vow_loop *l, vow_ns timeout, int *count)
{
    if (timeout > 0 && timeout != VOW_FOREVER && set_timer(l, timeout) != 0)
        timeout = 0; /* it looks again and again instead */
    return vowi_sys_epoll_wait(l->epoll_fd, l->events, VOWI_LOOP_EVENTS, timeout > 0,
                               count);
}

static void
poll_events(struct vow_loop *l, vow_ns timeout)
{
    int count = 0;
    int rc;

    if (l->timer_fd < 0)
        rc = vowi_sys_epoll_wait_ns(l->epoll_fd, l->events, VOWI_LOOP_EVENTS, timeout,
                                    &count);
    else
        rc = wait_with_timer(l, timeout, &count);
    if (rc != 0 && rc != EINTR)
        l->poll_error = rc;
    l->event_at = 0;
    l->event_count = (unsigned)count;
    l->polled = true;
    if (count > 0)
        vowi_loop_take_watches(l);
}

/* With no descriptor watched there is nothing to look for while the loop is busy.
 * relaxed: the owner alone adds one. */
void
vowi_loop_poll(struct vow_loop *l)
{
    if (!l->polled && l->event_at == l->event_count &&
        (vowi_load_relaxed(&l->watched) != 0 || l->signal_fd >= 0))
        poll_events(l, 0);
}

/* The same, and until a monotonic time at most. */
static vow_ns
time_left_until(struct vow_loop *l, vow_ns until)
{
    vow_ns timeout = time_left(l);
    vow_ns left;

    if (timeout <= 0 || until == VOW_FOREVER)
        return timeout;
    left = vowi_time_sub(until, vowi_monotonic_now());
    return left < timeout ? left : timeout;
}

void
vowi_loop_sleep(struct vow_loop *l, vow_ns until)
{
    vow_ns timeout = time_left_until(l, until);

    if (timeout > 0 && vowi_loop_gives_way(l))
        timeout = time_left_until(l, until);
    if (timeout > 0 &&
        vowi_load_seq_cst(&l->life) != VOWI_LOOP_CANCELLING && /* [woken] */
        !vowi_loop_fall_asleep(l))
        timeout = 0;
    if (timeout > 0 && vowi_load_seq_cst(&l->woken)) /* [woken] */
        timeout = 0;
    if (timeout > 0)
        vowi_loop_count(&l->sleeps);
    poll_events(l, timeout > 0 ? timeout : 0);
    vowi_loop_stay_awake(l);
}

/* ---- inside another loop --------------------------------------------------------------- */

int
vow_loop_fd(const vow_loop *l)
{
    return l->epoll_fd;
}

/* relaxed: what is set later makes the descriptor readable. */
vow_ns
vow_loop_timeout(vow_loop *l)
{
    if (vowi_loop_life(l) == VOWI_LOOP_FINISHED)
        return VOW_FOREVER;
    if (vowi_loop_has_queued(l) || vowi_loop_has_posts(l) || vowi_loop_has_events(l) ||
        vowi_load_relaxed(&l->woken) || vowi_loop_life(l) != VOWI_LOOP_OPEN)
        return 0;
    return time_left(l);
}
