/* SPDX-License-Identifier: MIT */
/* base/sys.c - calls that can fail, with what they want before and after. */
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/time.h"

/* For what is started until what was before is put back. */
static void
block_signals(sigset_t *before)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL,
                                 SIGTRAP, SIGSYS, SIGABRT};
    sigset_t set;

    sigfillset(&set);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(&set, faults[i]);
    pthread_sigmask(SIG_SETMASK, &set, before);
}

int
vowi_sys_thread_create(pthread_t *thread, size_t stack, void *(*main)(void *), void *arg)
{
    pthread_attr_t attr;
    sigset_t before;
    int rc = pthread_attr_init(&attr);

    if (rc != 0)
        return rc;
    if (stack != 0)
        rc = pthread_attr_setstacksize(&attr, stack);
    if (rc == 0) {
        block_signals(&before);
        rc = pthread_create(thread, &attr, main, arg);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attr);
    return rc;
}

void
vowi_sys_thread_begins(const char *name)
{
    (void)vowi_sys_cancel_off();
    pthread_setname_np(pthread_self(), name);
}

void
vowi_sys_join(pthread_t thread)
{
    int cancel = vowi_sys_cancel_off();

    pthread_join(thread, NULL);
    vowi_sys_cancel_back(cancel);
}

int
vowi_sys_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    return pthread_atfork(prepare, parent, child);
}

int
vowi_sys_mutex_init(pthread_mutex_t *mutex)
{
    return pthread_mutex_init(mutex, NULL);
}

int
vowi_sys_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    int rc = pthread_condattr_init(&attr);

    if (rc != 0)
        return rc;
    rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (rc == 0)
        rc = pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
    return rc;
}

struct timespec
vowi_sys_monotonic(void)
{
    struct timespec t;

    if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
        vowi_fatal("the monotonic clock cannot be read");
    return t;
}

int
vowi_sys_cpu(void)
{
    return sched_getcpu();
}

void
vowi_sys_sleep_exactly(void)
{
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
}

/* As in <linux/futex.h>, which musl's compiler does not find. Where time has always had 64
 * bits the call has the other name only. */
enum { PRIVATE_WAIT = 0 | 128, PRIVATE_WAKE = 1 | 128, PRIVATE_WAIT_UNTIL = 9 | 128 };

#define ANY_WAKER UINT32_MAX

#ifndef SYS_futex
#define SYS_futex SYS_futex_time64
#endif

/* The call that takes a time as this libc has it. */
#ifdef SYS_futex_time64
#define SYS_timed_futex (sizeof(time_t) > sizeof(long) ? SYS_futex_time64 : SYS_futex)
#else
#define SYS_timed_futex SYS_futex
#endif

/* It may fail because the word has changed (EAGAIN) or for a signal (EINTR): the caller
 * looks again in any case. */
void
vowi_sys_futex_wait(_Atomic(uint32_t) *word, uint32_t value)
{
    int before = errno;

    syscall(SYS_futex, word, PRIVATE_WAIT, value, NULL, NULL, 0);
    errno = before;
}

/* The slack is the user's, whose code runs on this thread as well. */
static bool
futex_wait_until(_Atomic(uint32_t) *word, uint32_t value, const struct timespec *until)
{
    int slack = prctl(PR_GET_TIMERSLACK, 0UL, 0UL, 0UL, 0UL);
    bool late;

    vowi_sys_sleep_exactly();
    late = syscall(SYS_timed_futex, word, PRIVATE_WAIT_UNTIL, value, until, NULL,
                   ANY_WAKER) != 0 &&
           errno == ETIMEDOUT;
    if (slack > 1)
        prctl(PR_SET_TIMERSLACK, (unsigned long)slack, 0UL, 0UL, 0UL);
    return !late;
}

bool
vowi_sys_futex_wait_until(_Atomic(uint32_t) *word, uint32_t value, vow_ns until)
{
    const struct timespec t = vowi_timespec(until);
    int before = errno;
    bool in_time = futex_wait_until(word, value, &t);

    errno = before;
    return in_time;
}

