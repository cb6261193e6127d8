/* SPDX-License-Identifier: MIT */
/*
 * Follows all links of three sites at once: one answers, one hangs up on who comes for
 * the first time, one never answers.
 *
 *     crawler [--strict]
 *
 * Sockets are on a loop, pages are read on a pool, and each site is behind a policy of its
 * own: so many requests at once, a time-out for each, retries, and a breaker that leaves a
 * site alone which does not answer. A group is what all of it is waited for by: whoever
 * finds a link adds a child. --strict: a page that cannot be had ends it all. SIGINT ends
 * it as well, and SIGUSR1 has it say what waits for what.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vow/vow.h>

#include "crawler/site.h"

enum { SITES = 3 };

static struct {
    vow_loop *loop;
    vow_executor *on; /* the loop */
    vow_executor *pool;
    vow_group *group;
    bool strict;
} crawl;

/* A site as it looks from here. */
static struct host {
    const char *name;
    struct site *site;
    vow_breaker *breaker;
    vow_bulkhead *bulkhead;
    vow_policy *policy;
    atomic_int pages, given_up;
} hosts[SITES] = {{.name = "steady"}, {.name = "moody"}, {.name = "silent"}};

/* ---- a request, on the loop -------------------------------------------------------------- */

/* One attempt. Of those that are to run it each step has a reference: a step that is
 * cancelled lets go of its own at once, while the one before it may be at work. */
struct request {
    atomic_int refs;
    int fd;
    const struct host *host;
    int page;
    size_t used;
    char text[256];
};

static void
request_unref(void *request)
{
    struct request *r = request;

    if (atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    close(r->fd);
    free(r);
}

static vow_value
shared(struct request *r)
{
    atomic_fetch_add(&r->refs, 1);
    return vow_own(r, request_unref);
}

static vow_result
failed(const struct request *r, int error)
{
    return vow_fail(error, "%s/%d: %s", r->host->name, r->page, strerror(error));
}

static vow_result
receive(vow_value ready, void *request)
{
    struct request *r = request;
    size_t room = sizeof r->text - 1 - r->used;
    ssize_t n = recv(r->fd, r->text + r->used, room, 0);
    char *text;

    (void)ready;
    if (n < 0 && errno != EAGAIN)
        return failed(r, errno);
    r->used += n > 0 ? (size_t)n : 0;
    if (n != 0)
        return vow_follow(vow_then(vow_loop_ready(crawl.loop, r->fd, VOW_FD_READ),
                                   crawl.on, receive, shared(r)));
    if (r->used == 0)
        return failed(r, ECONNRESET);
    text = strdup(r->text);
    return text != NULL ? vow_ok(vow_own(text, free)) : vow_err(NULL);
}

static vow_result
ask(vow_value ready, void *request)
{
    struct request *r = request;
    char line[32];
    int n = snprintf(line, sizeof line, "GET /%d HTTP/1.0\r\n\r\n", r->page);

    if (send(r->fd, line, (size_t)n, MSG_NOSIGNAL) < 0)
        return failed(r, errno);
    return receive(ready, r);
}

static struct request *
request_new(const struct host *host, int page)
{
    struct request *r = calloc(1, sizeof *r);

    if (r == NULL)
        return NULL;
    atomic_init(&r->refs, 1);
    r->host = host;
    r->page = page;
    r->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return r;
}

/* A link: which page of which site. */
struct link {
    struct host *host;
    int page;
};

/* What the policy calls, once for each attempt. */
static vow_result
fetch(void *link)
{
    const struct link *l = link;
    struct sockaddr_in a = {.sin_family = AF_INET};
    struct request *r = request_new(l->host, l->page);
    vow_future *f;

    if (r == NULL)
        return vow_err(NULL);
    a.sin_port = htons((uint16_t)site_port(l->host->site));
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(r->fd, (struct sockaddr *)&a, sizeof a) != 0 && errno != EINPROGRESS)
        f = vow_rejected(vow_error_new(errno, "%s: %s", l->host->name, strerror(errno)));
    else
        f = vow_loop_ready(crawl.loop, r->fd, VOW_FD_WRITE);
    f = vow_then(f, crawl.on, ask, shared(r));
    request_unref(r);
    return vow_follow(f);
}

/* ---- a page ---------------------------------------------------------------------------- */

static void follow_link(struct host *host, int page);

/* On the pool. */
static vow_result
read_page(vow_value text, void *link)
{
    const struct link *l = link;

    atomic_fetch_add(&l->host->pages, 1);
    for (const char *at = text.as.ptr; (at = strchr(at, '/')) != NULL;)
        follow_link(l->host, atoi(++at));
    return vow_ok(VOW_NIL);
}

static vow_result
do_without(const vow_error *error, void *link)
{
    const struct link *l = link;

    if (crawl.strict || vow_error_code(error) == VOW_E_CANCELLED)
        return vow_forward();
    atomic_fetch_add(&l->host->given_up, 1);
    vow_error_print(error, stderr);
    return vow_ok(VOW_NIL);
}

