/* SPDX-License-Identifier: MIT */
/* litmus_kernel.c - what descriptors do, against Linux; and bugs in their use. */
#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <fcntl.h>

#include "explore.h"

static int file, epoll, ends[2];
static int plain, got, results[2];
static atomic_int flag;

static void
watch(int what, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = what};

    require(epoll_ctl(epoll, EPOLL_CTL_ADD, what, &event) == 0);
}

static void
make(uint32_t events)
{
    file = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(file, events);
}

static void
end(void)
{
    close(file);
    close(epoll);
}

static void
wakes(void)
{
    uint64_t one = 1;

    require(write(file, &one, sizeof one) == sizeof one);
}

static uint64_t
drains(void)
{
    uint64_t count = 0;

    return read(file, &count, sizeof count) < 0 ? 0 : count;
}

static int
waits(int timeout)
{
    struct epoll_event event;

    return epoll_wait(epoll, &event, 1, timeout);
}

/* ---- waking ------------------------------------------------------------------------------ */

static void
writes_and_wakes(void)
{
    plain = 1;
    wakes();
}

static void
waits_and_reads(void)
{
    results[0] = waits(-1);
    got = plain; /* ordered: no race */
}

LITMUS(eventfd_wake, FULL, "eventfd: a wake-up ends a wait, and orders",
       EXPECTED("1 1", "woken, and what was written is there"))
{
    make(EPOLLIN);
    run_threads(writes_and_wakes, waits_and_reads);
    end();
    outcome("%d %d", results[0], got);
}

static void
waits_a_little(void)
{
    results[0] = waits(5);
}

LITMUS(epoll_timeout, FULL, "epoll: a deadline against a wake-up",
       EXPECTED("0", "the deadline first"), EXPECTED("1", "the wake-up first"))
{
    make(EPOLLIN);
    run_threads(wakes, waits_a_little);
    end();
    outcome("%d", results[0]);
}

LITMUS(eventfd_counts, FULL, "eventfd: two wake-ups are one event, and a count of two",
       EXPECTED("1 2", "both at once"))
{
    make(EPOLLIN);
    run_threads(wakes, wakes);
    got = waits(0);
    results[0] = (int)drains();
    end();
    outcome("%d %d", got, results[0]);
}

/* ---- level and edge ------------------------------------------------------------------------ */

static void
wait_twice(uint32_t events)
{
    make(events);
    wakes();
    results[0] = waits(0);
    results[1] = waits(0);
    end();
    outcome("%d %d", results[0], results[1]);
}

LITMUS(epoll_level, FULL, "epoll: level, reported until it is read",
       EXPECTED("1 1", "still there"))
{
    wait_twice(EPOLLIN);
}

LITMUS(epoll_edge, FULL, "epoll: edge, reported once", EXPECTED("1 0", "nothing new"))
{
    wait_twice(EPOLLIN | EPOLLET);
}

LITMUS(epoll_oneshot, FULL, "epoll: one shot, reported once", EXPECTED("1 0", "disarmed"))
{
    wait_twice(EPOLLIN | EPOLLONESHOT);
}

static void
waits_twice(void)
{
    results[0] = waits(5);
    results[1] = waits(5);
}

LITMUS(epoll_edge_again, FULL, "epoll: edge, each write is a new one",
       EXPECTED("1 1", "two edges"), EXPECTED("1 0", "one for both"),
       EXPECTED("0 1", "late"), EXPECTED("0 0", "later"))
{
    make(EPOLLIN | EPOLLET);
    run_threads(wakes, wakes, waits_twice);
    end();
    outcome("%d %d", results[0], results[1]);
}

/* ---- futexes ----------------------------------------------------------------------------------- */

static long
futex(int operation, unsigned value)
{
    return syscall(SYS_futex, &flag, operation, value, NULL, NULL, 0);
}

static void
opens(void)
{
    plain = 1;
    atomic_store_explicit(&flag, 1, memory_order_release);
    results[0] += (int)futex(FUTEX_WAKE_PRIVATE, 1);
}

static void
sleeps_until_open(void)
{
    while (atomic_load_explicit(&flag, memory_order_acquire) == 0)
        if (futex(FUTEX_WAIT_PRIVATE, 0) != 0)
            require(errno == EAGAIN);
    got = plain; /* ordered: no race */
}

LITMUS(futex_wake, FULL, "futex: a sleep ends, or does not begin",
       EXPECTED("1 1", "it slept, and was woken"),
       EXPECTED("0 1", "the word had changed before"))
{
    run_threads(opens, sleeps_until_open);
    outcome("%d %d", results[0], got);
}

static void
sleeps_once(void)
{
    if (atomic_load(&flag) == 0)
        futex(FUTEX_WAIT_PRIVATE, 0);
}

static void
wakes_one(void)
{
    atomic_store(&flag, 1);
    results[0] = (int)futex(FUTEX_WAKE_PRIVATE, 1);
}

static void
wakes_another(void)
{
    atomic_store(&flag, 1);
    results[1] = (int)futex(FUTEX_WAKE_PRIVATE, 1);
}

