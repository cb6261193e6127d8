/* SPDX-License-Identifier: MIT */
/*
 * Out of memory, everywhere: each scenario is run with its first allocation failing,
 * then its second, and so on until it gets through; once with that one alone and once
 * with all that follow. Whatever fails, nothing may leak, every value and context is
 * dropped exactly once, and the only new code is VOW_E_NOMEM.
 */
#include "support/vow_test.h"

#include <string.h>

#include "support/scenarios.h"

bool
scenario_failed(void)
{
    return counting_failed();
}

static scenario_fn *
scenario_named(const char *name)
{
    const struct scenario *s = scenarios;

    while (s->name != NULL && strcmp(s->name, name) != 0)
        s++;
    assert_non_null(s->run);
    return s->run;
}

static void
run_once(scenario_fn *scenario, size_t k, enum counting_mode mode)
{
    static struct drop_set drops;
    size_t before = counting_live();
    size_t after;

    drop_set_clear(&drops);
    counting_fail_at(k, mode);
    scenario(&drops);
    after = counting_live();
    if (after != before)
        fail_msg("allocation %zu failed: %zu blocks before, %zu after", k, before, after);
    if (drop_set_wrong(&drops) != 0)
        fail_msg("allocation %zu failed: %zu drops or runs were not exactly one", k,
                 drop_set_wrong(&drops));
}

static void
ignore_unhandled(const vow_unhandled *u, void *ctx)
{
    (void)ctx;
    assert_non_null(u->site);
}

static void
sweep(scenario_fn *scenario)
{
    static const enum counting_mode modes[] = {COUNTING_ONCE, COUNTING_ONWARDS};

    vow_on_unhandled(ignore_unhandled, NULL);
    for (size_t i = 0; i < 2; i++) {
        size_t k = 1;

        do
            run_once(scenario, k++, modes[i]);
        while (counting_failed());
        counting_fail_at(0, COUNTING_ONCE);
        if (k == 2)
            fail_msg("the scenario allocates nothing");
    }
}

#define DEFINE(scenario)                                                                 \
    VOW_CASE(scenario##_survives_every_failure)                                          \
    {                                                                                    \
        sweep(scenario_named(#scenario));                                                \
    }
#define LIST(scenario) vow_test(scenario##_survives_every_failure),

SCENARIOS(DEFINE)

int
main(void)
{
    const struct CMUnitTest cases[] = {SCENARIOS(LIST)};

    return vow_test_run(cases);
}
