"""http2/7 to 8.2: error codes, requests that are no requests, and pushes."""

import struct

from rows import row
from h2raw import END_HEADERS, PROTOCOL, PUSH_PROMISE, connection_error, pong, pong_or_closed, stream_error

UNKNOWN_CODE = 0xff
malformed = stream_error(PROTOCOL)

row("http2/7/1", "GOAWAY with an unknown code does nothing special",
    lambda c: c.goaway(UNKNOWN_CODE).ping(b"anchors!"), pong_or_closed(b"anchors!"))
row("http2/7/2", "RST_STREAM with an unknown code does nothing special",
    lambda c: c.post().reset(1, UNKNOWN_CODE).ping(), pong())


def trailers_that_do_not_end(fields):
    return lambda c: c.post().data(end=False).headers(fields=fields, end=False)


row("http2/8.1/1", "a second HEADERS that does not end the stream",
    trailers_that_do_not_end([("x-test", "ok")]), malformed)


def request(change):
    """The request with its list of fields changed."""
    return lambda c: c.headers(fields=change(c.fields()))


row("http2/8.1.2/1", "a field name in upper case", request(lambda f: f + [("X-TEST", "ok")]), malformed)
row("http2/8.1.2.1/1", "an unknown pseudo-header", request(lambda f: f + [(":test", "ok")]), malformed)
row("http2/8.1.2.1/2", "a pseudo-header of responses", request(lambda f: f + [(":status", "200")]), malformed)
row("http2/8.1.2.1/3", "a pseudo-header in the trailers", trailers_that_do_not_end([(":method", "POST")]), malformed)
row("http2/8.1.2.1/4", "pseudo-headers after a field", request(lambda f: [("x-test", "ok")] + f), malformed)
row("http2/8.1.2.2/1", "a connection field", request(lambda f: f + [("connection", "keep-alive")]), malformed)
row("http2/8.1.2.2/2", "te with more than trailers",
    request(lambda f: f + [("trailers", "test"), ("te", "trailers, deflate")]), malformed)


def without(*names):
    return request(lambda f: [pair for pair in f if pair[0] not in names])


def twice(name):
    return request(lambda f: f + [pair for pair in f if pair[0] == name])


row("http2/8.1.2.3/1", "an empty :path",
    request(lambda f: [(n, "" if n == ":path" else v) for n, v in f]), malformed)
row("http2/8.1.2.3/2", "no :method", without(":method", ":scheme"), malformed)
row("http2/8.1.2.3/3", "no :scheme", without(":scheme"), malformed)
row("http2/8.1.2.3/4", "no :path", without(":path"), malformed)
row("http2/8.1.2.3/5", "two :method", twice(":method"), malformed)
row("http2/8.1.2.3/6", "two :scheme", twice(":scheme"), malformed)
row("http2/8.1.2.3/7", "two :path", twice(":path"), malformed)

row("http2/8.1.2.6/1", "a content-length that one DATA frame does not have",
    lambda c: c.post(extra=[("content-length", "1")]).data(), malformed)
row("http2/8.1.2.6/2", "a content-length that two DATA frames do not have",
    lambda c: c.post(extra=[("content-length", "1")]).data(end=False).data(), malformed)

row("http2/8.2/1", "a client may not push",
    lambda c: c.frame(PUSH_PROMISE, END_HEADERS, 1, struct.pack(">I", 3) + c.block(c.fields())),
    connection_error(PROTOCOL))
