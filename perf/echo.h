/* SPDX-License-Identifier: MIT */
/*
 * perf/echo.h - the one client of all echo servers: 100 connections to a port of this
 * machine, messages of 64 bytes, one in flight on each, one thread. A round lasts half a
 * second.
 */
#ifndef VOW_PERF_ECHO_H
#define VOW_PERF_ECHO_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measure.h"

enum {
    ECHO_CONNECTIONS = 100,
    ECHO_MESSAGE = 64,
    ECHO_TRIES = 500,
    ECHO_ROUND_MS = 500,
    ECHO_MOST_FDS = 1024
};

static int echo_poll, echo_in_flight;
static int echo_connection[ECHO_CONNECTIONS];
static size_t
    echo_received[ECHO_MOST_FDS]; /* of the message that each descriptor waits for */

/* The server may take a while until it listens. */
static inline int
echo_connect_to(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    for (int i = 0; i < ECHO_TRIES; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

        bench_check(fd >= 0 && fd < ECHO_MOST_FDS);
        if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0) {
            bench_check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
            return fd;
        }
        close(fd);
        bench_pause_us(20000);
    }
    fprintf(stderr, "echo_client: nobody listens at port %d\n", port);
    exit(1);
}

static inline void
echo_send(int fd)
{
    static const char message[ECHO_MESSAGE];

    bench_check(write(fd, message, ECHO_MESSAGE) == ECHO_MESSAGE);
}

static inline void
echo_connect(int port)
{
    echo_poll = epoll_create1(0);
    for (int i = 0; i < ECHO_CONNECTIONS; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = echo_connect_to(port)};

        echo_connection[i] = event.data.fd;
        bench_check(epoll_ctl(echo_poll, EPOLL_CTL_ADD, event.data.fd, &event) == 0);
    }
}

/* Returns whether a whole message has come back. */
static inline bool
echo_receive(int fd)
{
    char message[ECHO_MESSAGE];
    ssize_t got = read(fd, message, sizeof message);

    bench_check(got > 0);
    echo_received[fd] += (size_t)got;
    if (echo_received[fd] < ECHO_MESSAGE)
        return false;
    echo_received[fd] = 0;
    return true;
}

/* Takes what has come; returns how many messages that were. */
static inline int
echo_take(bool send_more)
{
    struct epoll_event ready[ECHO_CONNECTIONS];
    int n = epoll_wait(echo_poll, ready, ECHO_CONNECTIONS, 5000), taken = 0;

    bench_check(n > 0);
    for (int i = 0; i < n; i++)
        if (echo_receive(ready[i].data.fd)) {
            taken++;
            if (send_more)
                echo_send(ready[i].data.fd);
        }
    return taken;
}

/* Nothing is in flight between rounds: the server is idle while others have their turn. */
static inline void
echo_round(double *a_second)
{
    double end, start = bench_ns();
    long count = 0;

    for (int i = 0; i < ECHO_CONNECTIONS; i++)
        echo_send(echo_connection[i]);
    echo_in_flight = ECHO_CONNECTIONS;
    end = start + ECHO_ROUND_MS * 1e6 / bench_divisor;
    while (bench_ns() < end)
        count += echo_take(true);
    while (echo_in_flight > 0) {
        int taken = echo_take(false);

        count += taken;
        echo_in_flight -= taken;
    }
    *a_second = (double)count * 1e9 / (bench_ns() - start);
}

#endif
