/* SPDX-License-Identifier: MIT */
/*
 * perf/peers/libuv.c - uv_queue_work (a pool; what comes out is a callback on the loop),
 * uv_timer, uv_async, TCP. It has no futures: a result lies in its request. Only the
 * loop's own thread may queue work, so there is no post_contended.
 */
#include <pthread.h>
#include <uv.h>

#include "peer.h"

static uv_loop_t loop;

static void
no_op(uv_work_t *work)
{
    (void)work;
}

static void
ignore_done(uv_work_t *work, int status)
{
    (void)work;
    bench_check(status == 0);
}

static void
post(double *ns)
{
    static uv_work_t work[PEER_POSTS];
    int n = bench_size(PEER_POSTS);
    double start = bench_ns();

    for (int i = 0; i < n; i++)
        uv_queue_work(&loop, &work[i], no_op, ignore_done);
    uv_run(&loop, UV_RUN_DEFAULT);
    *ns = (bench_ns() - start) / n;
}

static struct {
    uv_work_t work;
    int result;
} call[PEER_TASKS];
static long sum;

static void
return_index(uv_work_t *work)
{
    call[(intptr_t)work->data].result = (int)(intptr_t)work->data;
}

static void
add_up(uv_work_t *work, int status)
{
    (void)status;
    sum += call[(intptr_t)work->data].result;
}

static void
submit(int i)
{
    call[i].work.data = (void *)(intptr_t)i;
    uv_queue_work(&loop, &call[i].work, return_index, add_up);
}

static void
submit_get(double *ns)
{
    int n = bench_size(PEER_TASKS);
    double start = bench_ns();

    sum = 0;
    for (int r = 0; r < PEER_TIMES; r++) {
        for (int i = 0; i < n; i++)
            submit(i);
        uv_run(&loop, UV_RUN_DEFAULT);
    }
    *ns = (bench_ns() - start) / PEER_TIMES / n;
    bench_check(sum == (long)n * (n - 1) / 2 * PEER_TIMES);
}

static void
wake(double *values)
{
    static double us[PEER_WAKES];
    int n = bench_size(PEER_WAKES);

    for (int i = 0; i < n; i++) {
        double start;

        bench_pause_us(50);
        start = bench_ns();
        submit(0);
        uv_run(&loop, UV_RUN_DEFAULT);
        us[i] = (bench_ns() - start) / 1e3;
    }
    bench_latencies(us, (size_t)n, values);
}

static struct {
    uv_work_t work;
    uint64_t result;
} job[PEER_JOBS];

static void
burn_one(uv_work_t *work)
{
    intptr_t i = (intptr_t)work->data;

    job[i].result = peer_burn((uint64_t)i);
}

