/* SPDX-License-Identifier: MIT */
/*
 * Adds up the files below a directory. Shows a group: each directory is a child, which adds
 * a child for each directory in it, at most eight at a time; the first one that cannot be
 * read cancels the rest; and when the join is there, nothing runs any more.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <vow/vow.h>

struct walk {
    vow_group *group; /* not a reference: its children have none */
    atomic_int_least64_t files, bytes;
};

struct directory {
    struct walk *walk;
    char path[];
};

static vow_result read_directory(void *directory);

/* The group says itself what comes of a child. */
static int
add_directory(struct walk *w, const char *above, const char *name)
{
    size_t size = strlen(above) + 1 + strlen(name) + 1;
    struct directory *d = malloc(sizeof *d + size);

    if (d == NULL)
        return ENOMEM;
    d->walk = w;
    snprintf(d->path, size, "%s%s%s", above, *above != '\0' ? "/" : "", name);
    vow_group_post(w->group, vow_default_pool(), read_directory, vow_own(d, free));
    return 0;
}

static int
add_entry(struct directory *d, DIR *open, const char *name)
{
    struct stat found;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return 0;
    if (fstatat(dirfd(open), name, &found, AT_SYMLINK_NOFOLLOW) != 0)
        return errno;
    if (S_ISDIR(found.st_mode))
        return add_directory(d->walk, d->path, name);
    d->walk->files += 1;
    d->walk->bytes += found.st_size;
    return 0;
}

static vow_result
read_directory(void *directory)
{
    struct directory *d = directory;
    DIR *open = opendir(d->path);
    const struct dirent *entry;
    int code = 0;

    if (open == NULL)
        return vow_fail(errno, "%s: %s", d->path, strerror(errno));
    while (code == 0 && !vow_cancelled() && (entry = readdir(open)) != NULL)
        code = add_entry(d, open, entry->d_name);
    closedir(open);
    return code == 0 ? vow_ok(VOW_NIL)
                     : vow_fail(code, "%s: %s", d->path, strerror(code));
}

int
main(int argc, char **argv)
{
    struct walk w = {.group = vow_group_new(&VOW_GROUP_OPTIONS(.limit = 8))};
    int code = add_directory(&w, "", argc == 2 ? argv[1] : ".");
    vow_future *all = vow_group_join(w.group);
    const vow_error *error = vow_get(all).error;

    if (code != 0)
        fprintf(stderr, "%s\n", strerror(code));
    else if (error != NULL)
        vow_error_print(error, stderr);
    else
        printf("%" PRIdLEAST64 " files, %" PRIdLEAST64 " bytes\n", atomic_load(&w.files),
               atomic_load(&w.bytes));
    code = code != 0 || error != NULL;
    vow_unref(all);
    return code;
}
