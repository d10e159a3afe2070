"""HTTP/1 read the strict way, and the sockets of one row: a client, the proxy between, a recording origin.

Everything runs in one thread over non-blocking sockets, so a row's outcome depends on nothing but the bytes:
when the client has seen the proxy's last byte, what the proxy wrote upstream before is already in our socket.
"""

import errno
import re
import select
import socket
import time

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
OK_REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Malformed(Exception):
    """The bytes are not HTTP/1.1 as its grammar has it."""


class Message:
    """One request or response as it was on the wire."""

    def __init__(self, start: bytes, fields: list, body: bytes, trailers: list, complete: bool, chunked: bool):
        self.start, self.fields, self.body = start, fields, body
        self.trailers, self.complete, self.chunked = trailers, complete, chunked

    def all(self, name: str) -> list:
        return [v.decode("latin-1") for n, v in self.fields if n.lower() == name.lower().encode()]

    @property
    def status(self) -> int:
        return int(self.start.split(b" ")[1])

    @property
    def method(self) -> str:
        return self.start.split(b" ")[0].decode("latin-1")

    @property
    def target(self) -> str:
        return self.start.split(b" ")[1].decode("latin-1")


def head_of(data: bytes, at: int):
    """(start line, fields, offset after the head), or None while more bytes are needed."""
    end = data.find(b"\r\n\r\n", at)
    if end < 0:
        if b"\n" in data[at:].replace(b"\r\n", b""):
            raise Malformed("a bare LF in a head")
        return None
    lines = data[at:end].split(b"\r\n")
    if any(b"\n" in line or b"\r" in line or b"\0" in line for line in lines):
        raise Malformed("CR, LF or NUL inside a line")
    fields = []
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.match(name):
            raise Malformed(f"not a field line: {line[:60]!r}")
        fields.append((name, value.strip(b" \t")))
    return lines[0], fields, end + 4


def chunks_of(data: bytes, at: int):
    """(body, trailers, offset after, complete)."""
    body = b""
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return body, [], at, False
        size_text = data[at:end].split(b";")[0]
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}", size_text):
            raise Malformed(f"not a chunk size: {data[at:end][:40]!r}")
        size = int(size_text, 16)
        at = end + 2
        if size == 0:
            if data.startswith(b"\r\n", at):
                return body, [], at + 2, True
            head = head_of(b"x\r\n" + data[at:], 0)
            if head is None:
                return body, [], at, False
            return body, head[1], at + head[2] - 3, True
        if len(data) < at + size + 2:
            return body + data[at : at + size], [], at, False
        if data[at + size : at + size + 2] != b"\r\n":
            raise Malformed("no CRLF after chunk data")
        body += data[at : at + size]
        at += size + 2


def framing_of(fields: list):
    lengths = [v for n, v in fields if n.lower() == b"content-length"]
    codings = [v for n, v in fields if n.lower() == b"transfer-encoding"]
    if len(lengths) + len(codings) > 1:
        raise Malformed("more than one framing field")
    if codings:
        if codings[0].lower() != b"chunked":
            raise Malformed(f"transfer coding {codings[0]!r}")
        return True, None
    if lengths:
        if not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
            raise Malformed(f"content length {lengths[0]!r}")
        return False, int(lengths[0])
    return False, None


