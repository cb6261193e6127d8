/* SPDX-License-Identifier: MIT */
/*
 * Sorts the lines of a file. Shows a fork and a join: quicksort as it is written for one
 * thread, but that the two halves go to vow_fork_join; it allocates nothing, and a thread
 * that is idle takes a half from the stack of one that is not.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vow/vow.h>

enum { FEW = 500 }; /* not worth a fork */

struct lines {
    char **first, **end;
};

static int
compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
swap(char **a, char **b)
{
    char *kept = *a;

    *a = *b;
    *b = kept;
}

/* Of three, the one in the middle. */
static const char *
pivot_of(const struct lines *all)
{
    char *three[] = {all->first[0], all->first[(all->end - all->first) / 2],
                     all->end[-1]};

    qsort(three, 3, sizeof *three, compare);
    return three[1];
}

/* Less to the front, greater to the back; what is equal is in its place then. */
static void
split(const struct lines *all, struct lines *low, struct lines *high)
{
    const char *pivot = pivot_of(all);
    char **less = all->first, **greater = all->end, **at = all->first;

    while (at < greater) {
        int order = strcmp(*at, pivot);

        if (order < 0)
            swap(at++, less++);
        else if (order > 0)
            swap(at, --greater);
        else
            at++;
    }
    *low = (struct lines){all->first, less};
    *high = (struct lines){greater, all->end};
}

static vow_error *
sort(void *lines)
{
    struct lines *all = lines, low, high;

    if (all->end - all->first <= FEW) {
        qsort(all->first, (size_t)(all->end - all->first), sizeof *all->first, compare);
        return NULL;
    }
    split(all, &low, &high);
    return vow_fork_join(vow_default_pool(), sort, &low, sort, &high);
}

/* ---- the file ------------------------------------------------------------------------ */

/* All of it, with a 0 at the end; NULL: errno says why. */
static char *
read_all(FILE *in)
{
    size_t size = 0, room = 4096, got;
    char *text = malloc(room), *more;

    while (text != NULL && (got = fread(text + size, 1, room - size - 1, in)) > 0) {
        size += got;
        if (size + 1 < room)
            continue;
        room *= 2;
        more = realloc(text, room);
        if (more == NULL)
            free(text);
        text = more;
    }
    if (text == NULL || ferror(in)) {
        free(text);
        return NULL;
    }
    text[size] = '\0';
    return text;
}

static size_t
count_lines(const char *text)
{
    size_t n = 1;

    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

/* Cuts a text into its lines; returns false without memory. */
static bool
cut(char *text, struct lines *all)
{
    all->first = all->end = malloc(count_lines(text) * sizeof *all->first);
    if (all->first == NULL)
        return false;
    while (*text != '\0') {
        *all->end++ = text;
        text += strcspn(text, "\n");
        if (*text != '\0')
            *text++ = '\0';
    }
    return true;
}

static int
sort_text(char *text)
{
    struct lines all;
    vow_error *e;

    if (!cut(text, &all))
        return ENOMEM;
    e = sort(&all);
    for (char **line = all.first; e == NULL && line < all.end; line++)
        puts(*line);
    free(all.first);
    if (e != NULL)
        vow_error_print(e, stderr);
    vow_error_unref(e);
    return e != NULL || fflush(stdout) != 0 ? EIO : 0;
}

int
main(int argc, char **argv)
{
    FILE *in = argc == 2 ? fopen(argv[1], "r") : NULL;
    char *text;
    int rc;

    if (argc != 2) {
        fprintf(stderr, "usage: %s FILE\n", argv[0]);
        return 2;
    }
    text = in != NULL ? read_all(in) : NULL;
    if (in != NULL)
        fclose(in);
    rc = text != NULL ? sort_text(text) : errno;
    free(text);
    if (rc != 0)
        fprintf(stderr, "%s: %s\n", argv[1], strerror(rc));
    return rc != 0;
}
