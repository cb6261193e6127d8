/* SPDX-License-Identifier: MIT */
/**
 * @file inputs.h
 * Promises whose futures go into a combinator, and what came of them.
 */
#ifndef INPUTS_H
#define INPUTS_H

#include "vow_test.h"

#include <vow/vow.h>

#include "drops.h"

enum { MOST = 8 };

/** Some promises, a future of each, and what their cancel hooks saw. */
struct inputs {
    size_t n;
    vow_promise *promise[MOST];
    vow_future *future[MOST];
    struct drop drop[MOST];
    int asked[MOST];
    int told; /* the code of the reason behind the last request */
};

static inline struct inputs
inputs_new(size_t n)
{
    struct inputs in = {.n = n};

    for (size_t i = 0; i < n; i++) {
        in.promise[i] = vow_promise_new();
        in.future[i] = vow_promise_future(in.promise[i]);
    }
    return in;
}

static inline void
inputs_free(struct inputs *in)
{
    for (size_t i = 0; i < in->n; i++)
        vow_promise_unref(in->promise[i]);
}

static inline bool
fulfill(struct inputs *in, size_t i)
{
    return vow_promise_fulfill(in->promise[i], drop_value(&in->drop[i]));
}

static inline bool
reject(struct inputs *in, size_t i, int code)
{
    return vow_promise_reject(in->promise[i], vow_error_new(code, "input %zu", i));
}

static inline int
drops_of(struct inputs *in)
{
    int drops = 0;

    for (size_t i = 0; i < in->n; i++)
        drops += drop_count(&in->drop[i]);
    return drops;
}

#endif
