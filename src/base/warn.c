/* SPDX-License-Identifier: MIT */
/*
 * base/warn.c - warnings, by default a line on stderr each.
 *
 * At most PER_SECOND lines a second, so that a process in trouble does not drown what
 * else is there, and a total at exit for the rest.
 */
#include "base/warn.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "base/sys.h"
#include "base/thread.h"
#include "base/time.h"

#define PER_SECOND 10
#define SECOND     INT64_C(1000000000)

/* guarded by VOWI_GLOBAL_WARNINGS, a leaf */
static struct {
    vow_warning_fn *hook; /* NULL: the default */
    void *ctx;
    struct vowi_rate rate;
} warnings;

bool
vowi_rate_allows(struct vowi_rate *r)
{
    vow_ns second = vowi_monotonic_now() / SECOND;

    if (r->second != second) {
        r->second = second;
        r->lines = 0;
    }
    if (r->lines >= PER_SECOND) {
        r->suppressed++;
        return false;
    }
    r->lines++;
    return true;
}

void
vow_on_warning(vow_warning_fn *hook, void *ctx)
{
    vowi_global_lock(VOWI_GLOBAL_WARNINGS);
    warnings.hook = hook;
    warnings.ctx = ctx;
    vowi_global_unlock(VOWI_GLOBAL_WARNINGS);
}

static void
warn_by_default(int code, const char *message)
{
    int cancel = vowi_sys_cancel_off();
    char text[VOWI_CODE_TEXT];
    bool print;

    vowi_global_lock(VOWI_GLOBAL_WARNINGS);
    print = vowi_rate_allows(&warnings.rate);
    vowi_global_unlock(VOWI_GLOBAL_WARNINGS);
    if (print)
        fprintf(stderr, "vow: warning %s: %s\n", vowi_error_code_text(code, text),
                message);
    vowi_sys_cancel_back(cancel);
}

__attribute__((destructor)) static void
print_total(void)
{
    if (warnings.rate.suppressed != 0)
        fprintf(stderr, "vow: %" PRIu64 " more warnings\n", warnings.rate.suppressed);
}

void
vowi_warn(int code, const char *format, ...)
{
    int saved = errno;
    char text[200];
    const char *message = text;
    vow_warning_fn *hook;
    va_list args;
    void *ctx;

    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) < 0)
        message = format;
    va_end(args);
    vowi_global_lock(VOWI_GLOBAL_WARNINGS);
    hook = warnings.hook;
    ctx = warnings.ctx;
    vowi_global_unlock(VOWI_GLOBAL_WARNINGS);
    if (hook != NULL)
        hook(code, message, ctx);
    else
        warn_by_default(code, message);
    errno = saved;
}
