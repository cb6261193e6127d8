/* SPDX-License-Identifier: MIT */
/*
 * flaky_service/server.h - an HTTP service on 127.0.0.1 that misbehaves on a script.
 *
 * One thread answers one request at a time, each in a fixed time. While it is down it
 * first answers with errors, then does not answer at all; meanwhile requests pile up
 * before it, and when it is back it has to work through those that nobody waits for any
 * more, since it cannot tell.
 */
#ifndef FLAKY_SERVICE_SERVER_H
#define FLAKY_SERVICE_SERVER_H

#include <stdbool.h>

#include <vow/base.h>

/* When it does what, from its start; and how long a request takes. */
struct script {
    vow_ns fails, hangs, back, ends;
    vow_ns work;
};

struct server;

/* Returns NULL with errno if it cannot listen. */
struct server *server_start(const struct script *script);

/* The port that it listens on. */
int server_port(const struct server *s);

/* Ends it when its script ends, or now. */
void server_stop(struct server *s);

#endif
