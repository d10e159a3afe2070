"""T-15 and T-16: what is validated once is validated again where it changes its form."""

import re
import socket
import struct
import threading

from bench import Connection, Recorder, Target, ask, connect, drain, exchange, head, item, second_port, statuses
from floods import frame
from h2raw import (
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS, literal)

import hpack

CONTROLS = [*range(0x00, 0x20), 0x7f]


class Crossing:
    """Requests over HTTP/2 to an origin that speaks HTTP/1.1."""

    def __init__(self, t, target):
        self.t, self.target, self.origin = t, target, t.world.origin

    def outcome(self, send):
        """Status or what was done to the stream, and the requests that the origin saw."""
        mark, broken = self.origin.mark(), len(self.origin.broken)
        connection = Connection(self.target).handshake()
        try:
            send(connection)
            result = self.wait(connection)
        finally:
            connection.close()
        probe = Connection(self.target).handshake()
        probe.headers(fields=[(n, "/probe" if n == ":path" else v) for n, v in probe.fields()])
        answered = self.wait(probe)
        probe.close()
        seen = self.origin.since(mark)
        if self.origin.broken[broken:]:
            result = f"what we cannot read: {self.origin.broken[-1]}"
        if answered != 200 or [r.target for r in seen].count("/probe") != 1:
            result = f"{result}, and then a probe gets {answered}"
        return result, [r for r in seen if r.target != "/probe"]

    @staticmethod
    def wait_whole(connection):
        """The status of a response that ended as it should; anything else as text."""
        status = 0
        for event in connection.events():
            if isinstance(event.kind, str) or event.kind in (RST_STREAM, GOAWAY):
                return str(event)
            if event.kind == HEADERS and not status:
                status = int(dict(hpack.Decoder().decode(event.frame.data, raw=True))[b":status"])
                status = 0 if status < 200 else status
            if event.kind in (HEADERS, DATA) and event.ends_stream:
                return status
        return "silent"

    @staticmethod
    def wait(connection):
        for event in connection.events():
            if isinstance(event.kind, str):
                return event.kind
            if event.kind == HEADERS and event.stream == 1:
                fields = dict(hpack.Decoder().decode(event.frame.data, raw=True))
                return int(fields[b":status"])
            if event.kind in (RST_STREAM, GOAWAY) and (event.kind == GOAWAY or event.stream == 1):
                return "reset" if event.kind == RST_STREAM else "goaway"
        return "silent"

    def refused(self, name, send) -> None:
        result, seen = self.outcome(send)
        refusal = result in ("reset", "goaway", "closed") or (isinstance(result, int) and 400 <= result < 500 or result == 501)
        self.t.check(refusal and not seen,
                     f"{name}: {result}, the origin saw {[(r.method, r.target, r.fields) for r in seen]}"[:300])

    def arrives(self, name, send, judge) -> None:
        result, seen = self.outcome(send)
        problem = "" if result == 200 and len(seen) == 1 else f"{result}, the origin saw {len(seen)} requests"
        self.t.check(not problem and judge(seen[0]), lambda: f"{name}: {problem or seen[0]}")


def fields_of(c, changed=(), extra=(), without=()):
    """A header block of literals: the usual pseudo-headers, changed, and more behind them."""
    base = [(n, dict(changed).get(n, v)) for n, v in c.fields() if n not in without]
    return b"".join(literal(0x10, n, v) for n, v in [*base, *extra])


def with_fields(**more):
    return lambda c: c.headers(block=fields_of(c, **more))


def values(request, name) -> list:
    return [v for n, v in request.fields if n.lower() == name]


@item("T-15", "HTTP/2 requests that would be others in HTTP/1: bytes, pseudo-headers, lengths, hosts, cookies, hop fields",
      any_server=True)
