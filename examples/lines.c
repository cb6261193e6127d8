/* SPDX-License-Identifier: MIT */
/*
 * Counts the lines of the files named, all of them at once on the default pool, and
 * prints the counts in order. Shows submit, then, get, and an error that arrives there.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vow/vow.h>

static vow_result
count_lines(void *path)
{
    FILE *file = fopen(path, "r");
    int64_t lines = 0;

    if (file == NULL)
        return vow_fail(errno, "%s: %s", (char *)path, strerror(errno));
    for (int c; (c = getc(file)) != EOF;)
        lines += c == '\n';
    fclose(file);
    return vow_ok(vow_i64(lines));
}

int
main(int argc, char **argv)
{
    vow_future **counts = calloc((size_t)argc, sizeof *counts);

    if (counts == NULL)
        return 1;
    for (int i = 1; i < argc; i++)
        counts[i] = vow_submit(vow_default_pool(), count_lines, vow_ptr(argv[i]));
    for (int i = 1; i < argc; i++) {
        vow_view count = vow_get(counts[i]);

        if (count.error != NULL)
            vow_error_print(count.error, stderr);
        else
            printf("%8" PRId64 " %s\n", count.value.as.i64, argv[i]);
        vow_unref(counts[i]);
    }
    free(counts);
    return 0;
}
