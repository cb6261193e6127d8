/* SPDX-License-Identifier: MIT */
/*
 * kernel.c - eventfd, timerfd, epoll and pipes, on the run's own time.
 *
 * All descriptors together are one thing that operations depend on: coarse, but a loop
 * has few. A thread that waits on one, or on an epoll, goes on when it is ready, or
 * when its deadline passes; a timer that could make it ready is such a deadline, too.
 *
 * What is written happens before what reads it, and before an epoll_wait that reports
 * it: the kernel's own locks see to that. Each call may fail, if the settings allow for
 * it: with EMFILE or ENOMEM where something is made, with EINTR where it may sleep. A
 * wait may end late. Which of several events comes first is a choice.
 *
 * Not here: other files, signals, EPOLLEXCLUSIVE, an epoll within an epoll.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include "model.h"

#define FILES      16
#define FIRST_FILE 3
#define ITEMS      8
#define PIPE_SIZE  4 /* so that it is soon full */
#define NEVER      UINT64_MAX

enum file_kind { CLOSED, EVENTFD, TIMERFD, EPOLL, PIPE_IN, PIPE_OUT };

/* What an epoll watches. */
struct item {
    int file;
    uint32_t events; /* 0: it was reported once, and was to be only once */
    epoll_data_t data;
    unsigned seen; /* edges, up to the last report */
};

struct file {
    enum file_kind kind;
    bool nonblocking, semaphore;
    uint64_t count;      /* EVENTFD; TIMERFD: expirations that were not read */
    uint64_t due, every; /* TIMERFD; NEVER: not armed */
    unsigned used;       /* PIPE_OUT, where the bytes are read */
    unsigned char bytes[PIPE_SIZE];
    int other;                /* PIPE_*: the other end, or -1 */
    unsigned edges;           /* how often something came */
    const struct view *view;  /* of those who wrote */
    struct item items[ITEMS]; /* EPOLL */
    unsigned item_count;
    const void *pc;
};

static struct file files[FILES];
static unsigned file_count; /* of them, used in this run */

void
kernel_start_run(void)
{
    memset(files, 0, sizeof files);
    file_count = 0;
}

void
kernel_copy(struct copier *c)
{
    copy(c, &file_count, sizeof file_count);
    copy(c, files, file_count * sizeof *files);
}

void
kernel_check_leaks(void)
{
    for (int i = 0; i < FILES; i++)
        if (files[i].kind != CLOSED)
            fail_at(files[i].pc, "leak", "descriptor %d", i);
}

static int
fail_with(int error)
{
    *model_errno_location() = error;
    return -1;
}

static struct file *
file_of(int file, const void *pc)
{
    if (file < 0 || file >= FILES || files[file].kind == CLOSED)
        fail_at(pc, "bad access", "descriptor %d is not open", file);
    return &files[file];
}

/* ---- readiness --------------------------------------------------------------------------- */

static bool
is_expired(const struct file *f)
{
    return f->kind == TIMERFD && f->due <= run.now;
}

static bool
is_readable(const struct file *f)
{
    if (f->kind == PIPE_OUT)
        return f->used != 0 || f->other < 0;
    return f->count != 0 || is_expired(f);
}

static bool
is_writable(const struct file *f)
{
    if (f->kind == PIPE_IN)
        return f->other < 0 || files[f->other].used < PIPE_SIZE;
    return f->kind == EVENTFD && f->count < UINT64_MAX - 1;
}

static uint32_t
ready_events(const struct item *i)
{
    const struct file *f = &files[i->file];
    uint32_t ready = (is_readable(f) ? EPOLLIN : 0u) | (is_writable(f) ? EPOLLOUT : 0u);

    if (f->kind == PIPE_OUT && f->other < 0)
        ready |= EPOLLHUP;
    if (f->kind == PIPE_IN && f->other < 0)
        ready |= EPOLLERR;
    if (i->events == 0)
        return 0;
    if ((i->events & EPOLLET) != 0 && i->seen == f->edges && !is_expired(f))
        return 0;
    return ready & (i->events | EPOLLHUP | EPOLLERR);
}

static bool
is_any_ready(const struct file *epoll)
{
    for (unsigned i = 0; i < epoll->item_count; i++)
        if (ready_events(&epoll->items[i]) != 0)
            return true;
    return false;
}

bool
kernel_is_ready(const struct thread *t)
{
    const struct file *f = &files[t->file];

    if (f->kind == CLOSED || (t->timed && t->deadline <= run.now))
        return true;
    if (f->kind == EPOLL)
        return is_any_ready(f);
    return t->writes_file ? is_writable(f) : is_readable(f);
}

