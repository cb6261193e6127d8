/* SPDX-License-Identifier: MIT */
/* Scenarios with timers, clocks, files, messages, and all that only looks. */
#include "system.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "executors/cpu.h"
#include "fault.h"
#include "vow_test.h"

/* ---- timers ---------------------------------------------------------------------------------- */

struct alarm {
    vow_timer timer; /* first: the task is all that its run gets */
    int ran;
    int why;
};

static void
ring(vow_task *task, int why)
{
    struct alarm *a = (struct alarm *)(void *)task;

    a->ran++;
    a->why = why;
}

static void
timers_on_manual(struct drop_set *d)
{
    enum { DUE, DISARMED, LATE, ALARMS };
    static const vow_ns when[ALARMS] = {5, 6, 700};
    struct alarm alarms[ALARMS] = {0};
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_manual_executor(m);

    (void)d;
    if (m == NULL)
        return;
    for (int i = 0; i < ALARMS; i++) {
        alarms[i].timer = (vow_timer){.task.run = ring, .when = when[i]};
        assert_int_equal(on->ops->arm(on, &alarms[i].timer), 0);
    }
    assert_int_equal(on->ops->disarm(on, &alarms[DISARMED].timer), VOW_REMOVED);
    assert_int_equal(vow_manual_advance(m, 10), 1);
    vow_manual_unref(m);
    assert_int_equal(alarms[DUE].ran, 1);
    assert_int_equal(alarms[DISARMED].ran, 0);
    assert_int_equal(alarms[LATE].ran, 1);
    assert_int_equal(alarms[LATE].why, VOW_E_CLOSED);
}

/* ---- looking ---------------------------------------------------------------------- */

static void
look_at_error(const vow_error *e)
{
    assert_true(e == NULL || vow_error_message(e) != NULL);
    assert_true(vow_error_is(e, vow_error_code(e)) || e == NULL);
    assert_true(vow_error_retry_after(e) == 0 || vow_error_retryable(e));
    (void)vow_error_where(e);
    (void)vow_error_cause(e);
    (void)vow_error_note(e, "key");
    (void)vow_error_payload(e);
}

static void
look_at_future(vow_future *f)
{
    if (vow_peek(f).error != NULL)
        look_at_error(vow_peek(f).error);
    assert_in_range(vow_future_status(f), VOW_PENDING, VOW_REJECTED);
    assert_int_equal(vow_future_site(f) == NULL, f == NULL);
    (void)vow_future_name(f);
    (void)vow_wait_until(f, vow_now());
}

static void
looks(struct drop_set *d)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_executor_ref(vow_manual_executor(m));
    vow_promise *p = vow_promise_new_with(&VOW_PROMISE_OPTIONS(.name = "seen"));
    vow_future *f = vow_promise_future(p);
    vow_error *e = vow_error_retry(vow_error_of(VOW_E_LIMIT), vow_ms(1));

    look_at_future(f);
    e = vow_error_with(vow_error_attach(e, drop_set_new(d)), "key", "value");
    look_at_error(e);
    vow_promise_reject(p, e);
    look_at_future(f);
    assert_true(m == NULL || !vow_manual_step(m));
    assert_true(vow_clock_now(vow_manual_clock(m)) >= 0);
    vow_promise_unref(vow_promise_ref(p));
    vow_promise_unref(p);
    vow_detach(f);
    vow_executor_unref(on);
    vow_manual_unref(m);
}

static vow_ns
stopped(const vow_clock *self)
{
    (void)self;
    return 12;
}

static void
clocks(struct drop_set *d)
{
    vow_clock mine = {.now = stopped};
    vow_clock *before = vow_clock_use(&mine);

    (void)d;
    assert_int_equal(vow_now(), 12);
    assert_ptr_equal(vow_clock_use(before), &mine);
    assert_true(vow_clock_now(NULL) > 0);
}

/* ---- an executor of the caller's ---------------------------------------------------- */

struct single {
    vow_executor executor; /* first: what users know */
    vow_task *task;
};

static int
single_post(vow_executor *self, vow_task *task)
{
    struct single *s = (struct single *)(void *)self;

    if (s->task != NULL)
        return VOW_E_LIMIT;
    s->task = task;
    return 0;
}

static void
single_close(vow_executor *self, vow_close_mode mode)
{
    struct single *s = (struct single *)(void *)self;
    vow_executor *before = vow_executor_enter(self);
    vow_task *task = s->task;

    s->task = NULL;
    assert_ptr_equal(vow_executor_current(), self);
    if (task != NULL)
        task->run(task, mode == VOW_DRAIN ? 0 : VOW_E_CLOSED);
    vow_executor_enter(before);
    vow_executor_finished(self);
}

static vow_result
run_counted(void *ctx)
{
    drop_ran(ctx);
    return vow_ok(VOW_NIL);
}

