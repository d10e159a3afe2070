"""Rows where the order of events matters: tunnels (T-12), early answers (T-10), idle connections, waiting (T-31)."""

import time

from rows import request, script
from wire import OK_REPLY, read_messages

UPGRADE = request(target="/chat", fields=["Connection: Upgrade", "Upgrade: websocket",
                                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"])
SWITCH = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")


def silent(rig, up) -> None:
    """An origin that only listens; the script answers."""


def serve(rig, up) -> None:
    """An origin that answers every request."""
    complete = [m for m in read_messages(up.data)[0] if m.complete]
    while up.answered < len(complete):
        up.answered += 1
        up.send(OK_REPLY)


def wait_for_request(rig, marker: bytes):
    found = []

    def there() -> bool:
        found[:] = [u for u in rig.upstreams if marker in u.data and b"\r\n\r\n" in u.data]
        return bool(found)

    return found[0] if rig.pump(there, 2) else None


def probe(rig, not_on=None):
    """A fresh client's request is answered properly, and not over the connection that must not be used again."""
    rig.hang_up()
    before = {u.number for u in rig.upstreams}
    rig.responder = serve
    rig.connect()
    rig.send(request(target="/probe", fields=["Connection: close"]))
    rig.pump(lambda: rig.client_ended, 2)
    messages = read_messages(rig.received, methods=["GET"], ended=True)[0]
    if not messages or messages[0].status != 200 or messages[0].body != b"ok":
        return f"the next client got {rig.received[:80]!r}"
    carriers = [u.number for u in rig.upstreams if b"/probe" in u.data]
    if not_on is not None and not_on in carriers:
        return "the next request went over the finished connection"
    return None if carriers and before is not None else "the next request did not reach the origin"


@script("T-12", "nothing is tunnelled before 101")
def early_bytes(rig):
    rig.start_row(silent)
    rig.connect()
    rig.send(UPGRADE + b"EARLY")
    up = wait_for_request(rig, b"/chat")
    if up is None:
        return "the upgrade request did not reach the origin"
    rig.pump(lambda: b"EARLY" in up.data, 0.05)
    if b"EARLY" in up.data:
        return "bytes were forwarded before the upstream agreed"
    up.send(SWITCH)
    if not rig.pump(lambda: b"101" in rig.received, 2):
        return "101 did not come back"
    rig.pump(lambda: b"EARLY" in up.data, 1)
    rig.send(b"LATER")
    if not rig.pump(lambda: up.data.endswith(b"LATER"), 2):
        return "the tunnel does not carry bytes upstream"
    up.send(b"BACK")
    if not rig.pump(lambda: rig.received.endswith(b"BACK"), 2):
        return "the tunnel does not carry bytes downstream"
    return probe(rig, up.number)


@script("T-12", "a refused upgrade leaves HTTP in force")
def refused_upgrade(rig):
    rig.start_row(silent)
    rig.connect()
    rig.send(UPGRADE)
    up = wait_for_request(rig, b"/chat")
    if up is None:
        return "the upgrade request did not reach the origin"
    up.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    if not rig.pump(lambda: rig.received.endswith(b"no"), 2):
        return "the refusal did not come back"
    rig.send(b"\x81\x05hello not http\r\n\r\n")
    rig.pump(lambda: rig.client_ended, 1)
    if b"hello" in rig.upstream_bytes():
        return "bytes of the refused tunnel reached the origin"
    return probe(rig)


@script("T-12", "a request behind a refused upgrade is a request of its own")
def pipelined_upgrade(rig):
    rig.start_row(silent)
    rig.connect()
    rig.send(UPGRADE + b"GET /hidden HTTP/1.1\r\nHost : x\r\n\r\n")
    up = wait_for_request(rig, b"/chat")
    if up is None:
        return "the upgrade request did not reach the origin"
    up.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    rig.pump(lambda: rig.client_ended, 1)
    return "the bad request behind it reached the origin" if b"/hidden" in rig.upstream_bytes() else probe(rig)


@script("T-12", "101 with another protocol than asked for is refused")
def other_protocol(rig):
    rig.start_row(silent)
    rig.connect()
    rig.send(request(target="/plain"))
    up = wait_for_request(rig, b"/plain")
    if up is None:
        return "the request did not reach the origin"
    up.send(SWITCH)
    rig.pump(lambda: b"\r\n\r\n" in rig.received, 2)
    rig.send(b"TUNNEL")
    rig.pump(lambda: b"TUNNEL" in up.data, 0.1)
    if b"TUNNEL" in up.data:
        return "a tunnel opened that nobody asked for"
    if rig.received.startswith(b"HTTP/1.1 101"):
        return "101 was passed to a client that asked for nothing"
    return probe(rig, up.number)


def no_tunnel(name: str, data: bytes, allowed=(400, 403, 404, 405, 501)) -> None:
    @script("T-12", name)
    def run(rig):
        rig.start_row(serve)
        rig.connect()
        rig.send(data)
        rig.pump(lambda: rig.client_ended or b"\r\n\r\n" in rig.received, 2)
        messages = read_messages(rig.received, methods=["GET"], ended=True)[0]
        if not messages or messages[0].status not in allowed:
            return f"answered {rig.received[:60]!r}"
        return "CONNECT reached the origin" if b"CONNECT" in rig.upstream_bytes() else probe(rig)


no_tunnel("CONNECT to an authority is refused", b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n")
no_tunnel("CONNECT with bytes behind it is refused",
          b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n")
no_tunnel("CONNECT to a path is refused", b"CONNECT / HTTP/1.1\r\nHost: a.example\r\n\r\n")
no_tunnel("CONNECT with a body is refused",
          b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\nContent-Length: 5\r\n\r\nhello")


@script("T-10", "an answer before the body's end is passed on and ends that connection")
def early_answer(rig):
    rig.start_row(silent)
    rig.connect()
    body = b"x" * 200_000
    rig.send(request("POST", "/early", fields=[f"Content-Length: {len(body) + 100_000}"], body=body), 1)
    up = None
    if rig.pump(lambda: any(b"/early" in u.data for u in rig.upstreams), 0.3):
        up = wait_for_request(rig, b"/early")
        up.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        if not rig.pump(lambda: b" 413 " in rig.received or rig.client_ended, 2):
            return "the early answer did not come back"
    # A proxy that buffers requests has shown the origin nothing yet, which is as safe.
    rig.hang_up()
    return probe(rig, up.number if up else None)


@script("T-10", "bytes on an idle connection are nobody's answer")
def unsolicited(rig):
    rig.start_row(serve)
    rig.connect()
    rig.send(request(target="/first"))
    if not rig.pump(lambda: rig.received.endswith(b"ok"), 2):
        return "no answer to the first request"
    up = next((u for u in rig.upstreams if b"/first" in u.data), None)
    if up is None or up.ended:
        return probe(rig)
    up.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen")
    rig.pump(lambda: up.ended, 0.1)
    return probe(rig, up.number)


@script("T-10", "a client that leaves takes its upstream request with it")
def abandoned(rig):
    rig.start_row(silent)
    rig.connect()
    rig.send(request(target="/abandoned"))
    up = wait_for_request(rig, b"/abandoned")
    if up is None:
        return "the request did not reach the origin"
    rig.hang_up()
    rig.pump(lambda: up.ended, 0.2)
    up.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen")
    return probe(rig, None)


@script("T-08", "a body waits for 100 Continue and then arrives whole")
def continue_first(rig):
    rig.start_row(serve)
    rig.connect()
    rig.send(request("POST", "/slow", fields=["Expect: 100-continue", "Content-Length: 5"]))
    if not rig.pump(lambda: b"100" in rig.received, 2):
        return "no 100 Continue"
    rig.send(b"hello")
    if not rig.pump(lambda: rig.received.endswith(b"ok"), 2):
        return "no answer after the body"
    bodies = [m.body for _, m in rig.upstream_requests()]
    return None if bodies == [b"hello"] else f"the origin saw {bodies}"


def stalled(name: str, before: bytes, dribble: bytes) -> None:
    """A client that never finishes is sent away in the proxy's own time, whatever it dribbles meanwhile."""

    @script("T-31", name, group="slow")
    def run(rig):
        rig.start_row(serve)
        rig.connect()
        rig.send(before)
        limit = time.monotonic() + rig.stall_seconds * 2 + 1
        while not rig.client_ended and time.monotonic() < limit:
            rig.send(dribble)
            rig.pump(lambda: rig.client_ended, 0.2)
        if not rig.client_ended:
            return f"still connected after {rig.stall_seconds * 2 + 1} s"
        if rig.received and not rig.received.startswith((b"HTTP/1.1 408", b"HTTP/1.1 400")):
            return f"answered {rig.received[:40]!r}"
        return "a request reached the origin" if any(m.complete for _, m in rig.upstream_requests()) else None


stalled("a head sent a byte at a time is cut off", b"GET /slow HTTP/1.1\r\nHost: a.example\r\nX-A: ", b"b")
stalled("fields without end are cut off", b"GET /slow HTTP/1.1\r\nHost: a.example\r\n", b"X-A: b\r\n")
stalled("a head that stops is cut off", b"GET /slow HTTP/1.1\r\n", b"")
stalled("a length that is never met is cut off",
        request("POST", "/slow", fields=["Content-Length: 100"], body=b"hello"), b"")
stalled("chunks that stop are cut off",
        request("POST", "/slow", fields=["Transfer-Encoding: chunked"], body=b"5\r\nhello\r\n"), b"")
stalled("a chunk size that stops is cut off",
        request("POST", "/slow", fields=["Transfer-Encoding: chunked"], body=b"5"), b"")


@script("T-31", "a client that does not read holds back its upstream, and is cut off", group="slow")
def slow_reader(rig):
    rig.start_row(silent)
    rig.connect()
    rig.send(request(target="/large"))
    up = wait_for_request(rig, b"/large")
    if up is None:
        return "the request did not reach the origin"
    # Not read from here on.
    client, rig.client = rig.client, None
    total, block = 256 << 20, b"x" * 65536
    up.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
    sent, limit = 0, time.monotonic() + rig.stall_seconds * 2 + 2
    try:
        while not up.ended and time.monotonic() < limit:
            try:
                sent += up.sock.send(block)
            except BlockingIOError:
                rig.pump(lambda: up.ended, 0.05)
            except OSError:
                up.ended = True
            if sent > 64 << 20:
                return f"took {sent >> 20} MB for a client that reads nothing"
    finally:
        rig.client = client
    return None if up.ended else f"still holding its upstream after {rig.stall_seconds * 2 + 2} s"


@script("T-31", "a TLS hello that never comes is cut off", group="slow-tls")
def no_hello(rig):
    rig.start_row(serve)
    rig.connect(rig.tls_port)
    rig.pump(lambda: rig.client_ended, rig.stall_seconds * 2 + 1)
    return None if rig.client_ended else "still connected"


@script("T-31", "a TLS hello that stops is cut off", group="slow-tls")
def half_hello(rig):
    rig.start_row(serve)
    rig.connect(rig.tls_port)
    rig.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    rig.pump(lambda: rig.client_ended, rig.stall_seconds * 2 + 1)
    return None if rig.client_ended else "still connected"


@script("T-07", "plain HTTP on the TLS port is refused", group="slow-tls")
def plain_on_tls(rig):
    rig.start_row(serve)
    rig.connect(rig.tls_port)
    rig.send(request(target="/hidden"))
    rig.pump(lambda: rig.client_ended, rig.stall_seconds * 2 + 1)
    if b"/hidden" in rig.upstream_bytes():
        return "it reached the origin"
    return None if rig.client_ended else "still connected"
