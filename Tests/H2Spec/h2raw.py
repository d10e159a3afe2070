"""One HTTP/2 connection whose every byte a case decides, and the ways to judge what comes back.

Frames are written by hand, because most cases write what no library would; what the peer sends is read with
`hyperframe` and the header blocks are made with `hpack`, so nothing here shares code with the server under test.
"""

import pathlib
import socket
import ssl
import struct
import sys
import time

sys.path.insert(1, str(pathlib.Path(__file__).resolve().parent.parent / "Scenario"))
import packages  # noqa: E402,F401  makes the next imports work
import hpack  # noqa: E402
from hpack.hpack import encode_integer  # noqa: E402
from hpack.huffman import HuffmanEncoder  # noqa: E402
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH  # noqa: E402
from hyperframe.exceptions import HyperframeError  # noqa: E402
from hyperframe.frame import Frame  # noqa: E402

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
NAMES = ["DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE",
         "CONTINUATION"]
NO_ERROR, PROTOCOL, INTERNAL, FLOW_CONTROL, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE, REFUSED, CANCEL, COMPRESSION, \
    CONNECT, CALM = range(12)
CODES = ["NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
         "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM"]
END_STREAM, END_HEADERS, PADDED, WITH_PRIORITY, ACK = 0x1, 0x4, 0x8, 0x20, 0x1
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(1, 7)
DEFAULT_FRAME_SIZE = 16384


class Failed(Exception):
    """The peer did not do what the case asks for."""


class Skipped(Exception):
    """The case does not apply to this peer."""


class Event:
    """A frame that came, or one of the ends of waiting: `closed`, `silent`, `not-h2`."""

    def __init__(self, kind, frame=None, length=0):
        self.kind, self.frame, self.length = kind, frame, length

    @property
    def stream(self) -> int:
        return self.frame.stream_id

    def has(self, flag) -> bool:
        return flag in self.frame.flags

    @property
    def ends_stream(self) -> bool:
        return self.has("END_STREAM")

    @property
    def code(self) -> int:
        return self.frame.error_code

    def __str__(self):
        if self.frame is None:
            return self.kind if isinstance(self.kind, str) else f"frame type {self.kind}"
        text = NAMES[self.kind] if self.kind < len(NAMES) else f"type {self.kind}"
        text += f" on {self.frame.stream_id}" if self.frame.stream_id else ""
        if self.kind in (RST_STREAM, GOAWAY):
            text += f" {CODES[self.code] if self.code < len(CODES) else self.code}"
        return text + "".join(f" {f}" for f in sorted(self.frame.flags))


def string(text, huffman=False) -> bytes:
    """A string literal (RFC 7541, 5.2)."""
    raw = text.encode("latin-1")
    if huffman:
        raw = HUFFMAN.encode(raw)
    length = encode_integer(len(raw), 7)
    length[0] |= 0x80 if huffman else 0
    return bytes(length) + raw


def literal(pattern, name, value, huffman=False) -> bytes:
    """A literal field (RFC 7541, 6.2): pattern 0x40, 0x00 or 0x10; the name as text or as a table index."""
    if isinstance(name, int):
        head = encode_integer(name, 6 if pattern == 0x40 else 4)
        head[0] |= pattern
        return bytes(head) + string(value, huffman)
    return bytes([pattern]) + string(name, huffman) + string(value, huffman)


def table_size(size) -> bytes:
    """A dynamic table size update (RFC 7541, 6.3)."""
    update = encode_integer(size, 5)
    update[0] |= 0x20
    return bytes(update)


HUFFMAN = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)


def bits_of(text) -> str:
    """The Huffman code of a text as zeros and ones, without padding."""
    return "".join(f"{REQUEST_CODES[c]:0{REQUEST_CODES_LENGTH[c]}b}" for c in text.encode())


def bytes_of(bits, fill) -> bytes:
    """Whole octets of these bits, the last one filled up."""
    bits += fill * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


class Target:
    """Where to connect, and how."""

    def __init__(self, host, port, tls, timeout=2.0, path="/", authority=None):
        self.host, self.port, self.tls, self.timeout, self.path = host, port, tls, timeout, path
        self.authority = authority or f"{host}:{port}"
        self.context = None
        if tls:
            self.context = ssl.create_default_context()
            self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
            self.context.set_alpn_protocols(["h2"])

    def __str__(self):
        return f"{'TLS' if self.tls else 'cleartext'} {self.host}:{self.port}"