/* When time alone makes it ready. */
uint64_t
kernel_deadline(const struct thread *t)
{
    const struct file *f = &files[t->file];
    uint64_t first = t->timed ? t->deadline : NEVER;

    if (f->kind == TIMERFD && f->due < first)
        first = f->due;
    for (unsigned i = 0; f->kind == EPOLL && i < f->item_count; i++) {
        const struct file *timer = &files[f->items[i].file];

        if (timer->kind == TIMERFD && f->items[i].events != 0 && timer->due < first)
            first = timer->due;
    }
    return first;
}

/* Timers that expired become readable, and fire again if they are to. */
static void
expire_timers(void)
{
    for (int i = 0; i < FILES; i++) {
        struct file *f = &files[i];
        uint64_t times = 1;

        if (!is_expired(f))
            continue;
        if (f->every != 0)
            times += (run.now - f->due) / f->every;
        f->count += times;
        f->due = f->every != 0 ? f->due + times * f->every : NEVER;
        f->edges++;
    }
}

/* ---- steps ----------------------------------------------------------------------------------- */

#define FILES_OP ((struct op){.at = {AT_FILES, AT_CLOCK}, .writes = true})

static void
step_files(void)
{
    step(FILES_OP);
    expire_timers();
}

/* Sleeps until the file is ready, or a deadline. Returns whether it is ready. */
static bool
wait_for_file(int file, bool writes, bool timed, uint64_t deadline, const void *pc)
{
    struct thread *t = self();

    t->file = file;
    t->writes_file = writes;
    t->timed = timed;
    t->deadline = deadline;
    step_when(FILES_OP, A_FILE);
    if (files[file].kind == CLOSED)
        fail_at(pc, "bad access", "descriptor %d is closed while it is waited for", file);
    if (run.now != 0 && happens("wakes LATE", pc))
        run.now += 1000000;
    expire_timers();
    t->timed = false;
    return kernel_is_ready(t);
}

static void
acquire(const struct file *f)
{
    if (f->view != NULL)
        view_join(self()->now, f->view);
}

/* Others who acquire it later acquire what earlier ones released, too. */
static void
release(struct file *f)
{
    struct view *view = view_release(self());

    if (f->view != NULL)
        view_join(view, f->view);
    f->view = view;
}

static int
new_file(enum file_kind kind, bool nonblocking, const char *what, const void *pc)
{
    int i = FIRST_FILE;

    step_files();
    while (i < FILES && files[i].kind != CLOSED)
        i++;
    if (i == FILES || fails(what, pc))
        return fail_with(EMFILE);
    memset(&files[i], 0, sizeof files[i]);
    if (file_count <= (unsigned)i)
        file_count = (unsigned)i + 1;
    files[i].kind = kind;
    files[i].nonblocking = nonblocking;
    files[i].due = NEVER;
    files[i].other = -1;
    files[i].pc = pc;
    TRACE(pc, "%s: descriptor %d", what, i);
    return i;
}

/* ---- making and closing ------------------------------------------------------------------------ */

int model_eventfd(unsigned count, int flags);
int
model_eventfd(unsigned count, int flags)
{
    int file = new_file(EVENTFD, (flags & EFD_NONBLOCK) != 0, "eventfd", PC);

    if (file >= 0) {
        files[file].count = count;
        files[file].semaphore = (flags & EFD_SEMAPHORE) != 0;
    }
    return file;
}

int model_timerfd_create(int clock, int flags);
int
model_timerfd_create(int clock, int flags)
{
    (void)clock;
    return new_file(TIMERFD, (flags & TFD_NONBLOCK) != 0, "timerfd_create", PC);
}

int model_epoll_create1(int flags);
int
model_epoll_create1(int flags)
{
    (void)flags;
    return new_file(EPOLL, false, "epoll_create1", PC);
}

int model_close(int file);

int model_pipe2(int ends[2], int flags);
int
model_pipe2(int ends[2], int flags)
{
    int out = new_file(PIPE_OUT, (flags & O_NONBLOCK) != 0, "pipe2", PC);
    int in = out >= 0 ? new_file(PIPE_IN, (flags & O_NONBLOCK) != 0, "pipe2", PC) : -1;

    if (in < 0) {
        if (out >= 0)
            files[out].kind = CLOSED;
        return fail_with(EMFILE);
    }
    files[out].other = in;
    files[in].other = out;
    plain_access((uintptr_t)ends, 2 * sizeof *ends, true, PC);
    ends[0] = out;
    ends[1] = in;
    return 0;
}

