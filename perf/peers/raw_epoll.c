/* SPDX-License-Identifier: MIT */
/*
 * perf/peers/raw_epoll.c - an echo server without any library: one thread, epoll, then
 * recv, then send. What a library adds is above that.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int
listen_on(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 128) != 0)
        exit(1);
    return fd;
}

static void
watch(int poll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) != 0)
        exit(1);
}

static void
on_accept(int poll, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), on = 1;

    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(poll, fd);
}

static void
on_readable(int fd)
{
    char buffer[4096];
    ssize_t n = recv(fd, buffer, sizeof buffer, 0);

    if (n <= 0 || send(fd, buffer, (size_t)n, MSG_NOSIGNAL) != n)
        close(fd);
}

int
main(int argc, char **argv)
{
    struct epoll_event ready[128];
    int poll = epoll_create1(0), listener;

    if (argc < 3)
        return 0; /* no workload but echo */
    listener = listen_on(atoi(argv[2]));
    watch(poll, listener);
    for (;;) {
        int n = epoll_wait(poll, ready, 128, -1);

        for (int i = 0; i < n; i++)
            if (ready[i].data.fd == listener)
                on_accept(poll, listener);
            else
                on_readable(ready[i].data.fd);
    }
}
