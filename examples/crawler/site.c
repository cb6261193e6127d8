/* SPDX-License-Identifier: MIT */
#include "site.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_KEPT = 64 };

struct site {
    enum manner manner;
    int listens;
    pthread_t thread;
    bool asked_for[SITE_PAGES];
    int kept[MOST_KEPT]; /* connections without an answer */
    int kept_count;
};

static void
answer(struct site *s, int fd)
{
    char text[128];
    ssize_t n = recv(fd, text, sizeof text - 1, 0);
    int page = 0, used;

    text[n > 0 ? n : 0] = '\0';
    if (sscanf(text, "GET /%d ", &page) != 1 || page <= 0 || page >= SITE_PAGES)
        return;
    if (s->manner == MOODY && !s->asked_for[page]) {
        s->asked_for[page] = true;
        return;
    }
    used = snprintf(text, sizeof text, "Page %d\n", page);
    for (int link = 2 * page; link <= 2 * page + 1 && link < SITE_PAGES; link++)
        used += snprintf(text + used, sizeof text - (size_t)used, "/%d\n", link);
    (void)!send(fd, text, (size_t)used, MSG_NOSIGNAL);
}

static void *
serve(void *site)
{
    struct site *s = site;
    int fd;

    while ((fd = accept(s->listens, NULL, NULL)) >= 0) {
        if (s->manner == SILENT && s->kept_count < MOST_KEPT) {
            s->kept[s->kept_count++] = fd;
            continue;
        }
        answer(s, fd);
        close(fd);
    }
    return NULL;
}

static int
listen_here(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0 &&
        (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 64) != 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

struct site *
site_open(enum manner manner)
{
    struct site *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->manner = manner;
    s->listens = listen_here();
    if (s->listens >= 0 && pthread_create(&s->thread, NULL, serve, s) == 0)
        return s;
    if (s->listens >= 0)
        close(s->listens);
    free(s);
    return NULL;
}

int
site_port(const struct site *s)
{
    struct sockaddr_in a = {0};
    socklen_t length = sizeof a;

    return getsockname(s->listens, (struct sockaddr *)&a, &length) == 0
               ? ntohs(a.sin_port)
               : 0;
}

void
site_close(struct site *s)
{
    shutdown(s->listens, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->listens);
    for (int i = 0; i < s->kept_count; i++)
        close(s->kept[i]);
    free(s);
}
