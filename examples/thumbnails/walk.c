/* SPDX-License-Identifier: MIT */
/*
 * Walks a directory tree one file at a time. The directories on the way down to the
 * current file are open, nothing else is remembered: a tree of any size takes no more
 * memory than its longest path.
 */
#include "walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Sets the path to its first length bytes and a name. Returns whether there was memory. */
static bool
set_path(struct walk *w, size_t length, const char *name)
{
    size_t needed = length + 1 + strlen(name) + 1;

    if (needed > w->room) {
        char *path = realloc(w->path, needed * 2);

        if (path == NULL)
            return false;
        w->path = path;
        w->room = needed * 2;
    }
    w->path[length] = '/';
    memcpy(w->path + length + 1, name, strlen(name) + 1);
    return true;
}

static bool
is_avoided(const struct walk *w, int fd)
{
    struct stat s;

    return fstat(fd, &s) == 0 && s.st_dev == w->avoid.st_dev &&
           s.st_ino == w->avoid.st_ino;
}

/* Goes down into the directory at path. Returns 0 or errno's value. */
static int
enter(struct walk *w, int flags)
{
    int error = 0;
    int fd;
    DIR *directory;

    if (w->depth == WALK_DEPTH)
        return ENAMETOOLONG;
    fd = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
    if (fd < 0)
        return errno;
    if (is_avoided(w, fd))
        goto close_fd;
    directory = fdopendir(fd);
    if (directory == NULL) {
        error = errno;
        goto close_fd;
    }
    w->levels[w->depth++] = (struct level){directory, strlen(w->path)};
    return 0;

close_fd:
    close(fd);
    return error;
}

int
walk_begin(struct walk *w, const char *root, const struct stat *avoid)
{
    int error;

    w->depth = 0;
    w->path = NULL;
    w->room = 0;
    w->avoid = *avoid;
    w->root = strlen(root);
    while (w->root > 0 && root[w->root - 1] == '/') /* "/" becomes "" */
        w->root--;
    w->path = strdup(root);
    if (w->path == NULL)
        return ENOMEM;
    w->room = strlen(root) + 1;
    error = enter(w, 0);
    if (error == 0)
        w->levels[0].length = w->root;
    return error;
}

static void
leave(struct walk *w)
{
    closedir(w->levels[--w->depth].directory);
}

void
walk_end(struct walk *w)
{
    while (w->depth > 0)
        leave(w);
    free(w->path);
    w->path = NULL;
}

const char *
walk_relative(const struct walk *w)
{
    return w->path[w->root] == '/' ? w->path + w->root + 1 : ".";
}

/* Returns what the path is: DT_DIR, DT_UNKNOWN for a link to one, or else DT_REG. */
static unsigned char
kind_of(const struct walk *w, const struct dirent *entry)
{
    unsigned char kind = entry->d_type;
    struct stat s;

    if (kind == DT_UNKNOWN && lstat(w->path, &s) == 0)
        kind = (unsigned char)IFTODT(s.st_mode);
    if (kind == DT_DIR)
        return DT_DIR;
    if (kind == DT_LNK && stat(w->path, &s) == 0 && S_ISDIR(s.st_mode))
        return DT_UNKNOWN;
    return DT_REG;
}

/* Looks at one entry. Returns whether it is something to tell of, in *found. */
static bool
look_at(struct walk *w, const struct dirent *entry, enum walk_found *found)
{
    unsigned char kind;

    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
        return false;
    *found = WALK_ERROR;
    if (!set_path(w, w->levels[w->depth - 1].length, entry->d_name)) {
        errno = ENOMEM;
        return true;
    }
    kind = kind_of(w, entry);
    if (kind == DT_DIR) {
        errno = enter(w, O_NOFOLLOW);
        return errno != 0;
    }
    *found = WALK_FILE;
    return kind == DT_REG;
}

/* Goes up from a directory that has no more entries, or one that cannot be read. */
static enum walk_found
finish_level(struct walk *w, int error)
{
    w->path[w->levels[w->depth - 1].length] = '\0';
    if (w->depth == 1 && error == 0)
        rewinddir(w->levels[0].directory);
    else
        leave(w);
    errno = error;
    return error != 0 ? WALK_ERROR : WALK_END;
}

enum walk_found
walk_next(struct walk *w)
{
    enum walk_found found = WALK_END;
    bool told = false;

    while (!told && w->depth > 0) {
        const struct dirent *entry;

        errno = 0;
        entry = readdir(w->levels[w->depth - 1].directory);
        if (entry != NULL) {
            told = look_at(w, entry, &found);
        } else {
            told = w->depth == 1 || errno != 0;
            found = finish_level(w, errno);
        }
    }
    return told ? found : WALK_END;
}
