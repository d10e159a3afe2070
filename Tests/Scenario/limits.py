"""Limits and timeouts: each with its status, and what becomes of the connection."""

import socket
import threading
import time

from gateway import Gateway, eventually, kong, service
from http1 import WithGateway
from wire import Client, Origin, read_body, reply, wait


class Sizes(WithGateway):
    flags = ("--request-line-limit", "1k", "--request-head-limit", "4k", "--header-count-limit", "20",
             "--response-head-limit", "4k", "--request-body-limit", "100k", "--keep-alive-requests", "5")

    def test_a_long_request_line_is_414_and_one_below_the_limit_passes(self):
        self.assertEqual(self.ask("/" + "a" * 2000).status, 414)
        self.assertEqual(self.ask("/" + "a" * 900).status, 200)

    def test_too_large_or_too_many_headers_are_431_and_close(self):
        for headers in ([("X-A", "b" * 5000)], [(f"X-{n}", "v") for n in range(25)]):
            client = self.client()
            self.assertEqual(client.ask("/", headers=headers).status, 431)
            self.assertTrue(client.ended())
        self.assertEqual(self.ask("/", headers=[("X-A", "b" * 1100)]).status, 431)
        self.assertEqual(self.ask("/", headers=[(f"X-{n}", "b" * 900) for n in range(4)]).status, 200)
        self.assertEqual(self.ask("/", headers=[(f"X-{n}", "b" * 900) for n in range(5)]).status, 431)
        self.assertEqual(self.ask("/", headers=[(f"X-{n}", "v") for n in range(19)]).status, 200)

    def test_a_response_head_over_the_limit_is_a_bad_gateway(self):
        self.origin.on("/big", lambda s, h: reply(200, "x", [("X-Big", "b" * 6000)]))
        self.origin.on("/ok", lambda s, h: reply(200, "x", [("X-Big", "b" * 3500)]))
        self.assertEqual((self.ask("/big").status, self.ask("/ok").status), (502, 200))

    def test_a_body_over_the_limit_is_413_announced_or_not(self):
        client = self.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 102401\r\n\r\n")
        self.assertEqual(client.response().status, 413)
        self.assertTrue(client.ended())
        for path in ("/", "/stream"):
            client = self.client()
            self.origin.on(path, lambda s, h: (read_body(s, h), reply())[1])
            client.send(f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
                        + (b"1000\r\n" + bytes(4096) + b"\r\n") * 30)
            self.assertEqual(client.response().status, 413, path)
        self.assertEqual(self.ask("/", "POST", body=bytes(102_400)).status, 200)

    def test_the_last_request_of_a_connection_says_so(self):
        client = self.client()
        said = [client.ask("/").tokens("Connection") for _ in range(5)]
        self.assertEqual(said, [["keep-alive"]] * 4 + [["close"]])
        self.assertTrue(client.ended())


