/* SPDX-License-Identifier: MIT */
/*
 * perf/echo_client.c - the one client of all echo servers: 100 connections to a port of
 * this machine, messages of 64 bytes, one in flight on each, one thread. A round lasts
 * half a second. The port comes first on the command line.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measure.h"

enum { CONNECTIONS = 100, MESSAGE = 64, TRIES = 500, ROUND_MS = 500, MOST_FDS = 1024 };

static int poll_fd, in_flight;
static int connection[CONNECTIONS];
static size_t received[MOST_FDS]; /* of the message that each descriptor waits for */

/* The server may take a while until it listens. */
static int
connect_to(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    for (int i = 0; i < TRIES; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

        bench_check(fd >= 0 && fd < MOST_FDS);
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

static void
send_message(int fd)
{
    static const char message[MESSAGE];

    bench_check(write(fd, message, MESSAGE) == MESSAGE);
}

static void
connect_all(int port)
{
    poll_fd = epoll_create1(0);
    for (int i = 0; i < CONNECTIONS; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = connect_to(port)};

        connection[i] = event.data.fd;
        bench_check(epoll_ctl(poll_fd, EPOLL_CTL_ADD, event.data.fd, &event) == 0);
    }
}

/* Returns whether a whole message has come back. */
static bool
receive(int fd)
{
    char message[MESSAGE];
    ssize_t got = read(fd, message, sizeof message);

    bench_check(got > 0);
    received[fd] += (size_t)got;
    if (received[fd] < MESSAGE)
        return false;
    received[fd] = 0;
    return true;
}

/* Takes what has come; returns how many messages that were. */
static int
take_ready(bool send_more)
{
    struct epoll_event ready[CONNECTIONS];
    int n = epoll_wait(poll_fd, ready, CONNECTIONS, 5000), taken = 0;

    bench_check(n > 0);
    for (int i = 0; i < n; i++)
        if (receive(ready[i].data.fd)) {
            taken++;
            if (send_more)
                send_message(ready[i].data.fd);
        }
    return taken;
}

/* Nothing is in flight between rounds: the server is idle while others have their turn. */
static void
echo(double *a_second)
{
    double end, start = bench_ns();
    long count = 0;

    for (int i = 0; i < CONNECTIONS; i++)
        send_message(connection[i]);
    in_flight = CONNECTIONS;
    end = start + ROUND_MS * 1e6 / bench_divisor;
    while (bench_ns() < end)
        count += take_ready(true);
    while (in_flight > 0) {
        int taken = take_ready(false);

        count += taken;
        in_flight -= taken;
    }
    *a_second = (double)count * 1e9 / (bench_ns() - start);
}

int
main(int argc, char **argv)
{
    static const struct bench client = {"echo", {{"echo", "req/s"}}, echo, 0};

    if (argc < 2)
        bench_usage(argv[0]);
    connect_all(bench_number(argv[0], argv[1], 65535));
    return bench_measure(&client, argc - 1, argv + 1);
}
