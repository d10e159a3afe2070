"""What the items use: an origin that remembers every byte, raw clients, gateways, and a stopwatch for a process.

Nothing here is shared with Tests/Strict, so a mistake in one suite's reading of HTTP is not a mistake in both.
"""

import collections
import os
import pathlib
import re
import socket
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
for folder in ("Tests/Scenario", "Tests/H2Spec"):
    sys.path.insert(1, str(ROOT / folder))

from certs import Authority  # noqa: E402
from gateway import Gateway, eventually, kong, service  # noqa: E402,F401
from h2raw import GOAWAY, HEADERS, RST_STREAM, Connection, Target, literal  # noqa: E402
from servers import SERVERS  # noqa: E402

import hpack  # noqa: E402

PATIENCE = 3.0


# The origin

Request = collections.namedtuple("Request", "connection method target fields body trailers")


class Broken(Exception):
    """What arrived is not HTTP/1.1 to the letter."""


class Reader:
    """Exact HTTP/1.1 requests from a socket; anything looser than the grammar is Broken."""

    def __init__(self, sock):
        self.socket, self.raw, self.at = sock, b"", 0

    def more(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError
        self.raw += data

    def line(self) -> bytes:
        while (end := self.raw.find(b"\r\n", self.at)) < 0:
            self.more()
        line, self.at = self.raw[self.at:end], end + 2
        if b"\n" in line or b"\r" in line or b"\0" in line:
            raise Broken(f"CR, LF or NUL in {line[:80]!r}")
        return line

    def exactly(self, count) -> bytes:
        while len(self.raw) < self.at + count:
            self.more()
        self.at += count
        return self.raw[self.at - count:self.at]

    def fields(self) -> list:
        found = []
        while line := self.line():
            match = re.fullmatch(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*", line, re.DOTALL)
            if not match:
                raise Broken(f"not a field: {line[:80]!r}")
            found.append((match[1].decode(), match[2].decode("latin-1")))
        return found

    def request(self, connection) -> Request:
        start = self.line()
        match = re.fullmatch(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP/1\.1", start)
        if not match:
            raise Broken(f"not a request line: {start[:80]!r}")
        fields = self.fields()
        lengths = [v for n, v in fields if n.lower() == "content-length"]
        codings = [v for n, v in fields if n.lower() == "transfer-encoding"]
        if len(lengths) + len(codings) > 1:
            raise Broken(f"framed twice: {lengths} {codings}")
        if [n.lower() for n, _ in fields].count("host") != 1:
            raise Broken("not one Host")
        body, trailers = b"", []
        if lengths:
            if not re.fullmatch(r"\d{1,15}", lengths[0]):
                raise Broken(f"length {lengths[0]!r}")
            body = self.exactly(int(lengths[0]))
        elif codings:
            if codings[0].lower() != "chunked":
                raise Broken(f"coding {codings[0]!r}")
            body, trailers = self.chunks()
        return Request(connection, match[1].decode(), match[2].decode("latin-1"), fields, body, trailers)

    def chunks(self):
        parts = []
        while True:
            size = self.line()
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", size):
                raise Broken(f"chunk size {size[:40]!r}")
            if int(size, 16) == 0:
                return b"".join(parts), self.fields()
            parts.append(self.exactly(int(size, 16)))
            if self.exactly(2) != b"\r\n":
                raise Broken("no line end after a chunk")


def answer(status=200, body=b"ok", fields=()) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"] + list(fields)
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class Recorder:
    """An origin. `script(request, socket)` may return the bytes to answer with, or None to end the connection."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.requests, self.broken, self.streams = [], [], {}
        self.opened = self.busy = self.busiest = 0
        self.script = self.plain
        threading.Thread(target=self._accept, daemon=True).start()

    @staticmethod
    def plain(request, sock) -> bytes:
        return answer(body=b"" if request.method == "HEAD" else b"anchor")

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with self.lock:
            self.opened += 1
            number = self.opened
        reader = Reader(sock)
        self.streams[number] = reader
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                request = reader.request(number)
                with self.lock:
                    self.requests.append(request)
                    self.busy += 1
                    self.busiest = max(self.busiest, self.busy)
                try:
                    out = self.script(request, sock)
                finally:
                    with self.lock:
                        self.busy -= 1
                if out is None:
                    return
                sock.sendall(out)
        except Broken as found:
            with self.lock:
                self.broken.append(str(found))
        except (EOFError, OSError):
            pass
        finally:
            sock.close()

    def since(self, mark) -> list:
        with self.lock:
            return self.requests[mark:]

    def mark(self) -> int:
        with self.lock:
            return len(self.requests)

    def raw_bytes(self) -> dict:
        """Everything that each connection has carried."""
        return {number: reader.raw for number, reader in list(self.streams.items())}

    def close(self):
        self.listener.close()


# Raw clients

def connect(port, timeout=PATIENCE):
    sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def exchange(port, *segments, timeout=PATIENCE, finish=False):
    """(everything that came back, whether the connection ended)."""
    with connect(port, timeout) as sock:
        try:
            for segment in segments:
                sock.sendall(segment)
            if finish:
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return drain(sock)


def drain(sock, enough=None):
    """Reads until the end, until `enough(bytes)` or the socket's timeout."""
    parts = b""
    try:
        while data := sock.recv(1 << 16):
            parts += data
            if enough and enough(parts):
                return parts, False
        return parts, True
    except TimeoutError:
        return parts, False
    except OSError:
        return parts, True


def statuses(data) -> list:
    """The statuses of the responses in these bytes, told apart by their lengths."""
    found, at = [], 0
    while match := re.compile(rb"HTTP/1\.[01] (\d{3})[^\r]*\r\n(.*?)\r\n\r\n", re.DOTALL).match(data, at):
        found.append(int(match[1]))
        length = re.search(rb"(?im)^content-length:[ \t]*(\d+)", match[2])
        at = match.end() + (int(length[1]) if length else 0)
        if re.search(rb"(?im)^transfer-encoding:[ \t]*chunked", match[2]):
            end = data.find(b"0\r\n\r\n", at)
            at = end + 5 if end >= 0 else len(data)
    return found


def head(method="GET", target="/", fields=(), host="a.example", version="HTTP/1.1") -> bytes:
    lines = [f"{method} {target} {version}"] + ([f"Host: {host}"] if host is not None else [])
    lines = [x.encode("latin-1") for x in lines] + [x if isinstance(x, bytes) else x.encode("latin-1") for x in fields]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def ask(port, target="/", fields=(), method="GET", host="a.example", body=b""):
    """Status and bytes of one request on a connection of its own."""
    data, _ = exchange(port, head(method, target, [*fields, "Connection: close"], host) + body)
    found = statuses(data)
    return (found[-1] if found else 0), data


def ask_h2(port, target="/", fields=(), host="a.example", timeout=PATIENCE):
    """The status of one HTTP/2 request on a connection of its own; 0 for anything but a response."""
    connection = Connection(Target("127.0.0.1", port, False, timeout)).handshake()
    try:
        base = [(":method", "GET"), (":scheme", "http"), (":path", target), (":authority", host)]
        connection.headers(block=b"".join(literal(0x10, n, v) for n, v in [*base, *fields]))
        for event in connection.events():
            if event.kind == HEADERS:
                return int(dict(hpack.Decoder().decode(event.frame.data, raw=True))[b":status"])
            if event.kind in (RST_STREAM, GOAWAY):
                return 0
        return 0
    finally:
        connection.close()


def second_port(gateway) -> int:
    """Of two --http listeners the one that was named last."""
    return int(re.findall(r"  http  +http://127\.0\.0\.1:(\d+)", gateway.talk)[1])


# A process under the stopwatch

class Meter:
    """Memory and CPU of processes between two moments."""

    def __init__(self, pids):
        self.pids = pids
        for pid in pids:
            try:
                with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
                    file.write("5")
            except OSError:
                pass
        self.rss, self.cpu = self.memory("VmRSS"), self.seconds()

    def memory(self, name) -> int:
        total = 0
        for pid in self.pids:
            try:
                with open(f"/proc/{pid}/status", encoding="ascii") as file:
                    total += int(re.search(rf"{name}:\s+(\d+)", file.read())[1]) * 1024
            except OSError:
                pass
        return total

    def seconds(self) -> float:
        """CPU of all threads; the scheduler counts nanoseconds, `stat` only hundredths of seconds."""
        total = 0
        for pid in self.pids:
            try:
                for thread in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
                        total += int(file.read().split()[0])
            except OSError:
                pass
        return total / 1e9

    def growth(self) -> int:
        """By how many bytes memory has grown at its highest, since the meter was made."""
        return max(0, self.memory("VmHWM") - self.rss)

    def spent(self) -> float:
        return self.seconds() - self.cpu

    def alive(self) -> bool:
        return all(os.path.exists(f"/proc/{pid}") for pid in self.pids)


class Witness:
    """A well-behaved HTTP/2 client on a connection of its own, asking for a page again and again."""

    def __init__(self, target, pause=0.02):
        self.target, self.pause = target, pause
        self.served, self.problems, self.slowest = 0, [], 0.0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        eventually("the witness's first page", lambda: self.served or self.problems)
        return self

    def __exit__(self, *error):
        self.stop.set()
        self.thread.join(15)

    def _run(self):
        import h2.config
        import h2.connection
        import h2.events
        try:
            raw = Connection(self.target)
            sock = raw.socket
            sock.settimeout(10)
            client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
            client.initiate_connection()
            sock.sendall(client.data_to_send())
            while not self.stop.is_set():
                began = time.monotonic()
                stream = client.get_next_available_stream_id()
                client.send_headers(stream, raw.fields(), end_stream=True)
                sock.sendall(client.data_to_send())
                ended = False
                while not ended:
                    data = sock.recv(1 << 16)
                    if not data:
                        raise OSError("closed")
                    for event in client.receive_data(data):
                        if isinstance(event, h2.events.DataReceived):
                            client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                        ended = ended or isinstance(event, h2.events.StreamEnded)
                        if isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                            raise OSError(f"{event}")
                    sock.sendall(client.data_to_send())
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.served += 1
                self.stop.wait(self.pause)
        except Exception as error:  # pylint: disable=broad-except
            self.problems.append(f"{type(error).__name__}: {error}")


# Trials

class Trial:
    """One item under way: what was tried, what went wrong, what was measured."""

    def __init__(self, world):
        self.world, self.tried, self.problems, self.figures = world, 0, [], {}
        self.notes = []

    def check(self, holds, text) -> bool:
        """Counts one thing tried."""
        self.tried += 1
        if not holds:
            self.problems.append(text() if callable(text) else text)
        return bool(holds)

    def figure(self, name, value) -> None:
        self.figures[name] = value

    def note(self, text) -> None:
        self.notes.append(text)

    # HTTP/1 against the gateway of the framing items

    def refused(self, name, *segments, allowed=(400,), reset=False) -> None:
        """Refused once with an allowed status, the connection ended, and nothing whole reached the origin."""
        gateway, origin = self.world.gateway, self.world.origin
        mark, broken = origin.mark(), len(origin.broken)
        data, ended = exchange(gateway.port, *segments)
        found = statuses(data)
        probe, _ = ask(gateway.port, "/probe")
        seen = [r.target for r in origin.since(mark)]
        problem = ""
        if seen != ["/probe"] or probe != 200:
            problem = f"the origin saw {seen}"
        elif len(origin.broken) != broken:
            problem = f"the origin could not read {origin.broken[-1]}"
        elif reset and not found and ended:
            problem = ""
        elif len(found) != 1 or found[0] not in allowed:
            problem = f"answered {found or data[:60]!r}"
        elif not ended:
            problem = "the connection was left open"
        self.check(not problem, f"{name}: {problem}")

    def arrives(self, name, *segments, wanted=(("GET", "/", b""),)):
        """Answered 200 as often as wanted, and the origin saw exactly these (method, target, body)."""
        gateway, origin = self.world.gateway, self.world.origin
        mark = origin.mark()
        with connect(gateway.port) as sock:
            for segment in segments:
                sock.sendall(segment)
            data, _ = drain(sock, lambda d: len(statuses(d)) >= len(wanted) and d.endswith(b"anchor"))
        seen = origin.since(mark)
        got = [(r.method, r.target, r.body) for r in seen]
        self.check(statuses(data) == [200] * len(wanted) and got == list(wanted),
                   lambda: f"{name}: answered {statuses(data) or data[:60]}, the origin saw {got}"[:300])
        return seen


class World:
    """The server under test and its origin; gateways for special settings are made by the items."""

    def __init__(self, server):
        self.name, self.origin = server, Recorder()
        # For the server that `server` starts next, if it is Seaway.
        self.flags = ()
        self.authority = Authority()
        self._gateway = self._server = None

    @property
    def gateway(self):
        """Seaway before the origin, with short timeouts."""
        if self._gateway is None:
            self._gateway = self.start(self.config())
        return self._gateway

    def config(self, route=None, **entities) -> dict:
        whole = {"name": "all", "paths": ["/"], "strip_path": False, "preserve_host": True, **(route or {})}
        return kong([service("origin", f"http://127.0.0.1:{self.origin.port}", [whole], retries=0)], **entities)

    def start(self, config, *flags, **more):
        """The caller stops it."""
        return Gateway(config, "--access-log", "off", *flags, **more)

    def server(self):
        """Seaway or another server that speaks HTTP/2, for the items that any server can be asked."""
        if self._server is None:
            self._server = SERVERS[self.name](self.origin.port, *self.flags)
            self._server.__enter__()
        return self._server

    def fresh_server(self):
        """One that no earlier item has warmed or filled."""
        self.drop_server()
        return self.server()

    def drop_server(self):
        if self._server is not None:
            self._server.__exit__()
            self._server = None

    def target(self, tls=False, timeout=PATIENCE) -> Target:
        server = self.server()
        return Target("127.0.0.1", server.tls if tls else server.plain, tls, timeout)

    def close(self):
        if self._gateway is not None:
            self._gateway.stop()
        self.drop_server()
        self.authority.close()
        self.origin.close()


Item = collections.namedtuple("Item", "number what run any_server needs topic")
ITEMS = []


def item(number, what, any_server=False, needs="") -> object:
    """Registers a trial under its number. `any_server`: makes sense against other servers too."""
    def register(function):
        ITEMS.append(Item(number, what, function, any_server, needs, function.__module__))
        return function
    return register
