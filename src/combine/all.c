/* SPDX-License-Identifier: MIT */
/*
 * combine/all.c - all of them: vow_when_all, vow_when_all_settled.
 *
 * The results lie in the inputs, which the outcome keeps.
 */
#include "combine/combine.h"

/* One of the two is the outcome. */
union all {
    struct vow_results results;
    struct vowi_placed failed;
};

static bool
conclude(struct vowi_join *j, size_t by)
{
    union all *all = vowi_join_own(j);

    if (by != VOWI_ALL) {
        vowi_reject_for(j, &all->failed, by);
        return true;
    }
    all->results.join = j;
    all->results.items = vowi_join_inputs(j);
    all->results.count = vowi_join_count(j);
    vowi_results_fulfill(&all->results);
    return true;
}

static const struct vowi_join_kind all_kind = {
    .needs_all = true, .decides = VOWI_BY_ERROR, .conclude = conclude};
static const struct vowi_join_kind settled_kind = {.needs_all = true,
                                                   .conclude = conclude};

vow_future *
vow_when_all(vow_future *const *fs, size_t n)
{
    return vowi_combine(&all_kind, sizeof(union all), NULL, fs, n,
                        __builtin_return_address(0));
}

vow_future *
vow_when_all_with(const vow_combine_options *opt, vow_future *const *fs, size_t n)
{
    return vowi_combine(&all_kind, sizeof(union all), opt, fs, n,
                        __builtin_return_address(0));
}

vow_future *
vow_when_all_settled(vow_future *const *fs, size_t n)
{
    return vowi_combine(&settled_kind, sizeof(union all), NULL, fs, n,
                        __builtin_return_address(0));
}

vow_future *
vow_when_all_settled_with(const vow_combine_options *opt, vow_future *const *fs, size_t n)
{
    return vowi_combine(&settled_kind, sizeof(union all), opt, fs, n,
                        __builtin_return_address(0));
}
