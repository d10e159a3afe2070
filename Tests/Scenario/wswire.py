"""WebSocket peers: an echo server by the `websockets` package, and frames for those who write every byte themselves."""

import asyncio
import base64
import hashlib
import os
import struct
import threading

import packages  # noqa: F401, before websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def frame(opcode, data=b"", fin=True, mask=b"\x17\xa3\x5c\xe8", reserved=0, length=None) -> bytes:
    """A frame with the shortest length that fits, or the 7-bit `length` given. No mask: as servers send it."""
    data = data if isinstance(data, bytes) else data.encode()
    short = length if length is not None else (len(data) if len(data) < 126 else 126 if len(data) < 65536 else 127)
    head = bytes([fin << 7 | reserved << 4 | opcode, (0x80 if mask else 0) | short])
    head += struct.pack(">H", len(data)) if short == 126 else struct.pack(">Q", len(data)) if short == 127 else b""
    if not mask:
        return head + data
    key = int.from_bytes((mask * (len(data) // 4 + 1))[:len(data)], "big")
    return head + mask + (int.from_bytes(data, "big") ^ key).to_bytes(len(data), "big")


def closing(code=None, reason="") -> bytes:
    """The payload of a close frame."""
    reason = reason if isinstance(reason, bytes) else reason.encode()
    return b"" if code is None else struct.pack(">H", code) + reason


def read_frame(stream):
    """The next frame of a `wire.Stream`: final, reserved bits, opcode, payload without its mask."""
    first, second = stream.exactly(2)
    length = second & 0x7F
    if length == 126:
        length, = struct.unpack(">H", stream.exactly(2))
    elif length == 127:
        length, = struct.unpack(">Q", stream.exactly(8))
    mask = stream.exactly(4) if second & 0x80 else None
    data = stream.exactly(length)
    if mask:
        key = int.from_bytes((mask * (length // 4 + 1))[:length], "big")
        data = (int.from_bytes(data, "big") ^ key).to_bytes(length, "big")
    return bool(first & 0x80), first >> 4 & 7, first & 0xF, data


def upgrade(target="/", host="a", key=KEY, headers=()) -> bytes:
    """A client's request for a WebSocket."""
    fields = [("Host", host), ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", key),
              ("Sec-WebSocket-Version", "13"), *headers]
    return "\r\n".join([f"GET {target} HTTP/1.1"] + [f"{n}: {v}" for n, v in fields]).encode() + b"\r\n\r\n"


SWITCH = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          b"Sec-WebSocket-Accept: " + ACCEPT.encode() + b"\r\n\r\n")


def switch(head) -> bytes:
    """The 101 for a request, with the accept that its key asks for."""
    digest = hashlib.sha1((head.get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    return SWITCH.replace(ACCEPT.encode(), base64.b64encode(digest))


class Loop:
    """An asyncio loop with a thread of its own."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def begin(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def run(self, work, seconds=60):
        return self.begin(work).result(seconds)

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)


class Visitor:
    """A client of the `websockets` package, called as if it blocked. (The package's own blocking client reads and
    writes TLS in two threads, which Python's `ssl` does not bear.)"""

    shared = None

    def __init__(self, url, **options):
        Visitor.shared = Visitor.shared or Loop()
        self.loop = Visitor.shared
        options = {"compression": None, "max_size": 64 << 20, "ping_interval": None, "proxy": None, "close_timeout": 5, **options}
        self.connection = self.loop.run(self._open(url, options))
        self.subprotocol, self.response = self.connection.subprotocol, self.connection.response

    @staticmethod
    async def _open(url, options):
        return await connect(url, **options)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def send(self, message):
        self.loop.run(self.connection.send(message))

    def send_all(self, messages):
        """Begins to send these one after the other; a future."""
        async def work():
            for message in messages:
                await self.connection.send(message)
        return self.loop.begin(work())

    def recv(self, seconds=10):
        return self.loop.run(asyncio.wait_for(self.connection.recv(), seconds))

    def ping(self, data, seconds=5):
        """Waits for the pong; how long it took."""
        async def work():
            return await asyncio.wait_for(await self.connection.ping(data), seconds)
        return self.loop.run(work())

    def close(self, code=1000, reason=""):
        self.loop.run(self.connection.close(code, reason))

    def vanish(self):
        """Ends the connection without a word."""
        self.loop.loop.call_soon_threadsafe(self.connection.transport.abort)

    @property
    def closed(self):
        return self.connection.close_code, self.connection.close_reason


class Echo:
    """A server on 127.0.0.1 that sends each message back. `closes` has how each connection ended, as it saw it,
    and `closed` the same by the path that was asked for.

    Messages that are commands: `close CODE REASON` has the server close, `size N` has it send N bytes, `path`,
    `headers` say what it was asked.
    """

    def __init__(self, context=None, **options):
        self.context = context
        self.options = {"compression": None, "max_size": 64 << 20, "ping_interval": None, **options}
        self.closes, self.closed, self.opened = [], {}, 0
        self.loop = Loop()
        self.loop.run(self._listen())

    @property
    def url(self) -> str:
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    async def _listen(self):
        self.server = await serve(self._serve, "127.0.0.1", 0, ssl=self.context, **self.options)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _serve(self, connection):
        self.opened += 1
        try:
            async for message in connection:
                await self._answer(connection, message)
        except ConnectionClosed:
            pass
        await connection.wait_closed()
        self.closes.append((connection.close_code, connection.close_reason))
        self.closed[connection.request.path] = self.closes[-1]

    async def _answer(self, connection, message):
        match message.split(" ", 2) if isinstance(message, str) and len(message) < 200 else []:
            case ["close", code, *reason]:
                await connection.close(int(code), " ".join(reason))
            case ["size", count]:
                await connection.send(os.urandom(int(count)))
            case ["path"]:
                await connection.send(connection.request.path)
            case ["headers"]:
                await connection.send("\n".join(f"{n}: {v}" for n, v in connection.request.headers.raw_items()))
            case _:
                await connection.send(message)

    def close(self):
        async def end():
            self.server.close()
            await asyncio.wait([asyncio.ensure_future(self.server.wait_closed())], timeout=1)
        self.loop.run(end())
        self.loop.stop()
