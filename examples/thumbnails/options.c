/* SPDX-License-Identifier: MIT */
/* The command line. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_MAX_PIXELS = 8192, REPEAT_MAX = 10000 };
enum { AT_LEAST_MAX = 100 * 1000 * 1000, THREADS_MAX = 1024, IN_FLIGHT_MAX = 100000 };

static const char usage[] =
    "usage: thumbnails [OPTIONS] DIR [OUT]\n"
    "       thumbnails [OPTIONS] --generate [DIR [OUT]]\n"
    "\n"
    "Makes a thumbnail of every JPEG, PNG and WebP picture under DIR. It has the same\n"
    "path under OUT (./thumbnails by default) and the same format.\n"
    "\n"
    "  --size N[,N...]  the longest side in pixels (256); nothing is enlarged. With\n"
    "                   several sizes each has a directory of its own in OUT: OUT/N\n"
    "  --jobs N         threads that decode (one for each CPU)\n"
    "  --in-flight N    pictures in memory at the same time (two for each such thread, "
    "and\n"
    "                   one)\n"
    "  --repeat N       make every picture in N sizes: those given, then larger ones\n"
    "  --at-least N     make every picture in as many sizes as give N thumbnails\n"
    "  --generate       first draw a few dozen pictures in DIR (./pictures by default)\n"
    "  --compare        then do it all again one after the other, and compare the times\n"
    "  --quiet          print failures only\n"
    "  --help           print this\n"
    "\n"
    "What a file is goes by its content. A file whose name ends in .jpg, .jpeg, .png or\n"
    ".webp and that is no picture is a failure, other files are passed over. Links to\n"
    "directories are not followed, and OUT may be inside DIR. The orientation that a\n"
    "camera notes in a JPEG file (EXIF) is ignored.\n"
    "\n"
    "Ctrl-C finishes the pictures in memory and starts no other. Exits with 0; 1 if a\n"
    "picture failed; 2 if it could not begin; 130 after Ctrl-C.\n";

enum flag { SIZE = 1, JOBS, IN_FLIGHT, REPEAT, AT_LEAST, GENERATE, COMPARE, QUIET, HELP };

static const struct option known[] = {
    {"size", required_argument, NULL, SIZE},
    {"jobs", required_argument, NULL, JOBS},
    {"in-flight", required_argument, NULL, IN_FLIGHT},
    {"repeat", required_argument, NULL, REPEAT},
    {"at-least", required_argument, NULL, AT_LEAST},
    {"generate", no_argument, NULL, GENERATE},
    {"compare", no_argument, NULL, COMPARE},
    {"quiet", no_argument, NULL, QUIET},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

/* Reads a number from 1 to max that ends at an end character. */
static bool
read_number(const char *text, const char *ends, unsigned long max, unsigned long *n,
            const char **rest)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *n = strtoul(text, &end, 10);
    *rest = end;
    return errno == 0 && *n >= 1 && *n <= max && strchr(ends, *end) != NULL;
}

static bool
read_count(const char *text, unsigned long max, unsigned long *n)
{
    const char *rest;

    return read_number(text, "", max, n, &rest) && *rest == '\0';
}

static bool
read_unsigned(const char *text, unsigned max, unsigned *n)
{
    unsigned long value;

    if (!read_count(text, max, &value))
        return false;
    *n = (unsigned)value;
    return true;
}

static bool
has_size(const struct options *o, unsigned long size)
{
    for (unsigned i = 0; i < o->size_count; i++)
        if (o->sizes[i] == size)
            return true;
    return false;
}

static bool
read_sizes(const char *text, struct options *o)
{
    unsigned long size;

    o->size_count = 0;
    while (o->size_count < SIZES_MAX) {
        if (!read_number(text, ",", SIZE_MAX_PIXELS, &size, &text) || has_size(o, size))
            return false;
        o->sizes[o->size_count++] = (unsigned)size;
        if (*text == '\0')
            return true;
        text++;
    }
    return false;
}

/* Takes one option. Returns whether its argument makes sense. */
static bool
take(struct options *o, enum flag flag, const char *text)
{
    switch (flag) {
    case SIZE:
        return read_sizes(text, o);
    case JOBS:
        return read_unsigned(text, THREADS_MAX, &o->jobs);
    case IN_FLIGHT:
        return read_unsigned(text, IN_FLIGHT_MAX, &o->in_flight);
    case REPEAT:
        return read_unsigned(text, REPEAT_MAX, &o->repeat);
    case AT_LEAST:
        return read_count(text, AT_LEAST_MAX, &o->at_least);
    case GENERATE:
        o->generate = true;
        return true;
    case COMPARE:
        o->compare = true;
        return true;
    case QUIET:
        o->quiet = true;
        return true;
    case HELP:
        break;
    }
    return false;
}

static bool
read_flags(struct options *o, int argc, char **argv, int *status)
{
    int index;

    for (;;) {
        int flag = getopt_long(argc, argv, "", known, &index);

        if (flag == -1)
            return true;
        if (flag == HELP) {
            fputs(usage, stdout);
            *status = EXIT_SUCCESS;
            return false;
        }
        if (flag == '?') /* getopt has said what is wrong */
            return false;
        if (!take(o, (enum flag)flag, optarg)) {
            fprintf(stderr, "%s: --%s %s makes no sense\n", argv[0], known[index].name,
                    optarg);
            return false;
        }
    }
}

static bool
read_directories(struct options *o, int argc, char **argv)
{
    int left = argc - optind;

    if (left > 2) {
        fprintf(stderr, "%s: too many arguments: %s\n", argv[0], argv[optind + 2]);
        return false;
    }
    if (left == 0 && !o->generate) {
        fprintf(stderr, "%s: no directory given\n", argv[0]);
        return false;
    }
    o->from = left > 0 ? argv[optind] : "pictures";
    o->to = left > 1 ? argv[optind + 1] : "thumbnails";
    if (*o->from == '\0' || *o->to == '\0') {
        fprintf(stderr, "%s: a directory has no empty name\n", argv[0]);
        return false;
    }
    return true;
}

bool
options_read(struct options *o, int argc, char **argv, int *status)
{
    *o = (struct options){.sizes = {256}, .size_count = 1, .repeat = 1};
    *status = STATUS_USAGE;
    if (read_flags(o, argc, argv, status) && read_directories(o, argc, argv))
        return true;
    if (*status == STATUS_USAGE)
        fprintf(stderr, "usage: %s [OPTIONS] DIR [OUT]; --help says more\n", argv[0]);
    return false;
}

unsigned
options_size(const struct options *o, unsigned n)
{
    unsigned largest = 0;

    if (n < o->size_count)
        return o->sizes[n];
    for (unsigned i = 0; i < o->size_count; i++)
        largest = o->sizes[i] > largest ? o->sizes[i] : largest;
    return largest + (n - o->size_count + 1);
}

bool
options_one_size(const struct options *o)
{
    return o->size_count == 1 && o->repeat == 1 && o->at_least == 0;
}
