"""T-15 and T-16: what is validated once is validated again where it changes its form."""

import re
import socket
import struct

from bench import Connection, connect, drain, head, item, statuses
from h2raw import GOAWAY, HEADERS, RST_STREAM, literal

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
        self.t.check(refusal and not seen, f"{name}: {result}, the origin saw {[(r.method, r.target, r.fields) for r in seen]}"[:300])

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


@item("T-15", "HTTP/2 requests that would be others in HTTP/1: bytes, pseudo-headers, lengths, hosts, cookies, hop fields", any_server=True)
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
    for extra in ([("host", "b.example")], [("host", "a.example"), ("host", "a.example")], [(":authority", "b.example")], [(":protocol", "websocket")],
                  [(":status", "200")], [(":path", "/b")], [("x", "y"), (":scheme", "http")]):
        x.refused(f"with {extra}", with_fields(changed={":authority": "a.example"}, extra=extra))
    x.refused("neither :authority nor host", with_fields(without=[":authority"]))
    for name, value in (("connection", "close"), ("connection", "x-a"), ("keep-alive", "timeout=5"), ("proxy-connection", "close"),
                        ("transfer-encoding", "chunked"), ("upgrade", "websocket"), ("te", "gzip"), ("te", "trailers, gzip"), ("Transfer-Encoding", "chunked")):
        x.refused(f"{name}: {value}", with_fields(extra=[(name, value)]))

    def body(lengths, sent, parts=1):
        def send(c):
            c.headers(block=fields_of(c, changed={":method": "POST"}, extra=[("content-length", v) for v in lengths]), end=not parts)
            for number in range(parts):
                c.data(payload=sent, end=number == parts - 1)
        return send

    for name, send in (("less than content-length", body(["9"], b"hello")), ("more than content-length", body(["4"], b"hello")),
                       ("more over two frames", body(["7"], b"hello", 2)), ("no body for content-length", body(["5"], b"", 0)),
                       ("two lengths", body(["5", "5"], b"hello")), ("two different lengths", body(["5", "6"], b"hello")), ("+5", body(["+5"], b"hello")),
                       ("5, 5", body(["5, 5"], b"hello")), ("0x5", body(["0x5"], b"hello")), ("-0", body(["-0"], b"")), ("a huge length", body(["9" * 25], b"hello"))):
        x.refused(name, send)

    def trailer(name, value):
        return lambda c: c.headers(block=fields_of(c, changed={":method": "POST"}), end=False).data(end=False).headers(block=literal(0x10, name, value))

    for name, value in ((":path", "/b"), ("x\r\ny", "z"), ("x", "y\r\nz: a"), ("X-UP", "1"), ("x", "y\0")):
        x.refused(f"trailer {name!r}: {value!r}", trailer(name, value))
    if t.world.name != "seaway":
        return  # What follows is how this gateway writes HTTP/1, not what any must refuse.
    for name, value in (("content-length", "9"), ("transfer-encoding", "chunked"), ("host", "b"), ("authorization", "smuggled"), ("x-real-ip", "smuggled")):
        result, seen = x.outcome(trailer(name, value))
        t.check(all(value not in ("smuggled",) or value not in [v for _, v in r.fields + r.trailers] for r in seen)
                and all(n.lower() != name for r in seen for n, _ in r.trailers), f"trailer {name}: {result}, {seen}")
    x.arrives("cookies are joined once", with_fields(extra=[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("cookie", "c=3")]),
              lambda r: values(r, "cookie") == ["a=1; b=2; c=3"])
    x.arrives(":authority is Host", with_fields(changed={":authority": "a.example"}), lambda r: values(r, "host") and r.target == "/")
    x.arrives("host that agrees", with_fields(changed={":authority": "a.example"}, extra=[("host", "a.example")]), lambda r: len(values(r, "host")) == 1)
    x.arrives("host alone", with_fields(without=[":authority"], extra=[("host", "a.example")]), lambda r: len(values(r, "host")) == 1)
    x.arrives("te: trailers", with_fields(extra=[("te", "trailers")]), lambda r: True)
    x.arrives("a body without a length", body([], b"hello", 2), lambda r: r.body == b"hellohello")
    x.arrives("a body with its length", body(["5"], b"hello"), lambda r: r.body == b"hello" and values(r, "content-length") == ["5"])
    x.arrives("bytes above 127", with_fields(extra=[("x-a", "\x80\xff")]), lambda r: values(r, "x-a") == ["\x80\xff"])


SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def version2(command=0x21, family=0x11, addresses=None, tlvs=b"", length=None) -> bytes:
    if addresses is None:
        addresses = socket.inet_aton("203.0.113.66") + socket.inet_aton("127.0.0.1") + struct.pack(">HH", 4242, 80)
    rest = addresses + tlvs
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", len(rest) if length is None else length) + rest


def tlv(kind, value, length=None) -> bytes:
    return struct.pack(">BH", kind, len(value) if length is None else length) + value


