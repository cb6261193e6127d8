/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_echo.c - a TCP echo server on a loop, one thread; its client, echo.h, is
 * another process. "bench_echo echo PORT" is the server alone.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "bench.h"
#include "echo.h"

struct connection {
    int fd;
    vow_watch *watch;
};

static vow_loop *loop;

static void
hang_up(struct connection *c)
{
    int fd = c->fd;

    bench_check(vow_watch_stop(c->watch) == 0); /* frees c */
    close(fd);
}

static void
on_readable(vow_watch *watch, unsigned events, void *ctx)
{
    struct connection *c = ctx;
    char buffer[4096];
    ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);

    (void)watch;
    (void)events;
    if (n <= 0 || send(c->fd, buffer, (size_t)n, MSG_NOSIGNAL) != n)
        hang_up(c);
}

static void
on_connection(vow_watch *watch, unsigned events, void *ctx)
{
    int *listener = ctx;
    int fd = accept4(*listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
    struct connection *c;

    (void)watch;
    (void)events;
    if (fd < 0)
        return;
    bench_check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
    c = malloc(sizeof *c);
    bench_check(c != NULL);
    c->fd = fd;
    c->watch = vow_watch_start(loop, fd, VOW_FD_READ, on_readable, vow_own(c, free));
    bench_check(c->watch != NULL);
}

static int
listen_at(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

    bench_check(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
    bench_check(bind(fd, (struct sockaddr *)&at, sizeof at) == 0);
    bench_check(listen(fd, 128) == 0);
    return fd;
}

static int
port_of(int listener)
{
    struct sockaddr_in at = {0};
    socklen_t size = sizeof at;

    bench_check(getsockname(listener, (struct sockaddr *)&at, &size) == 0);
    return ntohs(at.sin_port);
}

static int
serve(int listener)
{
    use_fast_allocator();
    loop = vow_loop_new(NULL);
    bench_check(loop != NULL);
    bench_check(vow_watch_start(loop, listener, VOW_FD_READ, on_connection,
                                vow_ptr(&listener)) != NULL);
    return vow_loop_run(loop);
}

/* The child is the server; it ends with this process, however that ends. */
static pid_t
fork_server(int listener)
{
    pid_t child = fork();

    bench_check(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(serve(listener));
    }
    return child;
}

int
main(int argc, char **argv)
{
    static const struct bench echo = {"vow", {{"echo", "req/s"}}, echo_round, 0};
    int listener, status;
    pid_t server;

    if (argc == 3 && strcmp(argv[1], "echo") == 0)
        return serve(listen_at(bench_number(argv[0], argv[2], 65535)));
    listener = listen_at(0);
    server = fork_server(listener);
    echo_connect(port_of(listener));
    status = bench_measure(&echo, argc, argv);
    bench_check(kill(server, SIGKILL) == 0 && waitpid(server, NULL, 0) == server);
    return status;
}
