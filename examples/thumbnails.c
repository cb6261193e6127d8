/* SPDX-License-Identifier: MIT */
/*
 * Makes a thumbnail of every picture under a directory: find, read, shrink, write.
 * Shows a pipeline over two pools, and how to bound what is under way without waiting.
 *
 * The picture is the item that is handed from stage to stage: wherever it ends, it is
 * freed. A file is looked for when there is room for one more picture, so that there are
 * never more in memory than the stages have room for, however many files there are and
 * whichever stage is slow.
 *
 * All that is vow is in this file; what a picture is, plain C, is in thumbnails/.
 */
#include "thumbnails/batch.h"

#include <vow/vow.h>

#include "thumbnails/picture.h"
#include "thumbnails/report.h"
#include "thumbnails/source.h"

/* Of the threads that may wait for a disk, so many read, and so many write. */
enum { IO_WIDTH = 2 };

struct batch {
    vow_executor *io;  /* threads that may wait for a disk */
    vow_executor *cpu; /* as many threads as there are CPUs to keep busy */
    struct source *source;
    struct report *report;
};

static bool
find(vow_value *picture, void *batch)
{
    struct batch *b = batch;
    struct picture *p;
    int code = source_next(b->source, &p);

    if (code == 0)
        *picture = vow_own(p, picture_free);
    else if (code != VOW_E_EMPTY)
        report_outcome(b->report, code, "out of memory");
    return code == 0;
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

/* All of it at once, if there is no room for stages. */
static vow_result
make_it(vow_value picture, void *ctx)
{
    struct picture *p = picture.as.ptr;
    int code = picture_read(p);

    (void)ctx;
    if (code == 0)
        code = picture_shrink(p);
    if (code == 0)
        code = picture_write(p);
    return outcome(p, code);
}

static void
made(size_t index, vow_value picture, void *batch)
{
    struct batch *b = batch;

    (void)index;
    report_outcome(b->report, 0, NULL);
    vow_value_drop(picture);
}

static void
failed(const vow_failed_item *f, void *batch)
{
    struct batch *b = batch;

    report_outcome(b->report, vow_error_code(f->error), vow_error_message(f->error));
}

static size_t
least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/*
 * A pipeline with room for so many pictures. Those that wait for a CPU, or for the disk
 * after it, share what is left when each stage has what it needs.
 */
static vow_future *
start(struct batch *b, size_t room)
{
    const vow_stage at_once[] = {
        VOW_STAGE(.on = b->cpu, .fn = make_it, .width = room, .on_error = VOW_STAGE_SKIP),
    };
    size_t cpus = least(vow_pool_threads(b->cpu), room > 2 ? room - 2 : 1);
    size_t files = least(IO_WIDTH, 1 + (room - cpus) / 6);
    const vow_stage stages[] = {
        VOW_STAGE(.on = b->io, .fn = read_it, .width = files, .on_error = VOW_STAGE_SKIP),
        VOW_STAGE(.on = b->cpu, .fn = shrink_it, .width = cpus,
                  .buffer = room - cpus - 2 * files, .on_error = VOW_STAGE_SKIP),
        VOW_STAGE(.on = b->io, .fn = write_it, .width = files,
                  .on_error = VOW_STAGE_SKIP),
    };

    return vow_pipeline_run(&VOW_PIPELINE_OPTIONS(.sink = made, .report = failed,
                                                  .unordered = true, .ctx = b),
                            &VOW_FEED(.next = find, .ctx = vow_ptr(b), .on = b->io),
                            room > 2 ? stages : at_once, room > 2 ? 3 : 1);
}

/* Waits for one future, however many pictures there are. */
static bool
run(struct batch *b, unsigned in_flight)
{
    vow_future *done =
        start(b, in_flight != 0 ? in_flight : 2 * vow_pool_threads(b->cpu) + 1);
    bool started = done != NULL;

    do
        report_progress(b->report, source_expected(b->source));
    while (!vow_wait(done, vow_ms(report_interval_ms(b->report))));
    vow_unref(done);
    return started;
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

    b.io = vow_pool_new(&VOW_POOL_OPTIONS(.name = "io", .threads = 2 * IO_WIDTH));
    b.cpu = vow_pool_new(&VOW_POOL_OPTIONS(.name = "cpu", .threads = jobs));
    ready = b.io != NULL && b.cpu != NULL && run(&b, in_flight);

    stop(b.io);
    stop(b.cpu);
    return ready;
}
