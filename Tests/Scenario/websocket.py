"""WebSocket through the gateway: from HTTP/1.1 and HTTP/2 clients, in clear and over TLS, to HTTP/1.1 upstreams."""

import ssl
import threading
import time
import unittest

import packages  # noqa: F401, before websockets
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK, InvalidStatus

from certs import Authority
from gateway import Gateway, eventually, kong, service
from h2wire import CANCEL, CODES, H2Client, H2Origin, serving, trusting
from wire import Client, Ended, Origin, reply, wait
from wswire import (ACCEPT, BINARY, CLOSE, CONTINUATION, KEY, PING, PONG, SWITCH, TEXT, Echo, Visitor, closing, frame,
                    read_frame, switch, upgrade)


class Rig(unittest.TestCase):
    """One gateway for all: an echo server in clear and one with TLS, an origin that tests script, one of HTTP/2."""

    flags = ()

    @classmethod
    def setUpClass(cls):
        cls.authority = Authority()
        pair = cls.authority.issue("echo.example")
        cls.echo, cls.secure = Echo(), Echo(serving(pair, ["http/1.1"]))
        cls.deflating = Echo(compression="deflate", subprotocols=["chat.v2", "chat.v1"])
        cls.origin, cls.h2origin = Origin(), H2Origin()
        services = [service("echo", cls.echo.url), service("secure", cls.secure.url), service("deflating", cls.deflating.url),
                    service("origin", cls.origin.url), service("short", cls.origin.url, read_timeout=400),
                    service("h2", cls.h2origin.url, tags=["seaway.upstream-protocol=h2"]),
                    service("down", "http://127.0.0.1:1", retries=0)]
        cls.gateway = Gateway(kong(services), *cls.flags, https=True)

    @classmethod
    def tearDownClass(cls):
        cls.gateway.stop()
        for server in (cls.echo, cls.secure, cls.deflating, cls.origin, cls.h2origin):
            server.close()
        cls.authority.close()

    def setUp(self):
        self.origin.scripts.clear()
        self.origin.hang_up()
        eventually("the origin's connections to end", lambda: not self.origin.open)
        self.origin.clear()

    def open(self, path, secure=False, **options):
        """A client of the `websockets` package."""
        port = self.gateway.https_port if secure else self.gateway.port
        if secure:
            options |= {"ssl": ssl._create_unverified_context()}
        client = Visitor(f"{'wss' if secure else 'ws'}://127.0.0.1:{port}{path}", **options)
        self.addCleanup(client.close)
        return client

    def raw(self, path, head=None, early=b"", secure=False):
        """A connection of our own after a handshake that was taken."""
        client = Client(self.gateway.port)
        self.addCleanup(client.close)
        client.send((head or upgrade(path)) + early)
        answer = client.response()
        self.assertEqual((answer.status, answer.get("Sec-WebSocket-Accept")), (101, ACCEPT))
        return client

    def script(self, path, work):
        """The origin takes the handshake, then does `work(stream)`."""
        def serve(stream, head):
            stream.send(switch(head))
            work(stream)
            return False
        self.origin.on(path, serve)


