#!/usr/bin/env python3
"""WebSocket cases: the verdict through the gateway is the verdict without it.

    Tests/WebSocket/run.py                  every case, every way through
    Tests/WebSocket/run.py --only '7.9' -v  some cases, each with its verdict

A raw client plays each case against an echo server of the `websockets` package, straight and through the
gateway: in clear, over TLS, to an upstream with TLS, and in a stream of HTTP/2. Then a raw server plays them
against a client of that package. A verdict is all that both ends saw: frames, close codes, errors, who ended
the connection. The last line is "N passed, N failed".
"""

import argparse
import hashlib
import os
import re
import socket
import ssl
import sys
import time

import cases as table
from cases import Chopped
from certs import Authority
from gateway import Gateway, kong, service
from h2wire import H2Client, connect, serving, trusting
from wire import Ended, Origin, Stream, wait
from wswire import CLOSE, Echo, Visitor, closing, frame, read_frame, switch, upgrade
from websockets.exceptions import ConnectionClosed, WebSocketException

LIMIT = 8 << 20
PATIENCE = 3.0
# A server that ends a TLS connection while bytes are still coming loses more of its words than one without TLS.
BASES = {"both TLS": "direct TLS"}


def digest(data) -> str:
    """A payload, short enough to print."""
    data = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    return repr(data) if len(data) <= 40 else f"{len(data)} bytes {hashlib.sha1(data).hexdigest()[:12]}"


class TunnelStream(Stream):
    """A WebSocket in a stream of HTTP/2, read and written as a connection of its own (RFC 8441)."""

    def __init__(self, client, reply):
        self.client, self.reply, self.buffer, self.read = client, reply, b"", 0

    def send(self, data):
        self.client.send(self.reply, bytes(data), seconds=PATIENCE)

    def more(self, size=0):
        self.client.wait(lambda: len(self.reply.parts) > self.read or self.reply.over, "frames", PATIENCE)
        fresh = self.reply.parts[self.read:]
        self.read += len(fresh)
        self.buffer += b"".join(fresh)
        return bool(fresh)

    def exactly(self, count):
        while len(self.buffer) < count:
            if not self.more():
                raise Ended("the stream ended")
        found, self.buffer = self.buffer[:count], self.buffer[count:]
        return found

    def finish(self):
        self.client.send(self.reply, b"", end=True)

    def close(self):
        self.client.close()


class Rig:
    """The servers, and the ways to them."""

    def __init__(self):
        authority = Authority()
        pair = authority.issue("echo.example")
        self.clear, self.secure = Echo(max_size=LIMIT, compression="deflate"), Echo(serving(pair, ["http/1.1"]), max_size=LIMIT, compression="deflate")
        self.origin = Origin()
        self.gateway = Gateway(kong([service("clear", self.clear.url), service("secure", self.secure.url),
                                     service("origin", self.origin.url)]), https=True)
        authority.close()
        self.count = 0

    def close(self):
        self.gateway.stop()
        for server in (self.clear, self.secure, self.origin):
            server.close()

    def ways(self):
        """Name: what opens a raw client's connection, the server that answers, the path it knows it by."""
        port, tls, context = self.gateway.port, self.gateway.https_port, trusting(["http/1.1"])
        self.count += 1
        clear, secure = f"/clear?{self.count}", f"/secure?{self.count}"
        return {"direct": (lambda offer: self.raw(self.clear.port, clear, offer), self.clear, clear),
                "clear": (lambda offer: self.raw(port, clear, offer), self.clear, clear),
                "client TLS": (lambda offer: self.raw(tls, clear, offer, context), self.clear, clear),
                "direct TLS": (lambda offer: self.raw(self.secure.port, secure, offer, context), self.secure, secure),
                "both TLS": (lambda offer: self.raw(tls, secure, offer, context), self.secure, secure),
                "HTTP/2": (lambda offer: self.tunnel(clear, offer), self.clear, clear)}

    def raw(self, port, path, offer, context=None):
        """(stream, what the handshake said)"""
        stream = Stream(connect(port, context))
        stream.socket.settimeout(PATIENCE)
        stream.send(upgrade(path, headers=[("Sec-WebSocket-Extensions", offer)] if offer else []))
        answer = stream.response()
        return stream, (answer.status == 101, answer.get("Sec-WebSocket-Extensions"))

    def tunnel(self, path, offer):
        client = H2Client(self.gateway.https_port, trusting(), window=1 << 24)
        fields = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":path", path), (":authority", "a"),
                  ("sec-websocket-version", "13")] + ([("sec-websocket-extensions", offer)] if offer else [])
        client.wait(lambda: client.peer_settings, "settings")
        reply = client.start(fields=fields, end=False)
        client.wait(lambda: reply.status or reply.over, "the handshake", PATIENCE)
        return TunnelStream(client, reply), (reply.status == 200, reply.get("sec-websocket-extensions"))


def frames_of(stream, seen, count=None):
    """Reads frames into `seen` until so many came, or a close; False at the end of the connection."""
    while count is None or count > 0:
        final, reserved, opcode, data = read_frame(stream)
        seen.append((opcode, final, reserved, digest(data)))
        if opcode == CLOSE:
            return
        count = None if count is None else count - 1


