/* SPDX-License-Identifier: MIT */
/*
 * Errors: immutable, counted, one allocation each with the message behind it.
 *
 * The built-in errors are constant objects, one for each line of VOW_ERRORS. Their
 * size is 0, which says that they are neither counted nor freed nor written to;
 * what would have to write to one makes an error of its own on top of it.
 *
 * The count. Up to MOST it counts. Beyond, it is put in the middle of the upper
 * half of its range and kept there: the error leaks, but no number of references
 * that fits into memory wraps the count to zero and frees it under its holders.
 *
 * [last]  The decrement of a reference releases, and acquires for whoever takes
 *         the count to zero: all that the other holders did with the error
 *         happens before it is freed.
 */
#include "base/error.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/atomic.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/sys.h"

#define MOST      (UINT32_C(1) << 30)
#define SATURATED (UINT32_C(3) << 30)

#define NO_HINT VOWI_NO_HINT

/* Of the errors that one stands for. */
#define MOST_PRINTED 16

struct vowi_note {
    struct vowi_note *next; /* older */
    size_t size;            /* of the whole block */
    const char *value;      /* behind the key */
    char key[];
};

_Static_assert(offsetof(struct vow_error, refs) == 0, "a test sets the count");

static const vow_error built_in[] = {
#define BUILT_IN(name, number, text)                                                     \
    {.code = VOW_E_##name, .message = (text), .retry_after = NO_HINT},
    VOW_ERRORS(BUILT_IN)
#undef BUILT_IN
};

static const vow_error waits[] = {
#define WAIT(place, text)                                                                \
    {.code = VOW_E_DEADLOCK, .message = (text), .retry_after = NO_HINT},
    VOWI_WAITS(WAIT)
#undef WAIT
};

static const vow_error ends[] = {
#define END(what, text) {.code = VOW_E_CLOSED, .message = (text), .retry_after = NO_HINT},
    VOWI_ENDS(END)
#undef END
};

/* Of each built-in error, a cancellation with it as its reason. */
static const vow_error cancelled_by[] = {
#define CANCELLED_BY(name, number, text)                                                 \
    {.code = VOW_E_CANCELLED,                                                            \
     .message = "cancelled",                                                             \
     .cause = &built_in[VOW_E_##name - VOW_E_CANCELLED],                                 \
     .retry_after = NO_HINT},
    VOW_ERRORS(CANCELLED_BY)
#undef CANCELLED_BY
};

#define FIRST VOW_E_CANCELLED
#define COUNT ((int)(sizeof built_in / sizeof *built_in))

#define IN_A_ROW(name, number, text)                                                     \
    _Static_assert(VOW_E_##name >= FIRST && VOW_E_##name < FIRST + COUNT,                \
                   "the codes of the library are one range without gaps");
VOW_ERRORS(IN_A_ROW)
#undef IN_A_ROW

static const char *const names[] = {
#define NAME(name, number, text) [VOW_E_##name - FIRST] = "VOW_E_" #name,
    VOW_ERRORS(NAME)
#undef NAME
};

/* The errors of others are written to in one place only: their count. */
static vow_error *
writable(const vow_error *e)
{
    return vow_ptr(e).as.ptr;
}

static bool
is_built_in(const vow_error *e)
{
    return e->size == 0;
}

static bool
is_ours(int code)
{
    return code >= FIRST && code < FIRST + COUNT;
}

vow_error *
vow_error_of(int code)
{
    if (code == ENOMEM)
        code = VOW_E_NOMEM;
    if (!is_ours(code))
        return NULL;
    vowi_assert(built_in[code - FIRST].code == code);
    return writable(&built_in[code - FIRST]);
}

const char *
vow_error_name(int code)
{
    return is_ours(code) ? names[code - FIRST] : NULL;
}

const vow_error *
vowi_error_of_wait(enum vowi_wait_place place)
{
    return &waits[place];
}

vow_error *
vowi_error_of_end(enum vowi_end what)
{
    return writable(&ends[what]);
}

bool
vowi_error_is_end_of_wait(const vow_error *e)
{
    return e == &ends[VOWI_END_OF_WATCH] || e == &ends[VOWI_END_OF_EVERY];
}

vow_error *
vowi_error_cancelled_by(vow_error *reason)
{
    const vow_error *e;

    if (vow_error_code(reason) == VOW_E_CANCELLED)
        return reason;
    if (is_built_in(reason))
        return writable(&cancelled_by[reason->code - FIRST]);
    e = vow_error_wrap_at(NULL, reason, VOW_E_CANCELLED, "cancelled");
    vow_error_unref(reason);
    return writable(e);
}

/* ---- references ---------------------------------------------------------- */

vow_error *
vow_error_ref(const vow_error *e)
{
    vow_error *own = writable(e);

    if (own == NULL || is_built_in(own))
        return own;
    /* relaxed: the caller's reference keeps it alive, and orders what it wrote */
    if (vowi_add_relaxed(&own->refs, 1) >= MOST)
        vowi_store_relaxed(&own->refs, SATURATED);
    return own;
}

/* Returns whether that was the last reference. */
static bool
let_go(vow_error *e)
{
    uint32_t before;

    if (is_built_in(e))
        return false;
    before = vowi_sub_acq_rel(&e->refs, 1); /* [last] */
    if (before == 0)
        vowi_fatal("an error was released more often than it was held");
    if (before > MOST)
        vowi_store_relaxed(&e->refs, SATURATED);
    return before == 1;
}

static void
free_notes(struct vowi_note *n)
{
    while (n != NULL) {
        struct vowi_note *next = n->next;

        vowi_free(n, n->size);
        n = next;
    }
}

void
vow_error_unref(vow_error *e)
{
    while (e != NULL && let_go(e)) {
        vow_error *cause = writable(e->cause);
        vow_value payload = e->payload;

        free_notes(e->notes);
        if (e->kind != NULL)
            e->kind->gone(e);
        else
            vowi_free(e, e->size);
        vow_value_drop(payload);
        e = cause;
    }
}

/* ---- making one ---------------------------------------------------------- */

static vow_error *
without_memory(int code)
{
    vow_error *e = vow_error_of(code);

    return e != NULL ? e : vow_error_of(VOW_E_NOMEM);
}

/* Makes an error with room for a message of some length, NULL without memory. */
static vow_error *
allocate(const char *where, const vow_error *cause, int code, size_t length)
{
    size_t size = sizeof(vow_error) + length + 1;
    vow_error *e = vowi_alloc(size);

    if (e == NULL)
        return NULL;
    memset(e, 0, sizeof *e);
    vowi_store_relaxed(&e->refs, 1); /* relaxed: nobody else knows it */
    e->code = code;
    e->size = size;
    e->where = where;
    e->cause = vow_error_ref(cause);
    e->message = (char *)(e + 1);
    e->retry_after = NO_HINT;
    return e;
}

/* Makes an error whose message is there already, NULL without memory. */
static vow_error *
make_plain(const char *where, const vow_error *cause, int code, const char *message)
{
    size_t length = strlen(message);
    vow_error *e = allocate(where, cause, code, length);

    if (e != NULL)
        memcpy((char *)(e + 1), message, length + 1);
    return e;
}

/* A format that cannot be printed stands for itself: its text says more than nothing. */
VOW_PRINTF(4, 0)
static vow_error *
make_printed(const char *where, const vow_error *cause, int code, const char *format,
             va_list args)
{
    int saved = errno; /* %m means the caller's, both times */
    vow_error *e;
    va_list again;
    int length;

    va_copy(again, args);
    length = vsnprintf(NULL, 0, format, args);
    if (length < 0) {
        e = make_plain(where, cause, code, format);
    } else {
        e = allocate(where, cause, code, (size_t)length);
        errno = saved;
        if (e != NULL &&
            vsnprintf((char *)(e + 1), (size_t)length + 1, format, again) < 0) {
            vow_error_unref(e);
            e = make_plain(where, cause, code, format);
        }
    }
    va_end(again);
    errno = saved;
    return e;
}

vow_error *
vowi_error_vnew(const char *where, const vow_error *cause, int code, const char *format,
                va_list args)
{
    vow_error *e;

    if (format != NULL)
        e = make_printed(where, cause, code, format, args);
    else
        e = make_plain(where, cause, code, vow_error_message(vow_error_of(code)));
    return e != NULL ? e : without_memory(code);
}

vow_error *
vow_error_new_at(const char *where, int code, const char *format, ...)
{
    vow_error *e;
    va_list args;

    va_start(args, format);
    e = vowi_error_vnew(where, NULL, code, format, args);
    va_end(args);
    return e;
}

vow_error *
vow_error_wrap_at(const char *where, const vow_error *cause, int code, const char *format,
                  ...)
{
    vow_error *e;
    va_list args;

    va_start(args, format);
    e = vowi_error_vnew(where, cause, code, format, args);
    va_end(args);
    return e;
}

/*
 * Returns an error that may be written to: e itself, or one on top of a built-in e.
 * NULL without memory.
 */
static vow_error *
for_writing(vow_error *e)
{
    return is_built_in(e) ? make_plain(NULL, e, e->code, e->message) : e;
}

/* ---- reading one --------------------------------------------------------- */

int
vow_error_code(const vow_error *e)
{
    return e != NULL ? e->code : 0;
}

const char *
vow_error_message(const vow_error *e)
{
    return e != NULL ? e->message : "";
}

const vow_error *
vow_error_cause(const vow_error *e)
{
    return e != NULL ? e->cause : NULL;
}

const char *
vow_error_where(const vow_error *e)
{
    return e != NULL ? e->where : NULL;
}

bool
vow_error_is(const vow_error *e, int code)
{
    while (e != NULL && e->code != code)
        e = e->cause;
    return e != NULL;
}

/* ---- the hint ------------------------------------------------------------ */

vow_error *
vow_error_retry(vow_error *e, vow_ns after)
{
    vow_error *marked = e != NULL ? for_writing(e) : NULL;

    if (marked == NULL)
        return e;
    marked->retry_after = after > 0 ? after : 0;
    return marked;
}

static const vow_error *
nearest_hint(const vow_error *e)
{
    while (e != NULL && e->retry_after == NO_HINT)
        e = e->cause;
    return e;
}

bool
vow_error_retryable(const vow_error *e)
{
    return nearest_hint(e) != NULL;
}

vow_ns
vow_error_retry_after(const vow_error *e)
{
    const vow_error *hint = nearest_hint(e);

    return hint != NULL ? hint->retry_after : 0;
}

/* ---- notes --------------------------------------------------------------- */

static struct vowi_note *
make_note(const char *key, const char *value)
{
    size_t key_size = strlen(key) + 1;
    size_t value_size = strlen(value) + 1;
    size_t size = sizeof(struct vowi_note) + key_size + value_size;
    struct vowi_note *n = vowi_alloc(size);

    if (n == NULL)
        return NULL;
    n->next = NULL;
    n->size = size;
    n->value = n->key + key_size;
    memcpy(n->key, key, key_size);
    memcpy(n->key + key_size, value, value_size);
    return n;
}

vow_error *
vow_error_with(vow_error *e, const char *key, const char *value)
{
    struct vowi_note *n;
    vow_error *noted;

    if (e == NULL || key == NULL || value == NULL)
        return e;
    n = make_note(key, value);
    if (n == NULL)
        return e;
    noted = for_writing(e);
    if (noted == NULL) {
        free_notes(n);
        return e;
    }
    n->next = noted->notes;
    noted->notes = n;
    return noted;
}

static const struct vowi_note *
find_note(const vow_error *e, const char *key)
{
    const struct vowi_note *n = e->notes;

    while (n != NULL && strcmp(n->key, key) != 0)
        n = n->next;
    return n;
}

const char *
vow_error_note(const vow_error *e, const char *key)
{
    for (; e != NULL && key != NULL; e = e->cause) {
        const struct vowi_note *n = find_note(e, key);

        if (n != NULL)
            return n->value;
    }
    return NULL;
}

/* ---- the payload --------------------------------------------------------- */

vow_error *
vow_error_attach(vow_error *e, vow_value payload)
{
    vow_error *laden = e != NULL ? for_writing(e) : NULL;
    vow_value earlier = payload;

    if (laden != NULL) {
        earlier = laden->payload;
        laden->payload = payload;
        laden->has_payload = true;
    }
    vow_value_drop(earlier);
    return laden != NULL ? laden : e;
}

vow_value
vow_error_payload(const vow_error *e)
{
    vow_value lent = VOW_NIL;

    while (e != NULL && !e->has_payload)
        e = e->cause;
    if (e != NULL)
        lent.as = e->payload.as;
    return lent;
}

void
vow_value_drop(vow_value v)
{
    if (v.drop != NULL)
        v.drop(v.as.ptr);
}

/* ---- printing one -------------------------------------------------------- */

/* A line break inside a message must not look like another error. */
static void
print_text(const char *text, FILE *stream)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        fputc(c < 0x20 || c == 0x7f ? ' ' : c, stream);
    }
}

