"""http2/3.5 to 5.5: preface, frames, header blocks, stream states."""

import time

from cases_generic import first_is_settings, preface
from rows import row
from h2raw import (
    COMPRESSION, DEFAULT_FRAME_SIZE, FRAME_SIZE, GOAWAY, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE, PING, PROTOCOL, REFUSED, STREAM_CLOSED, Failed, Skipped, any_ping, closed, connection_error,
    goaway_seen, pong, response, stream_ended, stream_error)

UNKNOWN = 0x16
RESERVED_BIT = 0x80000000


def refused_preface(c):
    """GOAWAY or close. A port that speaks HTTP/1 too takes this for a bad request line: 400, then close."""
    for event in c.events():
        if event.kind == "not-h2" and not c.target.tls:
            c.ended = None
            if not c.buffer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 ")):
                raise Failed(f"answered {bytes(c.buffer[:40])!r}")
            while c.fill(len(c.buffer) + 1, time.monotonic() + c.target.timeout):
                pass
            if c.ended == "silent":
                raise Failed("answered 400 and left the connection open")
            return
        if event.kind == "closed":
            return
        if event.kind == GOAWAY and event.code == PROTOCOL:
            return
    raise Failed(f"no GOAWAY and no close; {c.story()}")


row("http2/3.5/1", "the server's preface is SETTINGS", preface, first_is_settings, handshake=False)
row("http2/3.5/2", "another preface than HTTP/2's is refused",
    lambda c: c.send(b"INVALID CONNECTION PREFACE\r\n\r\n"), refused_preface, handshake=False)

row("http2/4.1/1", "a frame of unknown type is ignored", lambda c: c.frame(UNKNOWN, 0, 0, bytes(8)).ping(), pong())
row("http2/4.1/2", "undefined flags are ignored", lambda c: c.frame(PING, 0x16, 0, bytes(8)), any_ping)
row("http2/4.1/3", "the reserved bit is ignored", lambda c: c.frame(PING, 0x16, RESERVED_BIT, bytes(8)), any_ping)


def large_data(more):
    def send(c):
        c.post().data(payload=b"x" * (c.peer_settings.get(MAX_FRAME_SIZE, DEFAULT_FRAME_SIZE) + more))
    return send


def large_headers(c):
    c.headers(block=c.block(c.fields()) + c.dummies(5))


row("http2/4.2/1", "DATA of the largest allowed size is taken", large_data(0), response)
row("http2/4.2/2", "DATA one octet larger is a frame size error", large_data(1), stream_error(FRAME_SIZE))
row("http2/4.2/3", "HEADERS larger than allowed ends the connection", large_headers, connection_error(FRAME_SIZE))


def interrupted_by_priority(c):
    c.headers(end=False, done=False).priority(1).continuation(1, c.dummies())


def interrupted_by_headers(c):
    c.headers(end=False, done=False).headers(3).continuation(1, c.dummies())


row("http2/4.3/1", "a block that ends in the middle of a field ends the connection",
    lambda c: c.headers(block=b"\x40"), connection_error(COMPRESSION))
row("http2/4.3/2", "PRIORITY inside a header block ends the connection",
    interrupted_by_priority, connection_error(PROTOCOL))
row("http2/4.3/3", "HEADERS of another stream inside a header block ends the connection",
    interrupted_by_headers, connection_error(PROTOCOL))

row("http2/5.1/1", "idle: DATA", lambda c: c.data(1), connection_error(PROTOCOL))
row("http2/5.1/2", "idle: RST_STREAM", lambda c: c.reset(1), connection_error(PROTOCOL))
row("http2/5.1/3", "idle: WINDOW_UPDATE", lambda c: c.window(1, 100), connection_error(PROTOCOL))
row("http2/5.1/4", "idle: CONTINUATION", lambda c: c.continuation(1, c.block(c.fields())), connection_error(PROTOCOL))
row("http2/5.1/5", "half-closed: DATA", lambda c: c.headers().data(1), stream_error(STREAM_CLOSED))
row("http2/5.1/6", "half-closed: HEADERS", lambda c: c.headers().headers(), stream_error(STREAM_CLOSED))


def continued_after_the_end(c):
    block = c.block(c.fields())
    c.headers(block=block).continuation(1, block)


row("http2/5.1/7", "half-closed: CONTINUATION", continued_after_the_end, stream_error(STREAM_CLOSED, PROTOCOL))
row("http2/5.1/8", "closed by our RST_STREAM: DATA",
    lambda c: c.headers(end=False).reset(1).data(1), stream_error(STREAM_CLOSED))
row("http2/5.1/9", "closed by our RST_STREAM: HEADERS",
    lambda c: c.headers(end=False).reset(1).headers(), stream_error(STREAM_CLOSED))
row("http2/5.1/10", "closed by our RST_STREAM: CONTINUATION",
    lambda c: c.headers(end=False).reset(1).continuation(1, c.dummies()), stream_error(STREAM_CLOSED, PROTOCOL))


def after_the_answer(then):
    """The stream has ended on both sides before `then` is sent."""
    def send(c):
        block = c.block(c.fields())
        stream_ended(c.headers(block=block))
        then(c, block)
    return send


row("http2/5.1/11", "closed on both sides: DATA",
    after_the_answer(lambda c, block: c.data(1)), stream_error(STREAM_CLOSED))
row("http2/5.1/12", "closed on both sides: HEADERS",
    after_the_answer(lambda c, block: c.headers(block=block)), connection_error(STREAM_CLOSED))
row("http2/5.1/13", "closed on both sides: CONTINUATION",
    after_the_answer(lambda c, block: c.continuation(1, c.dummies())), connection_error(STREAM_CLOSED, PROTOCOL))

row("http2/5.1.1/1", "a client may not open a stream with an even number",
    lambda c: c.headers(2), connection_error(PROTOCOL))
row("http2/5.1.1/2", "a new stream's number must be above the earlier ones",
    lambda c: c.headers(5).headers(3), connection_error(PROTOCOL))


def one_too_many(c):
    limit = c.peer_settings.get(MAX_CONCURRENT_STREAMS)
    if limit is None or limit > 20_000:
        raise Skipped(f"the limit of concurrent streams is {limit}")
    c.settings((INITIAL_WINDOW_SIZE, 0))
    block = c.block(c.fields())
    for number in range(limit + 1):
        c.headers(2 * number + 1, block=block)


row("http2/5.1.2/1", "one stream more than allowed is refused", one_too_many, stream_error(PROTOCOL, REFUSED))

row("http2/5.3.1/1", "HEADERS that depends on its own stream",
    lambda c: c.headers(priority=(1, 255)), stream_error(PROTOCOL))
row("http2/5.3.1/2", "PRIORITY that depends on its own stream",
    lambda c: c.priority(1, depends=1), stream_error(PROTOCOL))

row("http2/5.4.1/1", "after a connection error the connection is closed",
    lambda c: c.frame(PING, 0, 3, bytes(8)), closed)
row("http2/5.4.1/2", "a connection error is told with GOAWAY",
    lambda c: c.frame(PING, 0, 3, bytes(8)), goaway_seen(), strict=True)

row("http2/5.5/1", "an extension frame is ignored", lambda c: c.frame(UNKNOWN, 0, 0, bytes(8)).ping(), pong())
row("http2/5.5/2", "an extension frame inside a header block ends the connection",
    lambda c: c.headers(done=False).frame(UNKNOWN, 0, 0, bytes(8)), connection_error(PROTOCOL))
