"""http2/6.1 to 6.10: each type of frame, wrong in each way that the RFC names."""

from rows import row
from h2raw import (
    ACK, DATA, ENABLE_PUSH, END_HEADERS, END_STREAM, FLOW_CONTROL, FRAME_SIZE, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE, PADDED, PING, PRIORITY, PROTOCOL, RST_STREAM, SETTINGS, STREAM_CLOSED, WINDOW_UPDATE, any_data,
    connection_error, goaway_seen, page, pong, reset_seen, response, settings_ack, stream_error)

LARGEST_WINDOW = 2**31 - 1

row("http2/6.1/1", "DATA on stream 0", lambda c: c.data(0), connection_error(PROTOCOL))
row("http2/6.1/2", "DATA on a stream that we have ended",
    lambda c: c.post(end=True).data(1), stream_error(STREAM_CLOSED))
row("http2/6.1/3", "DATA with more padding than payload",
    lambda c: c.post(extra=[("content-length", "4")]).frame(DATA, END_STREAM | PADDED, 1, b"\x06test"),
    connection_error(PROTOCOL))


def headers_then(then):
    """HEADERS whose block has not ended, then something else, then the rest of the block."""
    def send(c):
        c.headers(end=False, done=False)
        then(c)
        c.continuation(1, c.dummies())
    return send


def padding_longer_than_the_frame(c):
    block = c.block(c.fields())
    c.frame(HEADERS, END_STREAM | END_HEADERS | PADDED, 1, bytes([len(block) + 2]) + block)


row("http2/6.2/1", "HEADERS without END_HEADERS, then PRIORITY",
    headers_then(lambda c: c.priority(1)), connection_error(PROTOCOL))
row("http2/6.2/2", "HEADERS without END_HEADERS, then HEADERS of another stream",
    headers_then(lambda c: c.headers(3)), connection_error(PROTOCOL))
row("http2/6.2/3", "HEADERS on stream 0", lambda c: c.headers(0), connection_error(PROTOCOL))
row("http2/6.2/4", "HEADERS with more padding than payload", padding_longer_than_the_frame, stream_error(PROTOCOL))

row("http2/6.3/1", "PRIORITY on stream 0", lambda c: c.priority(0), connection_error(PROTOCOL))
row("http2/6.3/2", "PRIORITY of 4 octets",
    lambda c: c.headers().frame(PRIORITY, 0, 1, b"\x80\0\0\x01"), stream_error(FRAME_SIZE))

row("http2/6.4/1", "RST_STREAM on stream 0", lambda c: c.reset(0), connection_error(PROTOCOL))
row("http2/6.4/2", "RST_STREAM of an idle stream", lambda c: c.reset(1), connection_error(PROTOCOL))
row("http2/6.4/3", "RST_STREAM of 3 octets",
    lambda c: c.headers().frame(RST_STREAM, 0, 1, bytes(3)), stream_error(FRAME_SIZE))

row("http2/6.5/1", "an acknowledgement of SETTINGS with a payload",
    lambda c: c.frame(SETTINGS, ACK, 0, b"\0"), connection_error(FRAME_SIZE))
row("http2/6.5/2", "SETTINGS on a stream",
    lambda c: c.frame(SETTINGS, 0, 1, b"\0\x03\0\0\0\x64"), connection_error(PROTOCOL))
row("http2/6.5/3", "SETTINGS of 3 octets",
    lambda c: c.frame(SETTINGS, 0, 0, b"\0\x03\0"), stream_error(PROTOCOL, FRAME_SIZE))

row("http2/6.5.2/1", "ENABLE_PUSH of 2", lambda c: c.settings((ENABLE_PUSH, 2)), connection_error(PROTOCOL))
row("http2/6.5.2/2", "an initial window above 2^31-1",
    lambda c: c.settings((INITIAL_WINDOW_SIZE, 2**31)), connection_error(FLOW_CONTROL))
row("http2/6.5.2/3", "a largest frame below 2^14",
    lambda c: c.settings((MAX_FRAME_SIZE, 2**14 - 1)), connection_error(PROTOCOL))
row("http2/6.5.2/4", "a largest frame above 2^24-1",
    lambda c: c.settings((MAX_FRAME_SIZE, 2**24)), connection_error(PROTOCOL))
row("http2/6.5.2/5", "an unknown parameter is ignored", lambda c: c.settings((0xff, 1)).ping(), pong())


def same_setting_twice(c):
    settings_ack(c.settings((INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 1)))
    c.headers()