class Connection:
    """Methods that send return the connection, so that a case is one chain."""

    def __init__(self, target):
        self.target, self.peer_settings, self.seen = target, {}, []
        self.encoder = hpack.Encoder()
        self.buffer, self.ended = bytearray(), None
        self.socket = socket.create_connection((target.host, target.port), timeout=target.timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if target.tls:
            self.socket = target.context.wrap_socket(self.socket, server_hostname=target.host)
            if self.socket.selected_alpn_protocol() != "h2":
                raise Failed("h2 was not chosen by ALPN")
        self.socket.settimeout(target.timeout)

    def close(self) -> None:
        self.socket.close()

    # What we write

    def send(self, data) -> "Connection":
        """Writes; a peer that has hung up is found out by reading."""
        try:
            self.socket.sendall(data)
        except OSError:
            pass
        return self

    def frame(self, kind, flags, stream, payload=b"") -> "Connection":
        return self.send(struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload)

    def handshake(self) -> "Connection":
        """Preface and SETTINGS, until both sides' settings are acknowledged."""
        self.send(PREFACE).settings((INITIAL_WINDOW_SIZE, 65535))
        ours = theirs = False
        while not (ours and theirs):
            event = self.event()
            if isinstance(event.kind, str):
                raise Failed(f"no handshake: {event}")
            if event.kind != SETTINGS:
                continue
            if event.has("ACK"):
                ours = True
            else:
                theirs = True
                self.peer_settings = dict(event.frame.settings)
                self.frame(SETTINGS, ACK, 0)
        self.seen.clear()
        return self

    def fields(self, method="GET") -> list:
        return [(":method", method), (":scheme", "https" if self.target.tls else "http"), (":path", self.target.path),
                (":authority", self.target.authority)]

    def block(self, fields) -> bytes:
        return self.encoder.encode([hpack.HeaderTuple(*f) for f in fields])

    def headers(self, stream=1, end=True, done=True, block=None, fields=None, pad=None, priority=None) -> "Connection":
        """HEADERS: `end` of stream, `done` with the block; `priority` is (depends on, weight octet, exclusive)."""
        payload = block if block is not None else self.block(fields if fields is not None else self.fields())
        flags = (END_STREAM if end else 0) | (END_HEADERS if done else 0)
        if priority:
            flags, payload = flags | WITH_PRIORITY, priority_octets(*priority) + payload
        if pad is not None:
            flags, payload = flags | PADDED, bytes([pad]) + payload + bytes(pad)
        return self.frame(HEADERS, flags, stream, payload)

    def post(self, stream=1, end=False, extra=()) -> "Connection":
        return self.headers(stream, end=end, fields=self.fields("POST") + list(extra))

    def data(self, stream=1, payload=b"test", end=True, pad=None) -> "Connection":
        flags = END_STREAM if end else 0
        if pad is not None:
            flags, payload = flags | PADDED, bytes([pad]) + payload + bytes(pad)
        return self.frame(DATA, flags, stream, payload)

    def continuation(self, stream, block, done=True) -> "Connection":
        return self.frame(CONTINUATION, END_HEADERS if done else 0, stream, block)

    def priority(self, stream, depends=0, weight=255, exclusive=False) -> "Connection":
        return self.frame(PRIORITY, 0, stream, priority_octets(depends, weight, exclusive))

    def reset(self, stream, code=CANCEL) -> "Connection":
        return self.frame(RST_STREAM, 0, stream, struct.pack(">I", code))

    def settings(self, *pairs) -> "Connection":
        return self.frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *p) for p in pairs))

    def ping(self, data=bytes(8), ack=False) -> "Connection":
        return self.frame(PING, ACK if ack else 0, 0, data)

    def goaway(self, code=NO_ERROR, debug=b"") -> "Connection":
        return self.frame(GOAWAY, 0, 0, struct.pack(">II", 0, code) + debug)

    def window(self, stream, increment) -> "Connection":
        return self.frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))

    def dummies(self, count=1) -> bytes:
        """A block of large fields: 4000 octets each before compression."""
        return self.block([(f"x-dummy{n}", "x" * 4000) for n in range(count)])

    # What we read

    def fill(self, count, until) -> bool:
        """Has `count` octets in the buffer, or says why not in `ended`."""
        while len(self.buffer) < count:
            rest = until - time.monotonic()
            if rest <= 0:
                self.ended = "silent"
                return False
            self.socket.settimeout(rest)
            try:
                data = self.socket.recv(1 << 16)
            except TimeoutError:
                self.ended = "silent"
                return False
            except OSError:
                data = b""
            if not data:
                self.ended = "closed in a frame" if self.buffer else "closed"
                return False
            self.buffer += data
        return True

    def event(self) -> Event:
        event = self.read()
        self.seen.append(event)
        return event

    def read(self) -> Event:
        until = time.monotonic() + self.target.timeout
        if self.ended or not self.fill(9, until):
            return Event(self.ended)
        if self.buffer.startswith(b"HTTP/1."):
            self.ended = "not-h2"
            return Event("not-h2")
        try:
            frame, length = Frame.parse_frame_header(memoryview(bytes(self.buffer[:9])))
            if length > DEFAULT_FRAME_SIZE:
                raise Failed(f"a frame of {length} octets came, more than we allow")
            kind = self.buffer[3]
            if not self.fill(9 + length, until):
                return Event(self.ended)
            frame.parse_body(memoryview(bytes(self.buffer[9:9 + length])))
        except HyperframeError as error:
            raise Failed(f"a malformed frame came: {type(error).__name__} {error}") from None
        del self.buffer[:9 + length]
        return Event(kind, frame, length)

    def events(self):
        """Every event up to and with the end of waiting."""
        while True:
            event = self.event()
            yield event
            if isinstance(event.kind, str):
                return

    def first(self, kind) -> Event:
        """The first frame of this type."""
        for event in self.events():
            if event.kind == kind:
                return event
        raise Failed(f"no {NAMES[kind]}; {self.story()}")

    def story(self) -> str:
        return "saw " + (", ".join(str(e) for e in self.seen[-8:]) or "nothing")


