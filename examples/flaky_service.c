/* SPDX-License-Identifier: MIT */
/*
 * 64 clients call a service that fails, hangs and comes back, once with a time-out alone
 * and once through a policy with a circuit breaker. It prints what each of them saw.
 *
 *     flaky_service [--quick] [--check]
 *
 * --quick: a fifth of the time. --check: fails unless, with the breaker, a call while the
 * service is down takes a tenth of the time, and the service is back sooner.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vow/vow.h>

#include "flaky_service/server.h"

enum { CLIENTS = 64, MOST_CALLS = 1 << 20, SLICES = 20 };

/* ---- a call ---------------------------------------------------------------------------- */

static int port;

/* Waits for a socket, and looks now and then whether anybody still waits for it. */
static int
wait_for(int fd, short events)
{
    struct pollfd ready = {.fd = fd, .events = events};

    while (!vow_cancelled()) {
        int n = poll(&ready, 1, 5);

        if (n != 0)
            return n > 0 ? 0 : errno;
    }
    return ECANCELED;
}

static int
ask(int fd, char *reply, size_t size)
{
    static const char request[] = "GET / HTTP/1.0\r\n\r\n";
    ssize_t n;
    int rc = wait_for(fd, POLLOUT);

    if (rc == 0 && send(fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0)
        rc = errno;
    if (rc == 0)
        rc = wait_for(fd, POLLIN);
    if (rc != 0)
        return rc;
    n = read(fd, reply, size - 1);
    reply[n > 0 ? n : 0] = '\0';
    return n > 0 ? 0 : EPIPE;
}

/* The function that the policy protects: one request, one answer. */
static vow_result
call_service(void *unused)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    char reply[128] = "";
    int rc;

    (void)unused;
    if (fd < 0)
        return vow_fail(errno, "no socket");
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    rc = connect(fd, (struct sockaddr *)&a, sizeof a) == 0 || errno == EINPROGRESS
             ? 0
             : errno;
    if (rc == 0)
        rc = ask(fd, reply, sizeof reply);
    close(fd);
    if (rc != 0)
        return vow_fail(rc, "no answer");
    if (strstr(reply, " 200 ") == NULL)
        return vow_fail(EIO, "the service is not well");
    return vow_ok(VOW_NIL);
}

/* ---- what the clients see ------------------------------------------------------------------ */

enum outcome { WORKED, FAILED, REFUSED };

struct call {
    vow_ns at, took; /* from the start of the script */
    enum outcome outcome;
};

static struct call *calls;
static atomic_size_t call_count;

struct client {
    vow_policy *policy;
    vow_executor *io;
    vow_ns start, end, pause;
};

static void
note(vow_ns at, vow_ns took, vow_view how)
{
    size_t i = atomic_fetch_add(&call_count, 1);

    if (i >= MOST_CALLS)
        return;
    calls[i].at = at;
    calls[i].took = took;
    calls[i].outcome = how.error == NULL                         ? WORKED
                       : vow_error_code(how.error) == VOW_E_OPEN ? REFUSED
                                                                 : FAILED;
}

/* One client: calls, waits a little, calls again, until the script ends. */
static void *
be_client(void *client)
{
    const struct client *c = client;
    vow_ns now;

    while ((now = vow_clock_now(NULL)) < c->end) {
        vow_future *f = vow_policy_call(c->policy, c->io, call_service, VOW_NIL);
        vow_view how = vow_get(f);
        vow_future *pause;

        note(now - c->start, vow_clock_now(NULL) - now, how);
        vow_ignore(f);
        pause = vow_sleep(NULL, c->pause);
        (void)vow_wait(pause, VOW_FOREVER);
        vow_unref(pause);
    }
    return NULL;
}

/* ---- the report ------------------------------------------------------------------------------ */

static int
by_time(const void *a, const void *b)
{
    vow_ns x = *(const vow_ns *)a, y = *(const vow_ns *)b;

    return (x > y) - (x < y);
}

struct summary {
    size_t counts[3];
    double p50, p99; /* ms */
};

/* Of the calls that began in a stretch of time. */
static struct summary
summarize(vow_ns from, vow_ns to)
{
    static vow_ns times[MOST_CALLS];
    size_t all = atomic_load(&call_count), n = 0, median, late;
    struct summary s = {{0}, 0, 0};

    for (size_t i = 0; i < all && i < MOST_CALLS; i++)
        if (calls[i].at >= from && calls[i].at < to) {
            s.counts[calls[i].outcome]++;
            times[n++] = calls[i].took;
        }
    if (n == 0)
        return s;
    qsort(times, n, sizeof *times, by_time);
    median = n / 2;
    late = n * 99 / 100;
    s.p50 = (double)times[median] / 1e6;
    s.p99 = (double)times[late] / 1e6;
    return s;
}

