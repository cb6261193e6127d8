/* SPDX-License-Identifier: MIT */
/* Debouncing and throttling: which calls run, when, and what the others get. */
#include "vow_test.h"

#include <errno.h>

#include <vow/debounce.h>
#include <vow/vow.h>

#include "drops.h"

static vow_manual *m;
static vow_executor *on;
static struct journal ran; /* a letter for each run */

static int
begin(void **state)
{
    int bad = counting_begin(state);

    ran = (struct journal){.used = 0};
    m = vow_manual_new();
    on = vow_manual_executor(m);
    return bad != 0 || m == NULL ? 1 : 0;
}

static int
end(void **state)
{
    vow_manual_unref(m);
    return counting_end(state);
}

#define pace_test(name) cmocka_unit_test_setup_teardown(name, begin, end)

#define OPTIONS(...)                                                                     \
    &VOW_PACE_OPTIONS(.wait = vow_ms(100), .clock = vow_manual_clock(m), __VA_ARGS__)

/* The context is a droppable with a letter; the value is that letter. */
static vow_result
write_letter(void *ctx)
{
    struct drop *d = (struct drop *)ctx;

    drop_ran(d);
    journal_add(&ran, d->mark);
    return vow_ok(vow_i64(d->mark));
}

enum { CALLS = 8 };

struct burst {
    struct drop d[CALLS];
    vow_future *f[CALLS];
    int n;
};

static void
call(struct burst *b, vow_pace *p)
{
    b->d[b->n].mark = (char)('a' + b->n);
    b->f[b->n] = vow_pace_call(p, on, write_letter, drop_value(&b->d[b->n]));
    b->n++;
    vow_manual_run(m);
}

static void
later(int ms)
{
    vow_manual_advance(m, vow_ms(ms));
}

/* Each was dropped once; it settled with a letter, or '!' for cancelled. */
static void
assert_outcomes(struct burst *b, const char *expected)
{
    for (int i = 0; i < b->n; i++) {
        assert_int_equal(drop_count(&b->d[i]), 1);
        if (expected[i] == '!')
            assert_int_equal(code_of(b->f[i]), VOW_E_CANCELLED);
        else
            assert_int_equal(vow_get(b->f[i]).value.as.i64, expected[i]);
        vow_unref(b->f[i]);
    }
}

#define assert_ran(letters) assert_string_equal(ran.text, letters)

/* ---- debounce ---------------------------------------------------------------- */

VOW_CASE(debounce_runs_the_last_of_a_burst)
{
    vow_pace *p = vow_debounce_new(OPTIONS(.max_wait = 0));
    struct burst b = {.n = 0};

    call(&b, p);
    later(99);
    call(&b, p);
    later(99);
    call(&b, p);
    assert_ran("");
    later(100);
    assert_ran("c");
    later(1000);
    assert_ran("c");
    call(&b, p);
    later(100);
    assert_ran("cd");
    assert_outcomes(&b, "!!cd");
    vow_pace_unref(p);
}

VOW_CASE(debounce_superseded_calls_may_share)
{
    vow_pace *p = vow_debounce_new(OPTIONS(.superseded = VOW_SUPERSEDED_SHARE));
    struct burst b = {.n = 0};

    call(&b, p);
    call(&b, p);
    call(&b, p);
    assert_int_equal(drop_count(&b.d[0]) + drop_count(&b.d[1]), 2); /* at once */
    later(100);
    assert_ran("c");
    assert_outcomes(&b, "ccc");
    vow_pace_unref(p);
}

VOW_CASE(debounce_runs_at_least_so_often)
{
    vow_pace *p = vow_debounce_new(OPTIONS(.max_wait = vow_ms(250)));
    struct burst b = {.n = 0};

    for (int i = 0; i < 4; i++) { /* at 0, 80, 160, 240: never 100 apart */
        call(&b, p);
        later(80);
    }
    assert_ran("d"); /* at 250 */
    call(&b, p);     /* at 320 */
    later(100);
    assert_ran("de");
    assert_outcomes(&b, "!!!de");
    vow_pace_unref(p);
}

VOW_CASE(debounce_of_a_lone_call_waits_no_longer_than_the_most)
{
    vow_pace *p = vow_debounce_new(OPTIONS(.max_wait = vow_ms(50)));
    struct burst b = {.n = 0};

    call(&b, p);
    later(49);
    assert_ran("");
    later(1);
    assert_ran("a");
    assert_outcomes(&b, "a");
    vow_pace_unref(p);
}

