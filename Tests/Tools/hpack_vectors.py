#!/usr/bin/env python3
"""Writes Tests/HTTP/Golden/hpack.txt: header blocks encoded by the `hpack` package, and the fields they stand for.

    python3 -m venv .venv && .venv/bin/pip install hpack==4.2.0
    .venv/bin/python Tests/Tools/hpack_vectors.py > Tests/HTTP/Golden/hpack.txt

The same version of the package writes the same file. A line `connection` starts with an empty table; `block` has
the block in hexadecimal; the lines after it are its fields, `name value`, with a `!` before those that are never
to be indexed. Bytes other than visible ASCII and `%` itself are written %XX.
"""
import random

from hpack import Decoder, Encoder
from hpack.struct import HeaderTuple, NeverIndexedHeaderTuple

CONNECTIONS = 20
BLOCKS = 15

AGENTS = ["curl/8.5.0", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36", "grpc-go/1.64"]
NAMES = ["accept", "accept-language", "cache-control", "content-type", "date", "etag", "referer", "x-request-id",
         "x-tenant", "traceparent", "if-none-match", "origin", "priority", "sec-fetch-mode", "vary", "x"]
VALUES = ["", "*/*", "en-GB,en;q=0.9", "no-cache", "application/json", "Mon, 23 Nov 2026 10:00:00 GMT", "W/\"5f-1\"",
          "https://shop.example.com/cart?id=7", "7f9c24e8b1", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
          "u=1, i", "gzip, deflate", "{}<>|~^`\\\"'#$%&@!"]


def escape(text: bytes) -> str:
    return "".join(chr(b) if 0x21 <= b <= 0x7E and b != 0x25 else f"%{b:02X}" for b in text)


def value(rng: random.Random) -> bytes:
    kind = rng.random()
    if kind < 0.75:
        return rng.choice(VALUES).encode()
    if kind < 0.9:
        return "".join(rng.choice("0123456789abcdef-") for _ in range(rng.randrange(40))).encode()
    # Every symbol of the code gets its turn.
    return bytes(rng.randrange(256) for _ in range(rng.randrange(1, 30)))


def request(rng: random.Random, number: int) -> list:
    fields = [(b":method", rng.choice([b"GET", b"GET", b"POST", b"PUT"])), (b":scheme", b"https"),
              (b":authority", b"api.example.com"), (b":path", f"/v1/items/{number % 4}?page={rng.randrange(5)}".encode()),
              (b"user-agent", rng.choice(AGENTS[:1 + number % 3]).encode())]
    for _ in range(rng.randrange(5)):
        fields.append((rng.choice(NAMES).encode(), value(rng)))
    return fields


def response(rng: random.Random, _: int) -> list:
    fields = [(b":status", rng.choice([b"200", b"200", b"302", b"404", b"503"])), (b"server", b"origin")]
    for _ in range(rng.randrange(5)):
        fields.append((rng.choice(NAMES).encode(), value(rng)))
    return fields


def main() -> None:
    for number in range(CONNECTIONS):
        rng = random.Random(number)
        encoder, decoder = Encoder(), Decoder()
        print("connection")
        for place in range(BLOCKS):
            if rng.random() < 0.1:
                encoder.header_table_size = rng.choice([0, 100, 256, 1000, 4096])
            fields = []
            for name, text in (request if number % 2 else response)(rng, place):
                kind = NeverIndexedHeaderTuple if rng.random() < 0.08 else HeaderTuple
                fields.append(kind(name, text))
            block = encoder.encode(fields, huffman=number % 4 < 3)
            print("block", block.hex())
            # The mark is lost where the package found the whole field in the table.
            decoded = decoder.decode(block, raw=True)
            assert [tuple(f) for f in decoded] == [tuple(f) for f in fields]
            for field in decoded:
                print(("" if field.indexable else "!") + escape(field[0]), escape(field[1]))


main()
