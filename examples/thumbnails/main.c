/* SPDX-License-Identifier: MIT */
/* The program thumbnails: its directories, its signals, its exit status. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <vow/result.h>

#include "allocator.h"
#include "batch.h"
#include "files.h"
#include "format.h"
#include "generate.h"
#include "options.h"
#include "picture.h"
#include "reason.h"
#include "report.h"
#include "source.h"

enum { STATUS_STOPPED = 130 };

/* Read by jemalloc, if the build has it: give back freed memory, which is large here,
   after a quarter of a second and not after ten. */
extern const char *malloc_conf;
const char *malloc_conf = "dirty_decay_ms:250";

static atomic_bool stopped;

static void
stop(int signal)
{
    (void)signal;
    atomic_store(&stopped, true);
}

/* Lets Ctrl-C and its kin stop the batch; a pipe that nobody reads stops nothing. */
static void
catch_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = stop, .sa_flags = SA_RESTART};
    struct sigaction before;

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        sigaction(signals[i], NULL, &before);
        if (before.sa_handler != SIG_IGN) /* nohup ignores SIGHUP */
            sigaction(signals[i], &action, NULL);
    }
    signal(SIGPIPE, SIG_IGN);
}

static bool
complain(const char *path, const char *what)
{
    fprintf(stderr, "thumbnails: %s: %s\n", path, what);
    return false;
}

static bool
is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Whether a directory is another, or above it: thumbnails there could replace pictures. */
static bool
holds(const struct stat *above, const char *directory)
{
    char *path = realpath(directory, NULL);
    char *end = path != NULL ? path + strlen(path) : NULL;
    struct stat s;
    bool found = path == NULL; /* who knows */

    while (end != NULL && !found) {
        *end = '\0';
        found = stat(*path != '\0' ? path : "/", &s) == 0 && is_same(&s, above);
        end = strrchr(path, '/');
    }
    free(path);
    return found;
}

/* Makes sure of both directories, and describes OUT. */
static bool
prepare(const struct options *o, struct stat *out)
{
    struct stat in;
    int error = o->generate ? generate_pictures(o->from) : 0;

    if (error != 0)
        return complain(o->from, strerror(error));
    if (stat(o->from, &in) != 0)
        return complain(o->from, strerror(errno));
    if (!S_ISDIR(in.st_mode))
        return complain(o->from, strerror(ENOTDIR));
    error = make_directories(o->to);
    if (error != 0 || stat(o->to, out) != 0)
        return complain(o->to, strerror(error != 0 ? error : errno));
    if (!S_ISDIR(out->st_mode))
        return complain(o->to, strerror(ENOTDIR));
    if (holds(out, o->from))
        return complain(o->to, "thumbnails there could replace the pictures");
    return true;
}

/* The same work without any thread, to compare. */
static void
make_one_by_one(struct source *s, struct report *r)
{
    struct picture *p;
    int code;

    while ((code = source_next(s, &p)) != VOW_E_EMPTY) {
        if (code == 0)
            code = picture_read(p);
        if (code == 0)
            code = picture_shrink(p);
        if (code == 0)
            code = picture_write(p);
        report_outcome(r, code, p != NULL ? p->why : "out of memory");
        picture_free(p);
    }
}

static void
compare(const struct options *o, const struct stat *out, double seconds)
{
    struct source s;
    struct report r;
    int error = source_open(&s, o, out, &stopped);

    if (error != 0) {
        complain(o->from, strerror(error));
        return;
    }
    if (!o->quiet)
        fputs("and now one after the other, in one thread ...\n", stderr);
    report_begin(&r, true, true);
    make_one_by_one(&s, &r);
    report_end(&r, source_files(&s), source_is_over(&s));
    source_close(&s);
    if (!atomic_load(&stopped))
        printf("%.2f s, and %.2f s one after the other: %.2f times as fast\n", seconds,
               r.seconds, r.seconds / seconds);
}

/* Makes all thumbnails. Returns what to exit with. */
static int
make_all(const struct options *o, const struct stat *out)
{
    struct source s;
    struct report r;
    int error = source_open(&s, o, out, &stopped);

    if (error != 0) {
        complain(o->from, strerror(error));
        return STATUS_USAGE;
    }
    report_begin(&r, o->quiet, false);
    if (!make_thumbnails(&s, &r, o->jobs, o->in_flight)) {
        complain("threads", "cannot be started");
        source_close(&s);
        return STATUS_USAGE;
    }
    report_end(&r, source_files(&s), source_is_over(&s));
    source_close(&s);
    if (o->compare && !atomic_load(&stopped))
        compare(o, out, r.seconds);
    if (atomic_load(&stopped))
        return STATUS_STOPPED;
    return r.failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
    struct options options;
    struct stat out;
    int status;

    use_fast_allocator();
    format_prepare();
    if (!options_read(&options, argc, argv, &status))
        return status;
    catch_signals();
    if (!prepare(&options, &out))
        return STATUS_USAGE;
    return make_all(&options, &out);
}
