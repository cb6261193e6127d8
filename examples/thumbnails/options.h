/* SPDX-License-Identifier: MIT */
/* The command line. */
#ifndef THUMBNAILS_OPTIONS_H
#define THUMBNAILS_OPTIONS_H

#include <stdbool.h>

enum { SIZES_MAX = 32 };

/* Status of a command line that makes no sense. */
enum { STATUS_USAGE = 2 };

struct options {
    const char *from; /* DIR */
    const char *to;   /* OUT */
    unsigned sizes[SIZES_MAX];
    unsigned size_count;
    unsigned repeat;        /* sizes at least, made up if need be */
    unsigned long at_least; /* thumbnails at least, likewise */
    unsigned jobs;          /* threads that decode; 0: as many as CPUs */
    unsigned in_flight;     /* pictures in memory at most; 0: enough for the threads */
    bool generate;
    bool compare;
    bool quiet;
};

/*
 * Reads the command line. Returns true: go on; or false: it has printed what there is to
 * say, and *status is what to exit with.
 */
bool options_read(struct options *o, int argc, char **argv, int *status);

/* Returns the size of the nth pass: as asked for, and then each a pixel larger. */
unsigned options_size(const struct options *o, unsigned n);

/* Returns whether every picture is made in one size only. */
bool options_one_size(const struct options *o);

#endif