static void
forget_item(struct file *epoll, int file)
{
    for (unsigned i = 0; i < epoll->item_count; i++)
        if (epoll->items[i].file == file) {
            memmove(&epoll->items[i], &epoll->items[i + 1],
                    (--epoll->item_count - i) * sizeof *epoll->items);
            return;
        }
}

int
model_close(int file)
{
    struct file *f;

    step_files();
    f = file_of(file, PC);
    for (int i = 0; i < FILES; i++)
        if (files[i].kind == EPOLL)
            forget_item(&files[i], file);
    if (f->other >= 0) {
        files[f->other].other = -1;
        files[f->other].edges++;
    }
    f->kind = CLOSED;
    TRACE(PC, "close %d", file);
    return 0;
}

/* ---- reading and writing ------------------------------------------------------------------------- */

static size_t
take_bytes(struct file *f, unsigned char *to, size_t n)
{
    if (n > f->used)
        n = f->used;
    memcpy(to, f->bytes, n);
    f->used -= (unsigned)n;
    memmove(f->bytes, f->bytes + n, f->used);
    if (f->other >= 0)
        files[f->other].edges++; /* there is room */
    return n;
}

static size_t
take_count(struct file *f, unsigned char *to)
{
    uint64_t count = f->semaphore ? 1 : f->count;

    f->count -= count;
    f->edges += f->kind == EVENTFD; /* there is room */
    memcpy(to, &count, sizeof count);
    return sizeof count;
}

/* Waits until it is ready; -1 with errno if it is not, or does not wait. */
static int
ready_or_fail(int file, bool writes, const char *what, const void *pc)
{
    const struct file *f;

    step_files();
    f = file_of(file, pc);
    if (!f->nonblocking && fails(what, pc))
        return fail_with(EINTR);
    if (writes ? is_writable(f) : is_readable(f))
        return 0;
    if (f->nonblocking)
        return fail_with(EAGAIN);
    wait_for_file(file, writes, false, 0, pc);
    return 0;
}

ssize_t model_read(int file, void *to, size_t n);
ssize_t
model_read(int file, void *to, size_t n)
{
    struct file *f;
    size_t got;

    if (ready_or_fail(file, false, "read", PC) != 0)
        return -1;
    f = &files[file];
    if (f->kind != PIPE_OUT && n < sizeof f->count)
        return fail_with(EINVAL);
    plain_access((uintptr_t)to, f->kind == PIPE_OUT ? n : sizeof f->count, true, PC);
    got = f->kind == PIPE_OUT ? take_bytes(f, to, n) : take_count(f, to);
    acquire(f);
    TRACE(PC, "read %d: %zu bytes", file, got);
    return (ssize_t)got;
}

static ssize_t
put_bytes(struct file *in, const unsigned char *from, size_t n)
{
    struct file *out;

    if (in->other < 0)
        return fail_with(EPIPE);
    out = &files[in->other];
    if (n > PIPE_SIZE - out->used)
        n = PIPE_SIZE - out->used;
    memcpy(out->bytes + out->used, from, n);
    out->used += (unsigned)n;
    out->edges++;
    release(out);
    return (ssize_t)n;
}

static ssize_t
put_count(struct file *f, const void *from)
{
    uint64_t count;

    memcpy(&count, from, sizeof count);
    if (count > UINT64_MAX - 1 - f->count)
        return fail_with(EAGAIN);
    f->count += count;
    f->edges++;
    release(f);
    return sizeof count;
}

ssize_t model_write(int file, const void *from, size_t n);
ssize_t
model_write(int file, const void *from, size_t n)
{
    struct file *f;
    ssize_t put;

    if (ready_or_fail(file, true, "write", PC) != 0)
        return -1;
    f = &files[file];
    plain_access((uintptr_t)from, n, false, PC);
    put = f->kind == PIPE_IN ? put_bytes(f, from, n) : put_count(f, from);
    TRACE(PC, "write %d: %zd bytes", file, put);
    return put;
}

/* ---- timers ------------------------------------------------------------------------------------------ */

