"""Upstreams and clients of stream routes: plain sockets, and the bytes of TLS and PROXY protocol by hand."""

import select
import socket
import ssl
import struct
import threading
import time

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


class TCPServer:
    """Runs `script(sock)` in a thread for each connection; an exception of its own ends that connection."""

    def __init__(self, script, context=None, address="127.0.0.1"):
        self.script, self.context = script, context
        self.accepted, self.failures = 0, []
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, 0))
        self.listener.listen(1024)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        sock.settimeout(20)
        try:
            if self.context:
                sock = self.context.wrap_socket(sock, server_side=True)
            self.script(sock)
        except (OSError, ssl.SSLError) as failure:
            self.failures.append(failure)
        finally:
            sock.close()

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()


def echo(sock):
    """Sends back what it gets, and ends when its peer does."""
    while data := sock.recv(1 << 16):
        sock.sendall(data)


def named(name):
    """Says its name, then what it gets."""
    def script(sock):
        sock.sendall(name.encode() + b"\n")
        echo(sock)
    return script


class UDPServer:
    """Answers each datagram with its name, the sender's port and the datagram; remembers the senders."""

    def __init__(self, name="udp", answers=True):
        self.name, self.answers = name, answers
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.senders = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                data, sender = self.socket.recvfrom(65536)
            except OSError:
                return
            if sender[1] not in self.senders:
                self.senders.append(sender[1])
            if self.answers:
                self.socket.sendto(b"%s %d " % (self.name.encode(), sender[1]) + data, sender)

    def close(self):
        self.socket.close()


def client(port, source=None, receive_buffer=None, host="127.0.0.1") -> socket.socket:
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(15)
    if source:
        sock.bind((source, 0))
    sock.connect((host, port))
    return sock


def datagrams(source="127.0.0.1", seconds=5.0) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((source, 0))
    sock.settimeout(seconds)
    return sock


def rest(sock) -> bytes:
    """All until the end; a reset is the caller's to see."""
    parts = []
    while data := sock.recv(1 << 18):
        parts.append(data)
    return b"".join(parts)


def exactly(sock, count) -> bytes:
    parts, have = [], 0
    while have < count:
        data = sock.recv(min(count - have, 1 << 18))
        if not data:
            raise EOFError(f"{have} of {count} bytes")
        parts.append(data)
        have += len(data)
    return b"".join(parts)


def round_trip(sock, data, seconds=30.0) -> bytes:
    """Sends `data` over TLS and reads as much, both at once but on one thread, as OpenSSL demands."""
    sock.setblocking(False)
    sent, parts, have, deadline = 0, [], 0, time.monotonic() + seconds
    while have < len(data):
        moved = False
        try:
            if sent < len(data):
                sent += sock.send(data[sent:sent + 16384])
                moved = True
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        try:
            part = sock.recv(1 << 18)
            if not part:
                raise EOFError(f"{have} of {len(data)} bytes")
            parts.append(part)
            have += len(part)
            moved = True
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        if not moved:
            select.select([sock], [sock] if sent < len(data) else [], [], 0.05)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{have} of {len(data)} bytes")
    sock.settimeout(15)
    return b"".join(parts)


def line(sock) -> bytes:
    out = b""
    while not out.endswith(b"\n"):
        byte = sock.recv(1)
        if not byte:
            raise EOFError(f"ended after {out!r}")
        out += byte
    return out


def reset(sock) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def ending(sock, seconds=5.0) -> str:
    """How the peer ends the connection: `end`, `reset`, or `open` when it does not."""
    sock.settimeout(seconds)
    try:
        while sock.recv(1 << 16):
            pass
        return "end"
    except TimeoutError:
        return "open"
    except OSError:
        return "reset"


def hello(name, protocols=("h2",)) -> bytes:
    """A ClientHello as OpenSSL sends it."""
    context = ssl._create_unverified_context()
    context.set_alpn_protocols(list(protocols))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def records(message, size) -> bytes:
    """The same handshake bytes in records of at most `size` bytes."""
    body = message[5:]
    return b"".join(b"\x16\x03\x01" + struct.pack("!H", len(body[i:i + size])) + body[i:i + size]
                    for i in range(0, len(body), size))


def header2(source="192.0.2.7", source_port=51000, target="198.51.100.1", target_port=443, command=0x21, tags=b"") -> bytes:
    """A PROXY protocol header of version 2 for IPv4."""
    body = b"" if command == 0x20 else (
        socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!HH", source_port, target_port) + tags)
    return SIGNATURE + bytes([command, 0x00 if command == 0x20 else 0x11]) + struct.pack("!H", len(body)) + body