static vow_value
link_new(struct host *host, int page)
{
    struct link *l = malloc(sizeof *l);

    if (l == NULL)
        abort();
    *l = (struct link){host, page};
    return vow_own(l, free);
}

static vow_result
visit(void *link)
{
    const struct link *l = link;
    struct host *host = l->host;
    vow_future *f =
        vow_policy_call(host->policy, crawl.on, fetch, link_new(host, l->page));

    f = vow_then(f, crawl.pool, read_page, link_new(host, l->page));
    f = vow_catch(f, NULL, do_without, link_new(host, l->page));
    return vow_follow(f);
}

static void
follow_link(struct host *host, int page)
{
    vow_group_post(crawl.group, crawl.on, visit, link_new(host, page));
}

/* ---- sites ------------------------------------------------------------------------------- */

static bool
has_timed_out(const vow_error *error, void *ctx)
{
    (void)ctx;
    return vow_error_is(error, VOW_E_TIMEDOUT);
}

static bool
open_host(struct host *h, enum manner manner)
{
    h->site = site_open(manner);
    h->breaker = vow_breaker_new(&VOW_BREAKER_OPTIONS(.name = h->name, .consecutive = 2,
                                                      .open_for = vow_seconds(60),
                                                      .is_failure = has_timed_out));
    h->bulkhead =
        vow_bulkhead_new(&VOW_BULKHEAD_OPTIONS(.limit = 4, .queue = SITE_PAGES));
    h->policy = vow_policy_new(
        (const vow_layer[]){
            VOW_LAYER_RETRY(&VOW_RETRY_OPTIONS(.base_delay = vow_ms(5))),
            VOW_LAYER_BREAKER(h->breaker),
            VOW_LAYER_BULKHEAD(h->bulkhead),
            VOW_LAYER_TIMEOUT(vow_seconds(1)),
        },
        4);
    return h->site != NULL && h->policy != NULL;
}

static void
close_host(struct host *h)
{
    printf("%s: %d pages, %d given up\n", h->name, h->pages, h->given_up);
    vow_policy_unref(h->policy);
    vow_bulkhead_unref(h->bulkhead);
    vow_breaker_unref(h->breaker);
    site_close(h->site);
}

/* ---- signals ------------------------------------------------------------------------------- */

static void say_what_waits(vow_view number, void *ctx);

static void
wait_for_usr1(void)
{
    vow_on_settled(vow_loop_signal(crawl.loop, SIGUSR1), crawl.on, say_what_waits,
                   VOW_NIL);
}

static void
say_what_waits(vow_view number, void *ctx)
{
    (void)ctx;
    if (number.error != NULL)
        return;
    vow_executor_dump(crawl.on, stderr);
    vow_executor_dump(crawl.pool, stderr);
    for (size_t i = 0; i < SITES; i++)
        vow_policy_print(hosts[i].policy, stderr);
    wait_for_usr1();
}

static void
stop(vow_view number, void *ctx)
{
    (void)ctx;
    if (number.error == NULL)
        vow_group_cancel(crawl.group, vow_error_new(EINTR, "stopped by hand"));
}

/* ---- the program ----------------------------------------------------------------------------- */

static bool
begin(void)
{
    crawl.loop = vow_loop_new(NULL);
    crawl.on = vow_loop_executor(crawl.loop);
    wait_for_usr1(); /* first: threads inherit what is blocked */
    vow_on_settled(vow_loop_signal(crawl.loop, SIGINT), crawl.on, stop, VOW_NIL);
    crawl.pool = vow_pool_new(&VOW_POOL_OPTIONS(.name = "read"));
    crawl.group = vow_group_new(&VOW_GROUP_OPTIONS(.name = "crawl"));
    for (size_t i = 0; i < SITES; i++)
        if (!open_host(&hosts[i], (enum manner)i))
            return false;
    return crawl.loop != NULL && crawl.pool != NULL;
}

/* The loop goes last, and with it what still waits for a signal. */
static void
end(void)
{
    for (size_t i = 0; i < SITES; i++)
        close_host(&hosts[i]);
    vow_group_unref(crawl.group);
    vow_ignore(vow_executor_close(crawl.pool, VOW_DRAIN));
    vow_executor_join(crawl.pool);
    vow_executor_unref(crawl.pool);
    vow_loop_unref(crawl.loop);
}

int
main(int argc, char **argv)
{
    vow_future *all;
    const vow_error *error;
    int code;

    crawl.strict = argc > 1 && strcmp(argv[1], "--strict") == 0;
    if (!begin()) {
        perror("crawler");
        return 1;
    }
    for (size_t i = 0; i < SITES; i++)
        follow_link(&hosts[i], 1);
    all = vow_group_join(vow_group_ref(crawl.group));
    vow_loop_run_until(crawl.loop, all);
    error = vow_get(all).error;
    code = vow_error_code(error);
    if (code != 0)
        vow_error_print(error, stderr);
    vow_unref(all);
    end();
    return code != 0;
}