def play(stream, case, seen, mask=None):
    """Sends a case's steps as far as the peer takes them, and the close."""
    try:
        for step in case.steps:
            if isinstance(step, int):
                frames_of(stream, seen, step)
            elif isinstance(step, Chopped):
                for at in range(0, len(step.data), step.size):
                    stream.send(step.data[at:at + step.size])
            else:
                stream.send(step)
        if case.ends:
            stream.send(frame(CLOSE, closing(1000), mask=mask))
        if case.ends is None:
            end_sending(stream)
    except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError, Ended):
        pass  # It has ended the connection; what it said is still to be read.


def end_sending(stream):
    """The end of what is sent. Under TLS it is the connection's, for Python cannot end only one direction of TLS."""
    if isinstance(stream, TunnelStream):
        return stream.finish()
    with socket.socket(fileno=os.dup(stream.socket.fileno())) as twin:
        return twin.shutdown(socket.SHUT_WR)


def in_order(seen):
    """Answers to data and to pings come as they will: each kind in its order."""
    return sorted(seen, key=lambda item: item[0] >= 8 if item[0] != CLOSE else 2)


def until_over(stream, seen) -> str:
    """Reads what is left; how the connection ended."""
    try:
        if not any(item[0] == CLOSE for item in seen):
            frames_of(stream, seen)
        stream.exactly(1)
        return "more bytes after the close"
    except TimeoutError:
        return "left open"
    except (Ended, OSError):
        return "ended by the peer"


def by_client(rig, case, way):
    """What a raw client and the echo server saw."""
    opened, server, path = rig.ways()[way]
    stream, hands = opened(case.offer)
    seen = []
    try:
        play(stream, case, seen, mask=b"mask")
        ended = until_over(stream, seen)
    finally:
        stream.close()
    wait(lambda: path in server.closed, PATIENCE)
    return {"handshake": hands, "frames": in_order(seen), "connection": ended, "server": server.closed.get(path)}


def by_server(rig, case, way):
    """What a client of the `websockets` package, which sends everything back, and a raw server saw."""
    seen, state = [], {}

    def script(stream, head):
        extension = f"Sec-WebSocket-Extensions: {case.offer}\r\n\r\n" if case.offer == table.DEFLATE else "\r\n"
        stream.send(switch(head)[:-2] + extension.encode())
        stream.socket.settimeout(PATIENCE)
        try:
            play(stream, case, seen)
            # After its close frame the server is the one to end the connection.
            if not any(item[0] == CLOSE for item in seen):
                frames_of(stream, seen)
        except (Ended, OSError) as failure:
            state["error"] = type(failure).__name__
        state["over"] = True
        return False

    rig.origin.on("/origin", script)
    port = {"direct": rig.origin.port, "clear": rig.gateway.port, "client TLS": rig.gateway.https_port}[way]
    tls = {"ssl": ssl._create_unverified_context()} if way == "client TLS" else {}
    got, error = [], None
    try:
        with Visitor(f"{'wss' if tls else 'ws'}://127.0.0.1:{port}/origin", max_size=LIMIT, open_timeout=PATIENCE,
                     close_timeout=PATIENCE, compression="deflate" if case.offer else None, **tls) as client:
            try:
                while True:
                    message = client.recv(PATIENCE)
                    got.append(digest(message))
                    client.send(message)
            except ConnectionClosed as failure:
                error = (type(failure).__name__, str(failure.rcvd), str(failure.sent))
            except TimeoutError:
                error = "left open"
    except (WebSocketException, TimeoutError) as failure:  # The handshake was refused: the client says why.
        error = (type(failure).__name__, str(failure))
    wait(lambda: "over" in state, PATIENCE)
    return {"messages": got, "client": error, "server saw": in_order(seen), "server met": state.get("error")}


def compare(name, case, verdicts, verbose) -> int:
    """Prints the ways whose verdict is another than the direct one; their number."""
    wrong = 0
    for way, verdict in verdicts.items():
        without = verdicts[BASES.get(way, "direct")]
        if not way.startswith("direct") and verdict != without:
            wrong += 1
            print(f"FAIL {name} {case.number} {case.title}: by way of {way}\n     without: {without}\n     through: {verdict}", flush=True)
    if verbose and not wrong:
        print(f"ok   {name} {case.number} {case.title}: {verdicts['direct']}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="REGEX", default="", help="cases whose number or title holds this")
    parser.add_argument("--way", metavar="REGEX", default="", help="ways whose name holds this")
    parser.add_argument("-v", "--verbose", action="store_true", help="print verdicts that agree too")
    options = parser.parse_args()
    rig, passed, failed, began = Rig(), 0, 0, time.monotonic()
    try:
        for name, verdict_by, ways, list_of in (
                ("client", by_client, ["direct", "clear", "client TLS", "direct TLS", "both TLS", "HTTP/2"], table.cases(masked=True)),
                ("server", by_server, ["direct", "clear", "client TLS"], table.cases(masked=False))):
            ways = [w for w in ways if w.startswith("direct") or re.search(options.way, w)]
            tried = sum(not w.startswith("direct") for w in ways)
            for case in list_of:
                if not re.search(options.only, f"{case.number} {case.title}"):
                    continue
                try:
                    verdicts = {way: verdict_by(rig, case, way) for way in ways}
                    wrong = compare(name, case, verdicts, options.verbose)
                except (OSError, Ended) as failure:
                    wrong = tried
                    print(f"FAIL {name} {case.number} {case.title}: {failure!r}", flush=True)
                passed, failed = passed + tried - wrong, failed + wrong
    finally:
        rig.close()
    print(f"websocket: {time.monotonic() - began:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
