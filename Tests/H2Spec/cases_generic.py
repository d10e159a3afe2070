"""generic/1 to 5: what every server has to take."""

from rows import row
from h2raw import (
    ENABLE_PUSH, HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE,
    PREFACE, SETTINGS, Failed, any_data, any_ping, closed, literal, pong, pong_or_closed, response, settings_ack,
    stream_ended)


def preface(c):
    c.send(PREFACE).settings((INITIAL_WINDOW_SIZE, 65535))


def first_is_settings(c):
    event = c.event()
    if event.kind != SETTINGS or event.has("ACK"):
        raise Failed(f"the first frame is not the server's SETTINGS: {c.story()}")


row("generic/1/1", "the first frame after our preface is SETTINGS", preface, first_is_settings, handshake=False)


def priority_of_closed(c):
    stream_ended(c.headers())
    c.priority(1).ping()


row("generic/2/1", "PRIORITY of an idle stream is taken", lambda c: c.priority(1).ping(), pong())
row("generic/2/2", "WINDOW_UPDATE opens the window of a half-closed stream",
    lambda c: c.settings((INITIAL_WINDOW_SIZE, 0)).headers().window(1, 1), any_data)
row("generic/2/3", "PRIORITY of a half-closed stream is taken",
    lambda c: c.settings((INITIAL_WINDOW_SIZE, 0)).headers().priority(1).window(1, 1), any_data)
row("generic/2/4", "RST_STREAM of a half-closed stream is taken",
    lambda c: c.headers().reset(1).ping(), pong_or_closed())
row("generic/2/5", "PRIORITY of a closed stream is taken", priority_of_closed, pong())

row("generic/3.1/1", "a body of one DATA frame is taken", lambda c: c.post().data(), response)
row("generic/3.1/2", "a body of two DATA frames is taken", lambda c: c.post().data(end=False).data(), response)
row("generic/3.1/3", "padded DATA is taken", lambda c: c.post().data(pad=6), response)

row("generic/3.2/1", "HEADERS is answered", lambda c: c.headers(), response)
row("generic/3.2/2", "padded HEADERS is answered", lambda c: c.headers(pad=8), response)
row("generic/3.2/3", "HEADERS with a priority is answered", lambda c: c.headers(priority=(0, 255)), response)

row("generic/3.3/1", "PRIORITY with the lowest weight is taken", lambda c: c.priority(1, weight=0).headers(), response)
row("generic/3.3/2", "PRIORITY with the highest weight is taken", lambda c: c.priority(1, weight=255).headers(), response)
row("generic/3.3/3", "PRIORITY may name a stream to depend on",
    lambda c: c.priority(3, depends=1, weight=0).headers(), response)
row("generic/3.3/4", "PRIORITY may be exclusive",
    lambda c: c.priority(1, weight=0, exclusive=True).headers(), response)
row("generic/3.3/5", "PRIORITY of a later idle stream does not close earlier ones",
    lambda c: c.priority(3).headers(1), response)

row("generic/3.4/1", "RST_STREAM of an open stream is taken",
    lambda c: c.headers(end=False).reset(1).ping(), pong_or_closed())
row("generic/3.5/1", "SETTINGS with every known parameter is acknowledged", lambda c: c.settings(
    (HEADER_TABLE_SIZE, 4096), (ENABLE_PUSH, 1), (MAX_CONCURRENT_STREAMS, 100), (INITIAL_WINDOW_SIZE, 65535),
    (MAX_FRAME_SIZE, 16384), (MAX_HEADER_LIST_SIZE, 100)), settings_ack)
row("generic/3.7/1", "PING is answered with its data", lambda c: c.ping(b"harbour!"), pong(b"harbour!"))
row("generic/3.8/1", "after our GOAWAY the server closes", lambda c: c.goaway(debug=b"leaving"), closed)
row("generic/3.9/1", "WINDOW_UPDATE of the connection is taken", lambda c: c.window(0, 1).ping(), any_ping)
row("generic/3.9/2", "WINDOW_UPDATE of a stream is taken", lambda c: c.headers().window(1, 1), response)


def split(*cuts):
    """The request in one HEADERS and CONTINUATION frames cut at these offsets."""
    def send(c):
        block = c.block(c.fields())
        edges = [*cuts, len(block)]
        c.headers(block=block[:edges[0]], done=False)
        for start, end in zip(edges, edges[1:]):
            c.continuation(1, block[start:end], done=end == len(block))
    return send


row("generic/3.10/1", "a request may go on in CONTINUATION", split(5), response)
row("generic/3.10/2", "a request may go on in several CONTINUATION frames", split(5, 10), response)

row("generic/4/1", "GET is answered", lambda c: c.headers(), response)
row("generic/4/2", "HEAD is answered", lambda c: c.headers(fields=c.fields("HEAD")), response)
row("generic/4/3", "POST is answered", lambda c: c.post().data(), response)
row("generic/4/4", "POST with trailers is answered", lambda c: c.post(extra=[("trailer", "x-test")]).data(end=False)
    .headers(fields=[("x-test", "ok")]), response)


def with_octets(octets):
    """The request with these octets at the end of its header block."""
    return lambda c: c.headers(block=c.block(c.fields()) + octets)


def with_table_sizes(*sizes):
    """The request encoded after its sender set its table to each of these sizes in turn."""
    def send(c):
        for size in sizes:
            c.encoder.header_table_size = size
        c.headers()
    return send


USER_AGENT = 58
row("generic/5/1", "an indexed field is understood", with_octets(b"\xba"), response)
for first, (pattern, kind) in ((2, (0x40, "to be indexed")), (6, (0x00, "not indexed")), (10, (0x10, "never indexed"))):
    row(f"generic/5/{first}", f"a literal {kind} with an indexed name",
        with_octets(literal(pattern, USER_AGENT, "seaway-test")), response)
    row(f"generic/5/{first + 1}", f"a literal {kind} with an indexed name, Huffman coded",
        with_octets(literal(pattern, USER_AGENT, "seaway-test", huffman=True)), response)
    row(f"generic/5/{first + 2}", f"a literal {kind} with a new name",
        with_octets(literal(pattern, "x-test", "seaway-test")), response)
    row(f"generic/5/{first + 3}", f"a literal {kind} with a new name, Huffman coded",
        with_octets(literal(pattern, "x-test", "seaway-test", huffman=True)), response)
row("generic/5/14", "the sender's table may shrink", with_table_sizes(128), response)
row("generic/5/15", "the sender's table may shrink and grow before one block", with_table_sizes(128, 4096), response)
