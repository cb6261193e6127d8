/* SPDX-License-Identifier: MIT */
/* A picture on its way from a file to a thumbnail: the three steps. */
#include "picture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gd.h>

#include "files.h"
#include "reason.h"

/* A small file can claim any size. This many pixels take 400 MB decoded. */
static const unsigned long long pixels_max = 100 * 1000 * 1000;
static const off_t bytes_max = 512 * 1024 * 1024;

struct picture *
picture_new(const char *from, const char *to, unsigned size)
{
    struct picture *p = calloc(1, sizeof *p);

    if (p == NULL)
        return NULL;
    p->from = strdup(from);
    p->to = strdup(to);
    p->size = size;
    if (p->from == NULL || p->to == NULL) {
        picture_free(p);
        return NULL;
    }
    return p;
}

void
picture_free(void *picture)
{
    struct picture *p = picture;

    if (p == NULL)
        return;
    free(p->from);
    free(p->to);
    free(p->bytes);
    if (p->thumbnail != NULL)
        gdFree(p->thumbnail);
    free(p);
}

__attribute__((format(printf, 3, 4))) static int
fail(struct picture *p, int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(p->why, sizeof p->why, format, args);
    va_end(args);
    return code;
}

static int
fail_errno(struct picture *p, int error)
{
    char text[128];

    return fail(p, error, "%s", strerror_r(error, text, sizeof text));
}

bool
picture_has_name(const char *path)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".webp"};
    const char *dot = strrchr(path, '.');

    for (size_t i = 0; dot != NULL && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return true;
    return false;
}

/* Opens a file, but not what may block or do things when it is opened, a pipe say. */
static int
open_file(const char *path, int *fd, off_t *length)
{
    struct stat s;

    *fd = -1;
    if (stat(path, &s) != 0)
        return errno;
    if (!S_ISREG(s.st_mode))
        return NOT_A_FILE;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*fd < 0)
        return errno;
    *length = s.st_size;
    return 0;
}

bool
picture_seems(const char *path)
{
    unsigned char head[FORMAT_HEAD];
    enum format format = FORMAT_NONE;
    size_t length = sizeof head;
    off_t size;
    int fd;

    if (picture_has_name(path))
        return true;
    if (open_file(path, &fd, &size) != 0)
        return false;
    if (file_read(fd, head, &length) == 0)
        format = format_of(head, length);
    close(fd);
    return format != FORMAT_NONE;
}

/* Reads all of the file, unless its first bytes say that it is no picture. */
static int
read_content(struct picture *p, int fd, size_t length)
{
    size_t head = length < FORMAT_HEAD ? length : FORMAT_HEAD;
    size_t rest = length - head;
    int error;

    p->bytes = malloc(length);
    if (p->bytes == NULL)
        return fail_errno(p, ENOMEM);
    error = file_read(fd, p->bytes, &head);
    if (error != 0)
        return fail_errno(p, error);
    p->format = format_of(p->bytes, head);
    if (p->format == FORMAT_NONE)
        return fail(p, NOT_A_PICTURE, "not a JPEG, PNG or WebP picture");
    error = file_read(fd, p->bytes + head, &rest);
    p->length = head + rest;
    return error == 0 ? 0 : fail_errno(p, error);
}

int
picture_read(struct picture *p)
{
    off_t length = 0;
    int fd = -1;
    int code = p->fault != 0 ? p->fault : open_file(p->from, &fd, &length);

    if (code == NOT_A_FILE)
        return fail(p, code, "not a regular file");
    if (code != 0)
        return fail_errno(p, code);

    if (length == 0)
        code = fail(p, EMPTY_FILE, "the file is empty");
    else if (length > bytes_max)
        code = fail(p, TOO_LARGE, "too large: %lld bytes", (long long)length);
    else
        code = read_content(p, fd, (size_t)length);
    close(fd);
    return code;
}

/* Looks at the size that the picture claims, before anything is allocated for it. */
static int
check_header(struct picture *p)
{
    struct extent size;
    const char *wrong = format_measure(p->format, p->bytes, p->length, &size);

    if (wrong != NULL)
        return fail(p, DAMAGED, "damaged %s: %s", format_name(p->format), wrong);
    if ((unsigned long long)size.width * size.height > pixels_max)
        return fail(p, TOO_LARGE, "too large: %u x %u pixels", size.width, size.height);
    return 0;
}

static gdImage *
decode(struct picture *p)
{
    gdImage *image = format_decode(p->format, p->bytes, p->length);

    free(p->bytes);
    p->bytes = NULL;
    return image;
}

/* Returns a part of a whole, rounded, and at least one pixel. */
static int
share(int whole, unsigned long long part, int of)
{
    int n = (int)(((unsigned long long)whole * part * 2 / (unsigned)of + 1) / 2);

    return n > 0 ? n : 1;
}

/* Returns a copy whose longest side is size; what is smaller stays as it is. */
static gdImage *
scale(gdImage *image, unsigned size)
{
    int longest =
        gdImageSX(image) > gdImageSY(image) ? gdImageSX(image) : gdImageSY(image);
    unsigned part = size < (unsigned)longest ? size : (unsigned)longest;
    int width = share(gdImageSX(image), part, longest);
    int height = share(gdImageSY(image), part, longest);
    gdImage *small = gdImageCreateTrueColor(width, height);

    if (small == NULL)
        return NULL;
    gdImageAlphaBlending(small, 0);
    gdImageSaveAlpha(small, 1);
    gdImageCopyResampled(small, image, 0, 0, 0, 0, width, height, gdImageSX(image),
                         gdImageSY(image));
    return small;
}

int
picture_shrink(struct picture *p)
{
    gdImage *image, *small = NULL;
    int code = check_header(p);

    if (code != 0)
        return code;
    image = decode(p);
    if (image == NULL)
        return fail(p, DAMAGED, "damaged %s: %s", format_name(p->format),
                    format_complaint());
    small = scale(image, p->size);
    gdImageDestroy(image);
    if (small == NULL)
        return fail_errno(p, ENOMEM);
    p->thumbnail = format_encode(p->format, small, &p->thumbnail_length);
    gdImageDestroy(small);
    return p->thumbnail != NULL ? 0 : fail(p, ENOMEM, "cannot encode the thumbnail");
}

int
picture_write(struct picture *p)
{
    char text[128];
    int error = file_store(p->to, p->thumbnail, p->thumbnail_length);

    if (error != 0)
        return fail(p, error, "its thumbnail cannot be written: %s",
                    strerror_r(error, text, sizeof text));
    return 0;
}
