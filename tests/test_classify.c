/* SPDX-License-Identifier: MIT */
/* Classes of errors, who reads them, and doing without. */
#include "vow_test.h"

#include <errno.h>

#include <vow/vow.h>

#include "drops.h"

static const vow_class_rule rules[] = {
    {EAGAIN, VOW_CLASS_RETRY},  {EPERM, VOW_CLASS_FAIL}, {EIO, VOW_CLASS_FALL_BACK},
    {ENOENT, VOW_CLASS_IGNORE}, {EIO, VOW_CLASS_FAIL}, /* the first one counts */
};
static const vow_classes classes = VOW_CLASSES(rules, VOW_CLASS_FAIL);

static vow_class
class_of(int code)
{
    vow_error *e = vow_error_new(code, "code %d", code);
    vow_class c = vow_classify(&classes, e);

    vow_error_unref(e);
    return c;
}

VOW_CASE(classify_finds_the_first_rule)
{
    assert_int_equal(class_of(EAGAIN), VOW_CLASS_RETRY);
    assert_int_equal(class_of(EPERM), VOW_CLASS_FAIL);
    assert_int_equal(class_of(EIO), VOW_CLASS_FALL_BACK);
    assert_int_equal(class_of(ENOENT), VOW_CLASS_IGNORE);
    assert_int_equal(class_of(EBADF), VOW_CLASS_FAIL);
    assert_int_equal(vow_classify(&classes, NULL), VOW_CLASS_IGNORE);
}

VOW_CASE(classify_looks_along_the_causes)
{
    vow_error *cause = vow_error_new(ENOENT, "no such page");
    vow_error *e = vow_error_wrap(cause, EBADF, "cannot show it");
    vow_error *nearer = vow_error_wrap(e, EAGAIN, "not now");

    assert_int_equal(vow_classify(&classes, e), VOW_CLASS_IGNORE);
    assert_int_equal(vow_classify(&classes, nearer), VOW_CLASS_RETRY);
    vow_error_unref(cause);
    vow_error_unref(e);
    vow_error_unref(nearer);
}

VOW_CASE(classify_by_itself_ignores_errors_of_this_process)
{
    static const int own[] = {VOW_E_CANCELLED, VOW_E_CLOSED,   VOW_E_FORKED, VOW_E_NOMEM,
                              VOW_E_OPEN,      VOW_E_DEADLOCK, VOW_E_INVALID};
    vow_error *other = vow_error_new(EIO, "theirs");

    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        assert_int_equal(vow_classify(NULL, vow_error_of(own[i])), VOW_CLASS_IGNORE);
    assert_int_equal(vow_classify(NULL, vow_error_of(VOW_E_LIMIT)), VOW_CLASS_RETRY);
    assert_int_equal(vow_classify(NULL, other), VOW_CLASS_RETRY);
    vow_error_unref(other);
}

static vow_result
fail_with(void *code)
{
    return vow_fail(*(const int *)code, "code %d", *(const int *)code);
}

VOW_CASE(breaker_reads_the_table_of_classes)
{
    static int codes[] = {EAGAIN, EPERM, EIO, ENOENT};
    vow_breaker *b = vow_breaker_new(&VOW_BREAKER_OPTIONS(.classes = &classes));
    vow_breaker_metrics seen = {.size = sizeof seen};

    for (size_t i = 0; i < 4; i++)
        vow_ignore(vow_breaker_call(b, NULL, fail_with, vow_ptr(&codes[i])));
    vow_breaker_read(b, &seen);
    assert_int_equal(seen.failures, 3);
    assert_int_equal(seen.cancelled, 1);
    vow_breaker_unref(b);
}

/* ---- falling back -------------------------------------------------------------------- */

static vow_result
explain(const vow_error *error, void *ctx)
{
    drop_ran(ctx);
    return vow_ok(vow_i64(vow_error_code(error)));
}

static vow_future *
failed(int code)
{
    return vow_rejected(vow_error_new(code, "code %d", code));
}

VOW_CASE(fallback_runs_for_the_classes_that_call_for_it)
{
    static const int codes[] = {EAGAIN, EIO, EPERM, ENOENT};

    for (int i = 0; i < 4; i++) {
        struct drop d = {0};
        vow_future *f =
            vow_fallback(failed(codes[i]), &classes, NULL, explain, drop_value(&d));

        assert_int_equal(d.ran, i < 2);
        assert_int_equal(drop_count(&d), 1);
        if (i < 2)
            assert_int_equal(vow_peek(f).value.as.i64, codes[i]);
        else
            assert_int_equal(code_of(f), codes[i]);
        vow_unref(f);
    }
}

VOW_CASE(fallback_value_stands_in)
{
    struct drop used = {0}, unused = {0}, refused = {0};
    vow_future *f = vow_fallback_value(failed(EIO), &classes, drop_value(&used));
    vow_future *g =
        vow_fallback_value(vow_resolved(vow_i64(5)), &classes, drop_value(&unused));
    vow_future *h = vow_fallback_value(failed(EPERM), &classes, drop_value(&refused));

    assert_ptr_equal(vow_peek(f).value.as.ptr, &used);
    assert_int_equal(drop_count(&used), 0);
    assert_int_equal(vow_peek(g).value.as.i64, 5);
    assert_int_equal(drop_count(&unused), 1);
    assert_int_equal(code_of(h), EPERM);
    assert_int_equal(drop_count(&refused), 1);
    vow_unref(f);
    assert_int_equal(drop_count(&used), 1);
    vow_unref(g);
    vow_unref(h);
}

VOW_CASE(fallback_without_a_table_leaves_cancellation_alone)
{
    vow_future *f =
        vow_fallback_value(vow_rejected(vow_error_of(VOW_E_CANCELLED)), NULL, vow_i64(1));
    vow_future *g = vow_fallback_value(failed(EIO), NULL, vow_i64(1));

    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_int_equal(vow_peek(g).value.as.i64, 1);
    vow_unref(f);
    vow_unref(g);
}

VOW_CASE(fallback_without_memory_loses_nothing)
{
    counting_each_failure(k, COUNTING_ONCE)
    {
        struct drop d = {0};
        vow_future *f = vow_fallback_value(failed(EIO), NULL, drop_value(&d));

        vow_ignore(f);
        assert_int_equal(drop_count(&d), 1);
    }
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(classify_finds_the_first_rule),
        vow_test(classify_looks_along_the_causes),
        vow_test(classify_by_itself_ignores_errors_of_this_process),
        vow_test(breaker_reads_the_table_of_classes),
        vow_test(fallback_runs_for_the_classes_that_call_for_it),
        vow_test(fallback_value_stands_in),
        vow_test(fallback_without_a_table_leaves_cancellation_alone),
        vow_test(fallback_without_memory_loses_nothing),
    };

    return vow_test_run(cases);
}