static uint64_t
ns_of(struct timespec t)
{
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int model_timerfd_settime(int file, int flags, const struct itimerspec *to,
                          struct itimerspec *old);
int
model_timerfd_settime(int file, int flags, const struct itimerspec *to,
                      struct itimerspec *old)
{
    struct file *f;
    uint64_t value;

    step_files();
    f = file_of(file, PC);
    plain_access((uintptr_t)to, sizeof *to, false, PC);
    if (old != NULL)
        memset(old, 0, sizeof *old);
    value = ns_of(to->it_value);
    f->count = 0;
    f->every = ns_of(to->it_interval);
    f->due = value == 0                         ? NEVER
             : (flags & TFD_TIMER_ABSTIME) != 0 ? value
                                                : run.now + value;
    TRACE(PC, "timer %d is set", file);
    return 0;
}

/* ---- epoll -------------------------------------------------------------------------------------------- */

static struct item *
find_item(struct file *epoll, int file)
{
    for (unsigned i = 0; i < epoll->item_count; i++)
        if (epoll->items[i].file == file)
            return &epoll->items[i];
    return NULL;
}

int model_epoll_ctl(int epoll, int what, int file, struct epoll_event *event);
int
model_epoll_ctl(int epoll, int what, int file, struct epoll_event *event)
{
    struct file *e;
    struct item *i;

    step_files();
    e = file_of(epoll, PC);
    file_of(file, PC);
    i = find_item(e, file);
    if ((i != NULL) == (what == EPOLL_CTL_ADD))
        return fail_with(i != NULL ? EEXIST : ENOENT);
    if (what == EPOLL_CTL_DEL) {
        forget_item(e, file);
        return 0;
    }
    if (i == NULL && (e->item_count == ITEMS || fails("epoll_ctl", PC)))
        return fail_with(ENOMEM);
    if (i == NULL)
        i = &e->items[e->item_count++];
    plain_access((uintptr_t)event, sizeof *event, false, PC);
    *i = (struct item){file, event->events, event->data, files[file].edges - 1};
    release(e); /* [the data] goes to whoever gets the event */
    TRACE(PC, "epoll %d watches %d", epoll, file);
    return 0;
}

static void
report(struct item *i, struct epoll_event *event)
{
    *event = (struct epoll_event){.events = ready_events(i), .data = i->data};
    i->seen = files[i->file].edges;
    if ((i->events & EPOLLONESHOT) != 0)
        i->events = 0;
    acquire(&files[i->file]);
}

/* Which of them is first is a choice; the others follow in their order. */
static int
report_all(struct file *e, struct epoll_event *events, int max)
{
    struct item *ready[ITEMS];
    unsigned n = 0, first;
    int reported = 0;

    for (unsigned i = 0; i < e->item_count; i++)
        if (ready_events(&e->items[i]) != 0)
            ready[n++] = &e->items[i];
    first = n != 0 ? choose('e', n) : 0;
    for (unsigned i = 0; i < n && reported < max; i++)
        report(ready[(first + i) % n], &events[reported++]);
    acquire(e);
    return reported;
}

/* With a deadline if it is timed; one that has passed only looks. */
static int
wait_for_events(int epoll, struct epoll_event *events, int max, bool timed,
                uint64_t deadline, const void *pc)
{
    int n;

    if (fails("epoll_wait", pc))
        return fail_with(EINTR);
    if ((!timed || deadline > run.now) && !is_any_ready(file_of(epoll, pc)))
        wait_for_file(epoll, false, timed, deadline, pc);
    plain_access((uintptr_t)events, (size_t)max * sizeof *events, true, pc);
    n = report_all(file_of(epoll, pc), events, max);
    TRACE(pc, "epoll %d: %d events", epoll, n);
    return n;
}

int model_epoll_wait(int epoll, struct epoll_event *events, int max, int timeout);
int
model_epoll_wait(int epoll, struct epoll_event *events, int max, int timeout)
{
    uint64_t ms = (uint64_t)(timeout > 0 ? timeout : 0);

    step_files();
    return wait_for_events(epoll, events, max, timeout >= 0, run.now + ms * 1000000, PC);
}

int model_epoll_pwait2(int epoll, struct epoll_event *events, int max,
                       const struct timespec *timeout, const void *mask);
int
model_epoll_pwait2(int epoll, struct epoll_event *events, int max,
                   const struct timespec *timeout, const void *mask)
{
    uint64_t ns;

    (void)mask;
    step_files();
    if (timeout != NULL)
        plain_access((uintptr_t)timeout, sizeof *timeout, false, PC);
    ns = timeout != NULL ? ns_of(*timeout) : 0;
    return wait_for_events(epoll, events, max, timeout != NULL, run.now + ns, PC);
}

/* ---- what is not here ----------------------------------------------------------------------- */

int model_signalfd(int file, const void *signals, int flags);
int
model_signalfd(int file, const void *signals, int flags)
{
    (void)file;
    (void)signals;
    (void)flags;
    return fail_with(ENOSYS);
}

int model_fcntl(int file, int what, ...);
int
model_fcntl(int file, int what, ...)
{
    (void)what;
    step_files();
    if (file < 0 || file >= FILES || files[file].kind == CLOSED)
        return fail_with(EBADF);
    return 0;
}
