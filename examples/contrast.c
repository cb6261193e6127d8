/* SPDX-License-Identifier: MIT */
/*
 * Reads a grey picture (PGM, "P5") and writes it with all the contrast there is: its
 * darkest value becomes black, its brightest white. Shows vow_parallel_reduce, which
 * counts how often each value is there, and vow_parallel_for, which changes the rows.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <vow/vow.h>

struct picture {
    size_t width, height;
    unsigned char *pixels;
    unsigned char becomes[256];
};

struct counts {
    size_t of[256];
};

/* ---- on all CPUs ------------------------------------------------------------------------ */

static vow_result
count_rows(size_t first, size_t end, void *picture)
{
    const struct picture *p = picture;
    struct counts *counts = calloc(1, sizeof *counts);

    if (counts == NULL)
        return vow_err(NULL);
    for (size_t i = first * p->width; i < end * p->width; i++)
        counts->of[p->pixels[i]]++;
    return vow_ok(vow_own(counts, free));
}

static vow_result
add_counts(vow_value left, vow_value right, void *picture)
{
    struct counts *sum = left.as.ptr;
    const struct counts *more = right.as.ptr;

    (void)picture;
    for (size_t i = 0; i < 256; i++)
        sum->of[i] += more->of[i];
    return vow_ok(left);
}

static vow_error *
change_rows(size_t first, size_t end, void *picture)
{
    const struct picture *p = picture;

    for (size_t i = first * p->width; i < end * p->width; i++)
        p->pixels[i] = p->becomes[p->pixels[i]];
    return NULL;
}

/* ---- the picture -------------------------------------------------------------------------- */

static void
stretch(struct picture *p, const struct counts *counts)
{
    size_t dark = 0, bright = 255;

    while (dark < 255 && counts->of[dark] == 0)
        dark++;
    while (bright > dark && counts->of[bright] == 0)
        bright--;
    for (size_t i = dark; i <= bright; i++)
        p->becomes[i] =
            (unsigned char)(bright > dark ? (i - dark) * 255 / (bright - dark) : i);
    fprintf(stderr, "%zu to %zu\n", dark, bright);
}

static bool
read_picture(struct picture *p, FILE *from)
{
    if (fscanf(from, "P5 %zu %zu 255", &p->width, &p->height) != 2 || getc(from) == EOF)
        return false;
    if (p->width == 0 || p->height > SIZE_MAX / p->width)
        return false;
    p->pixels = malloc(p->width * p->height + 1);
    return p->pixels != NULL && fread(p->pixels, p->width, p->height, from) == p->height;
}

static bool
write_picture(const struct picture *p, FILE *to)
{
    fprintf(to, "P5\n%zu %zu\n255\n", p->width, p->height);
    return fwrite(p->pixels, p->width, p->height, to) == p->height && fflush(to) == 0;
}

/* Waits for a step of the work; false: it has failed, and was told of. */
static bool
has_worked(vow_future *f)
{
    vow_view r = vow_get(f);

    if (r.error != NULL)
        vow_error_print(r.error, stderr);
    return r.error == NULL;
}

static bool
improve(struct picture *p, vow_executor *pool)
{
    vow_future *counted =
        vow_parallel_reduce(pool, NULL, 0, p->height, count_rows, add_counts, vow_ptr(p));
    vow_future *changed = NULL;
    bool worked = has_worked(counted);

    if (worked) {
        stretch(p, vow_get(counted).value.as.ptr);
        changed = vow_parallel_for(pool, NULL, 0, p->height, change_rows, vow_ptr(p));
        worked = has_worked(changed);
    }
    vow_unref(counted);
    vow_unref(changed);
    return worked;
}

int
main(void)
{
    struct picture p = {0};
    bool worked = read_picture(&p, stdin) && p.height != 0;

    if (!worked)
        fputs("this is no PGM picture with 8 bits a pixel\n", stderr);
    worked = worked && improve(&p, vow_default_pool()) && write_picture(&p, stdout);
    free(p.pixels);
    return worked ? 0 : 1;
}
