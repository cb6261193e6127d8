/* SPDX-License-Identifier: MIT */
/*
 * perf/peers/glib.c - GThreadPool, GTask (a result that a main context delivers), sources
 * of a GMainContext. It has no then, no joint future and none to block on.
 */
#include <gio/gio.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "peer.h"

static void
no_op(gpointer task, gpointer pool)
{
    (void)task;
    (void)pool;
}

static GThreadPool *
new_pool(GFunc run, gpointer with)
{
    return g_thread_pool_new(run, with, (int)bench_threads, TRUE, NULL);
}

/* Runs what is queued, then joins. */
static void
free_pool(GThreadPool *pool)
{
    g_thread_pool_free(pool, FALSE, TRUE);
}

static void
post(double *ns)
{
    int n = bench_size(PEER_POSTS);
    GThreadPool *pool = new_pool(no_op, NULL);
    double start = bench_ns();

    for (int i = 0; i < n; i++)
        g_thread_pool_push(pool, pool, NULL);
    free_pool(pool);
    *ns = (bench_ns() - start) / n;
}

static gpointer
produce(gpointer pool)
{
    int n = bench_size(PEER_POSTS_EACH);

    for (int i = 0; i < n; i++)
        g_thread_pool_push(pool, pool, NULL);
    return NULL;
}

static void
post_contended(double *ns)
{
    GThreadPool *pool = new_pool(no_op, NULL);
    GThread *producer[PEER_PRODUCERS];
    double start = bench_ns();

    for (int p = 0; p < PEER_PRODUCERS; p++)
        producer[p] = g_thread_new("producer", produce, pool);
    for (int p = 0; p < PEER_PRODUCERS; p++)
        g_thread_join(producer[p]);
    free_pool(pool);
    *ns = (bench_ns() - start) / PEER_PRODUCERS / bench_size(PEER_POSTS_EACH);
}

static int tasks, done;
static long sum;

static void
return_index(GTask *task, gpointer source, gpointer index, GCancellable *cancellable)
{
    (void)source;
    (void)cancellable;
    g_task_return_int(task, GPOINTER_TO_INT(index));
}

static void
add_up(GObject *source, GAsyncResult *result, gpointer loop)
{
    (void)source;
    sum += g_task_propagate_int(G_TASK(result), NULL);
    if (++done == tasks)
        g_main_loop_quit(loop);
}

/* Once 100,000: they are slow. GTask has a pool of its own, of ten threads or more. */
static void
submit_get(double *ns)
{
    GMainLoop *loop = g_main_loop_new(NULL, FALSE);
    double start = bench_ns();

    tasks = bench_size(PEER_TASKS);
    done = 0;
    sum = 0;
    for (int i = 0; i < tasks; i++) {
        GTask *task = g_task_new(NULL, NULL, add_up, loop);

        g_task_set_task_data(task, GINT_TO_POINTER(i), NULL);
        g_task_run_in_thread(task, return_index);
        g_object_unref(task);
    }
    g_main_loop_run(loop);
    *ns = (bench_ns() - start) / tasks;
    bench_check(sum == (long)tasks * (tasks - 1) / 2);
    g_main_loop_unref(loop);
}

static void
answer(gpointer task, gpointer results)
{
    g_async_queue_push(results, task);
}

/* In through a GThreadPool, out through a GAsyncQueue. */
static void
wake(double *values)
{
    static double us[PEER_WAKES];
    GAsyncQueue *results = g_async_queue_new();
    GThreadPool *pool = new_pool(answer, results);
    int n = bench_size(PEER_WAKES);

    for (int i = 0; i < n; i++) {
        double start;

        bench_pause_us(50);
        start = bench_ns();
        g_thread_pool_push(pool, pool, NULL);
        g_async_queue_pop(results);
        us[i] = (bench_ns() - start) / 1e3;
    }
    free_pool(pool);
    g_async_queue_unref(results);
    bench_latencies(us, (size_t)n, values);
}

static uint64_t slot[PEER_JOBS];

static void
burn_into(gpointer into, gpointer unused)
{
    uint64_t *result = into;

    (void)unused;
    *result = peer_burn((uint64_t)(result - slot));
}

static void
batch(double *times_faster)
{
    int n = bench_size(PEER_JOBS);
    uint64_t expected, got = 0;
    double here = peer_burn_here(n, &expected), start;
    GThreadPool *pool = new_pool(burn_into, NULL);

    start = bench_ns();
    for (int i = 0; i < n; i++)
        g_thread_pool_push(pool, &slot[i], NULL);
    free_pool(pool);
    for (int i = 0; i < n; i++)
        got += slot[i];
    *times_faster = here / (bench_ns() - start);
    bench_check(got == expected);
}

static GThreadPool *traffic_pool;

static void
run_traffic(gpointer task, gpointer unused)
{
    struct traffic_call call = *(struct traffic_call *)task;

    (void)unused;
    free(task);
    call.run(call.arg);
}

static void
post_traffic(void (*run)(void *arg), void *arg)
{
    struct traffic_call *call = malloc(sizeof *call);

    *call = (struct traffic_call){run, arg};
    g_thread_pool_push(traffic_pool, call, NULL);
}

static void
burst(double *values)
{
    traffic_pool = new_pool(run_traffic, NULL);
    traffic_bursts(post_traffic, values);
    free_pool(traffic_pool);
}

static void
fairness(double *values)
{
    traffic_pool = new_pool(run_traffic, NULL);
    traffic_beside_flood(post_traffic, post_traffic, values);
    free_pool(traffic_pool);
}

