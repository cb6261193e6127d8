/* SPDX-License-Identifier: MIT */
/*
 * perf/peers/libevent.c - an event loop whose timers are a heap. It has no pool and no
 * futures.
 */
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/listener.h>
#include <event2/thread.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>

#include "peer.h"

static struct event_base *base;

static void
ignore_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

/* The events lie in one array, and are used again. */
static void
timer_cancel(double *ns)
{
    static struct event timer[PEER_TIMERS];
    static unsigned *order;
    int n = bench_size(PEER_TIMERS);
    uint64_t seed = 7;
    double start;

    if (order == NULL) {
        order = bench_shuffled((unsigned)n);
        for (int i = 0; i < n; i++)
            evtimer_assign(&timer[i], base, ignore_timer, NULL);
    }
    start = bench_ns();
    for (int i = 0; i < n; i++) {
        uint64_t ms = peer_delay_ms(&seed);
        struct timeval delay = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};

        evtimer_add(&timer[i], &delay);
    }
    for (int i = 0; i < n; i++)
        evtimer_del(&timer[order[i]]);
    *ns = (bench_ns() - start) / n;
}

static struct {
    struct event timer;
    double due;
} fire[PEER_FIRES];
static double lateness[PEER_FIRES];
static int fired;

static void
note_lateness(evutil_socket_t fd, short what, void *due)
{
    (void)fd;
    (void)what;
    lateness[fired++] = (bench_ns() - *(double *)due) / 1e3;
}

static void
timer_fire(double *values)
{
    int n = bench_size(PEER_FIRES);
    uint64_t seed = 9;

    fired = 0;
    for (int i = 0; i < n; i++) {
        uint64_t delay = bench_random(&seed) % PEER_FIRE_NS;
        struct timeval t = {0, (suseconds_t)((delay + 999) / 1000)};

        fire[i].due = bench_ns() + (double)delay;
        evtimer_assign(&fire[i].timer, base, note_lateness, &fire[i].due);
        evtimer_add(&fire[i].timer, &t);
    }
    event_base_dispatch(base);
    bench_check(fired == n);
    bench_latencies(lateness, (size_t)n, values);
}

/* event_active merges what comes meanwhile: posts go through a list, as users do it. */
struct post {
    struct post *next;
    void (*call)(void);
};
static struct {
    pthread_mutex_t mutex;
    struct post *head, **tail;
} inbox = {PTHREAD_MUTEX_INITIALIZER, NULL, &inbox.head};
static struct event *doorbell;
static int posts, ran;

static void
count_one(void)
{
    ran++;
}

static void
run_all(evutil_socket_t fd, short what, void *arg)
{
    struct post *p;

    ignore_timer(fd, what, arg);
    pthread_mutex_lock(&inbox.mutex);
    p = inbox.head;
    inbox.head = NULL;
    inbox.tail = &inbox.head;
    pthread_mutex_unlock(&inbox.mutex);
    while (p != NULL) {
        struct post *next = p->next;

        p->call();
        free(p);
        p = next;
    }
    if (ran == posts)
        event_base_loopbreak(base);
}

static void *
post_to_loop(void *unused)
{
    const int n = posts;

    for (int i = 0; i < n; i++) {
        struct post *p = malloc(sizeof *p);
        bool was_empty;

        *p = (struct post){NULL, count_one};
        pthread_mutex_lock(&inbox.mutex);
        was_empty = inbox.head == NULL;
        *inbox.tail = p;
        inbox.tail = &p->next;
        pthread_mutex_unlock(&inbox.mutex);
        if (was_empty)
            event_active(doorbell, EV_READ, 0);
    }
    return unused;
}

static void
loop_post(double *ns)
{
    pthread_t poster;
    double start;

    ran = 0;
    posts = bench_size(PEER_POSTS);
    doorbell = event_new(base, -1, EV_PERSIST, run_all, NULL);
    start = bench_ns();
    bench_check(pthread_create(&poster, NULL, post_to_loop, NULL) == 0);
    event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
    *ns = (bench_ns() - start) / posts;
    pthread_join(poster, NULL);
    event_free(doorbell);
}

static void
on_readable(evutil_socket_t fd, short what, void *self)
{
    char buffer[4096];
    ssize_t n = recv(fd, buffer, sizeof buffer, 0);

    (void)what;
    if (n > 0 && send(fd, buffer, (size_t)n, MSG_NOSIGNAL) == n)
        return;
    event_free(*(struct event **)self);
    free(self);
    close(fd);
}

static void
on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
          int size, void *arg)
{
    struct event **self = malloc(sizeof *self);
    int on = 1;

    (void)listener;
    (void)from;
    (void)size;
    (void)arg;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *self = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, self);
    event_add(*self, NULL);
}

static int
echo(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    if (evconnlistener_new_bind(base, on_accept, NULL, LEV_OPT_REUSEABLE, 128,
                                (struct sockaddr *)&at, sizeof at) == NULL)
        return 1;
    return event_base_dispatch(base);
}

int
main(int argc, char **argv)
{
    static const struct peer_workload all[] = {
        {"timer_cancel", {{"timer_cancel", "ns/timer"}}, timer_cancel},
        {"timer_fire", {BENCH_LATENCIES("timer_fire")}, timer_fire},
        {"timer_fire_loop", {BENCH_LATENCIES("timer_fire_loop")}, timer_fire},
        {"loop_post", {{"loop_post", "ns/post"}}, loop_post},
    };
    struct event_config *config = event_config_new();

    if (argc > 1 && strcmp(argv[1], "loop_post") == 0)
        evthread_use_pthreads(); /* locks only where two threads meet */
    event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
    base = event_base_new_with_config(config);
    if (argc == 3 && strcmp(argv[1], "echo") == 0)
        return echo(atoi(argv[2]));
    return PEER_MAIN("libevent", all, argc, argv);
}
