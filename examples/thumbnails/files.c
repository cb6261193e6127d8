/* SPDX-License-Identifier: MIT */
/* Reading and writing whole files. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
file_read(int fd, void *bytes, size_t *length)
{
    size_t done = 0;

    while (done < *length) {
        ssize_t n = read(fd, (char *)bytes + done, *length - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *length = done;
    return 0;
}

static int
write_all(int fd, const void *bytes, size_t length)
{
    const char *p = bytes;

    while (length > 0) {
        ssize_t n = write(fd, p, length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        p += n;
        length -= (size_t)n;
    }
    return 0;
}

int
make_directories(const char *path)
{
    char *part = strdup(path);
    int error = 0;

    if (part == NULL)
        return ENOMEM;
    for (char *end = part; error == 0 && end != NULL;) {
        end = strchr(end + strspn(end, "/"), '/');
        if (end != NULL)
            *end = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            error = errno;
        if (end != NULL)
            *end = '/';
    }
    free(part);
    return error;
}

/* Makes the directory of a file. */
static int
make_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *parent;
    int error;

    if (slash == NULL || slash == path)
        return 0;
    parent = strndup(path, (size_t)(slash - path));
    if (parent == NULL)
        return ENOMEM;
    error = make_directories(parent);
    free(parent);
    return error;
}

/* Returns a name that nobody uses, in the directory of a file; or NULL. */
static char *
temporary_name(const char *path)
{
    static atomic_ulong count;
    const char *slash = strrchr(path, '/');
    int directory = slash == NULL ? 0 : (int)(slash - path) + 1;
    char *name;

    if (asprintf(&name, "%.*s.thumbnail-%ld-%lu", directory, path, (long)getpid(),
                 atomic_fetch_add(&count, 1)) < 0)
        return NULL;
    return name;
}

/* Opens a new file, and makes its directory if that is what is missing. */
static int
create(const char *path, int *fd)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    int error;

    *fd = open(path, flags, 0666);
    if (*fd >= 0)
        return 0;
    if (errno != ENOENT)
        return errno;
    error = make_parent(path);
    if (error != 0)
        return error;
    *fd = open(path, flags, 0666);
    return *fd >= 0 ? 0 : errno;
}

static int
fill(int fd, const void *bytes, size_t length)
{
    int error = write_all(fd, bytes, length);

    if (close(fd) != 0 && error == 0) /* some file systems say it here */
        error = errno;
    return error;
}

int
file_store(const char *path, const void *bytes, size_t length)
{
    char *name = temporary_name(path);
    int error, fd;

    if (name == NULL)
        return ENOMEM;
    error = create(name, &fd);
    if (error == 0) {
        error = fill(fd, bytes, length);
        if (error == 0 && rename(name, path) != 0)
            error = errno;
        if (error != 0)
            unlink(name);
    }
    free(name);
    return error;
}
