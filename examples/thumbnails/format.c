/* SPDX-License-Identifier: MIT */
/* What the files of the three formats look like, and how gd reads and writes them. */
#include "format.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { JPEG_QUALITY = 85, WEBP_QUALITY = 80, PNG_LEVEL = 6 };

/* The first thing that gd said about the picture that this thread is decoding. */
static _Thread_local char complaint[160];

__attribute__((format(printf, 2, 0))) static void
note_complaint(int priority, const char *format, va_list args)
{
    (void)priority;
    if (complaint[0] == '\0') {
        vsnprintf(complaint, sizeof complaint, format, args);
        complaint[strcspn(complaint, "\r\n")] = '\0';
    }
}

void
format_prepare(void)
{
    gdSetErrorMethod(note_complaint);
}

/* Leaves out through which libraries the words came. */
const char *
format_complaint(void)
{
    const char *words = strstr(complaint, "error: ");

    if (words != NULL)
        return words + strlen("error: ");
    return complaint[0] != '\0' ? complaint : "it cannot be decoded";
}

const char *
format_name(enum format format)
{
    switch (format) {
    case FORMAT_JPEG:
        return "JPEG";
    case FORMAT_PNG:
        return "PNG";
    case FORMAT_WEBP:
        return "WebP";
    case FORMAT_NONE:
        break;
    }
    return "file";
}

static bool
has(const unsigned char *bytes, size_t length, size_t at, const char *text, size_t n)
{
    return length >= at + n && memcmp(bytes + at, text, n) == 0;
}

enum format
format_of(const unsigned char *bytes, size_t length)
{
    if (has(bytes, length, 0, "\xff\xd8\xff", 3))
        return FORMAT_JPEG;
    if (has(bytes, length, 0, "\x89PNG\r\n\x1a\n", 8))
        return FORMAT_PNG;
    if (has(bytes, length, 0, "RIFF", 4) && has(bytes, length, 8, "WEBP", 4))
        return FORMAT_WEBP;
    return FORMAT_NONE;
}

static uint32_t
big_endian(const unsigned char *p, size_t n)
{
    uint32_t value = 0;

    for (size_t i = 0; i < n; i++)
        value = value << 8 | p[i];
    return value;
}

static uint32_t
little_endian(const unsigned char *p, size_t n)
{
    uint32_t value = 0;

    while (n > 0)
        value = value << 8 | p[--n];
    return value;
}

/* Whether a JPEG marker opens a frame, which holds the size. */
static bool
opens_frame(unsigned char marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 &&
           marker != 0xcc;
}

/* Walks over the segments of a JPEG file: 0xff, a marker, a length, that many bytes. */
static const char *
measure_jpeg(const unsigned char *bytes, size_t length, struct extent *size)
{
    size_t at = 2;

    while (at + 9 <= length && bytes[at] == 0xff) {
        unsigned char marker = bytes[at + 1];

        if (marker == 0xff) { /* padding */
            at++;
        } else if (opens_frame(marker)) {
            size->height = big_endian(bytes + at + 5, 2);
            size->width = big_endian(bytes + at + 7, 2);
            return NULL;
        } else {
            at += 2 + big_endian(bytes + at + 2, 2);
        }
    }
    return "there is no image in it";
}

static const char *
measure_png(const unsigned char *bytes, size_t length, struct extent *size)
{
    if (!has(bytes, length, 12, "IHDR", 4) || length < 24)
        return "its header is missing";
    size->width = big_endian(bytes + 16, 4);
    size->height = big_endian(bytes + 20, 4);
    return NULL;
}

/* A WebP file is a RIFF container; its first chunk, of three kinds, holds the size. */
static const char *
measure_webp(const unsigned char *bytes, size_t length, struct extent *size)
{
    if (length < 30)
        return "its header is missing";
    if (little_endian(bytes + 4, 4) > length - 8)
        return "it ends too early";
    if (has(bytes, length, 12, "VP8 ", 4)) {
        size->width = little_endian(bytes + 26, 2) & 0x3fff;
        size->height = little_endian(bytes + 28, 2) & 0x3fff;
    } else if (has(bytes, length, 12, "VP8L", 4)) {
        uint32_t both = little_endian(bytes + 21, 4);

        size->width = (both & 0x3fff) + 1;
        size->height = (both >> 14 & 0x3fff) + 1;
    } else if (has(bytes, length, 12, "VP8X", 4)) {
        if ((bytes[20] & 2) != 0)
            return "animations are not supported";
        size->width = little_endian(bytes + 24, 3) + 1;
        size->height = little_endian(bytes + 27, 3) + 1;
    } else {
        return "its header is unknown";
    }
    return NULL;
}

const char *
format_measure(enum format format, const unsigned char *bytes, size_t length,
               struct extent *size)
{
    switch (format) {
    case FORMAT_JPEG:
        return measure_jpeg(bytes, length, size);
    case FORMAT_PNG:
        return measure_png(bytes, length, size);
    case FORMAT_WEBP:
        return measure_webp(bytes, length, size);
    case FORMAT_NONE:
        break;
    }
    return "it is no picture";
}

/*
 * Takes the chunks out of a PNG file that gd makes no use of: libpng prints warnings
 * about some of them, colour profiles above all, and gd lets it. Returns what is left.
 */
static size_t
drop_extras(unsigned char *bytes, size_t length)
{
    size_t from = 8, to = 8;

    while (length - from >= 12 && big_endian(bytes + from, 4) <= length - from - 12) {
        size_t chunk = big_endian(bytes + from, 4) + (size_t)12;
        bool critical = (bytes[from + 4] & 0x20) == 0;

        if (critical || memcmp(bytes + from + 4, "tRNS", 4) == 0) {
            memmove(bytes + to, bytes + from, chunk);
            to += chunk;
        }
        from += chunk;
    }
    memmove(bytes + to, bytes + from, length - from);
    return to + length - from;
}

/* What gd complains about but decodes all the same is damaged too: cut short, say. */
gdImage *
format_decode(enum format format, unsigned char *bytes, size_t length)
{
    gdImage *image = NULL;

    complaint[0] = '\0';
    if (format == FORMAT_PNG)
        image = gdImageCreateFromPngPtr((int)drop_extras(bytes, length), bytes);
    else if (format == FORMAT_JPEG)
        image = gdImageCreateFromJpegPtrEx((int)length, bytes, 0);
    else if (format == FORMAT_WEBP)
        image = gdImageCreateFromWebpPtr((int)length, bytes);
    if (image != NULL && complaint[0] != '\0') {
        gdImageDestroy(image);
        image = NULL;
    }
    return image;
}

void *
format_encode(enum format format, gdImage *image, size_t *length)
{
    void *bytes = NULL;
    int n = 0;

    if (format == FORMAT_PNG)
        bytes = gdImagePngPtrEx(image, &n, PNG_LEVEL);
    else if (format == FORMAT_JPEG)
        bytes = gdImageJpegPtr(image, &n, JPEG_QUALITY);
    else if (format == FORMAT_WEBP)
        bytes = gdImageWebpPtrEx(image, &n, WEBP_QUALITY);
    *length = (size_t)n;
    return bytes;
}