LITMUS(futex_wakes_one, FULL, "futex: a wake is for one thread",
       EXPECTED("1 1", "both slept"), EXPECTED("1 0", "one did, the first wakes it"),
       EXPECTED("0 1", "or the second"), EXPECTED("0 0", "none did"))
{
    run_threads(sleeps_once, sleeps_once, wakes_one, wakes_another);
    outcome("%d %d", results[0], results[1]);
}

/* ---- time -------------------------------------------------------------------------------------- */

static int64_t
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

LITMUS(timer_not_early, FULL, "timerfd: it fires when it is due, not before",
       EXPECTED("1 1, early 0", "one expiration"))
{
    struct itimerspec in_5_ms = {.it_value.tv_nsec = 5000000};
    int64_t start = now_ms();

    file = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    epoll = epoll_create1(0);
    watch(file, EPOLLIN);
    require(timerfd_settime(file, 0, &in_5_ms, NULL) == 0);
    require(waits(4) == 0);
    results[0] = waits(-1);
    results[1] = (int)drains();
    got = now_ms() - start < 5;
    end();
    outcome("%d %d, early %d", results[0], results[1], got);
}

/* ---- pipes --------------------------------------------------------------------------------------- */

static void
writes_bytes(void)
{
    results[0] = (int)write(ends[1], "abcdef", 6);
    close(ends[1]);
}

static void
reads_to_the_end(void)
{
    char bytes[8];
    ssize_t n;

    while ((n = read(ends[0], bytes, sizeof bytes)) > 0)
        results[1] += (int)n;
}

LITMUS(pipe_end, FULL, "pipe: what fits is written, then the reader sees the end",
       EXPECTED("4 4", "the pipe is four bytes long"))
{
    require(pipe2(ends, O_CLOEXEC) == 0);
    run_threads(writes_bytes, reads_to_the_end);
    close(ends[0]);
    outcome("%d %d", results[0], results[1]);
}

/* ---- failing calls ---------------------------------------------------------------------------------- */

static void
waits_once(void)
{
    results[0] = waits(-1);
    got = results[0] < 0 ? errno : 0;
}

static void
tries_to_wake(void)
{
    uint64_t one = 1;

    while (write(file, &one, sizeof one) < 0)
        require(errno == EINTR);
}

LITMUS(failing_calls, FULL | CAN_FAIL, "EMFILE, ENOMEM, EINTR", EXPECTED("1 0", "woken"),
       EXPECTED("-1 4", "interrupted"), EXPECTED("no file", "EMFILE"),
       EXPECTED("no epoll", "EMFILE"), EXPECTED("no item", "ENOMEM"))
{
    struct epoll_event event = {.events = EPOLLIN};

    file = eventfd(0, EFD_NONBLOCK);
    if (file < 0)
        return (void)outcome(errno == EMFILE ? "no file" : "?");
    epoll = epoll_create1(0);
    if (epoll < 0) {
        close(file);
        return (void)outcome(errno == EMFILE ? "no epoll" : "?");
    }
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, file, &event) != 0) {
        end();
        return (void)outcome(errno == ENOMEM ? "no item" : "?");
    }
    run_threads(tries_to_wake, waits_once);
    end();
    outcome("%d %d", results[0], got);
}

/* ---- bugs -------------------------------------------------------------------------------------------- */

static void
sets_and_wakes(void)
{
    atomic_store(&flag, 1);
    wakes();
}

/* Looks, then drains: what comes in between is drained, too. */
static void
drains_too_late(void)
{
    while (atomic_load(&flag) == 0) {
        drains();
        waits(-1);
    }
}

SEEDED(drained_wake, "deadlock", "a wake-up is drained after the look at the flag")
{
    make(EPOLLIN);
    run_threads(sets_and_wakes, drains_too_late);
    end();
    outcome("fine");
}

/* Edge-triggered, and it reads only once what may have come twice. */
static void
reads_one_byte_each(void)
{
    char byte;

    for (int n = 0; n < 2; n++) {
        require(waits(-1) == 1);
        require(read(ends[0], &byte, 1) == 1);
    }
}

static void
writes_one_byte(void)
{
    require(write(ends[1], "x", 1) == 1);
}

SEEDED(edge_not_emptied, "deadlock", "an edge is reported, and only half of it read")
{
    require(pipe2(ends, O_NONBLOCK) == 0);
    epoll = epoll_create1(0);
    watch(ends[0], EPOLLIN | EPOLLET);
    run_threads(writes_one_byte, writes_one_byte, reads_one_byte_each);
    close(ends[0]);
    close(ends[1]);
    close(epoll);
    outcome("fine");
}

static void
wakes_too_early(void)
{
    futex(FUTEX_WAKE_PRIVATE, 1);
    atomic_store(&flag, 1);
}

SEEDED(early_futex_wake, "deadlock", "a futex is woken before its word says why")
{
    run_threads(wakes_too_early, sleeps_until_open);
    outcome("fine");
}

SEEDED(descriptor_leak, "leak", "a descriptor is forgotten")
{
    make(EPOLLIN);
    close(epoll);
    outcome("fine");
}

static void
closes(void)
{
    close(file);
}

SEEDED(closed_under_use, "bad access", "a descriptor is closed while another writes")
{
    file = eventfd(0, 0);
    run_threads(wakes, closes);
    outcome("fine");
}
