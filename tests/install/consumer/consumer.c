/* SPDX-License-Identifier: MIT */
/* A user's program: doubles a number on a pool, and prints it with the version. */
#include <stdio.h>

#include <vow/vow.h>

static vow_result
twenty_one(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(21));
}

static vow_result
twice(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(2 * in.as.i64));
}

int
main(void)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 2));
    vow_future *f = vow_submit(pool, twenty_one, VOW_NIL);
    vow_view answer;
    int failed;

    f = vow_then(f, pool, twice, VOW_NIL);
    answer = vow_get(f);
    vow_error_print(answer.error, stderr);
    failed = pool == NULL || answer.error != NULL || answer.value.as.i64 != 42;
    if (!failed)
        printf("%lld from vow %s\n", (long long)answer.value.as.i64, VOW_VERSION_TEXT);
    vow_unref(f);
    vow_ignore(vow_executor_close(pool, VOW_DRAIN));
    failed |= vow_executor_join(pool) != 0;
    vow_executor_unref(pool);
    return failed;
}
