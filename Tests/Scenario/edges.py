"""What must hold at the edges: memory that outlives its use, answers begun twice, peers that vanish in between."""

import email.utils
import json
import socket
import threading
import time
import unittest

from gateway import Gateway, eventually, kong, service
from http1 import WithGateway
from wire import Client, Origin, Stream, reply

UPGRADE = "GET {} HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def pieces(*parts, pause=0.03):
    """A script that sends each part in a packet of its own."""
    def script(stream, head):
        for part in parts:
            stream.send(part)
            time.sleep(pause)
    return script


class Lifetimes(WithGateway):
    """Views of a head after more of the message was read. The JSON log reads it last."""

    flags = ("--access-log", "access.json")

    def log(self, path):
        file = self.gateway.folder / "access.json"
        lines = lambda: [x for x in map(json.loads, file.read_text().splitlines()) if x["request"]["uri"] == path]
        return eventually(f"a log line for {path}", lines)[0]

    def test_the_log_has_the_headers_of_a_response_whose_chunks_came_later(self):
        pid = self.gateway.proxy
        self.origin.on("/late", pieces(
            b"HTTP/1.1 200 OK\r\nX-First: " + b"a" * 300 + b"\r\nX-Second: two\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"3\r\nabc\r\n", b"0\r\n\r\n"))
        answer = self.ask("/late")
        self.assertEqual((answer.status, answer.body), (200, b"abc"))
        headers = self.log("/late")["response"]["headers"]
        self.assertEqual((headers["x-first"], headers["x-second"]), ("a" * 300, "two"))
        self.assertEqual(self.gateway.proxy, pid)

    def test_announced_trailers_of_a_response_in_several_packets_cross(self):
        pid = self.gateway.proxy
        self.origin.on("/trailers", pieces(
            b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 300 + b"\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"3\r\nabc\r\n", b"0\r\n", b"X-Sum: 7\r\n", b"\r\n"))
        answer = self.ask("/trailers")
        self.assertEqual((answer.body, answer.trailers), (b"abc", [(b"X-Sum", b"7")]))
        self.assertEqual(self.gateway.proxy, pid)

    def test_a_large_chunked_response_keeps_its_head_for_the_log(self):
        size = 3_000_000
        self.origin.on("/large", lambda s, h: (
            b"HTTP/1.1 200 OK\r\nX-First: one\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"".join(b"%x\r\n" % 10_000 + bytes(10_000) + b"\r\n" for _ in range(size // 10_000)) + b"0\r\n\r\n"))
        self.assertEqual(len(self.ask("/large").body), size)
        self.assertEqual(self.log("/large")["response"]["headers"]["x-first"], "one")


class Answers(WithGateway):
    def test_a_bad_chunk_after_the_answer_began_does_not_put_a_second_answer_into_it(self):
        def script(stream, head):
            stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegun")
            stream.rest()
            return False

        self.origin.on("/stream", script)
        client = self.client()
        client.send(b"POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        client.until(b"begun")
        client.send(b"zz\r\n")
        try:
            rest = client.rest()
        except OSError:
            rest = b""
        self.assertNotIn(b"HTTP/1.1 400", rest)


class Tunnels(WithGateway):
    fields = {"read_timeout": 2500, "write_timeout": 2500}
    flags = ("--idle-timeout", "300ms")

    def test_a_client_that_vanishes_at_the_upgrade_disturbs_nobody(self):
        """The head goes out, the early bytes meet the reset: the exchange must end once."""
        gate = threading.Event()

        def script(stream, head):
            gate.wait(2)
            stream.send(SWITCH + b"early" * 2000)
            stream.ended(2)
            return False

        self.origin.on("/ws", script)
        self.origin.on("/who", lambda s, h: (time.sleep(0.05), reply(200, h.get("X-Who")))[1])
        pid = self.gateway.proxy
        for _ in range(20):
            client = self.client()
            client.send(UPGRADE.format("/ws"))
            time.sleep(0.01)
            client.close()
        time.sleep(0.05)
        gate.set()
        time.sleep(0.1)
        wrong = []

        def ask(name):
            with Client(self.gateway.port) as client:
                for n in range(5):
                    got = client.ask("/who", headers=[("X-Who", f"{name}-{n}")]).body.decode()
                    if got != f"{name}-{n}":
                        wrong.append((name, n, got))

        def guarded(name):
            try:
                ask(name)
            except Exception as error:
                wrong.append((name, repr(error)))

        threads = [threading.Thread(target=guarded, args=(n,)) for n in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual(self.gateway.proxy, pid)

    def test_a_tunnel_may_be_silent_for_the_services_read_timeout(self):
        def script(stream, head):
            stream.send(SWITCH)
            time.sleep(1)
            stream.send(b"late")
            stream.ended(5)
            return False

        self.origin.on("/ws", script)
        client = self.client()
        client.send(UPGRADE.format("/ws"))
        self.assertEqual(client.response().status, 101)
        self.assertEqual(client.exactly(4), b"late")
        began = time.monotonic()
        self.assertTrue(client.ended())
        self.assertGreater(time.monotonic() - began, 1.5)

    def test_what_a_client_sent_before_it_finished_arrives(self):
        size = 3_000_000
        got = []

        def script(stream, head):
            stream.send(SWITCH)
            time.sleep(0.5)
            got.append(len(stream.rest()))
            stream.send(b"thanks")
            return False

        self.origin.on("/ws", script)
        client = self.client()
        client.send(UPGRADE.format("/ws"))
        self.assertEqual(client.response().status, 101)
        client.send(bytes(size))
        client.finish()
        self.assertEqual(client.exactly(6), b"thanks")
        self.assertEqual(got, [size])


class Connecting(unittest.TestCase):
    def test_a_body_that_comes_while_the_upstream_connects_follows_the_head(self):
        # A listener whose queue is full: the handshake waits until somebody accepts.
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        queued = [socket.create_connection(address) for _ in range(1)]
        self.addCleanup(lambda: [s.close() for s in [listener, *queued]])
        route = {"name": "all", "paths": ["/"], "request_buffering": False}
        with Gateway(kong([service("slow", f"http://127.0.0.1:{address[1]}", [route])])) as gateway, Client(gateway.port) as client:
            client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 38\r\n\r\n")
            time.sleep(0.1)
            client.send(b"GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n")
            time.sleep(0.1)
            queued.append(listener.accept()[0])
            listener.settimeout(5)
            stream = Stream(listener.accept()[0])
            self.addCleanup(stream.close)
            head = stream.request()
            self.assertEqual((head.method, head.target), ("POST", "/x"))
            self.assertEqual(head.body, b"GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n")


class Forwarded(unittest.TestCase):
    def test_a_line_end_in_a_matched_path_stays_encoded_everywhere(self):
        origin = Origin()
        self.addCleanup(origin.close)
        route = {"name": "r", "paths": ["~/users/[^/]+"], "strip_path": True}
        with Gateway(kong([service("origin", origin.url, [route])])) as gateway, Client(gateway.port) as client:
            answer = client.ask("/users/a%0d%0aX-Injected:%20yes%0d%0a%0d%0aGET%20/two/x")
            self.assertEqual(answer.status, 200)
        self.assertEqual(len(origin.seen()), 1)
        seen = origin.seen()[0]
        self.assertIsNone(seen.get("X-Injected"))
        self.assertTrue(seen.get("X-Forwarded-Prefix").startswith("/users/a%0D%0AX-Injected:%20yes"))


class Collected(WithGateway):
    """Responses that a filter wants whole: until then the client has seen nothing."""

    fields = {"read_timeout": 400, "retries": 0, "plugins": [
        {"name": "response-transformer", "config": {"add": {"json": ["added:yes"]}}}]}

    def test_an_upstream_that_stops_or_breaks_off_gets_the_client_an_error(self):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        self.origin.on("/stops", lambda s, h: s.send(head) or s.ended(3) and False)
        self.origin.on("/breaks", lambda s, h: s.send(head) or False)
        self.assertEqual(self.ask("/stops").status, 504)
        self.assertEqual(self.ask("/breaks").status, 502)

    def test_a_large_one_is_passed_whole_and_the_memory_given_back(self):
        text = json.dumps({"a": "b" * 3_000_000}).encode()
        self.origin.on("/large", lambda s, h: reply(200, text, [("Content-Type", "application/json")]))
        before = self.gateway.resident()
        for _ in range(3):
            self.assertEqual(json.loads(self.ask("/large").body), {"a": "b" * 3_000_000, "added": "yes"})
        self.assertLess(self.gateway.resident() - before, 24_000_000)


class Methods(WithGateway):
    fields = {"plugins": [{"name": "request-transformer", "config": {"http_method": "HEAD"}}]}

    def test_a_get_that_goes_upstream_as_head_has_an_empty_answer(self):
        self.origin.on("/x", lambda s, h: b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        client = self.client()
        for _ in range(2):
            answer = client.ask("/x")
            self.assertEqual((answer.status, answer.body), (200, b""))


class Status(WithGateway):
    def test_who_pipelines_status_requests_without_reading_fills_no_memory(self):
        before = self.gateway.resident()
        with Client(self.gateway.status_port, receive_buffer=4096) as client:
            client.socket.settimeout(0.5)
            ask = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 100
            # Either it stops reading, or it has answered more than it may keep.
            try:
                while self.gateway.resident() - before < 24_000_000:
                    client.send(ask)
            except TimeoutError:
                return
            self.fail("the status listener reads on, and keeps its answers")


class Dates(WithGateway):
    def test_every_response_has_a_date_and_an_upstreams_own_is_kept(self):
        old = "Sun, 06 Nov 1994 08:49:37 GMT"
        self.origin.on("/dated", lambda s, h: reply(200, "x", [("Date", old)]))
        self.assertEqual(self.ask("/dated").all("Date"), [old])
        self.origin.on("/bad", lambda s, h: b"nonsense\r\n\r\n")
        for path, status in (("/undated", 200), ("/bad", 502)):
            answer = self.ask(path)
            self.assertEqual((answer.status, len(answer.all("Date"))), (status, 1))
            then = email.utils.parsedate_to_datetime(answer.get("Date"))
            self.assertEqual(email.utils.format_datetime(then, usegmt=True), answer.get("Date"))
            self.assertLess(abs(then.timestamp() - time.time()), 3)


class Extra(WithGateway):
    def test_bytes_behind_a_response_never_answer_the_next_request(self):
        wrong = reply(200, "wrong")
        for path, body in (("/length", reply(200, "right") + wrong),
                           ("/chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nright\r\n0\r\n\r\n" + wrong)):
            self.origin.on(path, lambda s, h, body=body: body)
            client = self.client()
            for _ in range(20):
                self.assertEqual(client.ask(path).body, b"right")