VOW_CASE(debounce_leading_runs_the_first_of_a_burst)
{
    vow_pace *p = vow_debounce_new(OPTIONS(.edges = VOW_EDGE_LEADING));
    struct burst b = {.n = 0};

    call(&b, p);
    assert_ran("a");
    later(99);
    call(&b, p);
    later(99);
    call(&b, p); /* the burst goes on */
    later(100);
    call(&b, p);
    assert_ran("ad");
    assert_outcomes(&b, "a!!d");
    vow_pace_unref(p);
    later(100);
}

VOW_CASE(debounce_leading_may_share_what_it_ran)
{
    vow_pace *p = vow_debounce_new(
        OPTIONS(.edges = VOW_EDGE_LEADING, .superseded = VOW_SUPERSEDED_SHARE));
    struct burst b = {.n = 0};

    call(&b, p);
    later(50);
    call(&b, p);
    later(50);
    call(&b, p);
    assert_ran("a");
    assert_outcomes(&b, "aaa");
    later(100);
    vow_pace_unref(p);
}

VOW_CASE(debounce_at_both_edges_runs_the_last_only_if_there_was_another)
{
    vow_pace *p = vow_debounce_new(OPTIONS(.edges = VOW_EDGE_BOTH));
    struct burst b = {.n = 0};

    call(&b, p);
    later(100);
    assert_ran("a");
    call(&b, p);
    call(&b, p);
    call(&b, p);
    assert_ran("ab");
    later(100);
    assert_ran("abd");
    assert_outcomes(&b, "ab!d");
    vow_pace_unref(p);
}

/* ---- throttle ------------------------------------------------------------------ */

VOW_CASE(throttle_runs_one_in_each_period)
{
    vow_pace *p = vow_throttle_new(OPTIONS(.max_wait = 0));
    struct burst b = {.n = 0};

    call(&b, p); /* at 0: at once */
    later(30);
    call(&b, p);
    later(30);
    call(&b, p);
    assert_ran("a");
    later(40); /* at 100 */
    assert_ran("ac");
    later(10);
    call(&b, p); /* at 110: the run at 100 began a period */
    assert_ran("ac");
    later(90); /* at 200 */
    assert_ran("acd");
    later(100); /* at 300: nothing waits, and nothing ran since */
    call(&b, p);
    assert_ran("acde");
    assert_outcomes(&b, "a!cde");
    later(100);
    vow_pace_unref(p);
}

VOW_CASE(throttle_leading_alone_drops_what_comes_too_soon)
{
    vow_pace *p = vow_throttle_new(OPTIONS(.edges = VOW_EDGE_LEADING));
    struct burst b = {.n = 0};

    call(&b, p);
    later(99);
    call(&b, p);
    later(1);
    call(&b, p);
    assert_ran("ac");
    assert_outcomes(&b, "a!c");
    later(100);
    vow_pace_unref(p);
}

/* ---- cancelling, flushing, ending ------------------------------------------------ */

/* Calls again, after half of the window. */
static struct burst within;
static vow_pace *paced;

static vow_result
take_long(void *ctx)
{
    (void)ctx;
    vow_manual_advance(m, vow_ms(50));
    call(&within, paced);
    return vow_ok(VOW_NIL);
}

VOW_CASE(throttle_period_begins_before_what_runs_and_not_after_it)
{
    paced = vow_throttle_new(OPTIONS(.max_wait = 0));
    within = (struct burst){.n = 0};
    vow_ignore(vow_pace_call(paced, NULL, take_long, VOW_NIL));
    later(49);
    assert_ran("");
    later(1); /* 100 after it began */
    assert_ran("a");
    assert_outcomes(&within, "a");
    vow_pace_unref(paced);
}

VOW_CASE(pace_call_cancelled_while_it_waits_never_runs)
{
    vow_pace *p = vow_debounce_new(OPTIONS(.max_wait = 0));
    struct burst b = {.n = 0};

    call(&b, p);
    vow_future_cancel(b.f[0], NULL);
    assert_int_equal(code_of(b.f[0]), VOW_E_CANCELLED);
    assert_int_equal(drop_count(&b.d[0]), 1);
    later(100);
    assert_ran("");
    call(&b, p);
    later(100);
    assert_ran("b");
    assert_outcomes(&b, "!b");
    vow_pace_unref(p);
}

