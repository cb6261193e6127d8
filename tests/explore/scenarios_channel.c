/* SPDX-License-Identifier: MIT */
/* scenarios_channel.c - channels: sending, receiving, closing, cancelling, selecting. */
#include <vow/vow.h>

#include "explore.h"

static vow_channel *c, *d;
static vow_future *sent, *got, *other;
static int dropped[3];
static bool was_sent;
static vow_value received;

static void
drop(void *counter)
{
    ++*(int *)counter;
}

static vow_value
item(int i)
{
    return vow_own(&dropped[i], drop);
}

/* ---- what the threads do --------------------------------------------------------------- */

static void
sends(void)
{
    sent = vow_channel_send(c, item(0));
}

static void
sends_another(void)
{
    other = vow_channel_send(c, item(1));
}

static void
receives(void)
{
    got = vow_channel_receive(c);
}

static void
receives_too(void)
{
    other = vow_channel_receive(c);
}

static void
closes(void)
{
    vow_channel_close(c);
}

static void
cancels_receive(void)
{
    vow_future_cancel(got, NULL);
}

static void
cancels_send(void)
{
    vow_future_cancel(sent, NULL);
}

static void
sends_to_d(void)
{
    other = vow_channel_send(d, item(1));
}

/* ---- what has become of it ----------------------------------------------------------------- */

static const char *
word(vow_future *f)
{
    switch (vow_future_status(f) == VOW_PENDING ? -1
                                                : vow_error_code(vow_peek(f).error)) {
    case -1:
        return "waits";
    case 0:
        return "done";
    case VOW_E_CLOSED:
        return "closed";
    case VOW_E_CANCELLED:
        return "cancelled";
    default:
        return "?";
    }
}

/* Lets go of all: every item is dropped, once. */
static void
end(int items)
{
    vow_channel_unref(c);
    vow_channel_unref(d);
    vow_ignore(sent);
    vow_ignore(got);
    vow_ignore(other);
    for (int i = 0; i < items; i++)
        require(dropped[i] == 1);
}

static void
require_kept(int items)
{
    for (int i = 0; i < items; i++)
        require(dropped[i] == 0);
}

/* ---- sending and receiving ------------------------------------------------------------------ */

SCENARIO(channel_meet, CAN_FAIL, "a send and a receive meet without a place in between",
         EXPECTED("done, done", "whoever comes first waits for the other"),
         ALLOWED("?, waits", "no memory to send"), ALLOWED("waits, ?", "nor to receive"),
         ALLOWED("?, ?", "nor for either"), ALLOWED("no channel", "nor for that"))
{
    c = vow_channel_new(0);
    if (c == NULL) {
        outcome("no channel");
        return;
    }
    run_threads(sends, receives);
    outcome("%s, %s", word(sent), word(got));
    end(1);
}

SCENARIO(channel_place, 0, "a send and a receive through a place",
         EXPECTED("done, done", "whoever comes first"))
{
    c = vow_channel_new(1);
    run_threads(sends, receives);
    outcome("%s, %s", word(sent), word(got));
    end(1);
}

static void
tries_to_send(void)
{
    was_sent = vow_channel_try_send(c, item(1)) == 0;
}

static void
tries_to_receive(void)
{
    require(vow_channel_try_receive(c, &received) == 0);
    require(received.as.ptr == &dropped[0]);
}

/* One item is in the channel as they begin. */
static void
send_and_receive(size_t places)
{
    c = vow_channel_new(places);
    require(vow_channel_try_send(c, item(0)) == 0);
    run_threads(tries_to_send, tries_to_receive);
    require(vow_channel_count(c) == (was_sent ? 1 : 0));
    vow_value_drop(received);
    end(was_sent ? 2 : 1);
}

SCENARIO(channel_ends, 0, "an item goes in as another one comes out",
         EXPECTED("sent", "there is room for it, whatever comes first"))
{
    send_and_receive(2);
    outcome(was_sent ? "sent" : "no room");
}

SCENARIO(channel_again, 0, "a place is emptied as somebody looks for room",
         EXPECTED("sent", "it is put to use again"),
         EXPECTED("no room", "who sends comes first"))
{
    send_and_receive(1);
    outcome(was_sent ? "sent" : "no room");
}

SCENARIO(channel_two_receivers, 0, "two receive, and one item is sent",
         EXPECTED("done, waits", "the one"), EXPECTED("waits, done", "or the other"))
{
    c = vow_channel_new(0);
    sends();
    run_threads(receives, receives_too);
    require_kept(1);
    outcome("%s, %s", word(got), word(other));
    end(1);
}

SCENARIO(channel_two_senders, 0, "two send, and one item is received",
         EXPECTED("done, waits", "the one"), EXPECTED("waits, done", "or the other"))
{
    c = vow_channel_new(0);
    receives();
    run_threads(sends, sends_another);
    require_kept(2);
    outcome("%s, %s", word(sent), word(other));
    end(2);
}

