/* SPDX-License-Identifier: MIT */
/*
 * Makes a thumbnail of every picture under a directory: find, read, shrink, write.
 * Shows a chain over two pools, and how to bound what is under way without waiting.
 *
 * The picture is the value that its chain hands from step to step: wherever the chain
 * ends, the picture is freed. The end of a chain starts the next one, so that there are
 * never more pictures in memory than there are chains, however many files there are.
 *
 * All that is vow is in this file; what a picture is, plain C, is in thumbnails/.
 */
#include "thumbnails/batch.h"

#include <stdatomic.h>

#include <vow/vow.h>

#include "thumbnails/picture.h"
#include "thumbnails/report.h"
#include "thumbnails/source.h"

enum { IO_THREADS = 4 };

struct batch {
    vow_executor *io;  /* threads that may wait for a disk */
    vow_executor *cpu; /* as many threads as there are CPUs to keep busy */
    struct source *source;
    struct report *report;
    vow_promise *done;  /* fulfilled when no chain runs any more */
    atomic_uint chains; /* that run, and one for whoever starts them */
};

static vow_result
find(void *ctx)
{
    struct batch *b = ctx;
    struct picture *p;
    int code = source_next(b->source, &p);

    if (code != 0) /* VOW_E_EMPTY: there is none left; or ENOMEM */
        return vow_err(vow_error_of(code));
    return vow_ok(vow_own(p, picture_free));
}

/* Hands the picture on to the next step, or says why there is none. */
static vow_result
outcome(const struct picture *p, int code)
{
    if (code != 0)
        return vow_fail(code, "%s: %s", p->from, p->why);
    return vow_forward();
}

static vow_result
read_it(vow_value picture, void *ctx)
{
    (void)ctx;
    return outcome(picture.as.ptr, picture_read(picture.as.ptr));
}

static vow_result
shrink_it(vow_value picture, void *ctx)
{
    (void)ctx;
    return outcome(picture.as.ptr, picture_shrink(picture.as.ptr));
}

static vow_result
write_it(vow_value picture, void *ctx)
{
    (void)ctx;
    return outcome(picture.as.ptr, picture_write(picture.as.ptr));
}

static void finish(vow_view end, void *ctx);

/* Runs when a chain has ended, and also if it could not even be built. */
static void
leave(void *ctx)
{
    struct batch *b = ctx;

    if (atomic_fetch_sub(&b->chains, 1) == 1)
        vow_promise_fulfill(b->done, VOW_NIL);
}

static void
start(struct batch *b)
{
    atomic_fetch_add(&b->chains, 1);

    vow_future *f = vow_submit(b->io, find, vow_ptr(b));
    f = vow_then(f, b->io, read_it, VOW_NIL);
    f = vow_then(f, b->cpu, shrink_it, VOW_NIL);
    f = vow_then(f, b->io, write_it, VOW_NIL);
    if (!vow_on_settled(f, NULL, finish, vow_own(b, leave)))
        report_outcome(b->report, VOW_E_NOMEM, "out of memory");
}

static void
finish(vow_view end, void *ctx)
{
    struct batch *b = ctx;
    int code = vow_error_code(end.error);

    if (code == VOW_E_EMPTY)
        return; /* no file is left: one chain fewer */
    report_outcome(b->report, code, vow_error_message(end.error));
    if (code != VOW_E_NOMEM) /* with less memory, fewer chains */
        start(b);
}

/* Waits for one promise, however many pictures there are. */
static void
run(struct batch *b, unsigned in_flight)
{
    vow_future *done = vow_promise_future(b->done);

    atomic_init(&b->chains, 1);
    for (unsigned i = 0; i < in_flight; i++)
        start(b);
    leave(b);

    do
        report_progress(b->report, source_expected(b->source));
    while (!vow_wait(done, vow_ms(report_interval_ms(b->report))));
    vow_unref(done);
}

static void
stop(vow_executor *pool)
{
    if (pool == NULL)
        return;
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    vow_executor_join(pool);
    vow_executor_unref(pool);
}

bool
make_thumbnails(struct source *s, struct report *r, unsigned jobs, unsigned in_flight)
{
    struct batch b = {.source = s, .report = r};
    bool ready;

    b.io = vow_pool_new(&VOW_POOL_OPTIONS(.name = "io", .threads = IO_THREADS));
    b.cpu = vow_pool_new(&VOW_POOL_OPTIONS(.name = "cpu", .threads = jobs));
    b.done = vow_promise_new();
    ready = b.io != NULL && b.cpu != NULL && b.done != NULL;
    if (ready)
        run(&b, in_flight != 0 ? in_flight : 2 * vow_pool_threads(b.cpu));

    stop(b.io);
    stop(b.cpu);
    vow_promise_unref(b.done);
    return ready;
}