/* Says what its cause says, and only adds which part of something that is. */
static bool
repeats_its_cause(const vow_error *e)
{
    return e->cause != NULL && e->message == e->cause->message;
}

static void
print_input(const vow_error *e, FILE *stream)
{
    if (e->position != 0)
        fprintf(stream, " [input %" PRId64 "]", e->position - 1);
}

const char *
vowi_error_code_text(int code, char text[VOWI_CODE_TEXT])
{
    const char *name = vow_error_name(code);

    if (name != NULL)
        snprintf(text, VOWI_CODE_TEXT, "%d (%s)", code, name);
    else
        snprintf(text, VOWI_CODE_TEXT, "%d", code);
    return text;
}

static void
print_one(const vow_error *e, FILE *stream)
{
    char code[VOWI_CODE_TEXT];

    fprintf(stream, "error %s", vowi_error_code_text(e->code, code));
    if (e->where != NULL)
        fprintf(stream, " at %s", e->where);
    fputs(": ", stream);
    print_text(e->message, stream);
    for (const struct vowi_note *n = e->notes; n != NULL; n = n->next) {
        fputs(" [", stream);
        print_text(n->key, stream);
        fputc('=', stream);
        print_text(n->value, stream);
        fputc(']', stream);
    }
    if (e->retry_after == VOW_FOREVER)
        fputs(" [retry after VOW_FOREVER]", stream);
    else if (e->retry_after >= vow_ms(10))
        fprintf(stream, " [retry after %" PRId64 " ms]", e->retry_after / vow_ms(1));
    else if (e->retry_after != NO_HINT)
        fprintf(stream, " [retry after %" PRId64 " ns]", e->retry_after);
}

