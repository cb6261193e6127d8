/* SPDX-License-Identifier: MIT */
/*
 * The thumbnails example, whose disk is slow: a thousand pictures, and never more of them in
 * memory than the stages have room for, nor fewer, as long as there are any.
 *
 * The writing stage waits until all places are taken, or no picture is left to be found:
 * nothing here depends on time. Pictures are counted as they are made and freed.
 */
#include "vow_test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gd.h>

#include "thumbnails/batch.h"
#include "thumbnails/files.h"
#include "thumbnails/picture.h"
#include "thumbnails/report.h"
#include "thumbnails/source.h"

enum { PHOTOS = 1000, ROOM = 12, JOBS = 2 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned made, alive, peak; /* guarded by lock */
} count = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0};

/* By ld --wrap. */
struct picture *__real_picture_new(const char *from, const char *to, unsigned size);
void __real_picture_free(void *picture);
int __real_picture_write(struct picture *p);
struct picture *__wrap_picture_new(const char *from, const char *to, unsigned size);
void __wrap_picture_free(void *picture);
int __wrap_picture_write(struct picture *p);

static void
count_one(bool more)
{
    pthread_mutex_lock(&count.lock);
    count.made += more;
    count.alive += more ? 1u : -1u;
    if (count.alive > count.peak)
        count.peak = count.alive;
    pthread_cond_broadcast(&count.changed);
    pthread_mutex_unlock(&count.lock);
}

struct picture *
__wrap_picture_new(const char *from, const char *to, unsigned size)
{
    struct picture *p = __real_picture_new(from, to, size);

    if (p != NULL)
        count_one(true);
    return p;
}

void
__wrap_picture_free(void *picture)
{
    __real_picture_free(picture);
    count_one(false);
}

int
__wrap_picture_write(struct picture *p)
{
    pthread_mutex_lock(&count.lock);
    while (count.alive < ROOM && count.made < PHOTOS)
        pthread_cond_wait(&count.changed, &count.lock);
    pthread_mutex_unlock(&count.lock);
    return __real_picture_write(p);
}

/* Writes a small photo under so many names. */
static void
take_photos(const char *directory)
{
    gdImage *image = gdImageCreateTrueColor(12, 9);
    char path[256];
    void *bytes;
    int length;

    assert_non_null(image);
    gdImageFilledEllipse(image, 6, 4, 8, 6, gdTrueColor(200, 150, 40));
    bytes = gdImageJpegPtr(image, &length, 80);
    assert_non_null(bytes);
    for (int i = 0; i < PHOTOS; i++) {
        snprintf(path, sizeof path, "%s/%04d.jpg", directory, i);
        assert_int_equal(file_store(path, bytes, (size_t)length), 0);
    }
    gdFree(bytes);
    gdImageDestroy(image);
}

static void
remove_photos(const char *directory)
{
    char path[256];

    for (int i = 0; i < PHOTOS; i++) {
        snprintf(path, sizeof path, "%s/%04d.jpg", directory, i);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(directory), 0);
}

VOW_CASE(a_slow_disk_fills_every_place_and_no_more)
{
    char from[] = "/tmp/vow-photos-XXXXXX", to[] = "/tmp/vow-thumbs-XXXXXX";
    const struct options o = {.from = mkdtemp(from),
                              .to = mkdtemp(to),
                              .sizes = {8},
                              .size_count = 1,
                              .repeat = 1};
    const struct stat nowhere = {.st_ino = 0};
    atomic_bool stopped = false;
    struct source s;
    struct report r;

    take_photos(o.from);
    assert_int_equal(source_open(&s, &o, &nowhere, &stopped), 0);
    report_begin(&r, true, false);
    assert_true(make_thumbnails(&s, &r, JOBS, ROOM));
    report_end(&r, source_files(&s), source_is_over(&s));
    source_close(&s);

    assert_int_equal(r.made, PHOTOS);
    assert_int_equal(r.failed, 0);
    assert_int_equal(count.peak, ROOM);
    assert_int_equal(count.alive, 0);
    remove_photos(from);
    remove_photos(to);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(a_slow_disk_fills_every_place_and_no_more),
    };

    return vow_test_run(cases);
}