def crossing(t):
    x = Crossing(t, t.world.target())
    for byte in [*CONTROLS, *b' "(),/:;<=>?@[\\]{}', *b"AZ", 0x80, 0xff]:
        x.refused(f"{byte:#04x} in a name", with_fields(extra=[("x-a" + chr(byte) + "b", "v")]))
    for byte in [b for b in CONTROLS if b != 9]:
        x.refused(f"{byte:#04x} in a value", with_fields(extra=[("x-a", "b" + chr(byte) + "c")]))
    x.refused("an empty name", with_fields(extra=[("", "v")]))
    for edge in (" v", "v ", "\tv", "v\t"):
        x.refused(f"white space around a value: {edge!r}", with_fields(extra=[("x-a", edge)]))
    smuggled = "/ HTTP/1.1\r\nHost: a\r\n\r\nGET /hidden"
    for byte in [*CONTROLS, 0x20]:
        x.refused(f"{byte:#04x} in :path", with_fields(changed={":path": "/a" + chr(byte) + "b"}))
        x.refused(f"{byte:#04x} in :method", with_fields(changed={":method": "GE" + chr(byte) + "T"}))
        x.refused(f"{byte:#04x} in :authority", with_fields(changed={":authority": "a" + chr(byte) + "b"}))
        x.refused(f"{byte:#04x} in :scheme", with_fields(changed={":scheme": "ht" + chr(byte) + "tp"}))
    for path in (smuggled, "", "a", "../a", "?a", "http://b.example/", "*", "/a#b", "/a HTTP/1.1"):
        x.refused(f":path {path!r}", with_fields(changed={":path": path}))
    for method in ("", "G@T", "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\nGET", "GET:", "CONNECT"):
        x.refused(f":method {method!r}", with_fields(changed={":method": method}))
    for authority in ("user@a", "a/b", "a?b", "a#b", "a,b", "a:99999", "a b", "a\r\nX: y", "[::1", "a\\b", "a:80:80"):
        x.refused(f":authority {authority!r}", with_fields(changed={":authority": authority}))
    for extra in ([("host", "b.example")], [("host", "a.example"), ("host", "a.example")], [(":authority", "b.example")],
                  [(":protocol", "websocket")],
                  [(":status", "200")], [(":path", "/b")], [("x", "y"), (":scheme", "http")]):
        x.refused(f"with {extra}", with_fields(changed={":authority": "a.example"}, extra=extra))
    x.refused("neither :authority nor host", with_fields(without=[":authority"]))
    for name, value in (("connection", "close"), ("connection", "x-a"), ("keep-alive", "timeout=5"),
                        ("proxy-connection", "close"),
                        ("transfer-encoding", "chunked"), ("upgrade", "websocket"), ("te", "gzip"), ("te", "trailers, gzip"),
                        ("Transfer-Encoding", "chunked")):
        x.refused(f"{name}: {value}", with_fields(extra=[(name, value)]))

    def body(lengths, sent, parts=1):
        def send(c):
            c.headers(block=fields_of(c, changed={":method": "POST"}, extra=[("content-length", v) for v in lengths]),
                      end=not parts)
            for number in range(parts):
                c.data(payload=sent, end=number == parts - 1)
        return send

    for name, send in (("less than content-length", body(["9"], b"hello")), ("more than content-length", body(["4"], b"hello")),
                       ("more over two frames", body(["7"], b"hello", 2)), ("no body for content-length", body(["5"], b"", 0)),
                       ("two lengths", body(["5", "5"], b"hello")), ("two different lengths", body(["5", "6"], b"hello")),
                       ("+5", body(["+5"], b"hello")),
                       ("5, 5", body(["5, 5"], b"hello")), ("0x5", body(["0x5"], b"hello")), ("-0", body(["-0"], b"")),
                       ("a huge length", body(["9" * 25], b"hello"))):
        x.refused(name, send)

    def trailer(name, value):
        return lambda c: c.headers(block=fields_of(c, changed={":method": "POST"}),
                                   end=False).data(end=False).headers(block=literal(0x10, name, value))

    for name, value in ((":path", "/b"), ("x\r\ny", "z"), ("x", "y\r\nz: a"), ("X-UP", "1"), ("x", "y\0")):
        x.refused(f"trailer {name!r}: {value!r}", trailer(name, value))
    if t.world.name != "seaway":
        return  # What follows is how this gateway writes HTTP/1, not what any must refuse.
    for name, value in (("content-length", "9"), ("transfer-encoding", "chunked"), ("host", "b"), ("authorization", "smuggled"),
                        ("x-real-ip", "smuggled")):
        result, seen = x.outcome(trailer(name, value))
        t.check(all(value not in ("smuggled",) or value not in [v for _, v in r.fields + r.trailers] for r in seen)
                and all(n.lower() != name for r in seen for n, _ in r.trailers), f"trailer {name}: {result}, {seen}")
    x.arrives("cookies are joined once", with_fields(extra=[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"),
                                                            ("cookie", "c=3")]),
              lambda r: values(r, "cookie") == ["a=1; b=2; c=3"])
    x.arrives(":authority is Host", with_fields(changed={":authority": "a.example"}),
              lambda r: values(r, "host") and r.target == "/")
    x.arrives("host that agrees", with_fields(changed={":authority": "a.example"}, extra=[("host", "a.example")]),
              lambda r: len(values(r, "host")) == 1)
    x.arrives("host alone", with_fields(without=[":authority"], extra=[("host", "a.example")]),
              lambda r: len(values(r, "host")) == 1)
    x.arrives("te: trailers", with_fields(extra=[("te", "trailers")]), lambda r: True)
    x.arrives("a body without a length", body([], b"hello", 2), lambda r: r.body == b"hellohello")
    x.arrives("a body with its length", body(["5"], b"hello"),
              lambda r: r.body == b"hello" and values(r, "content-length") == ["5"])
    x.arrives("bytes above 127", with_fields(extra=[("x-a", "\x80\xff")]), lambda r: values(r, "x-a") == ["\x80\xff"])


