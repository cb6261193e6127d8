/* SPDX-License-Identifier: MIT */
/* Pictures for whoever has none: waves of colour with discs on them. */
#include "generate.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <gd.h>

#include "files.h"
#include "format.h"

enum { PICTURES = 36, DISCS = 12 };

static const struct shape {
    const char *name;
    int width, height;
} shapes[] = {
    {"landscape", 1600, 1000},
    {"portrait", 900, 1200},
    {"square", 1024, 1024},
    {"panorama", 2400, 600},
};

static const struct kind {
    const char *ending;
    enum format format;
} kinds[] = {
    {"jpg", FORMAT_JPEG},
    {"png", FORMAT_PNG},
    {"webp", FORMAT_WEBP},
};

/* Returns a channel of a pixel: a wave of its own direction and length. */
static int
wave(unsigned seed, double x, double y)
{
    double direction = seed * 0.7, length = 3 + seed % 5;

    return (int)(127.5 + 127.5 * sin(length * (x * cos(direction) + y * sin(direction))));
}

static void
paint_waves(gdImage *image, unsigned seed)
{
    for (int y = 0; y < gdImageSY(image); y++) {
        for (int x = 0; x < gdImageSX(image); x++) {
            double u = x / 400.0, v = y / 400.0;

            gdImageTrueColorPixel(image, x, y) = gdTrueColor(
                wave(seed, u, v), wave(seed + 3, u, v), wave(seed * 2 + 1, u, v));
        }
    }
}

static void
paint_discs(gdImage *image, unsigned seed)
{
    for (int i = 0; i < DISCS; i++) {
        seed = seed * 1103515245 + 12345; /* the same pictures every time */

        int x = (int)(seed >> 8) % gdImageSX(image);
        int y = (int)(seed >> 12) % gdImageSY(image);
        int size = 20 + (int)(seed >> 20) % 200;

        gdImageFilledEllipse(image, x, y, size, size, (int)(seed >> 4 & 0x5fffffff));
    }
}

static gdImage *
draw(const struct shape *shape, unsigned seed)
{
    /* From a third of the shape's size up to all of it. */
    int width = shape->width * (int)(4 + seed % 9) / 12;
    int height = shape->height * (int)(4 + seed % 9) / 12;
    gdImage *image = gdImageCreateTrueColor(width, height);

    if (image == NULL)
        return NULL;
    paint_waves(image, seed);
    paint_discs(image, seed);
    return image;
}

static int
store(const char *path, const struct shape *shape, enum format format, unsigned seed)
{
    gdImage *image = draw(shape, seed);
    void *bytes;
    size_t length;
    int error;

    if (image == NULL)
        return ENOMEM;
    bytes = format_encode(format, image, &length);
    gdImageDestroy(image);
    if (bytes == NULL)
        return ENOMEM;
    error = file_store(path, bytes, length);
    gdFree(bytes);
    return error;
}

int
generate_pictures(const char *directory)
{
    int error = make_directories(directory);

    for (unsigned i = 0; i < PICTURES && error == 0; i++) {
        const struct shape *shape = &shapes[i / 3 % (sizeof shapes / sizeof *shapes)];
        const struct kind *kind = &kinds[i % (sizeof kinds / sizeof *kinds)];
        char *path;

        if (asprintf(&path, "%s/%s/%02u.%s", directory, shape->name, i, kind->ending) < 0)
            return ENOMEM;
        if (access(path, F_OK) != 0)
            error = store(path, shape, kind->format, i);
        free(path);
    }
    return error;
}