static void
batch(double *times_faster)
{
    int n = bench_size(PEER_JOBS);
    uint64_t expected, got = 0;
    double here = peer_burn_here(n, &expected), start = bench_ns();

    for (int i = 0; i < n; i++) {
        job[i].work.data = (void *)(intptr_t)i;
        uv_queue_work(&loop, &job[i].work, burn_one, ignore_done);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    for (int i = 0; i < n; i++)
        got += job[i].result;
    *times_faster = here / (bench_ns() - start);
    bench_check(got == expected);
}

/* Its pool, and its loop in another thread. */
static void *
run_loop(void *unused)
{
    uv_run(&loop, UV_RUN_DEFAULT);
    return unused;
}

static void
ignore_bell(uv_async_t *bell)
{
    uv_close((uv_handle_t *)bell, NULL);
}

static void
idle(double *values)
{
    uv_async_t bell;
    pthread_t thread;

    uv_async_init(&loop, &bell, ignore_bell);
    uv_queue_work(&loop, &call[0].work, no_op, ignore_done);
    bench_check(pthread_create(&thread, NULL, run_loop, NULL) == 0);
    bench_idle(values);
    uv_async_send(&bell);
    pthread_join(thread, NULL);
}

static void
ignore_timer(uv_timer_t *timer)
{
    (void)timer;
}

/* The timers lie in one array, and are used again. */
static void
timer_cancel(double *ns)
{
    static uv_timer_t timer[PEER_TIMERS];
    static unsigned *order;
    int n = bench_size(PEER_TIMERS);
    uint64_t seed = 7;
    double start;

    if (order == NULL) {
        order = bench_shuffled((unsigned)n);
        for (int i = 0; i < n; i++)
            uv_timer_init(&loop, &timer[i]);
    }
    start = bench_ns();
    for (int i = 0; i < n; i++)
        uv_timer_start(&timer[i], ignore_timer, peer_delay_ms(&seed), 0);
    for (int i = 0; i < n; i++)
        uv_timer_stop(&timer[order[i]]);
    *ns = (bench_ns() - start) / n;
}

static struct {
    uv_timer_t timer;
    double due;
} fire[PEER_FIRES];
static double lateness[PEER_FIRES];
static int fired;

/* Too early counts like too late: its clock has milliseconds. */
static void
note_lateness(uv_timer_t *timer)
{
    double late = (bench_ns() - *(double *)timer->data) / 1e3;

    lateness[fired++] = late < 0 ? -late : late;
}

/* The loop has a clock of milliseconds, which it reads once a turn; delays are rounded up. */
static void
timer_fire(double *values)
{
    int n = bench_size(PEER_FIRES);
    uint64_t seed = 9, cached;
    double start;

    fired = 0;
    uv_update_time(&loop);
    start = bench_ns();
    cached = uv_now(&loop);
    for (int i = 0; i < n; i++) {
        double now = bench_ns();
        uint64_t delay = bench_random(&seed) % PEER_FIRE_NS;

        if ((uint64_t)((now - start) / 1e6) > uv_now(&loop) - cached)
            uv_update_time(&loop);
        fire[i].due = now + (double)delay;
        fire[i].timer.data = &fire[i].due;
        uv_timer_init(&loop, &fire[i].timer);
        uv_timer_start(&fire[i].timer, note_lateness, (delay + 999999) / 1000000, 0);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    bench_check(fired == n);
    bench_latencies(lateness, (size_t)n, values);
}

/* uv_async_send merges what comes meanwhile: posts go through a list, as users do it. */
struct post {
    struct post *next;
    void (*call)(void);
};
static struct {
    pthread_mutex_t mutex;
    struct post *head, **tail;
} inbox = {PTHREAD_MUTEX_INITIALIZER, NULL, &inbox.head};
static uv_async_t doorbell;
static int posts, ran;

static void
count_one(void)
{
    ran++;
}

static void
run_all(uv_async_t *bell)
{
    struct post *p;

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
        uv_close((uv_handle_t *)bell, NULL);
}

static void *
post_to_loop(void *unused)
{
    const int n = posts;

    for (int i = 0; i < n; i++) {
        struct post *p = malloc(sizeof *p);

        *p = (struct post){NULL, count_one};
        pthread_mutex_lock(&inbox.mutex);
        *inbox.tail = p;
        inbox.tail = &p->next;
        pthread_mutex_unlock(&inbox.mutex);
        uv_async_send(&doorbell);
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
    uv_async_init(&loop, &doorbell, run_all);
    start = bench_ns();
    bench_check(pthread_create(&poster, NULL, post_to_loop, NULL) == 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    *ns = (bench_ns() - start) / posts;
    pthread_join(poster, NULL);
}

struct connection {
    uv_tcp_t tcp;
    uv_write_t write;
    char buffer[4096];
};

static void
lend_buffer(uv_handle_t *handle, size_t want, uv_buf_t *out)
{
    struct connection *c = (struct connection *)handle;

    (void)want;
    *out = uv_buf_init(c->buffer, sizeof c->buffer);
}

static void
release(uv_handle_t *handle)
{
    free(handle);
}

static void
ignore_written(uv_write_t *write, int status)
{
    (void)write;
    (void)status;
}

/* The fast way; the one with a queue when the socket is full. */
static void
on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct connection *c = (struct connection *)stream;
    uv_buf_t out = uv_buf_init(buffer->base, (unsigned)n);

    if (n < 0)
        uv_close((uv_handle_t *)stream, release);
    else if (uv_try_write(stream, &out, 1) != n)
        uv_write(&c->write, stream, &out, 1, ignore_written);
}

static void
on_connection(uv_stream_t *server, int status)
{
    struct connection *c = malloc(sizeof *c);

    (void)status;
    uv_tcp_init(&loop, &c->tcp);
    uv_accept(server, (uv_stream_t *)&c->tcp);
    uv_tcp_nodelay(&c->tcp, 1);
    uv_read_start((uv_stream_t *)&c->tcp, lend_buffer, on_read);
}

static int
echo(int port)
{
    struct sockaddr_in at;
    uv_tcp_t server;

    uv_ip4_addr("127.0.0.1", port, &at);
    uv_tcp_init(&loop, &server);
    uv_tcp_bind(&server, (struct sockaddr *)&at, 0);
    if (uv_listen((uv_stream_t *)&server, 128, on_connection) != 0)
        return 1;
    return uv_run(&loop, UV_RUN_DEFAULT);
}

/* The pool reads its size from the environment, when it gets its first work. */
static void
set_pool_size(int argc, char **argv)
{
    setenv("UV_THREADPOOL_SIZE", "2", 1);
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--threads") == 0)
            setenv("UV_THREADPOOL_SIZE", argv[i + 1], 1);
}

int
main(int argc, char **argv)
{
    static const struct peer_workload all[] = {
        {"post", {{"post", "ns/task"}}, post},
        {"submit_get", {{"submit_get", "ns/task"}}, submit_get},
        {"wake", {BENCH_LATENCIES("wake")}, wake},
        {"timer_cancel", {{"timer_cancel", "ns/timer"}}, timer_cancel},
        {"timer_fire", {BENCH_LATENCIES("timer_fire")}, timer_fire},
        {"timer_fire_loop", {BENCH_LATENCIES("timer_fire_loop")}, timer_fire},
        {"loop_post", {{"loop_post", "ns/post"}}, loop_post},
        {"batch", {{"batch", "x"}}, batch},
        {"idle", {BENCH_IDLE}, idle},
    };

    set_pool_size(argc, argv);
    uv_loop_init(&loop);
    if (argc == 3 && strcmp(argv[1], "echo") == 0)
        return echo(atoi(argv[2]));
    return PEER_MAIN("libuv", all, argc, argv);
}
