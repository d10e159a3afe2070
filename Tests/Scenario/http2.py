"""HTTP/2 on either side and both: what a request and its response mean is the same in every mix."""

import ssl
import threading
import time
import unittest

import packages  # noqa: F401, before hpack
from hpack import Encoder
from hyperframe.frame import HeadersFrame

from gateway import Gateway, eventually, kong, service
from h2wire import CANCEL, PROTOCOL_ERROR, REFUSED_STREAM, connect, h2ask, machine, trusting
from mixes import CLIENTS, MIXES, TAG, UPSTREAMS, Mixed
from wire import Origin, Stream, reply, wait


class Choosing(Mixed):
    """Which protocol a connection speaks."""

    def test_alpn_decides_between_the_two(self):
        for offered, chosen in ((["h2", "http/1.1"], "h2"), (["http/1.1", "h2"], "h2"), (["h2"], "h2"), (["http/1.1"], "http/1.1"),
                                (["http/1.0", "http/1.1"], "http/1.1"), (["spdy/3", "h2"], "h2")):
            sock = connect(self.gateway.https_port, trusting(offered))
            self.assertEqual(sock.selected_alpn_protocol(), chosen, offered)
            sock.close()

    def test_without_alpn_http_1_is_spoken(self):
        context = ssl._create_unverified_context()
        sock = connect(self.gateway.https_port, context)
        self.addCleanup(sock.close)
        stream = Stream(sock)
        stream.send("GET /h1/x HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(stream.response().status, 200)

    def test_a_client_that_knows_only_other_protocols_is_refused_in_the_handshake(self):
        with self.assertRaises(ssl.SSLError):
            connect(self.gateway.https_port, trusting(["spdy/3"]))

    def test_prior_knowledge_works_in_clear_beside_http_1(self):
        for _ in range(2):
            self.assertEqual(self.ask("h2c", "/h1/x").status, 200)
            self.assertEqual(self.ask("h1", "/h1/x").status, 200)

    def test_the_preface_may_come_byte_by_byte(self):
        made = machine(True, {})
        made.initiate_connection()
        made.send_headers(1, [(":method", "GET"), (":scheme", "http"), (":path", "/h1/x"), (":authority", "a")], end_stream=True)
        sock = connect(self.gateway.port)
        self.addCleanup(sock.close)
        for byte in made.data_to_send():
            sock.sendall(bytes([byte]))
        names = []
        while "StreamEnded" not in names:
            names += [type(e).__name__ for e in made.receive_data(sock.recv(65536))]
        self.assertIn("ResponseReceived", names)

    def test_an_upgrade_to_h2c_is_ignored(self):
        client = self.h1()
        client.send("GET /h1/x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                    "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
        self.assertEqual(client.response().status, 200)

    def test_upstreams_are_asked_in_the_protocol_of_their_service(self):
        for client, upstream in MIXES:
            self.assertEqual(self.ask(client, f"/{upstream}/x").status, 200, (client, upstream))
        self.assertEqual(len(self.jobs("h1")), 4)
        self.assertTrue(all(m.start.endswith(b"HTTP/1.1") for m in self.origins["h1"].seen()))
        for upstream in ("h2c", "h2"):
            works = self.origins[upstream].seen()
            self.assertEqual(len(works), 4)
            self.assertEqual({w.pseudo[":scheme"] for w in works}, {"https" if upstream == "h2" else "http"})


class Meaning(Mixed):
    """One script at each upstream, one request by each client."""

    def each(self, path, *request, **more):
        """(client, upstream, answer) of every mix."""
        for self.mix in MIXES:
            client, upstream = self.mix
            yield client, upstream, self.ask(client, f"/{upstream}{path}", *request, **more)

    def test_method_path_query_and_fields_arrive(self):
        fields = [("X-One", "1"), ("x-two", "a, b"), ("X-Two", "c"), ("User-Agent", "test/1"), ("Accept", "*/*")]
        self.on("/a%20b/c;d", lambda j: j.respond(200, j.read()))
        for client, upstream, answer in self.each("/a%20b/c;d?e=f&g=%2F", "PATCH", fields, b"body"):
            self.assertEqual((answer.status, answer.body, answer.broken), (200, b"body", None))
            job = self.jobs(upstream)[-1]
            self.assertEqual((job.method, job.target), ("PATCH", f"/{upstream}/a%20b/c;d?e=f&g=%2F"))
            self.assertEqual((job.get("x-one"), job.get("user-agent"), job.get("accept")), ("1", "test/1", "*/*"))
            self.assertEqual(", ".join(job.all("x-two")), "a, b, c")
            self.assertEqual(job.get("content-length"), "4" if client.startswith("h1") else job.get("content-length"))

    def test_bodies_go_through_both_ways(self):
        self.on("/echo", lambda j: j.respond(200, j.read(), [("content-type", "a/b")]))
        for size in (0, 1, 16384, 65535, 65536, 1_000_000):
            body = bytes(i * 7 & 0xFF for i in range(251)) * (size // 251 + 1)
            for _, _, answer in self.each("/echo", "POST", body=body[:size]):
                self.assertEqual((answer.status, answer.broken, answer.body == body[:size]), (200, None, True), size)

    def test_a_body_of_unknown_length_goes_through(self):
        self.on("/stream/echo", lambda j: j.respond(200, j.read()))
        for upstream in UPSTREAMS:
            client = self.h2()
            reply = client.start(f"/{upstream}/stream/echo", "POST", end=False)
            for n in range(10):
                client.send(reply, b"%d" % n * 1000)
            client.send(reply, b"", end=True)
            client.finish(reply)
            self.assertEqual(reply.body, b"".join(b"%d" % n * 1000 for n in range(10)))
            self.assertEqual(self.jobs(upstream)[-1].get("content-length"), None)

    def test_a_post_of_nothing_says_so(self):
        """With an explicit length or without: the upstream never waits for a body."""
        self.on("/none", lambda j: j.respond(200, j.read() + b"none"))
        for client, upstream in MIXES:
            for fields in ([("content-length", "0")], []):
                answer = self.ask(client, f"/{upstream}/none", "POST", fields)
                self.assertEqual((answer.status, answer.body), (200, b"none"), (client, upstream, fields))
                self.assertIn(self.jobs(upstream)[-1].get("content-length"), ("0", None))
                self.assertEqual(self.jobs(upstream)[-1].get("transfer-encoding"), None)

    def test_head_204_and_304_have_no_body(self):
        self.on("/empty", lambda j: j.respond(204, b"", [("x-a", "1")]))
        self.on("/same", lambda j: j.respond(304, b"", [("etag", '"v"')]))

        def head(job):
            if job.kind == "h1":
                return b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nETag: x\r\n\r\n"
            return job.work.head(200, [("content-length", "12345"), ("etag", "x")], end=True)
        self.on("/head", head)
        for _, _, answer in self.each("/empty"):
            self.assertEqual((answer.status, answer.body, answer.get("content-length"), answer.broken), (204, b"", None, None))
        for _, _, answer in self.each("/same"):
            self.assertEqual((answer.status, answer.body, answer.get("etag"), answer.broken), (304, b"", '"v"', None))
        for _, _, answer in self.each("/head", "HEAD"):
            self.assertEqual((answer.status, answer.body, answer.get("content-length"), answer.broken), (200, b"", "12345", None))

    def test_range_and_conditional_requests_pass_untouched(self):
        def script(job):
            asked = [job.get(n) for n in ("range", "if-range", "if-none-match", "if-match", "if-modified-since")]
            if asked[3]:
                return job.respond(412, "no match", [("etag", '"v2"')])
            if asked[2]:
                return job.respond(304, b"", [("etag", '"v1"'), ("x-asked", asked[2])])
            return job.respond(206, b"bcd", [("content-range", "bytes 1-3/10"), ("etag", '"v1"'), ("accept-ranges", "bytes"),
                                             ("x-asked", "|".join(str(a) for a in asked))])
        self.on("/file", script)
        date = "Sat, 29 Oct 1994 19:43:31 GMT"
        for _, _, answer in self.each("/file", "GET", [("Range", "bytes=1-3"), ("If-Range", '"v1"'), ("If-Modified-Since", date)]):
            self.assertEqual((answer.status, answer.body, answer.get("content-range")), (206, b"bcd", "bytes 1-3/10"))
            self.assertEqual(answer.get("x-asked"), f'bytes=1-3|"v1"|None|None|{date}')
            self.assertEqual(answer.get("accept-ranges"), "bytes")
        for _, _, answer in self.each("/file", "GET", [("If-None-Match", 'W/"v1", "v0"')]):
            self.assertEqual((answer.status, answer.get("etag"), answer.get("x-asked")), (304, '"v1"', 'W/"v1", "v0"'))
        for _, _, answer in self.each("/file", "PUT", [("If-Match", '"v1"')], b"x"):
            self.assertEqual((answer.status, answer.get("etag"), answer.body), (412, '"v2"', b"no match"))

    def test_early_hints_and_other_interim_responses_pass(self):
        def script(job):
            job.interim(103, [("link", "</a.css>; rel=preload"), ("link", "</b.js>; rel=preload")])
            job.interim(102)
            job.interim(103, [("link", "</c>")])
            return job.respond(200, "final", [("x-final", "1")])
        self.on("/hints", script)
        for _, _, answer in self.each("/hints"):
            self.assertEqual([status for status, _ in answer.interim], [103, 102, 103])
            self.assertEqual([v for n, v in answer.interim[0][1] if n == "link"], ["</a.css>; rel=preload", "</b.js>; rel=preload"])
            self.assertEqual((answer.status, answer.body, answer.get("x-final"), answer.get("link")), (200, b"final", "1", None))

    def test_hints_arrive_before_the_response_is_there(self):
        """Early means early: the final response waits until the client says that it has the hint."""
        for upstream in UPSTREAMS:
            release = threading.Event()
            self.on("/early", lambda j, e=release: (j.interim(103, [("link", "</a>")]), e.wait(5), j.respond(200, "late"))[2])
            client = self.h2()
            reply = client.start(f"/{upstream}/early")
            client.wait(lambda r=reply: r.interim, "the hint")
            self.assertEqual(reply.status, 0)
            release.set()
            self.assertEqual(client.finish(reply).body, b"late")

    def test_a_client_that_waits_for_100_continue_gets_it(self):
        self.on("/stream/expect", lambda j: (j.interim(100), j.respond(200, j.read()))[1])
        for upstream in UPSTREAMS:
            client = self.h2()
            reply = client.start(f"/{upstream}/stream/expect", "POST", headers=[("expect", "100-continue"), ("content-length", "5")],
                                 end=False)
            client.wait(lambda r=reply: r.interim, f"100 from {upstream}")
            self.assertEqual([s for s, _ in reply.interim], [100])
            client.send(reply, b"hello", end=True)
            self.assertEqual((client.finish(reply).status, reply.body), (200, b"hello"))

    def test_response_trailers_cross_when_asked_for_or_announced(self):
        self.on("/told", lambda j: j.respond(200, "body", [("trailer", "x-sum")], [("x-sum", "1")]))
        self.on("/silent", lambda j: j.respond(200, "body", [], [("x-sum", "1")]))
        for _, _, answer in self.each("/told"):
            self.assertEqual((answer.body, answer.trailers, answer.broken), (b"body", [("x-sum", "1")], None))
        for client, upstream in MIXES:
            fields = [("TE", "trailers")] + ([("Connection", "TE")] if client.startswith("h1") else [])
            answer = self.ask(client, f"/{upstream}/silent", "GET", fields)
            self.assertEqual((answer.body, answer.trailers), (b"body", [("x-sum", "1")]), (client, upstream))
            self.assertEqual(self.jobs(upstream)[-1].get("te"), "trailers", (client, upstream))

    def test_request_trailers_cross_when_announced(self):
        seen = []
        self.on("/stream/told", lambda j: (j.read(), seen.append(j.trailers), j.respond())[2])
        for _, _, answer in self.each("/stream/told", "POST", [("Trailer", "x-sum")], b"body", [("x-sum", "1")]):
            self.assertEqual((answer.status, seen[-1]), (200, [("x-sum", "1")]))

    def test_trailers_never_frame_route_or_authenticate(self):
        forbidden = [("content-length", "9"), ("host", "evil"), ("authorization", "Basic eA=="), ("x-forwarded-for", "9.9.9.9"),
                     ("x-consumer-id", "1"), ("set-cookie", "a=b"), ("x-fine", "1")]
        seen = []
        self.on("/stream/t", lambda j: (j.read(), seen.append(j.trailers), j.respond(200, "b", [("trailer", "x-fine")], forbidden))[2])
        names = ", ".join(n for n, _ in forbidden)
        for _, upstream, answer in self.each("/stream/t", "POST", [("Trailer", names), ("TE", "trailers")], b"body", forbidden):
            self.assertEqual((answer.status, seen[-1], answer.trailers), (200, [("x-fine", "1")], [("x-fine", "1")]), upstream)

    def test_names_are_lower_case_in_http_2_and_connection_fields_stay_behind(self):
        """The `h2` package refuses a head with capitals or connection fields."""
        self.origins["h1"].on("/h1/upper", lambda s, h: (
            b"HTTP/1.1 200 OK\r\nX-Upper-CASE: Value\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n"
            b"Proxy-Connection: keep-alive\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"))
        for kind in ("h2c", "h2"):
            answer = self.ask(kind, "/h1/upper")
            self.assertEqual((answer.status, answer.body, answer.all("x-upper-case"), answer.all("x-hop")), (200, b"ok", ["Value"], []))
        for upstream in ("h2c", "h2"):
            fields = [("X-Upper-CASE", "Value"), ("Connection", "keep-alive, X-Hop"), ("X-Hop", "1"), ("Keep-Alive", "timeout=5")]
            self.assertEqual(self.ask("h1", f"/{upstream}/x", "GET", fields).status, 200)
            job = self.jobs(upstream)[-1]
            self.assertEqual((job.all("x-upper-case"), job.all("x-hop"), job.all("keep-alive")), (["Value"], [], []))

    def test_cookies_are_joined_once(self):
        """Several cookie fields of HTTP/2 are one in HTTP/1.1 (RFC 9113 section 8.2.3), with nothing added or lost."""
        cookies = [("cookie", "a=1"), ("cookie", "b=2; c=3"), ("cookie", "d=4")]
        for client in ("h2c", "h2"):
            for upstream in UPSTREAMS:
                self.ask(client, f"/{upstream}/x", "GET", cookies)
                got = self.jobs(upstream)[-1].all("cookie")
                self.assertEqual("; ".join(got), "a=1; b=2; c=3; d=4", (client, upstream))
                if upstream == "h1":
                    self.assertEqual(len(got), 1)

    def test_set_cookie_fields_stay_apart(self):
        self.on("/set", lambda j: j.respond(200, "x", [("set-cookie", "a=1, x"), ("set-cookie", "b=2")]))
        for _, _, answer in self.each("/set"):
            self.assertEqual(answer.all("set-cookie"), ["a=1, x", "b=2"])

    def test_the_authority_is_the_host(self):
        """What upstreams are told of the host is the same whatever the client's protocol."""
        for client, upstream in MIXES:
            self.ask(client, f"/{upstream}/x", host="Shop.Example:8080")
            job = self.jobs(upstream)[-1]
            self.assertEqual(job.authority, f"127.0.0.1:{self.origins[upstream].port}", (client, upstream))
            self.assertEqual(job.get("x-forwarded-host"), "shop.example", (client, upstream))
            if upstream != "h1":
                self.assertEqual(job.all("host"), [])

    def test_host_beside_authority_must_agree(self):
        for fields, good in (([("host", "www.example")], True), ([("host", "WWW.example")], True), ([("host", "evil.example")], False)):
            client = self.h2(checked=False)
            reply = client.start(fields=client.headers("/h1/x", host="www.example", headers=fields))
            client.finish(reply)
            self.assertEqual(reply.status == 200, good, (fields, reply))
            self.assertEqual(client.ask("/h1/x").status, 200)

    def test_host_alone_will_do(self):
        client = self.h2(checked=False)
        reply = client.start(fields=[(":method", "GET"), (":scheme", "http"), (":path", "/h1/x"), ("host", "shop.example")])
        self.assertEqual(client.finish(reply).status, 200)
        self.assertEqual(self.jobs("h1")[-1].get("x-forwarded-host"), "shop.example")


class Log(Mixed):
    flags = ("--access-log", "access.log", "--access-log-format", "combined")

    def test_the_access_log_names_the_protocol(self):
        want = {"h1": "HTTP/1.1", "h1s": "HTTP/1.1", "h2c": "HTTP/2.0", "h2": "HTTP/2.0"}
        for client in CLIENTS:
            self.ask(client, f"/h2c/log-{client}")
        file = self.gateway.folder / "access.log"
        for client, protocol in want.items():
            self.assertIn(f'"GET /h2c/log-{client} {protocol}" 200 ', eventually(
                f"a line for {client}", lambda c=client: [x for x in file.read_text().splitlines() if f"/log-{c} " in x])[0])


class Troubles(Mixed):
    """What breaks stays in its stream, and is never taken for a whole."""

    flags = ("--request-line-limit", "2k", "--request-head-limit", "8k", "--header-count-limit", "50")

    def test_an_error_answer_leaves_the_connection_alone(self):
        client = self.h2()
        self.on("/teapot", lambda j: j.respond(418, "short and stout"))
        self.on("/broken", lambda j: j.respond(500, "oops"))
        for target, status in (("/none", 404), ("/h1/teapot", 418), ("/h2c/broken", 500), ("/h1/fine", 200)):
            self.assertEqual(client.ask(target).status, status)
        self.assertIsNone(client.error)

    def test_a_head_over_a_limit_is_431_or_414_and_the_connection_lives(self):
        client = self.h2()
        for headers, target, status in (([("x-big", "a" * 6000)], "/h1/x", 431), ([(f"x-{n}", "a" * 100) for n in range(49)] +
                                        [("x-more", "b" * 6000)], "/h1/x", 431), ([(f"x-{n}", "a") for n in range(60)], "/h1/x", 431),
                                        ([], "/h1/" + "a" * 3000, 414)):
            answer = client.ask(target, headers=headers)
            self.assertEqual(answer.status, status, target[:20])
            self.assertEqual(client.ask("/h1/after").status, 200)
        self.assertIsNone(client.error)

    def test_malformed_requests_reset_their_stream_only(self):
        """RFC 9113 section 8.1.1. Nothing of them reaches an upstream."""
        base = [(":method", "GET"), (":scheme", "http"), (":path", "/h1/bad"), (":authority", "a")]
        swap = lambda name, value: [(n, value if n == name else v) for n, v in base]
        for fields in (base + [("X-Upper", "1")], base + [("connection", "close")], base + [("transfer-encoding", "chunked")],
                       base + [("te", "gzip")], base + [("x-a", "b\r\nx-evil: 1")], base + [("x-a", "b\0c")], base + [("x a", "1")],
                       base + [(":path", "/twice")], [("x-first", "1"), *base], base[1:], base[:1] + base[2:], base[:2] + base[3:],
                       swap(":path", ""), swap(":path", "relative"), swap(":path", "/h1/a b"), swap(":path", "/h1/a\r\nb"),
                       swap(":method", "GE T"), base + [(":unknown", "1")], base + [("upgrade", "websocket")], base + [("", "x")]):
            client = self.h2(checked=False)
            reply = client.start(fields=fields)
            client.finish(reply)
            self.assertTrue(reply.code is not None or reply.status == 400, (fields, reply))
            if reply.code is not None:
                self.assertEqual(reply.code, PROTOCOL_ERROR, fields)
            self.assertEqual(client.ask("/h1/after").status, 200, fields)
        self.assertEqual([j.target for j in self.jobs("h1") if "after" not in j.target], [])

    def test_a_request_shorter_or_longer_than_it_said_is_never_whole(self):
        whole = []
        self.on("/stream/said", lambda j: (whole.append(j.read()), j.respond())[1])
        for upstream in UPSTREAMS:
            for said, sent in ((10, 5), (5, 10), (0, 1)):
                client = self.h2(checked=False)
                reply = client.start(f"/{upstream}/stream/said", "POST", headers=[("content-length", str(said))], end=False)
                client.machine.streams[reply.stream]._expected_content_length = None
                client.machine.send_data(reply.stream, b"x" * sent, end_stream=True)
                client.flush()
                client.finish(reply)
                # A request of no bytes may be answered before it breaks its word.
                good = reply.code is not None or reply.status == 400 or said == 0
                self.assertTrue(good, (upstream, said, sent, reply))
                self.assertEqual(client.ask("/h1/after").status, 200)
        # A body cut at its stated length may have been read before the rest came; a short one never.
        self.assertEqual([b for b in whole if len(b) not in (0, 5)], [])
        self.assertLessEqual(len([b for b in whole if len(b) == 5]), 3)

    def test_a_response_shorter_than_it_said_is_broken_off(self):
        def script(job):
            if job.kind == "h1":
                job.work.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
                return False
            job.work.head(200, [("content-length", "100")])
            return job.work.send(b"short", end=True)
        self.on("/short", script)
        for client, upstream in MIXES:
            answer = self.ask(client, f"/{upstream}/short")
            self.assertTrue(answer.broken or answer.status == 502, (client, upstream, answer))

    def test_a_response_longer_than_it_said_is_not_passed_on_whole(self):
        def script(job):
            if job.kind == "h1":
                return b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef"
            job.work.head(200, [("content-length", "3")])
            return job.work.send(b"abcdef", end=True)
        self.on("/long", script)
        for client, upstream in MIXES:
            answer = self.ask(client, f"/{upstream}/long")
            if upstream == "h1":
                self.assertEqual((answer.status, answer.body), (200, b"abc"), (client, upstream))
            else:
                self.assertTrue(answer.broken or answer.status == 502, (client, upstream, answer))

    def test_a_response_that_breaks_off_breaks_the_clients_too(self):
        def script(job):
            if job.kind == "h1":
                job.work.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
                time.sleep(0.05)
                return False
            job.work.head(200)
            job.work.send(b"hello")
            time.sleep(0.05)
            return job.work.reset(CANCEL)
        self.on("/cut", script)
        for client, upstream in MIXES:
            answer = self.ask(client, f"/{upstream}/cut")
            self.assertTrue(answer.broken, (client, upstream, answer))
        client = self.h2()
        self.assertIsNotNone(client.ask("/h1/cut").code)
        self.assertEqual(client.ask("/h1/fine").status, 200)

    def test_malformed_heads_of_an_upstream_are_a_502(self):
        origin = self.origins["h2c"]
        bad = {"upper": [(":status", "200"), ("X-Upper", "1")], "hop": [(":status", "200"), ("connection", "close")],
               "nothing": [("x-a", "1")], "line": [(":status", "200"), ("x-a", "b\r\nc: d")], "word": [(":status", "20x")],
               "twice": [(":status", "200"), (":status", "200")], "path": [(":status", "200"), (":path", "/")],
               "length": [(":status", "200"), ("content-length", "1x")], "101": [(":status", "101")]}
        def script(work):
            # The package would not send it, so neither its encoder nor its stream is used again.
            block = Encoder().encode(bad[work.target.rsplit("/", 1)[1]])
            work.link.raw(HeadersFrame(work.number, block, flags=["END_HEADERS", "END_STREAM"]).serialize())
        for name in bad:
            origin.on(f"/h2c/bad/{name}", script)
            for kind in ("h1", "h2c"):
                self.assertEqual(self.ask(kind, f"/h2c/bad/{name}").status, 502, (kind, name))

    def test_a_client_that_cancels_ends_the_work_upstream(self):
        for upstream in UPSTREAMS:
            gone = threading.Event()

            def script(job, gone=gone):
                if job.kind == "h1":
                    if job.work.ended(5):
                        gone.set()
                    return False
                if job.work.cancelled.wait(5):
                    gone.set()
                return None
            self.on("/work", script)
            client = self.h2()
            reply = client.start(f"/{upstream}/work")
            self.assertTrue(wait(lambda u=upstream: self.jobs(u, "/work")))
            client.cancel(reply)
            self.assertTrue(gone.wait(3), f"{upstream} was left working for nobody")
            self.assertEqual(client.ask(f"/{upstream}/after").status, 200)
            if upstream != "h1":
                self.assertEqual(len(self.origins[upstream].open), 1, "the connection was given up for one stream")

    def test_a_client_that_leaves_ends_all_its_work(self):
        gone = threading.Semaphore(0)
        self.on("/work", lambda j: (j.work.cancelled.wait(5) and gone.release(), None)[1])
        client = self.h2()
        for _ in range(10):
            client.start("/h2c/work")
        self.assertTrue(wait(lambda: len(self.jobs("h2c", "/work")) == 10))
        client.close()
        for _ in range(10):
            self.assertTrue(gone.acquire(timeout=3))

    def test_an_early_answer_to_an_upload_ends_it(self):
        """The upstream answers 413 after the head. The client gets it and is told to stop, and the connection lives."""
        def script(job):
            if job.kind == "h1":
                job.work.send(b"HTTP/1.1 413 X\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
                time.sleep(0.1)
                return False
            return job.work.respond(413, "big")
        self.on("/stream/early", script)
        for upstream in UPSTREAMS:
            client = self.h2()
            reply = client.start(f"/{upstream}/stream/early", "POST", headers=[("content-length", "50000000")], end=False)
            client.wait(lambda r=reply: r.ended or r.code is not None, f"the answer of {upstream}")
            self.assertEqual((reply.status, reply.body), (413, b"big"), upstream)
            self.assertEqual(client.ask("/h1/after").status, 200)

    def test_refused_streams_of_an_upstream_are_tried_again(self):
        """REFUSED_STREAM promises that nothing was done (RFC 9113 section 8.7), so even a POST may go again."""
        times = []

        def script(job):
            times.append(1)
            if len(times) == 1:
                return job.work.reset(REFUSED_STREAM)
            return job.respond(200, job.read())
        self.on("/refused", script)
        answer = self.ask("h2c", "/h2c/refused", "POST", [("content-length", "4")], b"once")
        self.assertEqual((answer.status, answer.body, len(times)), (200, b"once", 2))

    def test_an_upstream_without_http_2_is_a_502(self):
        """A service tagged for HTTP/2 whose server speaks only HTTP/1.1."""
        origin = Origin()
        self.addCleanup(origin.close)
        origin.on("*", lambda s, h: s.send(reply(400, "no PRI here")) or False)
        with Gateway(kong([service("old", origin.url, tags=TAG, retries=0)])) as gateway:
            self.assertEqual(h2ask(gateway.port, "/old").status, 502)


if __name__ == "__main__":
    unittest.main()