def read_messages(data: bytes, *, methods=None, ended=False) -> tuple:
    """All messages in `data`: requests when `methods` is None, else the responses to those methods.

    Returns (messages, interim messages, bytes left over). A last message may be incomplete.
    """
    messages, interim, at = [], [], 0
    while at < len(data):
        head = head_of(data, at)
        if head is None:
            break
        start, fields, after = head
        if methods is None:
            if not re.fullmatch(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [\x21-\xff]+ HTTP/1\.[01]", start):
                raise Malformed(f"request line {start[:60]!r}")
            bodyless, until_close = False, False
        else:
            if not re.match(rb"HTTP/1\.[01] [1-9][0-9][0-9]( |\Z)", start):
                raise Malformed(f"status line {start[:60]!r}")
            status = int(start[9:12])
            if 100 <= status < 200 and status != 101:
                interim.append(Message(start, fields, b"", [], True, False))
                at = after
                continue
            method = methods[len(messages)] if len(messages) < len(methods) else "GET"
            bodyless = method == "HEAD" or status in (101, 204, 304)
            until_close = not bodyless
        if bodyless:
            messages.append(Message(start, fields, b"", [], True, False))
            at = after
            if methods is not None and status == 101:
                return messages, interim, data[at:]
            continue
        chunked, length = framing_of(fields)
        if chunked:
            body, trailers, at, complete = chunks_of(data, after)
            messages.append(Message(start, fields, body, trailers, complete, True))
            if not complete:
                return messages, interim, b""
        elif length is not None or not until_close:
            size = length or 0
            body = data[after : after + size]
            messages.append(Message(start, fields, body, [], len(body) == size, False))
            if len(body) < size:
                return messages, interim, b""
            at = after + size
        else:
            messages.append(Message(start, fields, data[after:], [], ended, False))
            return messages, interim, b""
    return messages, interim, data[at:]


class UpstreamConnection:
    def __init__(self, sock: socket.socket, number: int):
        self.sock, self.number = sock, number
        self.data = b""
        self.answered = 0
        self.ended = False
        self.closed_by_us = False

    def send(self, data: bytes) -> None:
        try:
            self.sock.setblocking(True)
            self.sock.settimeout(2)
            self.sock.sendall(data)
        except OSError:
            self.ended = True
        finally:
            self.sock.setblocking(False)

    def close(self) -> None:
        self.closed_by_us = True
        self.sock.close()


class Rig:
    """The origin and the client of the row that runs now."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.upstreams = []
        self.accepted = 0
        self.proxy_port = 0
        self.responder = None
        self.start_row(None)

    def start_row(self, responder) -> None:
        """Forgets what earlier rows wrote; connections that the proxy keeps stay open."""
        self.client = None
        self.sent = b""
        self.received = b""
        self.client_ended = False
        self.client_reset = False
        self.responder = responder
        self.pump(lambda: False, 0)
        live = []
        for up in self.upstreams:
            if up.ended or up.closed_by_us:
                up.sock.close()
            else:
                up.data, up.answered = b"", 0
                live.append(up)
        self.upstreams = live

    def connect(self, port=None) -> None:
        self.client = socket.create_connection(("127.0.0.1", port or self.proxy_port), timeout=2)
        self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client.setblocking(False)
        self.received, self.client_ended, self.client_reset = b"", False, False

    def hang_up(self) -> None:
        if self.client is not None:
            self.client.close()
            self.client = None

    def send(self, data: bytes, limit: float = 3.0) -> None:
        """Writes all of `data`, reading whatever comes back meanwhile, until the proxy stops taking it."""
        view, deadline = memoryview(data), time.monotonic() + limit
        while view and not self.client_ended and time.monotonic() < deadline:
            try:
                view = view[self.client.send(view) :]
            except BlockingIOError:
                self.pump(lambda: False, 0.005)
            except OSError as error:
                self.client_reset = error.errno in (errno.ECONNRESET, errno.EPIPE)
                self.pump(lambda: self.client_ended, 0.05)
                self.client_ended = True

    def pump(self, done, limit: float) -> bool:
        """Moves bytes until `done()` or `limit` seconds have gone by."""
        deadline = time.monotonic() + limit
        while True:
            if done():
                return True
            rest = deadline - time.monotonic()
            watched = [self.listener] + [u.sock for u in self.upstreams if not u.ended and not u.closed_by_us]
            if self.client is not None and not self.client_ended:
                watched.append(self.client)
            ready = select.select(watched, [], [], max(rest, 0))[0]
            if not ready:
                return done()
            for sock in ready:
                if sock is self.listener:
                    self.accept()
                elif sock is self.client:
                    self.read_client()
                else:
                    self.read_upstream(next(u for u in self.upstreams if u.sock is sock))

    def accept(self) -> None:
        try:
            sock = self.listener.accept()[0]
        except BlockingIOError:
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.upstreams.append(UpstreamConnection(sock, self.accepted))
        self.accepted += 1

    def read_client(self) -> None:
        try:
            data = self.client.recv(262144)
        except BlockingIOError:
            return
        except OSError:
            self.client_reset, data = True, b""
        if data:
            self.received += data
        else:
            self.client_ended = True

    def read_upstream(self, up: UpstreamConnection) -> None:
        try:
            data = up.sock.recv(262144)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            up.ended = True
            return
        up.data += data
        if self.responder is not None:
            self.responder(self, up)

    def upstream_requests(self) -> list:
        """(connection number, message) of every request that the origin saw in this row."""
        found = []
        for up in self.upstreams:
            for message in read_messages(up.data)[0]:
                found.append((up.number, message))
        return found

    def upstream_bytes(self) -> bytes:
        return b"".join(up.data for up in self.upstreams)