/* ---- closing ------------------------------------------------------------------------------------ */

SCENARIO(channel_close_send, 0, "a channel is closed as somebody sends",
         EXPECTED("done, 1 inside", "it was sent before"),
         EXPECTED("closed, 0 inside", "or it is dropped"))
{
    c = vow_channel_new(1);
    run_threads(sends, closes);
    require(dropped[0] == (vow_channel_count(c) == 0));
    outcome("%s, %d inside", word(sent), (int)vow_channel_count(c));
    end(1);
}

SCENARIO(channel_close_wait, 0, "a channel is closed as a send waits for room",
         EXPECTED("closed", "nobody receives it"))
{
    c = vow_channel_new(0);
    run_threads(sends, closes);
    outcome("%s", word(sent));
    require(dropped[0] == 1);
    end(1);
}

SCENARIO(channel_close_receive, 0, "a channel is closed as an item is received",
         EXPECTED("done, done", "it was received before"),
         EXPECTED("closed, closed", "or it is dropped"))
{
    c = vow_channel_new(0);
    sends();
    run_threads(receives, closes);
    outcome("%s, %s", word(sent), word(got));
    end(1);
}

SCENARIO(channel_drop, 0, "the last reference goes as a receive waits",
         EXPECTED("closed", "nothing comes any more"))
{
    c = vow_channel_new(1);
    d = vow_channel_ref(c);
    receives();
    run_threads(closes, cancels_send);
    outcome("%s", word(got));
    end(0);
}

/* ---- cancelling ------------------------------------------------------------------------------------ */

SCENARIO(channel_cancel_receive, 0, "a receive is cancelled as an item is sent",
         EXPECTED("done, 0 inside", "it has it"),
         EXPECTED("cancelled, 1 inside", "or the channel has"))
{
    c = vow_channel_new(1);
    receives();
    run_threads(sends, cancels_receive);
    require_kept(1);
    require(vow_future_status(sent) == VOW_FULFILLED);
    outcome("%s, %d inside", word(got), (int)vow_channel_count(c));
    end(1);
}

SCENARIO(channel_cancel_send, 0, "a send is cancelled as somebody receives",
         EXPECTED("done, done", "the item was received"),
         EXPECTED("cancelled, waits", "or dropped"))
{
    c = vow_channel_new(0);
    sends();
    run_threads(receives, cancels_send);
    require(dropped[0] == (vow_future_status(got) == VOW_PENDING));
    outcome("%s, %s", word(sent), word(got));
    end(1);
}

/* ---- one of several --------------------------------------------------------------------------------- */

static void
select_from_both(void)
{
    const vow_case cases[] = {VOW_CASE_RECEIVE(c), VOW_CASE_RECEIVE(d)};

    got = vow_select(cases, 2);
}

static int
selected(void)
{
    const vow_selected *s =
        vow_future_status(got) == VOW_FULFILLED ? vow_get_selected(got) : NULL;

    return s != NULL ? (int)s->index : -1;
}

SCENARIO(select_two_sends, 0, "both channels of a select are sent to",
         EXPECTED("of 0, 1 left", "the one"), EXPECTED("of 1, 1 left", "or the other"))
{
    c = vow_channel_new(1);
    d = vow_channel_new(1);
    select_from_both();
    run_threads(sends, sends_to_d);
    require_kept(2);
    outcome("of %d, %d left", selected(),
            (int)(vow_channel_count(c) + vow_channel_count(d)));
    end(2);
}

SCENARIO(select_as_sent, 0, "a select comes as both its channels are sent to",
         EXPECTED("of 0, 1 left", "the one"), EXPECTED("of 1, 1 left", "or the other"))
{
    c = vow_channel_new(1);
    d = vow_channel_new(1);
    run_threads(select_from_both, sends, sends_to_d);
    require_kept(2);
    outcome("of %d, %d left", selected(),
            (int)(vow_channel_count(c) + vow_channel_count(d)));
    end(2);
}

SCENARIO(select_cancel, 0, "a select is cancelled as an item is sent",
         EXPECTED("of 0, 0 left", "it has it"),
         EXPECTED("of -1, 1 left", "or it was late"))
{
    c = vow_channel_new(1);
    d = vow_channel_new(1);
    select_from_both();
    run_threads(sends, cancels_receive);
    require_kept(1);
    outcome("of %d, %d left", selected(), (int)vow_channel_count(c));
    end(1);
}

SCENARIO(select_back, 0, "what a select received and nobody took is received by another",
         EXPECTED("done", "it went back, and on"))
{
    c = vow_channel_new(1);
    d = vow_channel_new(1);
    select_from_both();
    sends();
    vow_ignore(sent);
    sent = got; /* the select; it lets go of its outcome */
    run_threads(receives_too, cancels_send);
    vow_ignore(sent);
    sent = got = NULL;
    require_kept(1);
    outcome("%s", word(other));
    end(1);
}