/* The first lines of those that an error stands for, but for the one that is its cause. */
static void
print_others(const vow_error *e, FILE *stream)
{
    size_t n = vow_error_count(e);

    for (size_t i = 0; i < n && i < MOST_PRINTED; i++) {
        const vow_error *other = vow_error_at(e, i);

        if (other == NULL || other == e->cause)
            continue;
        if (e->cause != NULL)
            fputs("  and ", stream);
        else
            fprintf(stream, "  input %zu: ", i);
        print_one(other, stream);
        print_input(other, stream);
        fputc('\n', stream);
    }
    if (n > MOST_PRINTED)
        fprintf(stream, "  and what became of %zu more\n", n - MOST_PRINTED);
}

/* One line for an error and what merely repeats it. Returns the last of these. */
static const vow_error *
print_line(const vow_error *e, FILE *stream)
{
    const vow_error *says = e;

    while (repeats_its_cause(says))
        says = says->cause;
    print_one(says, stream);
    for (const vow_error *at = e; at != says; at = at->cause)
        print_input(at, stream);
    print_input(says, stream);
    fputc('\n', stream);
    for (const vow_error *at = e; at != says; at = at->cause)
        print_others(at, stream);
    print_others(says, stream);
    return says;
}

void
vow_error_print(const vow_error *e, FILE *stream)
{
    int cancel = vowi_sys_cancel_off();

    flockfile(stream); /* so that a chain stays together */
    if (e == NULL)
        fputs("no error\n", stream);
    for (const char *before = ""; e != NULL; e = print_line(e, stream)->cause) {
        fputs(before, stream);
        before = "  because of ";
    }
    funlockfile(stream);
    vowi_sys_cancel_back(cancel);
}
