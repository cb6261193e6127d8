/* SPDX-License-Identifier: MIT */
/*
 * Long work that can be stopped: it reads a chunk, looks at its token, writes a chunk.
 *
 *     upload FROM TO                     until FROM ends
 *     upload FROM TO --stop-after N      stopped by another thread after N chunks
 *     upload FROM TO --within MS         stopped by a deadline
 *
 * Once it is told to stop it finishes the chunk at hand, at most, and its buffer is
 * freed on every path, since that is the drop of its context.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vow/vow.h>

enum { CHUNK = 64 * 1024 };

/* One transfer, owned by its task. */
struct upload {
    int from;
    int to;
    int error; /* why they could not be opened */
    char *chunk;
    int64_t stop_after;   /* 0: nobody waits for that many */
    vow_promise *reached; /* fulfilled after that many */
};

/* What outlives the transfer. */
static struct {
    _Atomic int64_t chunks; /* written */
    atomic_int buffers;     /* allocated */
} seen;

static void
upload_free(void *ptr)
{
    struct upload *u = ptr;

    if (u->from >= 0)
        close(u->from);
    if (u->to >= 0)
        close(u->to);
    vow_promise_unref(u->reached);
    free(u->chunk);
    free(u);
    atomic_fetch_sub(&seen.buffers, 1);
}

static void
open_both(struct upload *u, const char *from, const char *to)
{
    u->from = open(from, O_RDONLY | O_CLOEXEC);
    if (u->from >= 0)
        u->to = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (u->to < 0)
        u->error = errno;
}

/* Consumes the promise; VOW_NIL without memory. */
static vow_value
upload_new(const char *from, const char *to, vow_promise *reached, int64_t stop_after)
{
    struct upload *u = malloc(sizeof *u);
    char *chunk = malloc(CHUNK);

    if (u == NULL || chunk == NULL) {
        free(u);
        free(chunk);
        vow_promise_unref(reached);
        return VOW_NIL;
    }
    *u = (struct upload){.from = -1, .to = -1, .chunk = chunk, .reached = reached};
    u->stop_after = stop_after;
    open_both(u, from, to);
    atomic_fetch_add(&seen.buffers, 1);
    return vow_own(u, upload_free);
}

static bool
write_all(int to, const char *chunk, size_t size)
{
    while (size > 0) {
        ssize_t written = write(to, chunk, size);

        if (written < 0 && errno != EINTR)
            return false;
        if (written > 0) {
            chunk += written;
            size -= (size_t)written;
        }
    }
    return true;
}

static vow_result
upload(void *ctx)
{
    struct upload *u = ctx;
    int64_t bytes = 0;

    if (u->error != 0)
        return vow_fail(u->error, "opening: %s", strerror(u->error));
    for (;;) {
        ssize_t size = read(u->from, u->chunk, CHUNK);
        vow_result stop = vow_check_cancelled();

        if (stop.error != NULL)
            return stop;
        if (size < 0)
            return vow_fail(errno, "reading: %s", strerror(errno));
        if (size == 0)
            return vow_ok(vow_i64(bytes));
        if (!write_all(u->to, u->chunk, (size_t)size))
            return vow_fail(errno, "writing: %s", strerror(errno));
        bytes += size;
        if (atomic_fetch_add(&seen.chunks, 1) + 1 == u->stop_after)
            vow_promise_fulfill(u->reached, VOW_NIL);
    }
}

/* What the command line says. */
struct options {
    const char *from;
    const char *to;
    int64_t stop_after;
    int64_t within; /* ms; 0: no deadline */
};

static bool
read_options(struct options *o, int argc, char **argv)
{
    if (argc != 3 && argc != 5)
        return false;
    *o = (struct options){.from = argv[1], .to = argv[2]};
    if (argc == 3)
        return true;
    if (strcmp(argv[3], "--stop-after") == 0)
        o->stop_after = strtoll(argv[4], NULL, 10);
    else if (strcmp(argv[3], "--within") == 0)
        o->within = strtoll(argv[4], NULL, 10);
    return o->stop_after > 0 || o->within > 0;
}

/* Prints how it went and returns what main does. */
static int
report(vow_future *f)
{
    vow_view result = vow_get(f);

    if (result.error == NULL)
        printf("%" PRId64 " bytes\n", result.value.as.i64);
    else
        vow_error_print(result.error, stdout);
    return result.error == NULL || vow_error_is(result.error, VOW_E_CANCELLED) ? 0 : 1;
}

/* Waits for so many chunks, stops the transfer, and says whether it went on too long. */
static void
stop_when_reached(vow_future *reached, vow_source *stop, vow_future *f)
{
    int64_t chunks;

    if (vow_get(reached).error != NULL)
        return; /* it ended before */
    vow_source_cancel(stop, vow_error_new(EINTR, "stopped by hand"));
    chunks = atomic_load(&seen.chunks);
    vow_wait(f, VOW_FOREVER);
    printf("stopped within %s\n",
           atomic_load(&seen.chunks) - chunks <= 1 ? "one chunk" : "too many chunks");
}

static int
transfer(const struct options *o)
{
    vow_source *stop = vow_source_new();
    vow_token *token = vow_source_token(stop);
    vow_promise *promise = vow_promise_new();
    vow_future *reached = vow_promise_future(promise);
    vow_value u = upload_new(o->from, o->to, promise, o->stop_after);
    vow_submit_options opt = VOW_SUBMIT_OPTIONS(.name = "upload", .token = token);
    vow_future *f = NULL;
    int status;

    if (o->within > 0)
        opt.deadline = vow_now() + vow_ms(o->within);
    if (stop != NULL && reached != NULL && !vow_is_nil(u))
        f = vow_submit_with(vow_default_pool(), &opt, upload, u);
    else
        vow_value_drop(u);
    if (o->stop_after > 0)
        stop_when_reached(reached, stop, f);
    status = report(f);
    vow_unref(f);
    vow_ignore(reached);
    vow_token_unref(token);
    vow_source_unref(stop);
    return status;
}

int
main(int argc, char **argv)
{
    struct options o;
    int status;

    if (!read_options(&o, argc, argv)) {
        fprintf(stderr, "usage: upload FROM TO [--stop-after CHUNKS | --within MS]\n");
        return 2;
    }
    status = transfer(&o);
    printf("%d buffers left\n", atomic_load(&seen.buffers));
    return status;
}