row("http2/6.5.3/1", "of two values for one parameter the later holds", same_setting_twice, page(1))
row("http2/6.5.3/2", "SETTINGS is acknowledged", lambda c: c.settings((ENABLE_PUSH, 0)), settings_ack)

row("http2/6.7/1", "PING is answered with its data", lambda c: c.ping(b"anchors!"), pong(b"anchors!"))
row("http2/6.7/2", "an answer to PING is not answered",
    lambda c: c.ping(b"unasked!", ack=True).ping(b"anchors!"), pong(b"anchors!"))
row("http2/6.7/3", "PING on a stream", lambda c: c.frame(PING, 0, 1, bytes(8)), connection_error(PROTOCOL))
row("http2/6.7/4", "PING of 6 octets", lambda c: c.frame(PING, 0, 0, bytes(6)), connection_error(FRAME_SIZE))
row("http2/6.8/1", "GOAWAY on a stream", lambda c: c.frame(GOAWAY, 0, 1, bytes(8)), connection_error(PROTOCOL))

row("http2/6.9/1", "a window update of 0 for the connection", lambda c: c.window(0, 0), connection_error(PROTOCOL))
row("http2/6.9/2", "a window update of 0 for a stream",
    lambda c: c.headers(end=False).window(1, 0), stream_error(PROTOCOL))
row("http2/6.9/3", "WINDOW_UPDATE of 3 octets",
    lambda c: c.frame(WINDOW_UPDATE, 0, 0, b"\0\0\x01"), connection_error(FRAME_SIZE))


def small_window(c):
    settings_ack(c.settings((INITIAL_WINDOW_SIZE, 1)))
    c.headers()


row("http2/6.9.1/1", "no more DATA comes than the window allows", small_window, page(1))
row("http2/6.9.1/2", "the connection's window grows above 2^31-1",
    lambda c: c.window(0, LARGEST_WINDOW).window(0, LARGEST_WINDOW), goaway_seen(FLOW_CONTROL))
row("http2/6.9.1/3", "a stream's window grows above 2^31-1",
    lambda c: c.headers(end=False).window(1, LARGEST_WINDOW).window(1, LARGEST_WINDOW), reset_seen(FLOW_CONTROL))


def window_opened_by_settings(c):
    settings_ack(c.settings((INITIAL_WINDOW_SIZE, 0)))
    c.headers().settings((INITIAL_WINDOW_SIZE, 1))


def window_below_zero(c):
    settings_ack(c.settings((INITIAL_WINDOW_SIZE, 3)))
    any_data(c.headers())
    settings_ack(c.settings((INITIAL_WINDOW_SIZE, 2)))
    c.window(1, 2)


row("http2/6.9.2/1", "a new initial window counts for open streams", window_opened_by_settings, page(1))
row("http2/6.9.2/2", "a window below zero is remembered", window_below_zero, page(1))
row("http2/6.9.2/3", "an initial window above 2^31-1",
    lambda c: c.frame(SETTINGS, 0, 0, b"\0\x04\x80\0\0\0"), connection_error(FLOW_CONTROL))


def continued(*parts, end=True, first_done=False, method="GET"):
    """HEADERS, then `parts`: each (stream, whether it ends the block)."""
    def send(c):
        c.headers(fields=c.fields(method), end=end, done=first_done)
        for stream, done in parts:
            c.continuation(stream, c.dummies(), done)
    return send


def data_inside_a_block(c):
    continued((1, False), end=False, method="POST")(c)
    c.data(1)


def data_then_continuation(c):
    c.headers(fields=c.fields("POST"), end=False, done=False).data(1)
    c.continuation(1, c.dummies(), done=False).continuation(0, c.dummies())


row("http2/6.10/1", "several CONTINUATION frames after HEADERS", continued((1, False), (1, True)), response)
row("http2/6.10/2", "CONTINUATION that does not end the block, then DATA",
    data_inside_a_block, connection_error(PROTOCOL))
row("http2/6.10/3", "CONTINUATION on stream 0", continued((0, True)), connection_error(PROTOCOL))
row("http2/6.10/4", "CONTINUATION after HEADERS that ended the block",
    continued((1, True), first_done=True), connection_error(PROTOCOL))
row("http2/6.10/5", "CONTINUATION after CONTINUATION that ended the block",
    continued((1, True), (1, True)), connection_error(PROTOCOL))
row("http2/6.10/6", "CONTINUATION after DATA", data_then_continuation, connection_error(PROTOCOL))
