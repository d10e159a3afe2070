"""HTTP/1.1 on both sides: connections, framing, streaming, interim responses, tunnels."""

import base64
import hashlib
import os
import socket
import struct
import threading
import time
import unittest

from gateway import Gateway, eventually, kong, service
from wire import Client, Ended, Origin, Stream, ask, read_body, reply, wait


class WithGateway(unittest.TestCase):
    """One gateway and one origin for a class's tests."""

    flags = ()
    fields = {}

    @classmethod
    def setUpClass(cls):
        cls.origin = Origin()
        cls.gateway = Gateway(cls.config(), *cls.flags)

    @classmethod
    def tearDownClass(cls):
        cls.gateway.stop()
        cls.origin.close()

    @classmethod
    def config(cls):
        route = {"name": "all", "paths": ["/"], "strip_path": False}
        stream = {"name": "stream", "paths": ["/stream"], "strip_path": False, "request_buffering": False,
                  "response_buffering": False}
        return kong([service("origin", cls.origin.url, [route, stream], **cls.fields)])

    def setUp(self):
        self.origin.scripts.clear()
        self.origin.hang_up()
        self.origin.clear()
        eventually("the origin's connections to end", lambda: not self.origin.open)
        self.origin.clear()

    def client(self, **more):
        client = Client(self.gateway.port, **more)
        self.addCleanup(client.close)
        return client

    def ask(self, *words, **more):
        return ask(self.gateway.port, *words, **more)