static void
idle(double *values)
{
    GThreadPool *pool = new_pool(no_op, NULL);

    g_thread_pool_push(pool, pool, NULL);
    bench_idle(values);
    free_pool(pool);
}

static gboolean
fire_once(gpointer data)
{
    (void)data;
    return G_SOURCE_REMOVE;
}

static void
timer_cancel(double *ns)
{
    static GSource *timer[PEER_TIMERS];
    static unsigned *order;
    GMainContext *context = g_main_context_new();
    int n = bench_size(PEER_TIMERS);
    uint64_t seed = 7;
    double start;

    if (order == NULL)
        order = bench_shuffled((unsigned)n);
    start = bench_ns();
    for (int i = 0; i < n; i++) {
        timer[i] = g_timeout_source_new((guint)peer_delay_ms(&seed));
        g_source_set_callback(timer[i], fire_once, NULL, NULL);
        g_source_attach(timer[i], context);
    }
    for (int i = 0; i < n; i++) {
        g_source_destroy(timer[order[i]]);
        g_source_unref(timer[order[i]]);
    }
    *ns = (bench_ns() - start) / n;
    g_main_context_unref(context);
}

static double due[PEER_FIRES], lateness[PEER_FIRES];

static gboolean
note_lateness(gpointer index)
{
    int i = GPOINTER_TO_INT(index);

    lateness[i] = (bench_ns() - due[i]) / 1e3;
    done++;
    return G_SOURCE_REMOVE;
}

/* g_source_set_ready_time: microseconds, finer than g_timeout_add. */
static void
arm(GMainContext *context, int i)
{
    GSource *source = g_timeout_source_new(0);

    g_source_set_ready_time(source, (gint64)((due[i] + 999) / 1000));
    g_source_set_callback(source, note_lateness, GINT_TO_POINTER(i), NULL);
    g_source_attach(source, context);
    g_source_unref(source);
}

static void
timer_fire(double *values)
{
    GMainContext *context = g_main_context_new();
    int n = bench_size(PEER_FIRES);
    uint64_t seed = 9;

    done = 0;
    for (int i = 0; i < n; i++) {
        due[i] = bench_ns() + (double)(bench_random(&seed) % PEER_FIRE_NS);
        arm(context, i);
    }
    while (done < n)
        g_main_context_iteration(context, TRUE);
    g_main_context_unref(context);
    bench_latencies(lateness, (size_t)n, values);
}

static gboolean
count_one(gpointer unused)
{
    (void)unused;
    done++;
    return G_SOURCE_REMOVE;
}

static gpointer
post_to_loop(gpointer context)
{
    int n = bench_size(PEER_POSTS);

    for (int i = 0; i < n; i++)
        g_main_context_invoke(context, count_one, NULL);
    return NULL;
}

/* The context is acquired, so that what is posted is not run in the thread that posts. */
static void
loop_post(double *ns)
{
    GMainContext *context = g_main_context_new();
    int n = bench_size(PEER_POSTS);
    GThread *poster;
    double start;

    g_main_context_acquire(context);
    done = 0;
    start = bench_ns();
    poster = g_thread_new("poster", post_to_loop, context);
    while (done < n)
        g_main_context_iteration(context, TRUE);
    *ns = (bench_ns() - start) / n;
    g_thread_join(poster);
    g_main_context_release(context);
    g_main_context_unref(context);
}

static gboolean
on_readable(gint fd, GIOCondition condition, gpointer unused)
{
    char buffer[4096];
    ssize_t n = recv(fd, buffer, sizeof buffer, 0);

    (void)condition;
    (void)unused;
    if (n > 0 && send(fd, buffer, (size_t)n, MSG_NOSIGNAL) == n)
        return G_SOURCE_CONTINUE;
    close(fd);
    return G_SOURCE_REMOVE;
}

static gboolean
on_accept(gint listener, GIOCondition condition, gpointer unused)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), on = 1;

    (void)condition;
    (void)unused;
    if (fd < 0)
        return G_SOURCE_CONTINUE;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    g_unix_fd_add(fd, G_IO_IN, on_readable, NULL);
    return G_SOURCE_CONTINUE;
}

static int
echo(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 128) != 0)
        return 1;
    g_unix_fd_add(fd, G_IO_IN, on_accept, NULL);
    g_main_loop_run(g_main_loop_new(NULL, FALSE));
    return 0;
}

int
main(int argc, char **argv)
{
    static const struct peer_workload all[] = {
        {"post", {{"post", "ns/task"}}, post},
        {"post_contended", {{"post_contended", "ns/task"}}, post_contended},
        {"submit_get", {{"submit_get", "ns/task"}}, submit_get},
        {"wake", {BENCH_LATENCIES("wake")}, wake},
        {"timer_cancel", {{"timer_cancel", "ns/timer"}}, timer_cancel},
        {"timer_fire", {BENCH_LATENCIES("timer_fire")}, timer_fire},
        {"timer_fire_loop", {BENCH_LATENCIES("timer_fire_loop")}, timer_fire},
        {"loop_post", {{"loop_post", "ns/post"}}, loop_post},
        {"batch", {{"batch", "x"}}, batch},
        {"burst", {BENCH_LATENCIES("burst")}, burst},
        {"fairness", {BENCH_LATENCIES("fairness")}, fairness},
        {"idle", {BENCH_IDLE}, idle},
    };

    if (argc == 3 && strcmp(argv[1], "echo") == 0)
        return echo(atoi(argv[2]));
    return PEER_MAIN("glib", all, argc, argv);
}
