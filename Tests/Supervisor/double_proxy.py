#!/usr/bin/env python3
"""A stand-in for seaway-proxy that speaks the control protocol and can misbehave on request.

Answers each HTTP request with "PID REVISION\\n", and each datagram likewise. The file `double` in the state directory says how it
misbehaves: reject (every revision but the first), crash-on-N (revision N), crash-at-start, slow-drain.
"""
import os, select, signal, socket, struct, sys, time

arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
control, state = arguments["--control"], arguments["--state-dir"]


def behaviour():
    try:
        return open(state + "/double").read().split()
    except FileNotFoundError:
        return []


def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def number(field, n):
    return varint(field << 3) + varint(n)


def signed(field, n):
    return number(field, n << 1)


def data(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def read_varint(buffer, at):
    value = shift = 0
    while True:
        byte = buffer[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(buffer):
    at = 0
    while at < len(buffer):
        tag, at = read_varint(buffer, at)
        if tag & 7 == 0:
            value, at = read_varint(buffer, at)
        elif tag & 7 == 2:
            length, at = read_varint(buffer, at)
            value, at = buffer[at : at + length], at + length
        elif tag & 7 == 1:
            value, at = buffer[at : at + 8], at + 8
        else:
            raise ValueError(tag)
        yield tag >> 3, value


class Double:
    def __init__(self):
        self.link = None
        self.buffer = b""
        self.fds = []
        self.sockets = []  # (wire description, socket)
        self.revision = 0
        self.draining = False
        self.busy = []  # connections held open by slow-drain
        self.retry = 0

    def send(self, payload, fds=()):
        frame = struct.pack(">IB", len(payload), len(fds)) + payload
        socket.send_fds(self.link, [frame], list(fds))

    def connect(self):
        link = socket.socket(socket.AF_UNIX)
        try:
            link.connect(control)
        except OSError:
            self.retry = time.monotonic() + 0.05
            return
        self.link, self.buffer = link, b""
        hello = signed(1, os.getpid()) + data(2, b"double") + signed(3, int(arguments["--workers"]))
        hello += number(4, self.revision) + b"".join(data(5, text) for text, _ in self.sockets)
        self.send(data(1, hello), [s.fileno() for _, s in self.sockets])

    def receive(self):
        try:
            chunk, fds, _, _ = socket.recv_fds(self.link, 1 << 20, 253)
        except ConnectionResetError:
            chunk, fds = b"", []
        self.fds += fds
        if not chunk:
            self.link.close()
            self.link = None
            return
        self.buffer += chunk
        while len(self.buffer) >= 5:
            length, count = struct.unpack(">IB", self.buffer[:5])
            if len(self.buffer) < 5 + length:
                break
            payload, self.buffer = self.buffer[5 : 5 + length], self.buffer[5 + length :]
            fds, self.fds = self.fds[:count], self.fds[count:]
            for kind, body in fields(payload):
                self.take(kind, body, fds)

    def take(self, kind, body, fds):
        if kind == 5:
            old = [s for _, s in self.sockets]
            self.sockets = [(text, socket.socket(fileno=fd)) for (_, text), fd in zip(fields(body), fds)]
            for _, s in self.sockets:
                s.setblocking(False)
            for s in old:
                s.close()
        elif kind == 6:
            revision = dict(fields(body))[1]
            how = behaviour()
            if f"crash-on-{revision}" in how:
                os._exit(3)
            if "reject" in how and self.revision:
                self.send(data(3, number(1, revision) + data(2, b"the double rejects it")))
                return
            self.revision = revision
            self.send(data(2, number(1, revision)))
        elif kind == 7:
            self.drain()
        elif kind == 8:
            open(state + "/reopened", "a").write(f"{os.getpid()}\n")

    def drain(self):
        self.draining = True
        if "slow-drain" in behaviour():
            return
        self.serve()
        if self.link:
            self.send(data(4, b""))
        os._exit(0)

    def serve(self):
        for text, s in self.sockets:
            if s.type == socket.SOCK_DGRAM:
                self.reply(s)
                continue
            while True:
                try:
                    connection, _ = s.accept()
                except BlockingIOError:
                    break
                connection.settimeout(2)
                try:
                    connection.recv(65536)
                    answer = f"{os.getpid()} {self.revision}\n".encode()
                    connection.sendall(
                        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
                except OSError:
                    pass
                connection.close()

    def reply(self, s):
        while True:
            try:
                _, peer = s.recvfrom(65536)
            except BlockingIOError:
                return
            s.sendto(f"{os.getpid()} {self.revision}\n".encode(), peer)

    def run(self):
        if "crash-at-start" in behaviour():
            os._exit(7)
        while True:
            if not self.link and time.monotonic() >= self.retry:
                self.connect()
            watched = ([] if self.draining else [s for _, s in self.sockets]) + ([self.link] if self.link else [])
            ready, _, _ = select.select(watched, [], [], None if self.link else 0.05)
            if self.link in ready:
                self.receive()
            if self.revision and not self.draining:
                self.serve()


signal.signal(signal.SIGPIPE, signal.SIG_IGN)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
Double().run()
