"""Random requests in random pieces to an upstream that answers in random ways: every answer is the right one."""

import hashlib
import os
import random
import threading
import time
import unittest

from gateway import Gateway, kong, service
from wire import Client, Origin, read_body

SIZES = [0, 1, 2, 100, 1000, 4095, 4096, 8191, 16_383, 16_384, 16_385, 40_000, 65_536, 150_000, 262_144, 300_000]


def pattern(seed, size) -> bytes:
    """Bytes that only this seed gives."""
    block = hashlib.sha512(str(seed).encode()).digest()
    return (block * (size // len(block) + 1))[:size]


def chunks(chance, body) -> bytes:
    out, at = b"", 0
    while at < len(body):
        n = chance.choice([1, 7, 100, 4096, 16_384, 70_000])
        piece = body[at:at + n]
        at += n
        out += b"%x%s\r\n%s\r\n" % (len(piece), chance.choice([b"", b";a", b';q="x y"']), piece)
    return out + b"0\r\n\r\n"


class Chaos(unittest.TestCase):
    CLIENTS, ROUNDS = 4, int(os.environ.get("ROUNDS", 100))

    @classmethod
    def setUpClass(cls):
        cls.origin = Origin()
        route = {"name": "all", "paths": ["/"], "strip_path": False}
        stream = {"name": "stream", "paths": ["/stream"], "strip_path": False, "request_buffering": False, "response_buffering": False}
        cls.gateway = Gateway(kong([service("origin", cls.origin.url, [route, stream], retries=0)]), workers=2)

    @classmethod
    def tearDownClass(cls):
        cls.gateway.stop()
        cls.origin.close()

    def answer(self, stream, head):
        """Answers as the request's number says, after reading its body (or, for some, in the middle of it)."""
        number = int(head.target.rsplit("/", 1)[1])
        chance = random.Random(number * 7919 + 1)
        read_body(stream, head)
        digest = hashlib.sha1(head.body).hexdigest()
        size, kind = chance.choice(SIZES), chance.choice(["length", "length", "chunked", "close", "empty"])
        body = pattern(number, size)
        fields = f"X-Digest: {digest}\r\nX-Number: {number}\r\n"
        if kind == "empty":
            out = f"HTTP/1.1 204 No Content\r\n{fields}\r\n".encode()
        elif kind == "length":
            out = f"HTTP/1.1 200 OK\r\n{fields}Content-Length: {size}\r\n\r\n".encode()
        elif kind == "chunked":
            out = f"HTTP/1.1 200 OK\r\n{fields}Transfer-Encoding: chunked\r\n\r\n".encode()
        else:
            out = f"HTTP/1.1 200 OK\r\n{fields}Connection: close\r\n\r\n".encode()
        if chance.random() < 0.1:
            out = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + out
        if head.method != "HEAD" and kind != "empty":
            out += chunks(chance, body) if kind == "chunked" else body
        self.pieces(chance, out, stream.send)
        return False if kind == "close" else None

    @staticmethod
    def pieces(chance, data, send):
        if chance.random() < 0.4:
            return send(data)
        at = 0
        while at < len(data):
            n = chance.choice([1, 3, 50, 1460, 10_000, 100_000]) if at < 2000 else chance.choice([5000, 50_000, 200_000])
            send(data[at:at + n])
            at += n
            if chance.random() < 0.05:
                time.sleep(0.001)

    def request(self, chance, number):
        method = chance.choice(["GET", "GET", "HEAD", "POST", "PUT"])
        body = pattern(-number, chance.choice(SIZES)) if method in ("POST", "PUT") else b""
        path = f"{chance.choice(['/stream', '/buffered'])}/{number}"
        out = f"{method} {path} HTTP/1.1\r\nHost: a\r\n".encode()
        if method in ("POST", "PUT"):
            if chance.random() < 0.5:
                out += b"Content-Length: %d\r\n\r\n" % len(body) + body
            else:
                out += b"Transfer-Encoding: chunked\r\n\r\n" + chunks(chance, body)
        else:
            out += b"\r\n"
        return method, body, out

    def converse(self, seed, name, wrong):
        chance = random.Random(f"{seed}-{name}")
        number = (name + 1) * 1_000_000
        try:
            for _ in range(self.ROUNDS):
                row = []
                for _ in range(chance.randint(1, 8)):
                    number += 1
                    row.append((number, *self.request(chance, number)))
                client = Client(self.gateway.port, receive_buffer=chance.choice([None, 4096, 65536]))
                data = b"".join(r[3] for r in row)
                sender = threading.Thread(target=self.push, args=(random.Random(number), client, data), daemon=True)
                sender.start()
                for n, method, body, _ in row:
                    self.check(client.response(method), n, method, body)
                sender.join(10)
                client.close()
        except Exception as problem:  # Told by the main thread, with the seed.
            wrong.append(f"client {name} at request {number} (of this connection: {[r[0] for r in row]}): {problem!r}")

    def push(self, chance, client, data):
        try:
            self.pieces(chance, data, client.send)
        except OSError:
            pass  # The answers tell.

    def check(self, answer, number, method, body):
        chance = random.Random(number * 7919 + 1)
        size, kind = chance.choice(SIZES), chance.choice(["length", "length", "chunked", "close", "empty"])
        self.assertEqual(answer.get("X-Number"), str(number))
        self.assertEqual(answer.status, 204 if kind == "empty" else 200)
        self.assertEqual(answer.get("X-Digest"), hashlib.sha1(body).hexdigest())
        want = b"" if method == "HEAD" or kind == "empty" else pattern(number, size)
        self.assertTrue(answer.body == want, f"{kind}: {len(answer.body)} bytes instead of {len(want)}")

    def test_every_answer_belongs_to_its_request(self):
        seed = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
        print(f"  chaos: SEED={seed}")
        self.origin.scripts = Anything(self.answer)
        wrong = []
        threads = [threading.Thread(target=self.converse, args=(seed, n, wrong)) for n in range(self.CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(wrong, [], f"SEED={seed}")
        self.assertEqual(len(self.gateway.proxies()), 1)


class Anything(dict):
    """One script for all paths."""

    def __init__(self, script):
        super().__init__()
        self.script = script

    def get(self, _path, _default=None):
        return self.script
