/* SPDX-License-Identifier: MIT */
/*
 * Futures of a library of callbacks, libuv's name look-up. Shows a ticket (vow/callback.h)
 * where libuv keeps a pointer, what a call with an error becomes, and what is done where
 * no call will come; then several look-ups are one future. The names are numbers, so that
 * no network is asked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netdb.h>
#include <uv.h>
#include <vow/vow.h>

/* ---- the adapter ------------------------------------------------------------------------ */

static void
free_addresses(void *list)
{
    uv_freeaddrinfo(list);
}

/* What libuv calls. It has errors of its own besides errno's: their text goes along. */
static void
resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    void *ticket = request->data;

    free(request);
    if (status == 0)
        vow_callback_fulfill(ticket, vow_own(list, free_addresses));
    else
        vow_callback_reject(ticket, vow_error_new(-status, "%s", uv_strerror(status)));
}

/* A future of the addresses of a host. */
static vow_future *
resolve(uv_loop_t *loop, const char *host)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST,
                                   .ai_socktype = SOCK_STREAM};
    uv_getaddrinfo_t *request = malloc(sizeof *request);
    vow_future *f;
    int status;

    if (request == NULL)
        return NULL;
    request->data = vow_callback_new(&f, NULL);
    status = uv_getaddrinfo(loop, request, resolved, host, NULL, &hints);
    if (status != 0) /* it will not call */
        resolved(request, status, NULL);
    return f;
}

/* ---- the program ------------------------------------------------------------------------ */

static vow_result
print_address(vow_value list, void *host)
{
    const struct addrinfo *first = list.as.ptr;
    char text[64];

    if (getnameinfo(first->ai_addr, first->ai_addrlen, text, sizeof text, NULL, 0,
                    NI_NUMERICHOST) != 0)
        return vow_fail(EAI_FAIL, "%s has no text", (char *)host);
    printf("%s is %s\n", (char *)host, text);
    return vow_ok(VOW_NIL);
}

static vow_result
print_error(const vow_error *error, void *host)
{
    printf("%s: %s\n", (char *)host, vow_error_message(error));
    return vow_ok(VOW_NIL);
}

int
main(void)
{
    const char *hosts[] = {"127.0.0.1", "::1", "no number"};
    vow_future *printed[sizeof hosts / sizeof hosts[0]];
    size_t n = sizeof hosts / sizeof hosts[0];
    vow_future *all;
    int code;

    for (size_t i = 0; i < n; i++) {
        vow_future *f = resolve(uv_default_loop(), hosts[i]);

        f = vow_then(f, NULL, print_address, vow_ptr(hosts[i]));
        printed[i] = vow_catch(f, NULL, print_error, vow_ptr(hosts[i]));
    }
    all = vow_when_all(printed, n);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    code = vow_error_code(vow_get(all).error);
    vow_unref(all);
    uv_loop_close(uv_default_loop());
    return code != 0;
}