class Times(WithGateway):
    flags = ("--head-timeout", "300ms", "--body-timeout", "300ms", "--idle-timeout", "300ms")
    fields = {"connect_timeout": 300, "read_timeout": 300, "write_timeout": 300, "retries": 0}

    def took(self, began, least=0.2, most=2.0):
        self.assertTrue(least <= time.monotonic() - began <= most, f"{time.monotonic() - began:.2f} s")

    def test_a_head_that_does_not_end_is_408(self):
        client, began = self.client(), time.monotonic()
        client.send(b"GET / HTTP/1.1\r\nHost:")
        self.assertEqual(client.response().status, 408)
        self.assertTrue(client.ended())
        self.took(began)

    def test_a_head_that_drips_is_408_all_the_same(self):
        client, began = self.client(), time.monotonic()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        while client.quiet(0.05) and time.monotonic() - began < 3:
            client.send(b"a")
        self.assertEqual(client.response().status, 408)
        self.took(began)

    def test_a_body_that_stops_is_408(self):
        for path in ("/", "/stream"):
            client, began = self.client(), time.monotonic()
            self.origin.on(path, lambda s, h: (read_body(s, h), reply())[1])
            client.send(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
            self.assertEqual(client.response().status, 408, path)
            self.assertTrue(client.ended())
            self.took(began)

    def test_a_slow_body_that_goes_on_is_served(self):
        client = self.client()
        self.origin.on("/stream", lambda s, h: (read_body(s, h), reply(200, h.body))[1])
        client.send("POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n")
        for n in range(8):
            client.send(b"%d" % n)
            time.sleep(0.1)
        self.assertEqual(client.response().body, b"01234567")

    def test_an_idle_connection_is_closed_without_a_word(self):
        client, began = self.client(), time.monotonic()
        self.assertEqual(client.ask("/").status, 200)
        self.assertTrue(client.ended())
        self.took(began)
        client, began = self.client(), time.monotonic()
        self.assertTrue(client.ended())
        self.took(began)

    def test_an_upstream_that_does_not_answer_is_504(self):
        self.origin.on("/silent", lambda s, h: s.ended(5) and False)
        began = time.monotonic()
        self.assertEqual(self.ask("/silent").status, 504)
        self.took(began)
        eventually("the upstream connection to end", lambda: not self.origin.open)

    def test_an_upstream_that_stops_in_its_body_ends_the_connection(self):
        self.origin.on("/stops", lambda s, h: s.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc") or s.ended(5) and False)
        client, began = self.client(), time.monotonic()
        client.send("GET /stops HTTP/1.1\r\nHost: a\r\n\r\n")
        client.until(b"\r\n\r\nabc")
        self.assertTrue(client.ended())
        self.took(began)

    def test_a_slow_upstream_that_goes_on_is_served(self):
        def script(stream, head):
            stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
            for n in range(8):
                time.sleep(0.1)
                stream.send(b"%d" % n)

        self.origin.on("/slow", script)
        self.assertEqual(self.ask("/slow").body, b"01234567")

    def test_an_upstream_that_does_not_read_is_504(self):
        def script(stream, head):
            stop.wait(5)
            return False

        stop = threading.Event()
        self.addCleanup(stop.set)
        self.origin.on("/stream", script)
        client, began = self.client(), time.monotonic()

        def push():
            try:
                client.send(b"POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n" + bytes(100_000_000))
            except OSError:
                pass

        threading.Thread(target=push, daemon=True).start()
        self.assertEqual(client.response().status, 504)
        self.took(began, most=4)

    def test_a_client_that_does_not_read_is_let_go(self):
        gone = threading.Event()

        def script(stream, head):
            try:
                stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + bytes(100_000_000))
            except OSError:
                gone.set()
            return False

        self.origin.on("/large", script)
        client = self.client(receive_buffer=4096)
        client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(gone.wait(5), "the upstream was kept for a client that does not read")

    def test_a_client_that_reads_slowly_but_does_is_served(self):
        size = 4_000_000
        self.origin.on("/large", lambda s, h: reply(200, bytes(size)))
        client = self.client(receive_buffer=65536)
        client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        client.until(b"\r\n\r\n")
        left, began = size - len(client.buffer), time.monotonic()
        while left and time.monotonic() - began < 8:
            data = client.socket.recv(40_000)
            self.assertTrue(data, f"cut off with {left} bytes to go after {time.monotonic() - began:.1f} s")
            left -= len(data)
            time.sleep(0.012)
        self.assertEqual(left, 0)

    def test_an_idle_tunnel_is_closed(self):
        self.origin.on("/ws", lambda s, h: s.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n") or s.rest() and False)
        client = self.client()
        client.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        self.assertEqual(client.response().status, 101)
        began = time.monotonic()
        for _ in range(4):
            client.send(b"x")
            time.sleep(0.1)
        self.assertTrue(client.ended())
        self.took(began, least=0.5)


class Unreachable(WithGateway):
    @classmethod
    def config(cls):
        # A listener whose queue is full: the kernel drops the handshake, so connecting takes for ever.
        cls.full = socket.socket()
        cls.full.bind(("127.0.0.1", 0))
        cls.full.listen(0)
        cls.queued = []
        for _ in range(3):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(cls.full.getsockname())
            cls.queued.append(sock)
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            nobody = closed.getsockname()[1]
        return kong([
            service("full", f"http://127.0.0.1:{cls.full.getsockname()[1]}", connect_timeout=250, retries=0),
            service("nobody", f"http://127.0.0.1:{nobody}", retries=2),
        ])

    def test_connecting_for_too_long_is_504(self):
        began = time.monotonic()
        self.assertEqual(self.ask("/full").status, 504)
        self.assertLess(time.monotonic() - began, 2)

    def test_nobody_listening_is_502(self):
        answer = self.ask("/nobody")
        self.assertEqual((answer.status, answer.get("X-Kong-Upstream-Latency")), (502, None))

    def test_over_the_connection_limit_a_client_is_refused_and_others_go_on(self):
        with Gateway(self.config(), "--connection-limit", "10") as gateway:
            clients = [Client(gateway.port) for _ in range(10)]
            for client in clients:
                self.assertEqual(client.ask("/x").status, 404)
            extra = Client(gateway.port)
            self.assertTrue(extra.ended())
            for client in clients:
                self.assertEqual(client.ask("/x").status, 404)
            clients.pop().close()
            self.assertTrue(wait(lambda: self.served(gateway)))

    @staticmethod
    def served(gateway):
        try:
            with Client(gateway.port) as client:
                return client.ask("/x").status == 404
        except (OSError, Exception):  # Refused: the place is not free yet.
            return False