@item("T-16", "PROXY protocol v1 and v2: believed from listed peers alone, read to the letter, lengths bounded", needs="proxy_protocol")
def proxy_headers(t):
    request = head(fields=["Connection: close"])
    line = b"PROXY TCP4 203.0.113.66 127.0.0.1 4242 80\r\n"

    def outcome(port, *parts):
        mark = t.world.origin.mark()
        with connect(port) as sock:
            try:
                for part in parts:
                    sock.sendall(part)
            except OSError:
                pass
            data, ended = drain(sock)
        seen = t.world.origin.since(mark)
        return statuses(data), ended, [v for r in seen for n, v in r.fields if n.lower() == "x-real-ip"]

    def gateway(trusted):
        one = t.world.start(t.world.config(), "--trusted-ips", trusted, "--http", "127.0.0.1:0,proxy_protocol")
        # The second of the two listeners.
        one.port = int(re.findall(r"  http  +http://127\.0\.0\.1:(\d+)", one.talk)[1])
        return one

    with gateway("127.0.0.1") as listed:
        good = [("v1", line), ("v1 over IPv6", b"PROXY TCP6 2001:db8::1 ::1 4242 80\r\n"), ("v1 of unknown origin", b"PROXY UNKNOWN\r\n"),
                ("v2", version2()), ("v2 LOCAL", version2(0x20, 0, b"")), ("v2 with TLVs", version2(tlvs=tlv(4, b"x" * 50) + tlv(0xE0, b""))),
                ("v2 over IPv6", version2(family=0x21, addresses=socket.inet_pton(socket.AF_INET6, "2001:db8::1") + bytes(15) + b"\x01" + struct.pack(">HH", 1, 2)))]
        for name, header in good:
            answer, _, addresses = outcome(listed.port, header + request)
            wanted = ["127.0.0.1"] if "unknown" in name or "LOCAL" in name else ["2001:db8::1" if "IPv6" in name else "203.0.113.66"]
            t.check(answer == [200] and addresses == wanted, f"{name}: {answer}, from {addresses}")
        answer, _, addresses = outcome(listed.port, *(bytes([b]) for b in line), request)
        t.check(answer == [200] and addresses == ["203.0.113.66"], f"v1 byte by byte: {answer}, from {addresses}")
        bad = [("no header", b""), ("v1 without its end", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2"), ("v1 of 108 bytes", b"PROXY UNKNOWN " + b"x" * 200 + b"\r\n"),
               ("v1 in lower case", line.lower()), ("v1 with a bare LF", line.replace(b"\r", b"")), ("v1 with two spaces", line.replace(b"TCP4 ", b"TCP4  ")),
               ("v1 with port 65536", line.replace(b"4242", b"65536")), ("v1 with port 042", line.replace(b"4242", b"042")), ("v1 with a name", line.replace(b"203.0.113.66", b"a.example")),
               ("v1 with address 256", line.replace(b"203", b"256")), ("v1 with address 010.0.0.1", line.replace(b"203.0.113.66", b"010.0.0.1")),
               ("v1 TCP4 with IPv6", b"PROXY TCP4 ::1 ::1 1 2\r\n"), ("v1 with a field too many", line.replace(b" 80\r", b" 80 81\r")), ("v1 UDP4", line.replace(b"TCP", b"UDP")),
               ("v1 twice", line * 2), ("v2 twice", version2() * 2), ("v2 cut", version2()[:20]), ("v2 of version 1", version2(command=0x11)), ("v2 command 2", version2(command=0x22)),
               ("v2 shorter than its addresses", version2(length=4)), ("v2 longer than it is", version2(length=5000)), ("v2 of 65535", version2(tlvs=bytes(65523))),
               ("a TLV past the end", version2(tlvs=tlv(4, b"x", length=500))), ("half a TLV", version2(tlvs=b"\x04\x00")), ("a wrong signature", version2().replace(b"QUIT", b"QUIX"))]
        for name, header in bad:
            mark = t.world.origin.mark()
            with connect(listed.port, 0.6 if "cut" in name or "without" in name or "longer" in name else 3) as sock:
                try:
                    sock.sendall(header + request)
                except OSError:
                    pass
                data, ended = drain(sock)
            t.check(200 not in statuses(data) and not t.world.origin.since(mark), f"{name}: {statuses(data)}, and the origin saw it")
    with gateway("192.0.2.1") as unlisted:
        for name, header in (("v1", line), ("v2", version2()), ("v1 of unknown origin", b"PROXY UNKNOWN\r\n")):
            answer, ended, addresses = outcome(unlisted.port, header + request)
            t.check("203.0.113.66" not in addresses and answer != [200], f"{name} from a peer that is not listed: {answer}, from {addresses}")
    with t.world.start(t.world.config(), "--trusted-ips", "127.0.0.1") as plain:
        for name, header in (("v1", line), ("v2", version2())):
            answer, ended, addresses = outcome(plain.port, header + request)
            t.check(not addresses and answer != [200], f"{name} where none is expected: {answer}, from {addresses}")
