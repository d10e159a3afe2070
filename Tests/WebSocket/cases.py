"""What a WebSocket peer may be sent, good and bad, in the groups that conformance suites use.

Each case is what one side sends after the handshake. Nothing here says what must come back: the peer's verdict
without a gateway in between is the measure (run.py).
"""

import pathlib
import sys
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "Scenario"))
from wswire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, closing, frame

DEFLATE = "permessage-deflate"


class Chopped:
    """Bytes that are sent in pieces of this size."""

    def __init__(self, data, size):
        self.data, self.size = data, size


class Case:
    """`steps` are bytes or `Chopped`; an int waits for so many frames."""

    def __init__(self, number, title, steps, ends=True, offer=None):
        # An answer to the last step, whatever it is, must not race with the answer to the close that follows.
        steps = list(steps) + ([1] if ends and not isinstance(steps[-1], int) else [])
        self.number, self.title, self.steps = number, title, steps
        self.ends = ends    # Whether a close frame of code 1000 follows.
        self.offer = offer  # Sec-WebSocket-Extensions.


def squeeze(data, window=-15) -> bytes:
    """A message's payload under permessage-deflate, by a fresh compressor."""
    made = zlib.compressobj(9, zlib.DEFLATED, window)
    return (made.compress(data) + made.flush(zlib.Z_SYNC_FLUSH))[:-4]