static void
executor_of_ones_own(struct drop_set *d)
{
    static const vow_executor_ops ops = {.size = sizeof(vow_executor_ops),
                                         .name = "single",
                                         .post = single_post,
                                         .close = single_close};
    struct single s = {.task = NULL};
    vow_future *f, *g;

    if (vow_executor_init(&s.executor, &ops) != 0)
        return;
    f = vow_submit(&s.executor, run_counted, drop_set_new(d));
    g = vow_submit(vow_inline(), run_counted, drop_set_new(d));
    vow_executor_unref(&s.executor);
    assert_true(code_of(f) == 0 || code_of(f) == VOW_E_NOMEM);
    assert_true(code_of(g) == 0 || code_of(g) == VOW_E_NOMEM);
    vow_unref(f);
    vow_unref(g);
}

/* ---- messages ---------------------------------------------------------------------------------- */

static bool
is_one_of(const char *text, const char *const *texts)
{
    while (*texts != NULL && strcmp(text, *texts) != 0)
        texts++;
    return *texts != NULL;
}

/* The message, its format, or what there is without memory: never less than one of them. */
static void
messages(struct drop_set *d)
{
    static const char *const possible[] = {"7 sheep", "%d sheep", "out of memory",
                                           "cancelled", NULL};
    vow_error *e = vow_error_new(VOW_E_CANCELLED, "%d sheep", 7);
    vow_error *wrapped = vow_error_wrap(e, VOW_E_USER, "%d sheep", 7);

    (void)d;
    assert_true(is_one_of(vow_error_message(e), possible));
    assert_true(is_one_of(vow_error_message(wrapped), possible));
    vow_error_print(wrapped, stderr);
    vow_error_unref(wrapped);
    vow_error_unref(e);
}

/* In a function whose name the loader knows, and which the call returns to. */
vow_promise *
system_promise(void)
{
    vow_promise *p = vow_promise_new_with(&VOW_PROMISE_OPTIONS(.name = "sheep"));

    assert_true(p != NULL || scenario_failed());
    return p;
}

static void
unhandled_by_default(struct drop_set *d)
{
    vow_promise *p = system_promise();

    vow_on_unhandled(NULL, NULL);
    vow_unref(vow_rejected(vow_error_attach(vow_error_new(EIO, "x"), drop_set_new(d))));
    vow_unref(vow_promise_future(p));
    vow_promise_unref(p);
}

static void
close_of_inline(struct drop_set *d)
{
    vow_future *f = vow_executor_close(NULL, VOW_DRAIN);
    int code = code_of(f);

    (void)d;
    assert_true(code == VOW_E_INVALID || code == VOW_E_NOMEM);
    vow_unref(f);
}

/* ---- files --------------------------------------------------------------------------------------- */

static char root[] = "/tmp/vow-faults-XXXXXX";

static const struct {
    const char *name;
    const char *text; /* NULL: a directory */
} files[] = {
    {"/proc", NULL},
    {"/proc/self", NULL},
    {"/proc/self/cgroup", "4:cpu,cpuacct:/a\n0::/b\n"},
    {"/sys", NULL},
    {"/sys/fs", NULL},
    {"/sys/fs/cgroup", NULL},
    {"/sys/fs/cgroup/b", NULL},
    {"/sys/fs/cgroup/b/cpu.max", "150000 100000\n"},
    {"/sys/fs/cgroup/cpu", NULL},
    {"/sys/fs/cgroup/cpu/a", NULL},
    {"/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "300000\n"},
    {"/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n"},
};

enum { FILES = sizeof files / sizeof *files, QUOTA_V2 = 2, QUOTA_V1 = 3 };

static void
make_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0) {
        perror(path);
        exit(2);
    }
}

void
system_make_files(void)
{
    char path[256];

    if (mkdtemp(root) == NULL) {
        perror(root);
        exit(2);
    }
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "%s%s", root, files[i].name);
        if (files[i].text != NULL)
            make_file(path, files[i].text);
        else
            mkdir(path, 0700);
    }
}

void
system_remove_files(void)
{
    char path[256];

    for (int i = FILES - 1; i >= 0; i--) {
        snprintf(path, sizeof path, "%s%s", root, files[i].name);
        remove(path);
    }
    rmdir(root);
}

static void
cpu_count(struct drop_set *d)
{
    (void)d;
    errno = ENOTTY;
    assert_in_range(vow_cpu_count(), 1, 65536);
    assert_int_equal(errno, ENOTTY);
}

/* What cannot be read sets no limit; what was interrupted can be. */
static void
cpu_quota(struct drop_set *d)
{
    unsigned quota = vowi_cpu_quota(root);

    (void)d;
    if (quota != QUOTA_V2)
        assert_true(fault_is_lasting() && (quota == 0 || quota == QUOTA_V1));
}

#define ROW(name) {#name, name},

const struct scenario system_scenarios[] = {SYSTEM_SCENARIOS(ROW){NULL, NULL}};