class Connections(WithGateway):
    def test_a_connection_serves_many_requests_and_so_does_the_one_upstream(self):
        client = self.client()
        for n in range(50):
            answer = client.ask(f"/{n}")
            self.assertEqual((answer.status, answer.body), (200, b"origin"))
            self.assertEqual(answer.tokens("Connection"), ["keep-alive"])
        self.assertEqual(self.origin.connections, 1)

    def test_connection_close_is_honoured_and_not_forwarded(self):
        client = self.client()
        answer = client.ask("/", headers=[("Connection", "close")])
        self.assertEqual(answer.tokens("Connection"), ["close"])
        self.assertTrue(client.ended())
        self.assertNotIn("close", self.origin.seen()[0].tokens("Connection"))

    def test_pipelined_requests_in_one_packet_are_answered_in_order(self):
        for path in ("/slow", "/fast"):
            self.origin.on(path, lambda s, h: reply(200, h.target))
        self.origin.on("/slow", lambda s, h: (time.sleep(0.02), reply(200, h.target))[1])
        client = self.client()
        targets = [f"/{'slow' if n % 10 == 0 else 'fast'}?{n}" for n in range(200)]
        client.send("".join(f"GET {t} HTTP/1.1\r\nHost: a\r\n\r\n" for t in targets))
        self.assertEqual([client.response().body.decode() for _ in targets], targets)

    def test_pipelined_requests_with_bodies_keep_their_bodies(self):
        self.origin.on("/echo", lambda s, h: (read_body(s, h), reply(200, h.body))[1])
        client = self.client()
        out, want = b"", []
        for n in range(60):
            body = os.urandom(n * 37 % 501)
            want.append(body)
            if n % 2:
                out += b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            else:
                half = len(body) // 2
                out += b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                out += b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in (body[:half], body[half:]) if c) + b"0\r\n\r\n"
        client.send(out)
        self.assertEqual([client.response().body for _ in want], want)

    def test_a_head_that_arrives_byte_by_byte_is_served(self):
        client = self.client()
        for byte in b"GET /bytes HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\r\n":
            client.send(bytes([byte]))
        self.assertEqual(client.response().status, 200)

    def test_pipelined_requests_split_at_every_place_are_served(self):
        text = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\nHost: a\r\n\r\n"
        for cut in range(1, len(text)):
            client = Client(self.gateway.port)
            client.send(text[:cut])
            if cut % 8 == 0:
                time.sleep(0.001)
            client.send(text[cut:])
            self.assertEqual([client.response().status for _ in range(3)], [200] * 3, f"cut at {cut}")
            client.close()

    def test_http_1_0_ends_after_the_answer_unless_it_asks_to_stay(self):
        client = self.client()
        answer = client.ask("/", version="1.0")
        self.assertEqual((answer.status, answer.body), (200, b"origin"))
        self.assertTrue(client.ended())
        client = self.client()
        for _ in range(3):
            answer = client.ask("/", version="1.0", headers=[("Connection", "keep-alive")])
            self.assertEqual((answer.status, answer.tokens("Connection")), (200, ["keep-alive"]))
        self.assertTrue(all(b"HTTP/1.1" in m.start for m in self.origin.seen()))

    def test_http_1_0_never_sees_chunks(self):
        self.origin.on("/chunks", lambda s, h: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
        client = self.client()
        answer = client.ask("/chunks", version="1.0", headers=[("Connection", "keep-alive")])
        self.assertEqual(answer.tokens("Transfer-Encoding"), [])
        self.assertEqual(answer.body, b"abcdefg")

    def test_a_client_that_finished_sending_gets_its_answer(self):
        self.origin.on("/slow", lambda s, h: (time.sleep(0.1), reply(200, b"late"))[1])
        client = self.client()
        client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        client.finish()
        self.assertEqual(client.response().body, b"late")
        self.assertTrue(client.ended())

    def test_a_client_that_finished_sending_gets_a_large_answer_whole(self):
        body = os.urandom(3_000_000)
        self.origin.on("/large", lambda s, h: reply(200, body))
        client = self.client(receive_buffer=4096)
        client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        client.finish()
        time.sleep(0.1)
        answer = client.response()
        self.assertEqual(hashlib.sha1(answer.body).digest(), hashlib.sha1(body).digest())
        self.assertTrue(client.ended())

    def test_all_pipelined_requests_before_a_half_close_are_answered(self):
        body = b"x" * 100_000
        self.origin.on("/large", lambda s, h: reply(200, body))
        client = self.client(receive_buffer=4096)
        client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n" * 20)
        client.finish()
        time.sleep(0.1)
        for _ in range(20):
            self.assertEqual(len(client.response().body), len(body))
        self.assertTrue(client.ended())

    def test_who_pipelines_without_reading_is_held_back(self):
        self.origin.on("/echo", lambda s, h: reply(200, bytes(10_000)))
        unrouted = Gateway(kong(), "--keep-alive-requests", "0")
        self.addCleanup(unrouted.stop)
        for gateway, path in ((self.gateway, "/echo"), (unrouted, "/" * 4000)):
            before = gateway.resident()
            client = Client(gateway.port, receive_buffer=4096)
            self.addCleanup(client.close)
            client.socket.settimeout(0.5)
            request, sent = f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode() * 100, 0
            with self.assertRaises(TimeoutError):
                while sent < 200 << 20:
                    sent += client.socket.send(request)
            self.assertLess(gateway.resident() - before, 4 << 20)

    def test_a_reset_client_ends_the_upstream_request(self):
        gone = threading.Event()

        def script(stream, head):
            if stream.ended(5):
                gone.set()
            return False

        self.origin.on("/work", script)
        client = self.client()
        client.send("GET /work HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(wait(lambda: self.origin.seen("/work")))
        client.reset()
        self.assertTrue(gone.wait(2), "the upstream was left working for nobody")

    def test_a_client_that_leaves_in_the_middle_of_its_body_ends_the_upstream_request(self):
        gone = threading.Event()

        def script(stream, head):
            try:
                read_body(stream, head)
            except (Ended, OSError):
                gone.set()
            return False

        self.origin.on("/stream/up", script)
        client = self.client()
        client.send(b"POST /stream/up HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
        self.assertTrue(wait(lambda: self.origin.seen("/stream/up")))
        client.close()
        self.assertTrue(gone.wait(2))

    def test_a_client_that_leaves_in_the_middle_of_a_response_ends_the_upstream_request(self):
        gone = threading.Event()

        def script(stream, head):
            try:
                stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
                while True:
                    stream.send(bytes(65536))
            except OSError:
                gone.set()
            return False

        self.origin.on("/down", script)
        client = self.client()
        client.send("GET /down HTTP/1.1\r\nHost: a\r\n\r\n")
        client.exactly(100_000)
        client.close()
        self.assertTrue(gone.wait(2))


    def test_a_body_that_arrives_while_connecting_follows_its_head(self):
        # A full queue: the kernel takes the connection only when the handshake is tried again.
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(3):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
            fillers.append(sock)
        route = {"name": "all", "paths": ["/"], "request_buffering": False}
        gateway = Gateway(kong([service("late", f"http://127.0.0.1:{listener.getsockname()[1]}", [route])]))
        self.addCleanup(gateway.stop)
        with Client(gateway.port) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n")
            for _ in range(5):
                time.sleep(0.02)
                client.send(b"body")
            for sock in fillers:
                sock.close()
            got = []

            def serve():
                while not got:
                    with Stream(listener.accept()[0]) as stream:
                        try:
                            got.append(stream.request())
                            stream.send(reply())
                        except Ended:
                            pass  # One of the fillers.

            threading.Thread(target=serve, daemon=True).start()
            self.assertEqual(client.response().status, 200)
        listener.close()
        self.assertEqual((got[0].method, got[0].body), ("POST", b"body" * 5))


class Framing(WithGateway):
    def test_chunked_requests_are_decoded_at_every_boundary(self):
        self.origin.on("/stream/echo", lambda s, h: (read_body(s, h), reply(200, h.body))[1])
        text = b"POST /stream/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=\"y\"\r\nhello\r\n001\r\n \r\nB\r\nchunked all\r\n0\r\n\r\n"
        start = text.index(b"\r\n\r\n") + 2
        for cut in range(start, len(text)):
            client = Client(self.gateway.port)
            client.send(text[:cut])
            if cut % 4 == 0:
                time.sleep(0.001)
            client.send(text[cut:])
            self.assertEqual(client.response().body, b"hello chunked all", f"cut at {cut}")
            client.close()

    def test_chunked_responses_are_decoded_at_every_boundary(self):
        text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;a=b\r\n \r\nB\r\nchunked all\r\n0\r\nX-T: no\r\n\r\n"

        def script(stream, head):
            cut = int(head.target.split("?")[1])
            stream.send(text[:cut])
            time.sleep(0.0005)
            return text[cut:]

        self.origin.on("/cut", script)
        client = self.client()
        for cut in range(1, len(text)):
            answer = client.ask(f"/cut?{cut}")
            self.assertEqual((answer.status, answer.body, answer.trailers), (200, b"hello chunked all", []), f"cut at {cut}")
        self.assertEqual(self.origin.connections, 1)

    def test_chunk_sizes_up_to_the_buffers_edges_pass_both_ways(self):
        self.origin.on("/stream/echo", self.echo_chunked)
        for size in (1, 15, 16, 255, 4095, 4096, 8191, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537):
            body = os.urandom(size * 3)
            out = b"".join(b"%x\r\n%s\r\n" % (size, body[at:at + size]) for at in range(0, len(body), size))
            with Client(self.gateway.port) as client:
                client.send(b"PUT /stream/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + out + b"0\r\n\r\n")
                answer = client.response()
            self.assertTrue(answer.body == body, f"chunks of {size}")

    @staticmethod
    def echo_chunked(stream, head):
        read_body(stream, head)
        parts = [head.body[at:at + 7001] for at in range(0, len(head.body), 7001)]
        return (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n")

    def test_bodies_of_every_size_pass_both_ways_unchanged(self):
        self.origin.on("/echo", lambda s, h: (read_body(s, h), reply(200, h.body))[1])
        self.origin.on("/stream/echo", lambda s, h: (read_body(s, h), reply(200, h.body))[1])
        for path in ("/echo", "/stream/echo"):
            client = self.client()
            for size in (0, 1, 16_383, 16_384, 16_385, 65_536, 262_143, 262_144, 262_145, 1_000_000):
                body = os.urandom(size)
                answer = client.ask(path, "POST", body=body)
                self.assertTrue(answer.body == body, f"{path} with {size} bytes")
                self.assertEqual(self.origin.seen(path)[-1].get("Content-Length"), str(size))

    def test_trailers_cross_only_when_announced_or_asked_for(self):
        text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n%s\r\n1\r\na\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\nSet-Cookie: a=b\r\n\r\n"
        self.origin.on("/announced", lambda s, h: text % b"Trailer: X-Sum\r\n")
        self.origin.on("/silent", lambda s, h: text % b"")
        client = self.client()
        self.assertEqual(client.ask("/announced").trailers, [(b"X-Sum", b"1")])
        self.assertEqual(client.ask("/silent").trailers, [])
        self.assertEqual(client.ask("/silent", headers=[("TE", "trailers"), ("Connection", "TE")]).trailers, [(b"X-Sum", b"1")])

    def test_request_trailers_cross_only_when_announced(self):
        seen = []
        self.origin.on("/stream/t", lambda s, h: (read_body(s, h), seen.append(h.trailers), reply())[2])
        client = self.client()
        for announced in (b"Trailer: X-Sum\r\n", b""):
            client.send(b"POST /stream/t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + announced
                        + b"\r\n1\r\na\r\n0\r\nX-Sum: 1\r\nHost: evil\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n")
            self.assertEqual(client.response().status, 200)
        self.assertEqual(seen, [[(b"X-Sum", b"1")], []])

    def test_head_has_the_length_and_no_body(self):
        self.origin.on("/h", lambda s, h: b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")
        self.origin.on("/c", lambda s, h: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        client = self.client()
        for _ in range(2):
            answer = client.ask("/h", "HEAD")
            self.assertEqual((answer.status, answer.get("Content-Length")), (200, "1234"))
            self.assertEqual(client.ask("/c", "HEAD").status, 200)
        self.assertEqual(client.ask("/next").body, b"origin")
        self.assertEqual(self.origin.connections, 1)

    def test_head_of_our_own_errors_has_no_body(self):
        gateway = Gateway(kong())
        self.addCleanup(gateway.stop)
        client = Client(gateway.port)
        self.assertEqual(client.ask("/no", "HEAD").status, 404)
        self.assertEqual(client.ask("/no", "GET").status, 404)

    def test_204_and_304_have_no_body_and_the_connections_stay(self):
        self.origin.on("/204", lambda s, h: b"HTTP/1.1 204 No Content\r\n\r\n")
        self.origin.on("/304", lambda s, h: b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 10\r\n\r\n")
        client = self.client()
        for _ in range(3):
            answer = client.ask("/204")
            self.assertEqual((answer.status, answer.all("Content-Length"), answer.all("Transfer-Encoding")), (204, [], []))
            answer = client.ask("/304")
            self.assertEqual((answer.status, answer.get("ETag"), answer.get("Content-Length")), (304, '"x"', "10"))
        self.assertEqual(self.origin.connections, 1)

    def test_responses_that_end_with_the_connection_become_chunked_or_end_the_old_clients(self):
        self.origin.on("/until", lambda s, h: s.send(b"HTTP/1.1 200 OK\r\n\r\nall of it") or False)
        client = self.client()
        for _ in range(2):
            answer = client.ask("/until")
            self.assertEqual((answer.body, answer.tokens("Transfer-Encoding")), (b"all of it", ["chunked"]))
        client = self.client()
        answer = client.ask("/until", version="1.0", headers=[("Connection", "keep-alive")])
        self.assertEqual((answer.body, answer.tokens("Connection")), (b"all of it", ["close"]))

    def test_an_http_1_0_upstream_is_understood(self):
        self.origin.on("/old", lambda s, h: s.send(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold") or False)
        self.origin.on("/kept", lambda s, h: b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nkept")
        client = self.client()
        self.assertEqual([client.ask("/old").body for _ in range(3)], [b"old"] * 3)
        self.assertEqual(self.origin.connections, 3)
        self.assertEqual([client.ask("/kept").body for _ in range(3)], [b"kept"] * 3)
        self.assertEqual(self.origin.connections, 4)

    def test_an_upstream_that_closes_mid_body_is_not_taken_for_complete(self):
        self.origin.on("/short", lambda s, h: s.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this") or False)
        self.origin.on("/cut", lambda s, h: s.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n") or False)
        for path in ("/short", "/cut"):
            with Client(self.gateway.port) as client:
                with self.assertRaises((Ended, ConnectionError), msg=path):
                    client.ask(path)

    def test_hop_by_hop_fields_and_those_that_connection_names_stay_behind(self):
        self.origin.on("/hop", lambda s, h: reply(200, "x", [
            ("Connection", "X-Private, keep-alive"), ("X-Private", "1"), ("Keep-Alive", "timeout=9"), ("X-Public", "2"),
            ("Proxy-Authenticate", "Basic")]))
        answer = self.client().ask("/hop", headers=[
            ("Connection", "keep-alive, X-Secret"), ("X-Secret", "1"), ("Keep-Alive", "300"), ("Proxy-Connection", "a"),
            ("TE", "gzip, trailers"), ("X-Open", "2"), ("Proxy-Authorization", "Basic eA==")])
        head = self.origin.seen("/hop")[0]
        self.assertEqual([head.all(n) for n in ("X-Secret", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization")], [[]] * 4)
        self.assertEqual((head.all("X-Open"), head.all("TE")), (["2"], ["trailers"]))
        self.assertEqual([answer.all(n) for n in ("X-Private", "Keep-Alive", "Proxy-Authenticate")], [[]] * 3)
        self.assertEqual(answer.all("X-Public"), ["2"])


class Interim(WithGateway):
    def test_the_upstreams_100_reaches_a_client_that_waits_for_it(self):
        def script(stream, head):
            stream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            read_body(stream, head)
            return reply(200, head.body)

        self.origin.on("/stream/expect", script)
        client = self.client()
        client.send(b"POST /stream/expect HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        self.assertEqual(client.response(interim=True).status, 100)
        client.send(b"body")
        answer = client.response(interim=True)
        self.assertEqual((answer.status, answer.body), (200, b"body"))

    def test_the_gateway_says_100_itself_when_it_collects_the_body(self):
        self.origin.on("/expect", lambda s, h: (read_body(s, h), reply(200, h.body))[1])
        client = self.client()
        client.send(b"POST /expect HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        self.assertEqual(client.response(interim=True).status, 100)
        client.send(b"body")
        answer = client.response(interim=True)
        self.assertEqual((answer.status, answer.body), (200, b"body"))

    def test_an_unknown_expectation_is_refused(self):
        client = self.client()
        self.assertEqual(client.ask("/", headers=[("Expect", "the-unexpected")]).status, 417)
        self.assertEqual(self.origin.seen(), [])

    def test_a_request_that_is_answered_at_once_gets_no_100(self):
        gateway = Gateway(kong())
        self.addCleanup(gateway.stop)
        client = Client(gateway.port)
        client.send(b"POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        self.assertEqual(client.response(interim=True).status, 404)
        self.assertTrue(client.ended())

    def test_early_hints_pass_to_http_1_1_and_not_to_1_0(self):
        self.origin.on("/hints", lambda s, h: b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\n\r\n"
                       b"HTTP/1.1 102 Processing\r\n\r\n" + reply(200, "done"))
        client = self.client()
        client.send("GET /hints HTTP/1.1\r\nHost: a\r\n\r\n")
        first, second, last = (client.response(interim=True) for _ in range(3))
        self.assertEqual([first.status, second.status, last.status], [103, 102, 200])
        self.assertEqual((first.get("Link"), first.all("Connection")), ("</a>", []))
        client = self.client()
        client.send("GET /hints HTTP/1.0\r\nHost: a\r\n\r\n")
        self.assertEqual(client.response(interim=True).status, 200)

    def test_an_endless_row_of_interim_responses_is_a_bad_gateway(self):
        self.origin.on("/endless", lambda s, h: b"HTTP/1.1 103 Early Hints\r\n\r\n" * 50 + reply())
        client = self.client()
        client.send("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(client.response().status, 502)

    def test_an_early_answer_arrives_before_the_body_is_sent(self):
        self.origin.on("/stream/413", lambda s, h: s.send(reply(413, "too large", [("Connection", "close")])) or s.ended(5) and False)
        client = self.client()
        client.send(b"POST /stream/413 HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n" + bytes(1000))
        answer = client.response()
        self.assertEqual((answer.status, answer.body, answer.tokens("Connection")), (413, b"too large", ["close"]))

    def test_a_broken_body_after_the_answer_began_gets_no_second_answer(self):
        def script(stream, head):
            stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegun")
            stream.ended(5)
            return False

        self.origin.on("/stream/begun", script)
        client = self.client()
        client.send(b"POST /stream/begun HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        client.until(b"\r\n\r\nbegun")
        client.send(b"not a chunk size\r\n")
        try:
            self.assertEqual(client.rest(), b"")
        except ConnectionError:
            pass
        eventually("the upstream connection to end", lambda: not self.origin.open)

    def test_an_early_answer_is_seen_even_if_the_upstream_closes_with_bytes_unread(self):
        def script(stream, head):
            stream.send(reply(413, "too large", [("Connection", "close")]))
            return False

        self.origin.on("/stream/413", script)
        for _ in range(20):
            with Client(self.gateway.port) as client:
                try:
                    client.send(b"POST /stream/413 HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n" + bytes(3_000_000))
                except ConnectionError:
                    pass  # What counts is what can be read.
                self.assertEqual(client.response().status, 413)


class Streaming(WithGateway):
    LARGE = 200 * 1024 * 1024

    def test_unbuffered_bodies_pass_as_they_come(self):
        def script(stream, head):
            first = stream.exactly(3)
            stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n" + first)
            return stream.exactly(3)

        self.origin.on("/stream/now", script)
        client = self.client()
        client.send(b"POST /stream/now HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
        client.until(b"\r\n\r\n")
        self.assertEqual(client.exactly(3), b"abc")
        client.send(b"def")
        self.assertEqual(client.exactly(3), b"def")

    def test_buffered_requests_reach_the_upstream_whole(self):
        self.origin.on("/whole", lambda s, h: (read_body(s, h), reply(200, h.body))[1])
        client = self.client()
        client.send(b"POST /whole HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
        time.sleep(0.1)
        self.assertEqual(self.origin.seen("/whole"), [])
        client.send(b"def")
        self.assertEqual(client.response().body, b"abcdef")

    def test_server_sent_events_are_not_held_back(self):
        step = threading.Event()

        def script(stream, head):
            stream.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            for n in range(3):
                stream.send(b"9\r\ndata: %d\n\n\r\n" % n)
                step.wait(5)
                step.clear()
            return b"0\r\n\r\n"

        for path in ("/events", "/stream/events"):
            self.origin.on(path, script)
            client = self.client()
            client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
            client.until(b"\r\n\r\n")
            for n in range(3):
                client.until(b"data: %d\n\n\r\n" % n)
                step.set()
            client.until(b"0\r\n\r\n")

    def serve_large(self, stream, head):
        piece = bytes(1 << 20)
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % self.LARGE)
        for _ in range(self.LARGE >> 20):
            stream.send(piece)
            self.given += len(piece)

    def take_large(self, stream, head):
        left = int(head.get("Content-Length")) - len(stream.buffer)
        stream.buffer = b""
        self.go.wait(10)
        while left:
            data = stream.socket.recv(1 << 18)
            if not data:
                raise Ended(f"{left} missing")
            left -= len(data)
        return reply(200, "taken")

    def test_a_slow_reader_holds_the_upstream_back_and_memory_stays(self):
        for path in ("/large", "/stream/large"):
            self.origin.on(path, self.serve_large)
            self.given = 0
            before = self.gateway.resident()
            client = self.client(receive_buffer=65536)
            client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
            client.until(b"\r\n\r\n")
            self.settled(lambda: self.given)
            self.assertLess(self.given, self.LARGE // 2, "the upstream was not held back")
            self.assertLess(self.gateway.resident() - before, 4 << 20)
            left, peak = self.LARGE - len(client.buffer), 0
            while left:
                left -= len(client.socket.recv(1 << 20))
                if left % 64 == 0:
                    peak = max(peak, self.gateway.resident())
            self.assertLess(max(peak, self.gateway.resident()) - before, 4 << 20)

    def settled(self, value):
        """Waits until a number no longer grows."""
        last, since = value(), time.monotonic()
        while time.monotonic() - since < 0.25:
            time.sleep(0.01)
            if value() != last:
                last, since = value(), time.monotonic()
        return last

    def test_a_slow_upstream_holds_the_client_back_and_memory_stays(self):
        for path in ("/large", "/stream/large"):
            self.origin.on(path, self.take_large)
            self.go = threading.Event()
            before = self.gateway.resident()
            client = self.client()
            client.send(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {self.LARGE}\r\n\r\n")
            sent, piece = [0], bytes(1 << 20)

            def push():
                for _ in range(self.LARGE >> 20):
                    client.send(piece)
                    sent[0] += len(piece)

            pusher = threading.Thread(target=push, daemon=True)
            pusher.start()
            self.settled(lambda: sent[0])
            self.assertLess(sent[0], self.LARGE // 2, "the client was not held back")
            self.assertLess(self.gateway.resident() - before, 4 << 20)
            self.go.set()
            pusher.join(20)
            self.assertEqual(client.response().body, b"taken")
            self.assertLess(self.gateway.resident() - before, 4 << 20)

    def test_a_large_chunked_download_arrives_unchanged(self):
        digest = hashlib.sha1()

        def script(stream, head):
            stream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for n in range(300):
                piece = os.urandom(1 + n * 331 % 99_991)
                digest.update(piece)
                stream.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            return b"0\r\n\r\n"

        self.origin.on("/chunks", script)
        self.assertEqual(hashlib.sha1(self.ask("/chunks").body).digest(), digest.digest())


class Pooling(WithGateway):
    fields = {"retries": 2}

    def stale(self):
        """Leaves a pooled upstream connection behind that dies at its next request."""
        dead = []

        def once(stream, head):
            if stream.number == 1 and len([m for m in self.origin.seen() if m.connection == 1]) == 2:
                dead.append(head)
                return False
            read_body(stream, head)
            return reply(200, "fresh" if stream.number > 1 else "first")

        self.origin.on("/pool", once)
        self.assertEqual(self.ask("/pool").body, b"first")
        return dead

    def test_a_dead_pooled_connection_is_not_noticed_by_a_get(self):
        dead = self.stale()
        self.assertEqual((self.ask("/pool").body, len(dead)), (b"fresh", 1))

    def test_a_post_on_a_dead_pooled_connection_is_not_sent_twice(self):
        dead = self.stale()
        self.assertEqual((self.ask("/pool", "POST", body=b"x").status, len(dead)), (502, 1))
        self.assertEqual(len(self.origin.seen("/pool")), 2)

    def test_a_pooled_connection_that_the_upstream_closed_is_not_used(self):
        for method in ("GET", "POST") * 5:
            self.assertEqual(self.ask("/x", method, body=b"y").status, 200)
            self.origin.hang_up()
            eventually("the upstream connection to end", lambda: not self.origin.open)
            time.sleep(0.005)

    def test_an_upstream_that_says_close_is_not_used_again(self):
        self.origin.on("/close", lambda s, h: reply(200, "x", [("Connection", "close")]))
        for _ in range(3):
            self.assertEqual(self.ask("/close").status, 200)
        self.assertEqual(self.origin.connections, 3)

    def test_a_connection_with_bytes_after_its_response_is_not_used_again(self):
        self.origin.on("/more", lambda s, h: reply(200, "x") + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhidden")
        client = self.client()
        for _ in range(3):
            self.assertEqual(client.ask("/more").body, b"x")
        self.assertEqual(client.ask("/other").body, b"origin")
        self.assertEqual(self.origin.connections, 4)

    def test_parallel_requests_use_as_many_connections_and_leave_them_for_the_next(self):
        barrier = threading.Barrier(8)
        self.origin.on("/together", lambda s, h: (barrier.wait(5), reply())[1])
        for _ in range(2):
            threads = [threading.Thread(target=self.ask, args=("/together",)) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual((len(self.origin.seen("/together")), self.origin.connections), (16, 8))


def frame(data, opcode=1, mask=b"abcd") -> bytes:
    """A client's WebSocket frame, short ones only."""
    return bytes([0x80 | opcode, 0x80 | len(data)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data))


class WebSocket(WithGateway):
    HEAD = ("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")

    def echo(self, stream, head):
        """Unmasks and sends back each frame until one is a close."""
        key = head.get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        stream.send(f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    f"Sec-WebSocket-Accept: {accept}\r\n\r\n")
        while True:
            first, length = stream.exactly(2)
            length &= 0x7F
            if length == 126:
                length = struct.unpack(">H", stream.exactly(2))[0]
            elif length == 127:
                length = struct.unpack(">Q", stream.exactly(8))[0]
            mask = stream.exactly(4)
            data = bytes(b ^ mask[i % 4] for i, b in enumerate(stream.exactly(length)))
            stream.send(bytes([first, length]) + data if length < 126 else b"?")
            if first & 0xF == 8:
                return False

    def opened(self, early=b""):
        self.origin.on("/chat", self.echo)
        client = self.client()
        client.send(self.HEAD.encode() + early)
        answer = client.response()
        self.assertEqual(answer.status, 101)
        self.assertEqual(answer.get("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        self.assertEqual((answer.tokens("Upgrade"), answer.tokens("Connection")), (["websocket"], ["upgrade"]))
        return client

    def test_frames_go_both_ways_until_a_side_closes(self):
        client = self.opened()
        for n in range(20):
            client.send(frame(b"hello %d" % n))
            self.assertEqual(client.exactly(2)[1], len(b"hello %d" % n))
            self.assertEqual(client.exactly(len(b"hello %d" % n)), b"hello %d" % n)
        client.send(frame(b"", opcode=8))
        self.assertEqual(client.exactly(2), b"\x88\x00")
        self.assertTrue(client.ended())

    def test_frames_sent_with_the_request_are_not_lost(self):
        client = self.opened(early=frame(b"early"))
        self.assertEqual(client.exactly(7), b"\x81\x05early")

    def test_large_amounts_pass_both_ways_at_once(self):
        size, got = 20 << 20, []

        def script(stream, head):
            stream.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            reader = threading.Thread(target=lambda: got.append(len(stream.exactly(size))))
            reader.start()
            stream.send(bytes(size))
            reader.join(10)
            return False

        self.origin.on("/chat", script)
        client = self.client()
        client.send(self.HEAD)
        self.assertEqual(client.response().status, 101)
        sender = threading.Thread(target=client.send, args=(bytes(size),))
        sender.start()
        self.assertEqual(len(client.exactly(size)), size)
        sender.join(10)
        self.assertTrue(client.ended())
        self.assertEqual(got, [size])

    def test_a_refused_upgrade_is_an_ordinary_response(self):
        self.origin.on("/chat", lambda s, h: reply(403, "no"))
        client = self.client()
        client.send(self.HEAD)
        self.assertEqual((client.response().status, client.ask("/after").status), (403, 200))

    def test_an_upgrade_nobody_asked_for_is_a_bad_gateway(self):
        self.origin.on("/chat", self.echo)
        self.assertEqual(self.ask("/chat", headers=[("Sec-WebSocket-Key", "x")]).status, 502)

    def test_other_upgrades_are_not_forwarded(self):
        answer = self.ask("/x", headers=[("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")])
        head = self.origin.seen("/x")[0]
        self.assertEqual((answer.status, head.all("Upgrade"), head.all("HTTP2-Settings")), (200, [], []))

    def test_a_client_that_goes_away_ends_the_upstreams_side(self):
        client = self.opened()
        client.reset()
        eventually("the tunnel's upstream to end", lambda: not self.origin.open)
