"""Clients and origins that speak HTTP/1.1 byte by byte, so that tests decide every one of them."""

import select
import socket
import ssl
import struct
import threading
import time


class Ended(Exception):
    """The peer ended the connection in the middle of a message."""


class Message:
    """A request or a response as it came over the wire."""

    def __init__(self, start, fields):
        self.start, self.fields = start, fields
        self.body, self.trailers, self.chunks = b"", [], []

    @property
    def status(self) -> int:
        return int(self.start.split(b" ")[1])

    @property
    def method(self) -> str:
        return self.start.split(b" ")[0].decode()

    @property
    def target(self) -> str:
        return self.start.split(b" ")[1].decode("latin-1")

    def all(self, name) -> list:
        return [v.decode("latin-1") for n, v in self.fields if n.lower() == name.lower().encode()]

    def get(self, name, default=None):
        found = self.all(name)
        return found[0] if found else default

    def tokens(self, name) -> list:
        return [t.strip().lower() for v in self.all(name) for t in v.split(",")]

    def __repr__(self):
        return f"<{self.start!r} {self.fields!r} {len(self.body)} bytes>"


class Stream:
    """A socket with a buffer for reading messages."""

    def __init__(self, sock):
        self.socket, self.buffer = sock, b""
        sock.settimeout(10)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            pass

    def send(self, data) -> None:
        self.socket.sendall(data if isinstance(data, (bytes, bytearray, memoryview)) else data.encode())

    def more(self, size=65536) -> bool:
        """Reads once. False at the end."""
        data = self.socket.recv(size)
        self.buffer += data
        return bool(data)

    def until(self, mark) -> bytes:
        while mark not in self.buffer:
            if not self.more():
                raise Ended(f"ended after {self.buffer[:200]!r}")
        found, self.buffer = self.buffer.split(mark, 1)
        return found

    def exactly(self, count) -> bytes:
        if len(self.buffer) < count:
            parts, have = [self.buffer], len(self.buffer)
            while have < count:
                data = self.socket.recv(1 << 18)
                if not data:
                    self.buffer = b"".join(parts)
                    raise Ended(f"{have} of {count} bytes")
                parts.append(data)
                have += len(data)
            self.buffer = b"".join(parts)
        found, self.buffer = self.buffer[:count], self.buffer[count:]
        return found

    def head(self) -> Message:
        lines = self.until(b"\r\n\r\n").split(b"\r\n")
        return Message(lines[0], [tuple(p.strip() for p in line.split(b":", 1)) for line in lines[1:]])

    def chunked(self, message) -> None:
        while True:
            size = int(self.until(b"\r\n").split(b";")[0], 16)
            if size == 0:
                break
            message.chunks.append(self.exactly(size))
            if self.exactly(2) != b"\r\n":
                raise Ended("a chunk without its end")
        while line := self.until(b"\r\n"):
            message.trailers.append(tuple(p.strip() for p in line.split(b":", 1)))
        message.body = b"".join(message.chunks)

    def request(self) -> Message:
        message = self.head()
        if "chunked" in message.tokens("Transfer-Encoding"):
            self.chunked(message)
        elif length := message.get("Content-Length"):
            message.body = self.exactly(int(length))
        return message

    def response(self, method="GET", interim=False) -> Message:
        """The next response; 1xx ones are passed over unless asked for."""
        message = self.head()
        if message.status < 200:
            return message if interim or message.status == 101 else self.response(method)
        if method == "HEAD" or message.status in (204, 304):
            return message
        if "chunked" in message.tokens("Transfer-Encoding"):
            self.chunked(message)
        elif (length := message.get("Content-Length")) is not None:
            message.body = self.exactly(int(length))
        else:
            message.body = self.rest()
        return message

    def rest(self) -> bytes:
        parts = [self.buffer]
        self.buffer = b""
        while data := self.socket.recv(1 << 18):
            parts.append(data)
        return b"".join(parts)

    def ended(self, seconds=5.0) -> bool:
        """Whether the peer ends the connection, saying nothing more."""
        self.socket.settimeout(seconds)
        try:
            return not self.buffer and self.socket.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True
        finally:
            self.socket.settimeout(10)

    def quiet(self, seconds=0.1) -> bool:
        """Whether nothing comes, not even the end."""
        return not self.buffer and not select.select([self.socket], [], [], seconds)[0]

    def finish(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


class Client(Stream):
    """A connection to the gateway."""

    def __init__(self, port, receive_buffer=None):
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(10)
        sock.connect(("127.0.0.1", port))
        super().__init__(sock)

    def ask(self, target="/", method="GET", host="example.com", headers=(), body=None, version="1.1") -> Message:
        lines = [f"{method} {target} HTTP/{version}", f"Host: {host}"] + [f"{n}: {v}" for n, v in headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b""))
        return self.response(method)


def ask(port, target="/", method="GET", **more) -> Message:
    """One request on a connection of its own."""
    with Client(port) as client:
        return client.ask(target, method, **more)


def reply(status=200, body=b"ok", headers=(), reason="OK") -> bytes:
    body = body if isinstance(body, bytes) else body.encode()
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body)}"] + [f"{n}: {v}" for n, v in headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class Origin:
    """An upstream on 127.0.0.1. Each connection has a thread; `on` gives a path its script.

    A script is called with the connection (a `Stream` whose request's head was read) and the head; what
    it returns is sent; False ends the connection. Paths without a script answer their name.
    """

    def __init__(self, context=None, name="origin", port=0):
        self.name, self.context = name, context
        self.scripts, self.requests, self.connections = {}, [], 0
        self.open = set()
        self.lock = threading.Lock()
        self.listen(port)

    def listen(self, port=0):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", port))
        self.listener.listen(512)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    def on(self, path, script) -> None:
        self.scripts[path] = script

    def seen(self, path="") -> list:
        """Heads of the requests whose target starts so."""
        with self.lock:
            return [m for m in self.requests if m.target.startswith(path)]

    def clear(self) -> None:
        with self.lock:
            self.requests, self.connections = [], 0

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            if self.context:
                sock = self.context.wrap_socket(sock, server_side=True)
            stream = Stream(sock)
            sock.settimeout(60)
        except (OSError, ssl.SSLError):
            sock.close()
            return
        with self.lock:
            self.connections += 1
            stream.number = self.connections
            self.open.add(stream)
        try:
            while True:
                head = stream.head()
                head.connection = stream.number
                with self.lock:
                    self.requests.append(head)
                script = self.scripts.get(head.target.split("?")[0])
                if script is None:
                    self._read_body(stream, head)
                    out = reply(200, self.name)
                else:
                    out = script(stream, head)
                if out is False:
                    break
                if out:
                    stream.send(b"" if out is True else out)
        except (Ended, OSError, ssl.SSLError):
            pass
        finally:
            with self.lock:
                self.open.discard(stream)
            stream.close()

    @staticmethod
    def _read_body(stream, head):
        if "chunked" in head.tokens("Transfer-Encoding"):
            stream.chunked(head)
        elif length := head.get("Content-Length"):
            head.body = stream.exactly(int(length))

    def hang_up(self) -> None:
        """Ends the connections that are open; the listener stays."""
        with self.lock:
            streams = list(self.open)
        for stream in streams:
            try:
                stream.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self) -> None:
        """Nobody listens here any more; open connections end."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.hang_up()


read_body = Origin._read_body


def wait(condition, seconds=5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True