class Upstream:
    """An origin that speaks HTTP/2 and answers each stream with the frames of `script(stream)`."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.script, self.carriers = None, []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        data, at = b"", len(PREFACE)
        sock.settimeout(20)
        try:
            sock.sendall(frame(SETTINGS, 0, 0))
            while piece := sock.recv(1 << 16):
                data += piece
                while len(data) >= at + 9 and len(data) >= at + 9 + int.from_bytes(data[at:at + 3], "big"):
                    length, kind, flags = int.from_bytes(data[at:at + 3], "big"), data[at + 3], data[at + 4]
                    stream = int.from_bytes(data[at + 5:at + 9], "big") & 0x7FFFFFFF
                    at += 9 + length
                    if kind == SETTINGS and not flags & ACK:
                        sock.sendall(frame(SETTINGS, ACK, 0))
                    elif kind == PING and not flags & ACK:
                        sock.sendall(frame(PING, ACK, 0, data[at - 8:at]))
                    elif kind == HEADERS:
                        self.carriers.append(sock.fileno())
                        sock.sendall(self.script(stream))
        except OSError:
            pass
        finally:
            sock.close()

    def close(self):
        self.listener.close()


def page_frames(*fields, body=b"anchor", status="200", end=True):
    """A response: its fields as literals, then its body."""
    block = b"".join(literal(0x00, n, v) for n, v in [(":status", status), *fields])
    return lambda stream: frame(HEADERS, END_HEADERS, stream, block) + frame(DATA, END_STREAM if end else 0, stream, body)


def bad_answers():
    """Names and scripts of answers that must not reach a client as they are."""
    for byte in [b for b in CONTROLS if b != 9]:
        yield f"{byte:#04x} in a value", page_frames(("x-a", "b" + chr(byte) + "smuggled"))
    for byte in [*CONTROLS, *b' ():/A', 0x80]:
        yield f"{byte:#04x} in a name", page_frames(("x" + chr(byte) + "smuggled", "1"))
    yield "a response behind a value", page_frames(("x-a", "b\r\n\r\nHTTP/1.1 200 smuggled"))
    yield "an empty name", page_frames(("", "smuggled"))
    for name, value in (("connection", "smuggled"), ("transfer-encoding", "chunked"), ("keep-alive", "smuggled"),
                        ("upgrade", "smuggled"), ("proxy-connection", "smuggled")):
        yield f"{name}: {value}", page_frames((name, value))
    for status in ("", "20", "2000", "abc", "+20", "099", "2 0", "200 smuggled", "200\r\nx: y", "600"):
        yield f"status {status!r}", page_frames(status=status)
    for pseudo in (":path", ":method", ":smuggled"):
        yield f"{pseudo} in an answer", page_frames((pseudo, "/"))
    yield "two statuses", page_frames((":status", "200"))
    yield "a status behind a field", lambda s: frame(HEADERS, END_HEADERS | END_STREAM, s,
                                                     literal(0, "x", "smuggled") + literal(0, ":status", "200"))
    yield "no status", lambda s: frame(HEADERS, END_HEADERS | END_STREAM, s, literal(0, "x", "smuggled"))
    for length in ("5", "7", "+6", "6, 6", "0x6", "9" * 30):
        yield f"content-length {length} of 6", page_frames(("content-length", length))
    yield "two lengths", page_frames(("content-length", "6"), ("content-length", "6"))
    yield "a length that never comes", lambda s: page_frames(("content-length", "9"))(s)
    yield "101", page_frames(status="101")
    yield "ten thousand interim answers", lambda s: frame(HEADERS, END_HEADERS, s,
                                                          literal(0, ":status", "103")) * 10_000 + page_frames()(s)
    yield "an interim answer that ends the stream", lambda s: frame(HEADERS, END_HEADERS | END_STREAM, s,
                                                                    literal(0, ":status", "103"))
    yield "DATA before HEADERS", lambda s: frame(DATA, END_STREAM, s, b"smuggled")
    yield "a head of 1 MB", lambda s: frame(HEADERS, 0, s,
                                            literal(0, ":status", "200") + literal(0, "x", "a" * 15000)) + b"".join(
        frame(CONTINUATION, END_HEADERS if n == 69 else 0, s, literal(0, "x", "a" * 15000)) for n in range(70))
    yield "CONTINUATION without end", lambda s: frame(HEADERS, 0, s, literal(0, ":status", "200")) + frame(CONTINUATION, 0,
            s) * 10_000
    yield "a broken header block", lambda s: frame(HEADERS, END_HEADERS | END_STREAM, s, b"\xff\xff\xff")
    yield "a reset", lambda s: frame(RST_STREAM, 0, s, struct.pack(">I", 2))
    yield "a push", lambda s: frame(5, END_HEADERS, s, struct.pack(">I", 2) + literal(0, ":status", "200"))
    yield "a frame too large", lambda s: frame(DATA, END_STREAM, s, bytes(20_000))
    yield "an HTTP/1.1 answer", lambda s: b"HTTP/1.1 200 smuggled\r\nContent-Length: 0\r\n\r\n"


@item("T-15", "HTTP/2 answers that would be others in HTTP/1: bytes, statuses, lengths, hop fields, interim ones, frames")
def answers_crossing(t):
    upstream = Upstream()
    config = t.world.config()
    config["services"][0] |= {"url": f"http://127.0.0.1:{upstream.port}", "tags": ["seaway.upstream-protocol=h2"],
                              "read_timeout": 2000}
    try:
        with t.world.start(config) as gateway:
            upstream.script = page_frames()
            status, data = ask(gateway.port)
            t.check(status == 200 and b"anchor" in data, f"a good answer: {data[:100]!r}")
            for name, script in bad_answers():
                for client in ("HTTP/1.1", "HTTP/2"):
                    upstream.script = script
                    if client == "HTTP/1.1":
                        data, ended = exchange(gateway.port, head(fields=["Connection: close"]))
                        whole = statuses(data)[-1:] == [200] and (data.endswith(b"\r\n0\r\n\r\n") or length_met(data))
                        t.check(ended and not whole and b"smuggled" not in data,
                                f"{name} to {client}: {data[:120]!r}, ended {ended}")
                    else:
                        connection = Connection(Target("127.0.0.1", gateway.port, False, 4.0)).handshake().headers()
                        outcome = Crossing.wait_whole(connection)
                        connection.close()
                        t.check(outcome != 200, f"{name} to {client}: passed on as {outcome}")
                    upstream.script = page_frames()
                    status, data = ask(gateway.port, "/after")
                    t.check(status == 200 and b"anchor" in data, f"{name}: the next request got {data[:80]!r}")
    finally:
        upstream.close()


def length_met(data) -> bool:
    top, _, body = data.partition(b"\r\n\r\n")
    match = re.search(rb"(?im)^content-length: (\d+)", top)
    return bool(match) and len(body) == int(match[1])


SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def version2(command=0x21, family=0x11, addresses=None, tlvs=b"", length=None) -> bytes:
    if addresses is None:
        addresses = socket.inet_aton("203.0.113.66") + socket.inet_aton("127.0.0.1") + struct.pack(">HH", 4242, 80)
    rest = addresses + tlvs
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", len(rest) if length is None else length) + rest


def tlv(kind, value, length=None) -> bytes:
    return struct.pack(">BH", kind, len(value) if length is None else length) + value


class HTTPFront:
    """An --http listener that wants PROXY headers; who was believed to ask is in X-Real-IP."""

    def __init__(self, t, trusted):
        self.origin = t.world.origin
        self.gateway = t.world.start(t.world.config(), "--trusted-ips", trusted, "--http", "127.0.0.1:0,proxy_protocol",
                                     "--head-timeout", "400ms", "--tls-handshake-timeout", "400ms")
        self.port = second_port(self.gateway)

    def mark(self):
        return self.origin.mark()

    def seen(self, mark) -> list:
        return [v for r in self.origin.since(mark) for n, v in r.fields if n.lower() == "x-real-ip"]

    def close(self):
        self.gateway.stop()


class StreamFront:
    """A --stream listener that wants PROXY headers; who was believed to ask is seen by which route matched."""

    SOURCES = {"203.0.113.66": "203.0.113.0/24", "2001:db8::1": "2001:db8::/32", "127.0.0.1": "127.0.0.0/8"}

    def __init__(self, t, trusted):
        self.origins = {address: Recorder() for address in self.SOURCES}
        services = [{"name": f"s{n}", "protocol": "tcp", "host": "127.0.0.1", "port": self.origins[address].port,
                     "routes": [{"name": f"r{n}", "protocols": ["tcp"], "sources": [{"ip": network}]}]}
                    for n, (address, network) in enumerate(self.SOURCES.items())]
        self.gateway = t.world.start({"_format_version": "3.0", "services": services}, "--trusted-ips", trusted,
                                     "--stream", "127.0.0.1:0,proxy_protocol", "--tls-handshake-timeout", "400ms")
        self.port = self.gateway.stream_ports[0]

    def mark(self):
        return {address: origin.mark() for address, origin in self.origins.items()}

    def seen(self, mark) -> list:
        return [address for address, origin in self.origins.items() for _ in origin.since(mark[address])]

    def close(self):
        self.gateway.stop()
        for origin in self.origins.values():
            origin.close()


REQUEST = head(fields=["Connection: close"])
LINE = b"PROXY TCP4 203.0.113.66 127.0.0.1 4242 80\r\n"
FROM_IPV6 = socket.inet_pton(socket.AF_INET6, "2001:db8::1") + bytes(15) + b"\x01" + struct.pack(">HH", 1, 2)
# Headers that are right, and whom they name.
GOOD = [
    ("v1", LINE, "203.0.113.66"), ("v1 over IPv6", b"PROXY TCP6 2001:db8::1 ::1 4242 80\r\n", "2001:db8::1"),
    ("v1 of unknown origin", b"PROXY UNKNOWN\r\n", "127.0.0.1"), ("v2", version2(), "203.0.113.66"),
    ("v2 LOCAL", version2(0x20, 0, b""), "127.0.0.1"),
    ("v2 over IPv6", version2(family=0x21, addresses=FROM_IPV6), "2001:db8::1"),
    ("v2 with TLVs", version2(tlvs=tlv(4, b"x" * 50) + tlv(0xE0, b"")), "203.0.113.66"),
]
BAD = [
    ("no header", b""), ("v1 without its end", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2"),
    ("v1 of 216 bytes", b"PROXY UNKNOWN " + b"x" * 200 + b"\r\n"),
    ("v1 in lower case", LINE.lower()), ("v1 with a bare LF", LINE.replace(b"\r", b"")),
    ("v1 with two spaces", LINE.replace(b"TCP4 ", b"TCP4  ")),
    ("v1 with port 65536", LINE.replace(b"4242", b"65536")), ("v1 with port 042", LINE.replace(b"4242", b"042")),
    ("v1 with a name", LINE.replace(b"203.0.113.66", b"a.example")), ("v1 with address 256", LINE.replace(b"203.", b"256.")),
    ("v1 with address 010.0.0.1", LINE.replace(b"203.0.113.66", b"010.0.0.1")),
    ("v1 TCP4 with IPv6", b"PROXY TCP4 ::1 ::1 1 2\r\n"),
    ("v1 with a field too many", LINE.replace(b" 80\r", b" 80 81\r")), ("v1 UDP4", LINE.replace(b"TCP", b"UDP")),
    ("v2 cut", version2()[:20]), ("v2 of version 1", version2(command=0x11)), ("v2 command 2", version2(command=0x22)),
    ("v2 shorter than its addresses", version2(length=4)), ("v2 longer than it is", version2(length=5000)),
    ("v2 of 65,535 bytes", version2(tlvs=bytes(65523))), ("a TLV past the end", version2(tlvs=tlv(4, b"x", length=500))),
    ("half a TLV", version2(tlvs=b"\x04\x00")), ("a wrong signature", version2().replace(b"QUIT", b"QUIX")),
]


def through(front, *parts):
    """Statuses of the answers, and whom the origin was told of."""
    mark = front.mark()
    with connect(front.port, 1.5) as sock:
        try:
            for part in parts:
                sock.sendall(part)
        except OSError:
            pass
        data, _ = drain(sock)
    return statuses(data), front.seen(mark)


@item("T-16",
      "PROXY protocol v1 and v2, before HTTP and before TCP: believed from listed peers alone, read to the letter, bounded")
def proxy_headers(t):
    for kind in (HTTPFront, StreamFront):
        front = kind(t, "127.0.0.1")
        try:
            for name, header, who in GOOD:
                answer, seen = through(front, header + REQUEST)
                t.check(answer == [200] and seen == [who], f"{kind.__name__}: {name}: {answer}, from {seen}")
            answer, seen = through(front, *(bytes([b]) for b in LINE), REQUEST)
            t.check(answer == [200] and seen == ["203.0.113.66"], f"{kind.__name__}: v1 byte by byte: {answer}, from {seen}")
            for name, header in BAD:
                answer, seen = through(front, header + REQUEST)
                t.check(200 not in answer and not seen, f"{kind.__name__}: {name}: {answer}, from {seen}")
            for name, header in (("v1", LINE), ("v2", version2())):
                # The second is the protocol's first bytes: no HTTP request, and for TCP it is the origin's to judge.
                answer, seen = through(front, header * 2 + REQUEST)
                t.check(200 not in answer, f"{kind.__name__}: {name} twice: {answer}, from {seen}")
        finally:
            front.close()
        front = kind(t, "192.0.2.1")
        try:
            for name, header, _ in GOOD:
                answer, seen = through(front, header + REQUEST)
                t.check(200 not in answer and set(seen) <= {"127.0.0.1"},
                        f"{kind.__name__}: {name} from an unlisted peer: {answer}, from {seen}")
        finally:
            front.close()
    with t.world.start(t.world.config(), "--trusted-ips", "127.0.0.1") as plain:
        for name, header, _ in GOOD:
            mark = t.world.origin.mark()
            data, _ = exchange(plain.port, header + REQUEST)
            t.check(200 not in statuses(data) and not t.world.origin.since(mark),
                    f"{name} where none is expected: {statuses(data)}")