class Messages(Rig):
    """The `websockets` package on both ends."""

    def test_every_mix_of_clear_and_tls_carries_messages_both_ways(self):
        for secure in (False, True):
            for path in ("/echo", "/secure"):
                with self.subTest(secure=secure, path=path), self.open(path, secure) as client:
                    for message in ("", "héllo", b"", bytes(range(256)), "x" * 125, "x" * 126, "x" * 65535, "x" * 65536):
                        client.send(message)
                        self.assertEqual(client.recv(10), message)

    def test_a_message_of_16_megabytes_is_whole_in_both_directions(self):
        message = bytes(range(251)) * (16 * 1024 * 1024 // 251)
        for secure, path in ((False, "/echo"), (True, "/secure")):
            with self.subTest(path=path), self.open(path, secure) as client:
                before = self.gateway.resident()
                client.send(message)
                self.assertEqual(client.recv(30), message)
                self.assertLess(self.gateway.resident() - before, 8 << 20)

    def test_ten_thousand_small_messages_keep_their_order(self):
        with self.open("/echo") as client:
            messages = [str(n) for n in range(10_000)]
            sending = client.send_all(messages)
            self.assertEqual([client.recv(10) for _ in messages], messages)
            sending.result(10)

    def test_fragments_arrive_as_one_message(self):
        with self.open("/echo") as client:
            client.send(["one ", "two ", "", "three"])
            self.assertEqual(client.recv(10), "one two three")

    def test_a_ping_is_answered_by_the_peer_and_not_by_the_gateway(self):
        with self.open("/echo") as client:
            for data in (b"", b"x", b"y" * 125):
                self.assertGreaterEqual(client.ping(data), 0)
        self.script("/origin/mute", lambda s: (s.exactly(2 + 4 + 4), s.rest()))
        client = self.raw("/origin/mute")
        client.send(frame(PING, b"quiet"[:4]))
        self.assertTrue(client.quiet(0.2))

    def test_the_subprotocol_is_agreed_between_the_ends(self):
        for wanted, chosen in ((["chat.v1"], "chat.v1"), (["chat.v1", "chat.v2"], "chat.v2")):
            with self.open("/deflating", subprotocols=wanted) as client:
                self.assertEqual(client.subprotocol, chosen)
                self.assertEqual(client.response.headers.get_all("Sec-WebSocket-Protocol"), [chosen])

    def test_permessage_deflate_is_agreed_between_the_ends_and_works(self):
        with self.open("/deflating", compression="deflate", subprotocols=["chat.v1"]) as client:
            self.assertTrue(client.response.headers["Sec-WebSocket-Extensions"].startswith("permessage-deflate"))
            for message in ("a" * 100_000, "b", b"\0" * 200_000, "a" * 100_000):
                client.send(message)
                self.assertEqual(client.recv(10), message)
        with self.open("/echo", compression="deflate") as client:
            self.assertIsNone(client.response.headers.get("Sec-WebSocket-Extensions"))

    def test_close_codes_and_reasons_cross_from_the_client(self):
        for code, reason in ((1000, ""), (1000, "done"), (1001, "away"), (1003, "x"), (1007, "y"), (1011, "z"), (3000, "app"),
                             (4999, "ü" * 60)):
            with self.subTest(code=code):
                client = self.open("/echo")
                seen = len(self.echo.closes)
                client.close(code, reason)
                eventually("the server to see the close", lambda n=seen: len(self.echo.closes) > n)
                self.assertEqual(self.echo.closes[-1], (code, reason))
                self.assertEqual(client.closed, (code, reason))

    def test_close_codes_and_reasons_cross_from_the_server(self):
        for code, reason in ((1000, ""), (1001, "restart"), (1008, "policy"), (1012, "x"), (4000, "ü" * 60)):
            with self.subTest(code=code):
                client = self.open("/echo")
                client.send(f"close {code} {reason}" if reason else f"close {code}")
                with self.assertRaises(ConnectionClosed) as caught:
                    client.recv(5)
                self.assertEqual((caught.exception.rcvd.code, caught.exception.rcvd.reason), (code, reason))
                self.assertIs(type(caught.exception), ConnectionClosedOK if code in (1000, 1001) else ConnectionClosedError)

    def test_the_upstream_sees_the_path_the_query_and_who_asks(self):
        with self.open("/echo/room?id=7%20") as client:
            client.send("path")
            self.assertEqual(client.recv(5), "/echo/room?id=7%20")
            client.send("headers")
            headers = dict(line.split(": ", 1) for line in client.recv(5).split("\n"))
        self.assertEqual(headers["X-Forwarded-For"], "127.0.0.1")
        self.assertEqual((headers["Connection"].lower(), headers["Upgrade"].lower()), ("upgrade", "websocket"))

    def test_a_hundred_sockets_at_once_each_with_its_own_upstream_connection(self):
        before = self.echo.opened
        clients = [self.open("/echo") for _ in range(100)]
        for n, client in enumerate(clients):
            client.send(str(n))
        self.assertEqual([c.recv(10) for c in clients], [str(n) for n in range(100)])
        self.assertEqual(self.echo.opened - before, 100)
        for client in clients:
            client.close()
        eventually("the connections to end", lambda: self.gateway.metric("kong_nginx_connections_total", state="active") <= 3)

    def test_sockets_outlive_a_reload(self):
        with self.open("/echo") as client:
            client.send("before")
            self.assertEqual(client.recv(5), "before")
            self.gateway.reload()
            client.send("after")
            self.assertEqual(client.recv(5), "after")


class Handshakes(Rig):
    """Each byte of the handshake by hand."""

    def test_a_refusal_is_an_ordinary_response_on_a_connection_that_lives(self):
        for status in (400, 401, 403, 404, 426, 503, 200, 302):
            path = f"/origin/{status}"
            self.origin.on(path, lambda s, h, n=status: reply(n, f"no {n}", [("Sec-WebSocket-Version", "13"), ("X-Why", "y")]))
            client = Client(self.gateway.port)
            client.send(upgrade(path))
            answer = client.response()
            self.assertEqual((answer.status, answer.body, answer.get("X-Why")), (status, b"no %d" % status, "y"))
            self.assertEqual(answer.get("Sec-WebSocket-Version"), "13")
            self.assertEqual(answer.tokens("Upgrade"), [])
            self.assertEqual(client.ask("/origin/next").status, 200)
            client.close()

    def test_the_websockets_package_is_told_of_a_refusal(self):
        self.origin.on("/origin/no", lambda s, h: reply(403, "members only", reason="Forbidden"))
        with self.assertRaises(InvalidStatus) as caught:
            self.open("/origin/no")
        self.assertEqual((caught.exception.response.status_code, caught.exception.response.body), (403, b"members only"))

    def test_an_accept_that_does_not_fit_the_key_is_left_to_the_client(self):
        wrong = SWITCH.replace(ACCEPT.encode(), b"AAAAAAAAAAAAAAAAAAAAAAAAAAA=")
        self.origin.on("/origin/wrong", lambda s, h: s.send(wrong) or s.rest() and False)
        client = Client(self.gateway.port)
        self.addCleanup(client.close)
        client.send(upgrade("/origin/wrong"))
        answer = client.response()
        self.assertEqual((answer.status, answer.get("Sec-WebSocket-Accept")), (101, "AAAAAAAAAAAAAAAAAAAAAAAAAAA="))

    def test_odd_keys_and_versions_are_left_to_the_server(self):
        seen = []
        self.origin.on("/origin/odd", lambda s, h: seen.append(h) or reply(400, "bad handshake"))
        for key, version in (("short", "13"), ("x" * 200, "13"), (KEY, "8"), (KEY, "99")):
            client = Client(self.gateway.port)
            client.send(upgrade("/origin/odd", key=key).replace(b"Version: 13", f"Version: {version}".encode()))
            self.assertEqual(client.response().status, 400)
            self.assertEqual((seen[-1].get("Sec-WebSocket-Key"), seen[-1].get("Sec-WebSocket-Version")), (key, version))
            client.close()

    def test_every_field_of_the_handshake_crosses(self):
        extra = [("Sec-WebSocket-Protocol", "a, b"), ("Sec-WebSocket-Protocol", "c"), ("Origin", "https://shop.example"),
                 ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits, x-other;a=1"), ("Cookie", "s=1")]
        self.script("/origin/fields", lambda s: s.rest())
        self.raw("/origin/fields", upgrade("/origin/fields", headers=extra))
        head = self.origin.seen("/origin/fields")[0]
        for name, value in extra:
            self.assertIn(value, head.all(name), name)
        self.assertEqual((head.get("Sec-WebSocket-Key"), head.get("Sec-WebSocket-Version")), (KEY, "13"))

    def test_bytes_that_come_with_the_handshake_are_not_lost(self):
        self.script("/origin/early", lambda s: s.send(frame(TEXT, read_frame(s)[3], mask=None)))
        client = self.raw("/origin/early", early=frame(TEXT, "early"))
        self.assertEqual(read_frame(client), (True, 0, TEXT, b"early"))

    def test_the_servers_first_bytes_come_with_its_101(self):
        def serve(stream, head):
            stream.send(SWITCH + frame(TEXT, "welcome", mask=None))
            stream.rest()
            return False
        self.origin.on("/origin/welcome", serve)
        client = self.raw("/origin/welcome")
        self.assertEqual(read_frame(client), (True, 0, TEXT, b"welcome"))

    def test_no_byte_of_the_client_reaches_the_upstream_before_it_agrees(self):
        got = []

        def serve(stream, head):
            got.append(stream.buffer + (b"" if stream.quiet(0.2) else stream.socket.recv(100)))
            return reply(403, "no")
        self.origin.on("/origin/before", serve)
        client = Client(self.gateway.port)
        self.addCleanup(client.close)
        client.send(upgrade("/origin/before") + frame(TEXT, "smuggled"))
        self.assertEqual(client.response().status, 403)
        self.assertEqual(got, [b""])

    def test_an_upstream_that_is_down_is_a_502(self):
        with self.assertRaises(InvalidStatus) as caught:
            self.open("/down")
        self.assertEqual(caught.exception.response.status_code, 502)

    def test_no_route_is_a_404(self):
        with self.assertRaises(InvalidStatus) as caught:
            self.open("/nowhere")
        self.assertEqual(caught.exception.response.status_code, 404)

    def test_an_upgrade_to_an_upstream_of_http_2_is_answered_properly(self):
        """Either a tunnel by RFC 8441, or a response that says no: never silence, never a broken 101."""
        client = Client(self.gateway.port)
        self.addCleanup(client.close)
        client.send(upgrade("/h2"))
        answer = client.response()
        # This upstream does not allow extended CONNECT, so there can be no tunnel.
        self.assertIn(answer.status, (200, 501, 502))
        self.assertEqual(self.h2origin.faults, [])


class Ends(Rig):
    """How tunnels end, and what stays when one side is slow."""

    def test_frames_of_any_kind_are_not_touched(self):
        """Also those no good peer would send: the peer is to judge."""
        frames = [frame(TEXT, "a", reserved=7), frame(3, "b"), frame(11, "c"), frame(TEXT, b"\xff\xfe"), frame(PING, b"x" * 126),
                  frame(CONTINUATION, "d"), frame(TEXT, "e", length=126), frame(TEXT, "f", length=127), frame(CLOSE, b"\x03"),
                  frame(BINARY, b"g", fin=False), frame(TEXT, "h", mask=None)]
        want, got = b"".join(frames), []
        self.script("/origin/any", lambda s: (got.append(s.exactly(len(want))), s.send(want)))
        client = self.raw("/origin/any")
        client.send(want)
        self.assertEqual(client.rest(), want)
        self.assertEqual(got, [want])

    def test_a_half_closed_client_still_gets_the_servers_words(self):
        def work(stream):
            stream.rest()
            time.sleep(0.1)
            stream.send(frame(TEXT, "last", mask=None))
        self.script("/origin/half", work)
        client = self.raw("/origin/half")
        client.send(frame(TEXT, "a"))
        client.finish()
        self.assertEqual(client.rest(), frame(TEXT, "last", mask=None))

    def test_a_server_that_ends_without_a_close_frame_ends_the_tunnel_after_its_last_byte(self):
        """Its words arrive whole, then both connections are closed (RFC 9110 section 9.3.6)."""
        words = frame(BINARY, bytes(3_000_000), mask=None)
        self.script("/origin/leave", lambda s: s.send(words))
        client = self.raw("/origin/leave")
        time.sleep(0.1)
        self.assertEqual(client.rest(), words)

    def test_a_client_that_vanishes_takes_its_upstream_connection_along(self):
        for secure in (False, True):
            gone = threading.Event()

            def work(stream, gone=gone):
                try:
                    stream.rest()
                except OSError:
                    pass
                gone.set()
            self.script("/origin/gone", work)
            client = self.open("/origin/gone", secure)
            client.vanish()
            self.assertTrue(gone.wait(5), "the upstream was left alone")

    def test_a_server_that_vanishes_ends_the_client_without_a_close_frame(self):
        self.script("/origin/die", lambda s: s.exactly(7) and s.reset())
        client = self.open("/origin/die")
        client.send("x")
        with self.assertRaises(ConnectionClosedError) as caught:
            client.recv(5)
        self.assertIsNone(caught.exception.rcvd)

    def test_a_silent_tunnel_ends_after_the_services_read_timeout(self):
        self.script("/short", lambda s: s.rest())
        client = self.raw("/short")
        began = time.monotonic()
        self.assertTrue(client.ended(3))
        self.assertTrue(0.35 <= time.monotonic() - began < 2, time.monotonic() - began)

    def test_traffic_in_one_direction_keeps_a_tunnel(self):
        """Either direction does: who only listens is not idle."""
        def drip(stream):
            for _ in range(8):
                time.sleep(0.1)
                stream.send(frame(PING, b"p", mask=None))
        self.script("/short", drip)
        client = self.raw("/short")
        self.assertEqual(client.rest(), frame(PING, b"p", mask=None) * 8)

        got = []
        self.script("/short", lambda s: got.append(s.rest()))
        client = self.raw("/short")
        for _ in range(8):
            client.send(frame(PONG, b"q"))
            time.sleep(0.1)
        client.finish()
        self.assertTrue(wait(lambda: got))
        self.assertEqual(got[0], frame(PONG, b"q") * 8)

    def test_who_does_not_read_holds_the_sender_back_and_no_memory(self):
        stop = threading.Event()
        sent = [0]

        def flood(stream):
            stream.socket.settimeout(0.5)
            chunk = frame(BINARY, bytes(60_000), mask=None)
            try:
                while sent[0] < 200 << 20:
                    sent[0] += stream.socket.send(chunk)
            except TimeoutError:
                stop.set()
        self.script("/origin/flood", flood)
        before = self.gateway.resident()
        client = Client(self.gateway.port, receive_buffer=4096)
        self.addCleanup(client.close)
        client.send(upgrade("/origin/flood"))
        self.assertTrue(stop.wait(10), f"{sent[0]} bytes were taken of a flood that nobody reads")
        self.assertLess(self.gateway.resident() - before, 4 << 20)


class OverHTTP2(Rig):
    """RFC 8441: a WebSocket in a stream of an HTTP/2 connection, HTTP/1.1 to the upstream."""

    def client(self, secure=True, **more):
        port = self.gateway.https_port if secure else self.gateway.port
        client = H2Client(port, trusting() if secure else None, **more)
        self.addCleanup(client.close)
        client.wait(lambda: client.peer_settings, "the gateway's settings")
        return client

    def connect(self, client, path, headers=()):
        scheme = "https" if client.secure else "http"
        fields = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", scheme), (":path", path),
                  (":authority", "www.example"), ("sec-websocket-version", "13"), *headers]
        reply = client.start(fields=fields, end=False)
        client.wait(lambda: reply.status or reply.over, "the answer to the extended CONNECT")
        return reply

    def frames(self, client, reply, count):
        """The next frames on a stream."""
        found = []
        while len(found) < count:
            parser = Feed(reply.body[getattr(reply, "read", 0):])
            try:
                found.append(read_frame(parser))
                reply.read = getattr(reply, "read", 0) + parser.used
            except Ended:
                size = reply.size
                client.wait(lambda n=size: reply.size > n or reply.over, "a frame")
                if reply.over and reply.size == size:
                    raise
        return found

    def test_the_gateway_says_that_it_can(self):
        for secure in (True, False):
            self.assertEqual(self.client(secure).peer_settings.get(int(CODES.ENABLE_CONNECT_PROTOCOL)), 1)

    def test_messages_go_both_ways_to_clear_and_tls_upstreams(self):
        for secure in (True, False):
            for path in ("/echo", "/secure"):
                with self.subTest(secure=secure, path=path):
                    client = self.client(secure)
                    reply = self.connect(client, path)
                    self.assertEqual(reply.status, 200)
                    self.assertEqual([n for n, _ in reply.fields if n in ("sec-websocket-accept", "upgrade", "connection")], [])
                    for text in (b"one", b"x" * 200, b"y" * 70_000):
                        client.send(reply, frame(TEXT, text))
                        self.assertEqual(self.frames(client, reply, 1), [(True, 0, TEXT, text)])
                    client.send(reply, frame(CLOSE, closing(1000, "bye")))
                    self.assertEqual(self.frames(client, reply, 1), [(True, 0, CLOSE, closing(1000, "bye"))])
                    client.finish(reply)
                    self.assertTrue(reply.ended)

    def test_sockets_and_requests_share_a_connection(self):
        client = self.client()
        sockets = [self.connect(client, "/echo") for _ in range(5)]
        for n, reply in enumerate(sockets):
            client.send(reply, frame(TEXT, b"%d" % n))
        self.assertEqual(client.ask("/origin/plain").status, 200)
        for n, reply in enumerate(sockets):
            self.assertEqual(self.frames(client, reply, 1), [(True, 0, TEXT, b"%d" % n)])

    def test_the_upstream_gets_an_http_1_handshake_with_a_key(self):
        self.script("/origin/hands", lambda s: s.rest())
        reply = self.connect(self.client(), "/origin/hands", [("sec-websocket-protocol", "chat"), ("origin", "https://a.example")])
        head = self.origin.seen("/origin/hands")[0]
        self.assertEqual(reply.status, 200)
        self.assertEqual(head.start, b"GET /origin/hands HTTP/1.1")
        self.assertEqual((head.tokens("Upgrade"), head.tokens("Connection")), (["websocket"], ["upgrade"]))
        self.assertEqual((head.get("Sec-WebSocket-Version"), len(head.get("Sec-WebSocket-Key"))), ("13", 24))
        self.assertEqual((head.get("Sec-WebSocket-Protocol"), head.get("Host")[:9]), ("chat", "127.0.0.1"))
        self.assertEqual((head.get("Content-Length"), head.get("Transfer-Encoding")), (None, None))

    def test_subprotocol_and_extension_are_agreed_between_the_ends(self):
        reply = self.connect(self.client(), "/deflating", [("sec-websocket-protocol", "chat.v1, chat.v2"),
                                                           ("sec-websocket-extensions", "permessage-deflate")])
        self.assertEqual((reply.status, reply.get("sec-websocket-protocol")), (200, "chat.v2"))
        self.assertTrue(reply.get("sec-websocket-extensions").startswith("permessage-deflate"))

    def test_a_refusal_crosses_as_a_response(self):
        self.origin.on("/origin/no", lambda s, h: reply(403, "members only", reason="Forbidden"))
        client = self.client()
        answer = self.connect(client, "/origin/no")
        client.finish(answer)
        self.assertEqual((answer.status, answer.body), (403, b"members only"))
        self.assertEqual(client.ask("/origin/after").status, 200)

    def test_a_reset_stream_ends_the_upstreams_connection(self):
        gone = threading.Event()

        def work(stream):
            try:
                stream.rest()
            except OSError:
                pass
            gone.set()
        self.script("/origin/reset", work)
        client = self.client()
        reply = self.connect(client, "/origin/reset")
        self.assertEqual(reply.status, 200)
        client.cancel(reply, CANCEL)
        self.assertTrue(gone.wait(5), "the upstream was left alone")
        self.assertEqual(client.ask("/origin/after").status, 200)

    def test_a_server_that_closes_ends_the_stream(self):
        client = self.client()
        reply = self.connect(client, "/echo")
        client.send(reply, frame(TEXT, "close 4001 gone"))
        self.assertEqual(self.frames(client, reply, 1), [(True, 0, CLOSE, closing(4001, "gone"))])
        client.send(reply, frame(CLOSE, closing(4001, "gone")), end=True)
        client.finish(reply)
        self.assertEqual(client.ask("/origin/after").status, 200)

    def test_other_protocols_and_plain_connect_are_refused(self):
        client = self.client(checked=False)
        for fields in ([(":method", "CONNECT"), (":authority", "www.example:443")],
                       [(":method", "CONNECT"), (":protocol", "connect-udp"), (":scheme", "https"), (":path", "/echo"),
                        (":authority", "www.example")]):
            answer = client.start(fields=fields, end=False)
            client.wait(lambda r=answer: r.status or r.over, "a refusal")
            self.assertTrue(answer.status >= 400 or answer.code is not None, answer)
        self.assertEqual(client.ask("/origin/after").status, 200)

    def test_a_slow_socket_does_not_hold_up_others(self):
        client = self.client(window=1 << 20)
        slow = self.connect(client, "/echo")
        client.held.add(slow.stream)
        client.send(slow, frame(TEXT, "size 4000000"))
        client.wait(lambda: slow.size >= 60_000, "the slow socket's window to fill")
        fast = self.connect(client, "/echo")
        for n in range(50):
            client.send(fast, frame(TEXT, b"%d" % n))
            self.assertEqual(self.frames(client, fast, 1), [(True, 0, TEXT, b"%d" % n)])
        self.assertLessEqual(slow.size, 1 << 17)
        client.release(slow)
        self.assertEqual(len(self.frames(client, slow, 1)[0][3]), 4_000_000)


class Feed:
    """Bytes at hand, read as from a `wire.Stream`."""

    def __init__(self, data):
        self.data, self.used = data, 0

    def exactly(self, count):
        if len(self.data) - self.used < count:
            raise Ended("the frame is not all here yet")
        self.used += count
        return self.data[self.used - count:self.used]


if __name__ == "__main__":
    unittest.main()
