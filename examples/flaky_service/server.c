/* SPDX-License-Identifier: MIT */
/* flaky_service/server.c - a service that misbehaves on a script. */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

struct server {
    struct script script;
    int listening;
    int port;
    atomic_bool stopped;
    pthread_t thread;
};

static void
pause_for(vow_ns time)
{
    struct timespec t = {.tv_sec = (time_t)(time / 1000000000),
                         .tv_nsec = (long)(time % 1000000000)};

    nanosleep(&t, NULL);
}

/* Whoever waits for the answer may have gone long ago: writing to it fails, that is all. */
static void
answer(int fd, const char *text)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    char request[512];

    if (poll(&ready, 1, 20) == 1 && read(fd, request, sizeof request) > 0)
        (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
    close(fd);
}

static void
serve_one(struct server *s, bool fails)
{
    int fd = accept4(s->listening, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    pause_for(s->script.work);
    answer(fd, fails ? "HTTP/1.0 503 Service Unavailable\r\n\r\n"
                     : "HTTP/1.0 200 OK\r\n\r\nok");
}

static void *
serve(void *server)
{
    struct server *s = server;
    vow_ns start = vow_clock_now(NULL);

    while (!atomic_load(&s->stopped)) {
        vow_ns at = vow_clock_now(NULL) - start;
        struct pollfd ready = {.fd = s->listening, .events = POLLIN};

        if (at >= s->script.hangs && at < s->script.back)
            pause_for(vow_ms(1));
        else if (poll(&ready, 1, 1) == 1)
            serve_one(s, at >= s->script.fails && at < s->script.back);
    }
    return NULL;
}

static bool
listen_on_loopback(struct server *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t length = sizeof a;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->listening < 0)
        return false;
    if (bind(s->listening, (struct sockaddr *)&a, sizeof a) == 0 &&
        listen(s->listening, BACKLOG) == 0 &&
        getsockname(s->listening, (struct sockaddr *)&a, &length) == 0) {
        s->port = ntohs(a.sin_port);
        return true;
    }
    close(s->listening);
    return false;
}

struct server *
server_start(const struct script *script)
{
    struct server *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->script = *script;
    if (!listen_on_loopback(s)) {
        free(s);
        return NULL;
    }
    errno = pthread_create(&s->thread, NULL, serve, s);
    if (errno == 0)
        return s;
    close(s->listening);
    free(s);
    return NULL;
}

int
server_port(const struct server *s)
{
    return s->port;
}

void
server_stop(struct server *s)
{
    atomic_store(&s->stopped, true);
    pthread_join(s->thread, NULL);
    close(s->listening);
    free(s);
}