/* EFAULT: the memory is gone, and with it who slept there. */
void
vowi_sys_futex_wake(_Atomic(uint32_t) *word)
{
    int before = errno;

    syscall(SYS_futex, word, PRIVATE_WAKE, 1, NULL, NULL, 0);
    errno = before;
}

/* ---- descriptors --------------------------------------------------------------- */

/* The descriptor that a call made, or its errno. */
static int
take_fd(int made, int *fd)
{
    if (made < 0)
        return errno;
    *fd = made;
    return 0;
}

int
vowi_sys_epoll_create(int *fd)
{
    return take_fd(epoll_create1(EPOLL_CLOEXEC), fd);
}

int
vowi_sys_eventfd(int *fd)
{
    return take_fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), fd);
}

int
vowi_sys_timerfd(int *fd)
{
    return take_fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), fd);
}

int
vowi_sys_signalfd(int *fd, const sigset_t *signals)
{
    return take_fd(signalfd(*fd, signals, SFD_CLOEXEC | SFD_NONBLOCK), fd);
}

void
vowi_sys_close(int fd)
{
    int cancel = vowi_sys_cancel_off();

    close(fd);
    vowi_sys_cancel_back(cancel);
}

int
vowi_sys_check_fd(int fd)
{
    return fcntl(fd, F_GETFD) >= 0 ? 0 : errno;
}

int
vowi_sys_epoll_ctl(int epoll, int what, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};

    return epoll_ctl(epoll, what, fd, &event) == 0 ? 0 : errno;
}

/* How many events a wait brought, or its errno; it ends what the wait began. */
static int
take_count(int n, int *count, int cancel)
{
    int rc = n >= 0 ? 0 : errno;

    *count = n > 0 ? n : 0;
    vowi_sys_cancel_back(cancel);
    return rc;
}

/* musl, and glibc before 2.35, do not have it: as with a kernel that does not. */
#if !defined __GLIBC__ || __GLIBC__ * 100 + __GLIBC_MINOR__ < 235
#define epoll_pwait2(epoll, events, most, timeout, mask)                                 \
    ((void)(epoll), (void)(events), (void)(most), (void)(timeout), errno = ENOSYS, -1)
#endif

int
vowi_sys_epoll_wait_ns(int epoll, struct epoll_event *events, int most, vow_ns timeout,
                       int *count)
{
    struct timespec t = vowi_timespec(timeout);
    int cancel = vowi_sys_cancel_off();

    return take_count(
        epoll_pwait2(epoll, events, most, timeout != VOW_FOREVER ? &t : NULL, NULL),
        count, cancel);
}

int
vowi_sys_epoll_wait(int epoll, struct epoll_event *events, int most, bool for_ever,
                    int *count)
{
    int cancel = vowi_sys_cancel_off();

    return take_count(epoll_wait(epoll, events, most, for_ever ? -1 : 0), count, cancel);
}

int
vowi_sys_timerfd_set(int fd, vow_ns timeout)
{
    struct itimerspec t = {.it_value = vowi_timespec(timeout)};

    return timerfd_settime(fd, 0, &t, NULL) == 0 ? 0 : errno;
}

/* It never sleeps, and fails only if its count is full: then it is readable. */
void
vowi_sys_notify(int fd)
{
    const uint64_t one = 1;
    int before = errno;
    int cancel = vowi_sys_cancel_off();

    if (write(fd, &one, sizeof one) < 0)
        errno = before;
    vowi_sys_cancel_back(cancel);
}

int
vowi_sys_read_signal(int fd, int *number)
{
    struct signalfd_siginfo info;
    int cancel = vowi_sys_cancel_off();
    ssize_t n = read(fd, &info, sizeof info);

    vowi_sys_cancel_back(cancel); /* which leaves errno alone */
    if (n != (ssize_t)sizeof info)
        return n < 0 ? errno : EAGAIN;
    *number = (int)info.ssi_signo;
    return 0;
}

void
vowi_sys_nap(long ns)
{
    const struct timespec t = {.tv_nsec = ns};
    int cancel = vowi_sys_cancel_off();

    clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
    vowi_sys_cancel_back(cancel);
}