static void
print_timeline(const struct script *script)
{
    vow_ns slice = script->ends / SLICES;

    printf("   from ms   worked   failed  refused   p50 ms   p99 ms\n");
    for (int i = 0; i < SLICES; i++) {
        vow_ns from = i * slice;
        struct summary s = summarize(from, from + slice);

        printf("%10lld %8zu %8zu %8zu %8.2f %8.2f%s\n", (long long)(from / 1000000),
               s.counts[WORKED], s.counts[FAILED], s.counts[REFUSED], s.p50, s.p99,
               from >= script->fails && from < script->back ? "  down" : "");
    }
}

/* How long after the service was back nine of ten calls in a slice worked. */
static vow_ns
recovery(const struct script *script)
{
    vow_ns slice = script->ends / 100;

    for (vow_ns from = script->back; from < script->ends; from += slice) {
        struct summary s = summarize(from, from + slice);

        if (10 * s.counts[WORKED] >
            9 * (s.counts[FAILED] + s.counts[REFUSED] + s.counts[WORKED]))
            return from + slice - script->back;
    }
    return script->ends - script->back;
}

/* ---- one run ----------------------------------------------------------------------------------- */

struct seen {
    struct summary down;
    vow_ns recovery;
};

static void
die(const char *what)
{
    fprintf(stderr, "flaky_service: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void
run_clients(vow_policy *policy, const struct script *script)
{
    vow_executor *io = vow_pool_new(&VOW_POOL_OPTIONS(.threads = CLIENTS, .name = "io"));
    vow_ns start = vow_clock_now(NULL);
    struct client c = {policy, io, start, start + script->ends, vow_ms(5)};
    pthread_t threads[CLIENTS];

    if (io == NULL)
        die("cannot make a pool");
    for (int i = 0; i < CLIENTS; i++)
        if ((errno = pthread_create(&threads[i], NULL, be_client, &c)) != 0)
            die("cannot start a client");
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    vow_unref(vow_executor_close(io, VOW_CANCEL_QUEUED));
    vow_executor_join(io);
    vow_executor_unref(io);
}

static struct seen
run(const char *title, vow_policy *policy, const struct script *script)
{
    struct server *server = server_start(script);
    struct seen seen;

    if (policy == NULL || server == NULL)
        die("cannot begin");
    port = server_port(server);
    atomic_store(&call_count, 0);
    run_clients(policy, script);
    server_stop(server);

    printf("\n%s\n", title);
    print_timeline(script);
    vow_policy_print(policy, stdout);
    seen.down = summarize(script->hangs, script->back);
    seen.recovery = recovery(script);
    printf(
        "while it hangs: p50 %.3f ms, p99 %.3f ms; well again %.2f s after it is back\n",
        seen.down.p50, seen.down.p99, (double)seen.recovery / 1e9);
    return seen;
}

static struct script
script_of(bool quick)
{
    vow_ns unit = quick ? vow_ms(100) : vow_ms(500);

    return (struct script){.fails = 2 * unit,
                           .hangs = 3 * unit,
                           .back = 8 * unit,
                           .ends = 24 * unit,
                           .work = vow_us(1000)};
}

int
main(int argc, char **argv)
{
    bool quick = false, check = false;
    struct script script;
    struct seen without, with;
    vow_breaker *breaker =
        vow_breaker_new(&VOW_BREAKER_OPTIONS(.name = "the service", .window_calls = 50,
                                             .failure_rate = 0.5, .open_factor = 1,
                                             .open_for = vow_ms(200)));
    const vow_layer plain[] = {VOW_LAYER_TIMEOUT(vow_ms(100))};
    const vow_layer guarded[] = {VOW_LAYER_BREAKER(breaker),
                                 VOW_LAYER_TIMEOUT(vow_ms(100))};
    vow_policy *policies[2];

    for (int i = 1; i < argc; i++) {
        quick = quick || strcmp(argv[i], "--quick") == 0;
        check = check || strcmp(argv[i], "--check") == 0;
    }
    calls = calloc(MOST_CALLS, sizeof *calls);
    if (calls == NULL || breaker == NULL)
        die("no memory");
    script = script_of(quick);
    policies[0] = vow_policy_new(plain, 1);
    policies[1] = vow_policy_new(guarded, 2);
    without = run("with a time-out alone", policies[0], &script);
    with = run("with a circuit breaker", policies[1], &script);
    printf("\na call while it hangs takes %.3f ms instead of %.3f; it is well again "
           "after %.2f s "
           "instead of %.2f\n",
           with.down.p50, without.down.p50, (double)with.recovery / 1e9,
           (double)without.recovery / 1e9);
    for (int i = 0; i < 2; i++)
        vow_policy_unref(policies[i]);
    vow_breaker_unref(breaker);
    free(calls);
    return check &&
           (10 * with.down.p50 > without.down.p50 || with.recovery >= without.recovery);
}
