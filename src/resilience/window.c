/* SPDX-License-Identifier: MIT */
/* resilience/window.c - the last calls, by count or by time. */
#include "resilience/window.h"

#include <string.h>

#include "base/mem.h"

enum { COUNTS = 1, FAILED = 2, SLOW = 4 }; /* a byte of the ring */

bool
vowi_window_init(struct vowi_window *w, unsigned calls, vow_ns time)
{
    memset(w, 0, sizeof *w);
    if (time > 0) {
        w->tenth = time / VOWI_WINDOW_BUCKETS;
        if (w->tenth == 0)
            w->tenth = 1;
    } else {
        w->capacity = calls;
        w->ring = vowi_alloc(calls);
        if (w->ring == NULL)
            return false;
    }
    vowi_window_clear(w);
    return true;
}

void
vowi_window_fini(struct vowi_window *w)
{
    vowi_free(w->ring, w->capacity);
}

void
vowi_window_clear(struct vowi_window *w)
{
    memset(&w->sums, 0, sizeof w->sums);
    memset(w->buckets, 0, sizeof w->buckets);
    w->next = 0;
    w->number = INT64_MIN;
    if (w->ring != NULL)
        memset(w->ring, 0, w->capacity);
}

static void
subtract(struct vowi_sums *from, const struct vowi_sums *what)
{
    from->calls -= what->calls;
    from->failures -= what->failures;
    from->slow -= what->slow;
}

static void
add(struct vowi_sums *to, bool failed, bool slow)
{
    to->calls++;
    to->failures += failed;
    to->slow += slow;
}

static struct vowi_sums *
bucket(struct vowi_window *w, int64_t number)
{
    int64_t i = number % VOWI_WINDOW_BUCKETS;

    return &w->buckets[i < 0 ? i + VOWI_WINDOW_BUCKETS : i];
}

/* Rounded down, also below zero. */
static int64_t
number_at(const struct vowi_window *w, vow_ns now)
{
    return now / w->tenth - (now % w->tenth < 0);
}

void
vowi_window_move(struct vowi_window *w, vow_ns now)
{
    int64_t number;

    if (w->ring != NULL)
        return;
    number = number_at(w, now);
    if (w->sums.calls == 0 && number > w->number) {
        w->number = number; /* all buckets are empty */
        return;
    }
    for (int left = VOWI_WINDOW_BUCKETS; w->number < number && left > 0; left--) {
        struct vowi_sums *oldest = bucket(w, ++w->number);

        subtract(&w->sums, oldest);
        memset(oldest, 0, sizeof *oldest);
    }
    if (w->number < number)
        w->number = number;
}

static void
add_to_ring(struct vowi_window *w, bool failed, bool slow)
{
    unsigned char *oldest = &w->ring[w->next];
    struct vowi_sums gone = {(*oldest & COUNTS) != 0, (*oldest & FAILED) != 0,
                             (*oldest & SLOW) != 0};

    subtract(&w->sums, &gone);
    *oldest = (unsigned char)(COUNTS | (failed ? FAILED : 0) | (slow ? SLOW : 0));
    w->next = w->next + 1 < w->capacity ? w->next + 1 : 0;
}

void
vowi_window_add(struct vowi_window *w, vow_ns now, bool failed, bool slow)
{
    if (w->ring != NULL) {
        add_to_ring(w, failed, slow);
    } else {
        vowi_window_move(w, now);
        add(bucket(w, w->number), failed, slow);
    }
    add(&w->sums, failed, slow);
}