def priority_octets(depends, weight, exclusive=False) -> bytes:
    return struct.pack(">IB", depends | (0x80000000 if exclusive else 0), weight)


# Judgements: each is a function of the connection that raises Failed.

def named(codes) -> str:
    return "/".join(CODES[c] for c in codes)


def closed(c) -> None:
    """The TCP connection ends."""
    for event in c.events():
        if event.kind == "closed":
            return
    raise Failed(f"the connection was not closed; {c.story()}")


def connection_error(*codes):
    """GOAWAY with one of the codes, or the end of the connection."""
    def judge(c):
        for event in c.events():
            if event.kind == "closed" or (event.kind == GOAWAY and event.code in codes):
                return
        raise Failed(f"no GOAWAY {named(codes)} and no close; {c.story()}")
    return judge


def stream_error(*codes):
    """RST_STREAM or GOAWAY with one of the codes, or the end of the connection."""
    def judge(c):
        for event in c.events():
            if event.kind == "closed" or (event.kind in (RST_STREAM, GOAWAY) and event.code in codes):
                return
        raise Failed(f"no RST_STREAM or GOAWAY {named(codes)} and no close; {c.story()}")
    return judge


def goaway_seen(*codes):
    """The first GOAWAY has one of the codes; closing without a word is not enough. No code named: any will do."""
    def judge(c):
        event = c.first(GOAWAY)
        if codes and event.code not in codes:
            raise Failed(f"{event}, not {named(codes)}")
    return judge


def reset_seen(*codes):
    """The first RST_STREAM is on stream 1 and has one of the codes."""
    def judge(c):
        event = c.first(RST_STREAM)
        if event.stream != 1 or event.code not in codes:
            raise Failed(f"{event}, not {named(codes)} on 1")
    return judge


def response(c, stream=1) -> None:
    """The first HEADERS is on the stream asked."""
    event = c.first(HEADERS)
    if event.stream != stream:
        raise Failed(f"{event}, not on {stream}")


def page(length):
    """The first DATA has just this many octets."""
    def judge(c):
        event = c.first(DATA)
        if event.length != length:
            raise Failed(f"DATA of {event.length} octets, not {length}")
    return judge


def any_data(c) -> None:
    c.first(DATA)


def any_ping(c) -> None:
    c.first(PING)


def settings_ack(c) -> None:
    event = c.first(SETTINGS)
    if not event.has("ACK"):
        raise Failed(f"{event}, without ACK")


def is_pong(event, data) -> bool:
    return event.has("ACK") and event.frame.opaque_data == data


def pong(data=bytes(8)):
    """The first PING is the answer to ours."""
    def judge(c):
        event = c.first(PING)
        if not is_pong(event, data):
            raise Failed(f"{event} {event.frame.opaque_data!r} is not the answer to {data!r}")
    return judge


def pong_or_closed(data=bytes(8)):
    def judge(c):
        for event in c.events():
            if event.kind == "closed" or (event.kind == PING and is_pong(event, data)):
                return
        raise Failed(f"no answer to PING and no close; {c.story()}")
    return judge


def stream_ended(c) -> None:
    """The server ends its side of the stream."""
    for event in c.events():
        if event.kind in (DATA, HEADERS) and event.ends_stream:
            return
        if event.kind == RST_STREAM and event.code == NO_ERROR:
            return
    raise Failed(f"the stream did not end; {c.story()}")
