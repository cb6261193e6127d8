/* SPDX-License-Identifier: MIT */
/**
 * @file slices.h
 * A long computation in slices; meanwhile a frame is requested again and again, and a
 * byte lies in a pipe for a callback to read.
 */
#ifndef VOW_ORDER_SLICES_H
#define VOW_ORDER_SLICES_H

#include <unistd.h>

#include "order.h"

enum { SLICES = 6 };

static int slice, ends[2];
static vow_watch *watch;

static inline void
frame(vow_ns time, void *ctx)
{
    (void)time;
    (void)ctx;
    say("frame");
    if (slice < SLICES)
        must(vow_loop_request_frame(loop, frame, VOW_NIL) == 0);
}

static inline void
readable(vow_watch *w, unsigned events, void *ctx)
{
    char byte;

    (void)events;
    (void)ctx;
    must(read(ends[0], &byte, 1) == 1);
    say("a byte");
    must(vow_watch_stop(w) == 0);
}

/* Each slice takes 10 ms of the loop's clock; a byte comes in the second. */
static inline void
compute(void)
{
    slice++;
    printf("slice %d\n", slice);
    time_now += vow_ms(10);
    if (slice == 2)
        must(write(ends[1], "x", 1) == 1);
}

/* What both programs do before the computation. */
static inline void
begin(void)
{
    must(pipe(ends) == 0);
    watch = vow_watch_start(loop, ends[0], VOW_FD_READ, readable, VOW_NIL);
    must(watch != NULL);
    must(vow_loop_request_frame(loop, frame, VOW_NIL) == 0);
}

#endif