def cases(masked=True):
    """All cases, as a client sends them, or as a server does."""
    key = b"\x9d\x04\xf1\x62" if masked else None
    f = lambda opcode, data=b"", fin=True, reserved=0, length=None: frame(opcode, data, fin, key, reserved, length)
    made = []

    def add(number, title, *steps, ends=True, offer=None):
        made.append(Case(number, title, steps, ends, offer))

    # 1: framing
    for kind, (opcode, name) in enumerate(((TEXT, "text"), (BINARY, "binary")), 1):
        for n, size in enumerate((0, 125, 126, 127, 128, 65535, 65536), 1):
            add(f"1.{kind}.{n}", f"{name} of {size} bytes", f(opcode, b"*" * size), 1)
        add(f"1.{kind}.8", f"{name} of 65536 bytes in pieces of 997", Chopped(f(opcode, b"*" * 65536), 997), 1)
        add(f"1.{kind}.9", f"{name} of 5 bytes with a length in 16 bits", f(opcode, "short", length=126))
        add(f"1.{kind}.10", f"{name} of 5 bytes with a length in 64 bits", f(opcode, "short", length=127))
    add("1.3.1", "a length with the highest bit set", b"\x82" + (b"\xff" if masked else b"\x7f") + b"\x80" + bytes(7) + (key or b""))
    add("1.3.2", "a mask where none belongs, or none where one does", frame(TEXT, "mask", mask=None if masked else b"abcd"))

    # 2: pings and pongs
    for n, (title, data) in enumerate((("without payload", b""), ("with text", b"hello"), ("with bytes", bytes(range(0xF0, 0x100))),
                                       ("of 125 bytes", b"\xfe" * 125)), 1):
        add(f"2.{n}", f"ping {title}", f(PING, data), 1)
    add("2.5", "ping of 126 bytes", f(PING, b"\xfe" * 126))
    add("2.6", "ping of 125 bytes byte by byte", Chopped(f(PING, b"\xfe" * 125), 1), 1)
    add("2.7", "unasked pong without payload", f(PONG), 0)
    add("2.8", "unasked pong with payload", f(PONG, "unasked"), 0)
    add("2.9", "unasked pong, then ping", f(PONG, "unasked") + f(PING, "asked"), 1)
    add("2.10", "ten pings at once", b"".join(f(PING, b"p%d" % n) for n in range(10)), 10)
    add("2.11", "ten pings byte by byte", Chopped(b"".join(f(PING, b"p%d" % n) for n in range(10)), 1), 10)

    # 3: reserved bits
    for bits in range(1, 8):
        for name, opcode in (("text", TEXT), ("binary", BINARY), ("ping", PING), ("close", CLOSE)):
            add(f"3.{bits}.{name}", f"{name} with reserved bits {bits:03b}", f(opcode, closing(1000) if opcode == CLOSE else "x", reserved=bits))
        add(f"3.{bits}.after", f"good text, then reserved bits {bits:03b}, then ping", f(TEXT, "good"), 1, f(TEXT, "bad", reserved=bits) + f(PING))
    add("3.8", "reserved bits byte by byte", Chopped(f(TEXT, "good"), 1), 1, Chopped(f(TEXT, "bad", reserved=4), 1))

    # 4: opcodes
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        for n, (title, data) in enumerate((("without payload", b""), ("with payload", b"reserved")), 1):
            add(f"4.{opcode}.{n}", f"opcode {opcode} {title}", f(opcode, data) + f(PING))
        add(f"4.{opcode}.3", f"text, then opcode {opcode}, then ping", f(TEXT, "good"), 1, f(opcode, "bad") + f(PING))

    # 5: fragments
    parts = lambda *texts, opcode=TEXT: [f(opcode if n == 0 else CONTINUATION, t, fin=n == len(texts) - 1) for n, t in enumerate(texts)]
    add("5.1", "a ping in two fragments", b"".join(parts("a", "b", opcode=PING)))
    add("5.2", "a pong in two fragments", b"".join(parts("a", "b", opcode=PONG)))
    for n, size in enumerate((0, 997, 1), 3):
        joined = b"".join(parts("frag", "ment"))
        add(f"5.{n}", f"text in two fragments, {size or 'all'} bytes at a time", Chopped(joined, size) if size else joined, 1)
    a, b = parts("frag", "ment")
    for n, size in enumerate((0, 997, 1), 6):
        joined = a + f(PING, "between") + b
        add(f"5.{n}", f"a ping between two fragments, {size or 'all'} bytes at a time", Chopped(joined, size) if size else joined, 2)
    add("5.9", "a continuation of nothing, final", f(CONTINUATION, "lost") + f(TEXT, "good"))
    add("5.10", "a continuation of nothing, byte by byte", Chopped(f(CONTINUATION, "lost") + f(TEXT, "good"), 1))
    add("5.11", "a continuation of nothing, not final", f(CONTINUATION, "lost", fin=False) + f(TEXT, "good"))
    add("5.12", "a continuation after a whole message", f(TEXT, "whole"), 1, f(CONTINUATION, "lost"))
    add("5.13", "text begun inside a fragmented text", f(TEXT, "one", fin=False) + f(TEXT, "two"))
    add("5.14", "binary begun inside a fragmented text", f(TEXT, "one", fin=False) + f(BINARY, "two"))
    add("5.15", "two messages of two fragments and a lost one", *[b"".join(parts("a", "b"))], 1, f(CONTINUATION, "c", fin=False) + f(TEXT, "d"))
    add("5.16", "empty fragments around text", b"".join(parts("", "text", "", "")), 1)
    add("5.17", "a message of only empty fragments", b"".join(parts("", "", "")), 1)
    add("5.18", "five fragments with pings between, one at a time",
        *[x for p in parts("1", "2", "3", "4", "5") for x in (p, f(PING, "p"), 1)], 1)
    add("5.19", "binary in a thousand fragments", b"".join(parts(*["x"] * 1000, opcode=BINARY)), 1)
    add("5.20", "a close inside a fragmented text", f(TEXT, "one", fin=False) + f(CLOSE, closing(1000)), ends=False)

    # 6: UTF-8
    for n, (data, title) in enumerate(UTF8, 1):
        add(f"6.{n}.1", f"{title} in one frame", f(TEXT, data))
        add(f"6.{n}.2", f"{title}, a fragment for each byte",
            b"".join(parts(*[bytes([x]) for x in data])) if len(data) > 1 else f(TEXT, data))
        add(f"6.{n}.3", f"{title}, byte by byte", Chopped(f(TEXT, data), 1))
    add("6.90", "broken text in the first of two fragments, the second never sent", f(TEXT, b"\xce\xba\xff", fin=False), 0)
    add("6.91", "broken text as binary", f(BINARY, b"\xff\xfe\xfd"), 1)

    # 7: closing
    add("7.1.1", "text, then close", f(TEXT, "last"), 1)
    add("7.1.2", "close twice", f(CLOSE, closing(1000)) + f(CLOSE, closing(1000)), ends=False)
    add("7.1.3", "close, then ping", f(CLOSE, closing(1000)) + f(PING, "late"), ends=False)
    add("7.1.4", "close, then text", f(CLOSE, closing(1000)) + f(TEXT, "late"), ends=False)
    add("7.1.5", "close in the middle of fragments", f(TEXT, "one", fin=False) + f(CLOSE, closing(1000)) + f(CONTINUATION, "two"), ends=False)
    add("7.1.6", "256 KiB of text, then close", f(TEXT, b"*" * (256 << 10)) + f(CLOSE, closing(1000)), ends=False)
    for n, (title, data) in enumerate((
            ("without payload", b""), ("of one byte", b"\x03"), ("with a code alone", closing(1000)), ("with a reason", closing(1000, "done")),
            ("of 125 bytes", closing(1000, "*" * 123)), ("of 126 bytes", closing(1000, "*" * 124)),
            ("with a broken reason", closing(1000, b"\xce\xba\xff")), ("with a reason in Greek", closing(1000, "κόσμε"))), 1):
        add(f"7.3.{n}", f"close {title}", f(CLOSE, data), ends=False)
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999):
        add(f"7.7.{code}", f"close with code {code}", f(CLOSE, closing(code, "why")), ends=False)
    for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        add(f"7.9.{code}", f"close with code {code}, which no peer may send", f(CLOSE, closing(code, "why")), ends=False)
    add("7.13.1", "the connection ended without a close frame", f(TEXT, "bye"), 1, ends=None)
    add("7.13.2", "the connection ended inside a frame", f(TEXT, "whole"), 1, f(TEXT, "not all")[:5], ends=None)

    # 9: limits
    for kind, (opcode, name) in enumerate(((TEXT, "text"), (BINARY, "binary")), 1):
        for n, size in enumerate((64, 256, 1024, 4096), 1):
            add(f"9.{kind}.{n}", f"{name} of {size} KiB", f(opcode, b"*" * (size << 10)), 1)
        whole = b"*" * (1 << 20)
        for n, size in enumerate((1024, 4096, 65536, 1 << 20), 1):
            pieces = [whole[i:i + size] for i in range(0, len(whole), size)]
            add(f"9.{kind + 2}.{n}", f"{name} of 1 MiB in frames of {size}", b"".join(parts(*pieces, opcode=opcode)), 1)
        for n, size in enumerate((512, 2048, 8192), 1):
            add(f"9.{kind + 4}.{n}", f"{name} of 256 KiB in pieces of {size}", Chopped(f(opcode, whole[:256 << 10]), size), 1)
        for n, size in enumerate((0, 16, 1024, 65536), 1):
            count = 500 if size < 65536 else 50
            add(f"9.{kind + 6}.{n}", f"{count} {name}s of {size} bytes", b"".join(f(opcode, b"*" * size) for _ in range(count)), count)
    # The peer judges by the length. Were it to end a connection on which bytes are still coming, TCP could lose its words.
    add("9.9", "the beginning of a message over the peer's limit", f(BINARY, bytes(9 << 20))[:1000])

    # 10: the rest
    add("10.1.1", "64 KiB of text in frames of 1300 bytes", b"".join(parts(*[b"*" * 1300] * 50)), 1)

    # 12, 13: compression
    for group, offer in ((12, DEFLATE), (13, DEFLATE + "; client_no_context_takeover; server_no_context_takeover"),
                         (14, DEFLATE + "; server_max_window_bits=9; client_max_window_bits=9")):
        # A window of 256 bytes is not to be had from zlib; 512 is the least that can be asked for.
        shrink = lambda data, g=group: squeeze(data, -9 if g == 14 else -15)
        for n, size in enumerate((0, 16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072), 1):
            data = (b'{"name": "value %d", "list": [1, 2, 3]}' % size * (size // 36 + 1))[:size]
            add(f"{group}.{n}", f"compressed text of {size} bytes, offered {offer}", f(TEXT, shrink(data), reserved=4), 1, offer=offer)
        data = shrink(b"fragments of one compressed message " * 50)
        add(f"{group}.20", "a compressed message in fragments", f(TEXT, data[:10], fin=False, reserved=4) + f(PING, "in between")
            + f(CONTINUATION, data[10:]), 2, offer=offer)
        add(f"{group}.21", "a plain message where compression was agreed", f(TEXT, "plain"), 1, offer=offer)
        add(f"{group}.22", "compressed bytes that are none", f(BINARY, b"\xff\xff\xff\xff\xff", reserved=4), offer=offer)
        add(f"{group}.23", "the bit of compression on a continuation", f(TEXT, data[:10], fin=False, reserved=4)
            + f(CONTINUATION, data[10:], reserved=4), offer=offer)
        add(f"{group}.24", "the bit of compression on a ping", f(PING, data[:20], reserved=4), offer=offer)
        add(f"{group}.25", "a bomb of 20 MB in 20 KB", f(BINARY, shrink(bytes(20 << 20)), reserved=4), offer=offer)
        add(f"{group}.26", "compressed text that is no UTF-8", f(TEXT, shrink(b"\xce\xba\xff"), reserved=4), offer=offer)
    for n, offer in enumerate(("x-unknown", DEFLATE + "; unknown=1", DEFLATE + "; server_max_window_bits=7", "x-unknown, " + DEFLATE,
                               DEFLATE + "; client_max_window_bits", DEFLATE + "; server_no_context_takeover=1"), 1):
        add(f"15.{n}", f"an offer of {offer}", f(TEXT, "plain"), offer=offer)
    return made


def _utf8():
    """Bytes of text, good and broken, each with its name."""
    edges = (0x00, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFD, 0xFFFE, 0xFFFF, 0x10000, 0x1FFFF, 0x10FFFF)
    table = [("κόσμε".encode(), "Greek"), ("Hello-µ@ßöäüàá-UTF-8!!".encode(), "Latin with accents"), ("日本語😀".encode(), "Japanese and a face")]
    table += [(chr(c).encode(), f"U+{c:04X}") for c in edges]
    for c in (0xD800, 0xDBFF, 0xDC00, 0xDFFF):
        table.append((chr(c).encode("utf-8", "surrogatepass"), f"the surrogate U+{c:04X}"))
    table.append(("😀".encode("utf-16-be"), "a face in UTF-16"))
    table += [(b"\xf4\x90\x80\x80", "beyond U+10FFFF"), (b"\xf8\x88\x80\x80\x80", "five bytes"), (b"\xfc\x84\x80\x80\x80\x80", "six bytes"),
              (b"\xc0\xaf", "a slash in two bytes"), (b"\xe0\x80\xaf", "a slash in three bytes"), (b"\xf0\x80\x80\xaf", "a slash in four bytes"),
              (b"\xc1\xbf", "U+7F in two bytes"), (b"\xe0\x9f\xbf", "U+7FF in three bytes"), (b"\xf0\x8f\xbf\xbf", "U+FFFF in four bytes"),
              (b"\xc0\x80", "NUL in two bytes"), (b"\x80", "a lone second byte"), (b"\xbf\x80\xbf", "lone second bytes"),
              (b"\xc3", "a first byte of two alone"), (b"\xe2\x82", "two bytes of three"), (b"\xf0\x9f\x98", "three bytes of four"),
              (b"\xc3\x28", "a first byte and a letter"), (b"\xe2\x28\xa1", "a letter in the middle"), (b"\xfe", "FE"), (b"\xff", "FF"),
              ("κόσμε".encode() + b"\xed\xa0\x80" + b"edited", "broken in the middle"), (b"good then \xff bad", "broken late")]
    return table


UTF8 = _utf8()