VOW_CASE(pace_call_that_is_shared_runs_as_long_as_one_wants_it)
{
    vow_pace *p = vow_debounce_new(OPTIONS(.superseded = VOW_SUPERSEDED_SHARE));
    struct burst b = {.n = 0};

    call(&b, p);
    call(&b, p);
    vow_future_cancel(b.f[1], NULL);
    later(100);
    assert_ran("b"); /* for the first caller */
    call(&b, p);
    call(&b, p);
    vow_future_cancel(b.f[2], NULL);
    vow_future_cancel(b.f[3], NULL);
    later(100);
    assert_ran("b");
    assert_outcomes(&b, "b!!!");
    vow_pace_unref(p);
}

VOW_CASE(pace_flush_runs_what_waits_now)
{
    vow_pace *p = vow_debounce_new(OPTIONS(.max_wait = 0));
    struct burst b = {.n = 0};

    assert_false(vow_pace_flush(p));
    call(&b, p);
    assert_true(vow_pace_flush(p));
    vow_manual_run(m);
    assert_ran("a");
    assert_false(vow_pace_flush(p));
    later(100);
    assert_ran("a");
    assert_outcomes(&b, "a");
    vow_pace_unref(p);
}

VOW_CASE(pace_what_waits_runs_after_the_last_handle)
{
    vow_pace *p = vow_debounce_new(OPTIONS(.max_wait = 0));
    struct burst b = {.n = 0};

    call(&b, p);
    vow_pace_unref(p);
    later(100);
    assert_ran("a");
    assert_outcomes(&b, "a");
}

static vow_result
give_up_pace(void *ctx)
{
    vow_pace *p = (vow_pace *)ctx;

    vow_pace_unref(p);
    return vow_ok(vow_i64(1));
}

VOW_CASE(pace_may_be_let_go_by_what_it_runs)
{
    vow_pace *p = vow_throttle_new(OPTIONS(.max_wait = 0));
    vow_future *f = vow_pace_call(p, NULL, give_up_pace, vow_ptr(p));

    assert_int_equal(vow_get(f).value.as.i64, 1);
    vow_unref(f);
    later(1000);
}

VOW_CASE(pace_null_runs_at_once)
{
    struct burst b = {.n = 0};

    call(&b, NULL);
    assert_ran("a");
    assert_outcomes(&b, "a");
    assert_false(vow_pace_flush(NULL));
    assert_null(vow_pace_ref(NULL));
    vow_pace_unref(NULL);
    errno = 0;
    assert_null(vow_debounce_new(&VOW_PACE_OPTIONS(.wait = -1)));
    assert_int_equal(errno, EINVAL);
}

VOW_CASE(pace_without_memory_loses_nothing)
{
    static const vow_superseded kinds[] = {VOW_SUPERSEDED_CANCEL, VOW_SUPERSEDED_SHARE};

    for (int kind = 0; kind < 2; kind++)
        counting_each_failure(k, COUNTING_ONCE)
        {
            struct burst b = {.n = 0};
            vow_pace *p = vow_throttle_new(OPTIONS(.superseded = kinds[kind]));

            for (int i = 0; i < 4; i++) {
                call(&b, p);
                later(60);
            }
            later(1000);
            for (int i = 0; i < 4; i++) {
                int code = code_of(b.f[i]);

                assert_true(code == 0 || code == VOW_E_CANCELLED || code == VOW_E_NOMEM);
                assert_int_equal(drop_count(&b.d[i]), 1);
                if (b.f[i] == NULL)
                    assert_int_equal(b.d[i].ran, 0);
                vow_ignore(b.f[i]);
            }
            vow_pace_unref(p);
        }
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        pace_test(debounce_runs_the_last_of_a_burst),
        pace_test(debounce_superseded_calls_may_share),
        pace_test(debounce_runs_at_least_so_often),
        pace_test(debounce_of_a_lone_call_waits_no_longer_than_the_most),
        pace_test(debounce_leading_runs_the_first_of_a_burst),
        pace_test(debounce_leading_may_share_what_it_ran),
        pace_test(debounce_at_both_edges_runs_the_last_only_if_there_was_another),
        pace_test(throttle_runs_one_in_each_period),
        pace_test(throttle_leading_alone_drops_what_comes_too_soon),
        pace_test(throttle_period_begins_before_what_runs_and_not_after_it),
        pace_test(pace_call_cancelled_while_it_waits_never_runs),
        pace_test(pace_call_that_is_shared_runs_as_long_as_one_wants_it),
        pace_test(pace_flush_runs_what_waits_now),
        pace_test(pace_what_waits_runs_after_the_last_handle),
        pace_test(pace_may_be_let_go_by_what_it_runs),
        pace_test(pace_null_runs_at_once),
        pace_test(pace_without_memory_loses_nothing),
    };

    return vow_test_run(cases);
}
