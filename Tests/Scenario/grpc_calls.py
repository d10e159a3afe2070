"""gRPC through the gateway: grpcio on both ends, and raw HTTP/2 where grpcio is too polite."""

import collections
import concurrent.futures
import struct
import threading
import time
import unittest

import packages  # noqa: F401, before grpc
import grpc

from certs import Authority
from gateway import Gateway, eventually, kong
from h2wire import CANCEL, H2Client, H2Origin, serving, trusting
from wire import ask, wait

OPTIONS = [("grpc.max_send_message_length", 64 << 20), ("grpc.max_receive_message_length", 64 << 20),
           ("grpc.max_metadata_size", 65536), ("grpc.absolute_max_metadata_size", 65536)]
Code = grpc.StatusCode
GRPC = [("content-type", "application/grpc"), ("te", "trailers")]


def message(data=b"", compressed=0) -> bytes:
    """A message as it stands in a body: flag and length before it."""
    return struct.pack(">BI", compressed, len(data)) + data


class Server(grpc.GenericRpcHandler):
    """Answers methods of any service by the method's name. Notes who came from where, and who was cancelled."""

    def __init__(self, pair=None, port=0):
        self.pair, self.peers, self.cancelled, self.calls = pair, set(), collections.Counter(), collections.Counter()
        self.hold = threading.Event()
        self.start(port)

    def start(self, port=0):
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(128), [self], options=OPTIONS)
        if self.pair:
            certificate, key = self.pair
            credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
            self.port = self.server.add_secure_port(f"127.0.0.1:{port}", credentials)
        else:
            self.port = self.server.add_insecure_port(f"127.0.0.1:{port}")
        self.server.start()

    def stop(self, grace=None):
        self.hold.set()
        return self.server.stop(grace)

    @property
    def url(self) -> str:
        return f"{'grpcs' if self.pair else 'grpc'}://127.0.0.1:{self.port}"

    def service(self, details):
        name = details.method.rsplit("/", 1)[1]
        kinds = {"Unary": grpc.unary_unary_rpc_method_handler, "Fail": grpc.unary_unary_rpc_method_handler,
                 "Slow": grpc.unary_unary_rpc_method_handler, "Meta": grpc.unary_unary_rpc_method_handler,
                 "Gather": grpc.stream_unary_rpc_method_handler, "Scatter": grpc.unary_stream_rpc_method_handler,
                 "Endless": grpc.unary_stream_rpc_method_handler, "Late": grpc.unary_stream_rpc_method_handler,
                 "Chat": grpc.stream_stream_rpc_method_handler}
        return kinds[name](getattr(self, name.lower())) if name in kinds else None

    def note(self, context, name):
        self.peers.add(context.peer())
        self.calls[name] += 1
        context.add_callback(lambda: self.cancelled.update([name]) if not context.done else None)
        context.done = False

    def unary(self, request, context):
        self.note(context, "Unary")
        context.done = True
        return request

    def slow(self, request, context):
        self.note(context, "Slow")
        while context.is_active() and not self.hold.wait(0.01):
            pass
        context.done = self.hold.is_set()
        return b"slow"

    def fail(self, request, context):
        """With the code of the request, before any message: grpcio answers with trailers only."""
        self.note(context, "Fail")
        context.done = True
        context.set_trailing_metadata((("x-detail", "d"), ("grpc-status-details-bin", b"\0\xff details \x80")))
        code = next(c for c in Code if c.value[0] == int(request))
        context.abort(code, "it said: 100% ünlucky\n")

    def meta(self, request, context):
        self.note(context, "Meta")
        context.done = True
        mine = [(k, v) for k, v in context.invocation_metadata() if k.startswith(("x-", "bin-"))]
        context.send_initial_metadata([("x-first", "1"), ("bin-first-bin", b"\0\1\xfe")] + mine)
        context.set_trailing_metadata([("x-last", "2"), ("bin-last-bin", bytes(range(256)))])
        return request

    def gather(self, requests, context):
        self.note(context, "Gather")
        count, total = 0, 0
        for request in requests:
            count, total = count + 1, total + len(request)
        context.done = True
        return b"%d %d" % (count, total)

    def scatter(self, request, context):
        self.note(context, "Scatter")
        for n in range(int(request)):
            yield b"%d" % n
        context.done = True

    def endless(self, request, context):
        self.note(context, "Endless")
        while context.is_active() and not self.hold.is_set():
            yield bytes(int(request))

    def late(self, request, context):
        """Some messages, then an error."""
        self.note(context, "Late")
        yield b"one"
        yield b"two"
        context.done = True
        context.abort(Code.DATA_LOSS, "after two")

    def chat(self, requests, context):
        self.note(context, "Chat")
        for request in requests:
            yield request
        context.done = True


def grpc_service(name, url, *paths, plugins=(), protocols=("grpc", "grpcs"), hosts=None, headers=None, **fields):
    route = {"name": name, "protocols": list(protocols), "paths": list(paths or [f"/pkg.{name}"])}
    route |= ({"hosts": hosts} if hosts else {}) | ({"headers": headers} if headers else {})
    return {"name": name, "url": url, "routes": [route], "plugins": list(plugins), **fields}


class Rig(unittest.TestCase):
    """Clear and TLS on both sides of one gateway."""

    @classmethod
    def setUpClass(cls):
        cls.authority = Authority()
        pair = cls.authority.issue("localhost", "DNS:localhost", "IP:127.0.0.1")
        cls.clear, cls.secure, cls.origin = Server(), Server(pair), H2Origin()
        cls.gateway = Gateway(cls.config(pair), https=True)
        root = cls.authority.certificate.read_bytes()
        cls.channels = {
            "h2c": grpc.insecure_channel(f"127.0.0.1:{cls.gateway.port}", OPTIONS),
            "h2": grpc.secure_channel(f"localhost:{cls.gateway.https_port}", grpc.ssl_channel_credentials(root), OPTIONS)}

    @classmethod
    def tearDownClass(cls):
        for channel in cls.channels.values():
            channel.close()
        cls.gateway.stop()
        for server in (cls.clear, cls.secure):
            server.stop()
        cls.origin.close()
        cls.authority.close()

    @classmethod
    def config(cls, pair):
        certificate, key = (p.read_text() for p in pair)
        dead = "grpc://127.0.0.1:1"
        config = kong([
            grpc_service("Clear", cls.clear.url), grpc_service("Secure", cls.secure.url),
            grpc_service("Raw", f"grpc://127.0.0.1:{cls.origin.port}"),
            grpc_service("Timed", cls.clear.url, read_timeout=300, write_timeout=300),
            grpc_service("Down", dead, retries=0), grpc_service("Nobody", "grpc://nobody.example"),
            grpc_service("Keyed", cls.clear.url, plugins=[{"name": "key-auth"}]),
            grpc_service("Limited", cls.clear.url, plugins=[{"name": "rate-limiting", "config": {"hour": 2}}]),
            grpc_service("Denied", cls.clear.url, plugins=[{"name": "ip-restriction", "config": {"deny": ["127.0.0.1"]}}]),
            grpc_service("OnlyTLS", cls.clear.url, protocols=["grpcs"]),
            grpc_service("Hosted", cls.secure.url, "/pkg.Hosted", hosts=["shop.example"]),
            grpc_service("Versioned", cls.secure.url, "/pkg.Versioned", headers={"x-version": ["2"]}),
            {"name": "web", "url": f"http://127.0.0.1:{cls.origin.port}", "tags": ["seaway.upstream-protocol=h2"],
             "routes": [{"name": "web", "paths": ["/web"], "strip_path": False}]}],
            certificates=[{"cert": certificate, "key": key, "snis": [{"name": "localhost"}]}])
        config["upstreams"] = [{"name": "nobody.example", "targets": []}]
        return config

    def setUp(self):
        for server in (self.clear, self.secure):
            server.hold.clear()
            server.cancelled.clear()
            server.calls.clear()
            server.peers.clear()
        self.origin.scripts.clear()
        self.origin.clear()

    def tearDown(self):
        self.assertEqual(self.origin.faults, [])

    def _formatMessage(self, message, standard):
        return super()._formatMessage(message if message is not None else getattr(self, "mix", None), standard)

    def paths(self):
        """(channel, service, its server): every mix of clear and TLS."""
        for kind, channel in self.channels.items():
            for name, server in (("Clear", self.clear), ("Secure", self.secure)):
                self.mix = (kind, name)
                yield channel, f"/pkg.{name}", server

    def code(self, call, *arguments, **more):
        """Status code, details and trailing metadata of a call that must fail."""
        with self.assertRaises(grpc.RpcError) as caught:
            result = call(*arguments, timeout=more.pop("timeout", 10), **more)
            list(result) if hasattr(result, "__next__") else None
        error = caught.exception
        return error.code(), error.details(), dict(error.trailing_metadata() or ())

    def raw(self, secure=False):
        port = self.gateway.https_port if secure else self.gateway.port
        client = H2Client(port, trusting() if secure else None)
        self.addCleanup(client.close)
        return client


class Calls(Rig):
    def test_unary(self):
        for channel, service, server in self.paths():
            for data in (b"", b"x", b"y" * 70_000):
                answer, call = channel.unary_unary(f"{service}/Unary").with_call(data, timeout=10)
                self.assertEqual((answer, call.code(), server.calls["Unary"] > 0), (data, Code.OK, True))

    def test_client_streams(self):
        for channel, service, _ in self.paths():
            answer = channel.stream_unary(f"{service}/Gather")((b"z" * n for n in range(500)), timeout=10)
            self.assertEqual(answer, b"500 %d" % (499 * 500 // 2))
            self.assertEqual(channel.stream_unary(f"{service}/Gather")(iter(()), timeout=10), b"0 0")

    def test_server_streams(self):
        for channel, service, _ in self.paths():
            for count in (0, 1, 1000):
                got = list(channel.unary_stream(f"{service}/Scatter")(b"%d" % count, timeout=10))
                self.assertEqual(got, [b"%d" % n for n in range(count)])

    def test_ten_thousand_messages_on_a_stream(self):
        for channel, service, _ in self.paths():
            got = list(channel.unary_stream(f"{service}/Scatter")(b"10000", timeout=30))
            self.assertEqual(got, [b"%d" % n for n in range(10_000)])

    def test_both_ways_message_by_message(self):
        """Each message is sent only when the one before has come back: nothing may be held until more comes."""
        for channel, service, _ in self.paths():
            back = threading.Semaphore(1)

            def ask_again(back=back):
                for n in range(300):
                    if not back.acquire(timeout=5):
                        return
                    yield b"%d" % n
            got = []
            for reply in channel.stream_stream(f"{service}/Chat")(ask_again(), timeout=20):
                got.append(reply)
                back.release()
            self.assertEqual(got, [b"%d" % n for n in range(300)])

    def test_four_megabytes_both_ways(self):
        data = bytes(range(251)) * (4 * 1024 * 1024 // 251 + 1)
        for channel, service, _ in self.paths():
            self.assertEqual(channel.unary_unary(f"{service}/Unary")(data, timeout=20), data)
            got = list(channel.stream_stream(f"{service}/Chat")(iter([data] * 4), timeout=30))
            self.assertTrue(len(got) == 4 and all(g == data for g in got))

    def test_a_hundred_calls_at_once_use_few_upstream_connections(self):
        channel = self.channels["h2"]
        call = channel.unary_unary("/pkg.Clear/Slow")
        futures = [call.future(b"", timeout=20) for _ in range(100)]
        eventually("all to be in flight", lambda: self.clear.calls["Slow"] == 100)
        self.clear.hold.set()
        self.assertEqual([f.result() for f in futures], [b"slow"] * 100)
        self.assertLessEqual(len(self.clear.peers), 3)

    def test_metadata_both_ways(self):
        sent = [("x-text", "a, b"), ("x-twice", "1"), ("x-twice", "2"), ("bin-data-bin", bytes(range(255, -1, -1)))]
        for channel, service, _ in self.paths():
            answer, call = channel.unary_unary(f"{service}/Meta").with_call(b"m", timeout=10, metadata=sent)
            initial, trailing = list(call.initial_metadata()), list(call.trailing_metadata())
            values = lambda name, where: [v for k, v in where if k == name]
            self.assertEqual((answer, values("x-first", initial), values("bin-first-bin", initial)), (b"m", ["1"], [b"\0\1\xfe"]))
            self.assertEqual((values("x-text", initial), values("bin-data-bin", initial)), (["a, b"], [bytes(range(255, -1, -1))]))
            self.assertEqual(", ".join(values("x-twice", initial)), "1, 2")
            self.assertEqual((values("x-last", trailing), values("bin-last-bin", trailing)), (["2"], [bytes(range(256))]))

    def test_large_metadata(self):
        sent = [("x-large", "a" * 6000), ("x-more", "b" * 6000)]
        for channel, service, _ in self.paths():
            _, call = channel.unary_unary(f"{service}/Meta").with_call(b"m", timeout=10, metadata=sent)
            got = dict(call.initial_metadata())
            self.assertEqual((got["x-large"], got["x-more"]), ("a" * 6000, "b" * 6000))

    def test_errors_with_trailers_only(self):
        for channel, service, _ in self.paths():
            for code in Code:
                if code is Code.OK:
                    continue
                got, details, trailing = self.code(channel.unary_unary(f"{service}/Fail"), b"%d" % code.value[0])
                self.assertEqual((got, details), (code, "it said: 100% ünlucky\n"))
                self.assertEqual((trailing["x-detail"], trailing["grpc-status-details-bin"]), ("d", b"\0\xff details \x80"))

    def test_an_error_after_messages(self):
        for channel, service, _ in self.paths():
            got = []
            with self.assertRaises(grpc.RpcError) as caught:
                for item in channel.unary_stream(f"{service}/Late")(b"", timeout=10):
                    got.append(item)
            self.assertEqual((got, caught.exception.code(), caught.exception.details()), ([b"one", b"two"], Code.DATA_LOSS, "after two"))

    def test_an_unknown_method_is_the_servers_answer(self):
        for channel, service, _ in self.paths():
            self.assertEqual(self.code(channel.unary_unary(f"{service}/Nothing"), b"")[:2], (Code.UNIMPLEMENTED, "Method not found!"))

    def test_compressed_messages_pass(self):
        data = bytes(1_000_000)
        for channel, service, _ in self.paths():
            answer = channel.unary_unary(f"{service}/Unary")(data, timeout=10, compression=grpc.Compression.Gzip)
            self.assertEqual(answer, data)
        seen = []

        def script(work):
            seen.append((work.get("grpc-encoding"), work.body))
            work.respond(200, message(b"fine"), [("content-type", "application/grpc")], [("grpc-status", "0")])
        self.origin.on("/pkg.Raw/Zip", script)
        answer = self.channels["h2c"].unary_unary("/pkg.Raw/Zip")(data, timeout=10, compression=grpc.Compression.Gzip)
        self.assertEqual((answer, seen[0][0], seen[0][1][0]), (b"fine", "gzip", 1))
        self.assertLess(len(seen[0][1]), 10_000)

    def test_what_the_upstream_is_asked(self):
        self.origin.on("/pkg.Raw/Look", lambda w: w.respond(200, w.body, [("content-type", "application/grpc+proto")], [("grpc-status", "0")]))
        call = self.channels["h2"].unary_unary("/pkg.Raw/Look")
        self.assertEqual(call(b"x", timeout=10, metadata=[("x-mine", "1")]), b"x")
        work = self.origin.seen("/pkg.Raw/Look")[0]
        self.assertEqual((work.method, work.pseudo[":scheme"], work.get("content-type"), work.get("te"), work.get("x-mine")),
                         ("POST", "http", "application/grpc", "trailers", "1"))
        self.assertTrue(work.get("user-agent").startswith("grpc-python"))
        self.assertEqual(work.get("x-forwarded-for"), "127.0.0.1")


class Ends(Rig):
    """Deadlines, cancellation, servers that leave."""

    def test_a_clients_deadline_ends_the_call_on_both_sides(self):
        for channel, service, server in self.paths():
            server.cancelled.clear()
            began = time.monotonic()
            self.assertEqual(self.code(channel.unary_unary(f"{service}/Slow"), b"", timeout=0.3)[0], Code.DEADLINE_EXCEEDED)
            self.assertLess(time.monotonic() - began, 2)
            eventually("the server to see the cancellation", lambda s=server: s.cancelled["Slow"] == 1)

    def test_a_cancelled_call_is_cancelled_upstream(self):
        for channel, service, server in self.paths():
            server.cancelled.clear()
            server.calls.clear()
            future = channel.unary_unary(f"{service}/Slow").future(b"", timeout=20)
            eventually("the call to arrive", lambda s=server: s.calls["Slow"])
            future.cancel()
            eventually("the server to see the cancellation", lambda s=server: s.cancelled["Slow"] == 1)

    def test_a_cancelled_stream_is_cancelled_upstream(self):
        for channel, service, server in self.paths():
            server.cancelled.clear()
            stream = channel.unary_stream(f"{service}/Endless")(b"1000", timeout=20)
            self.assertEqual(len(next(stream)), 1000)
            stream.cancel()
            eventually("the server to see the cancellation", lambda s=server: s.cancelled["Endless"] == 1)
            self.assertEqual(channel.unary_unary(f"{service}/Unary")(b"on", timeout=10), b"on")

    def test_a_stream_nobody_reads_stops_its_server_and_not_others(self):
        channel, taken = self.channels["h2"], [0]
        before = self.gateway.resident()
        stream = channel.unary_stream("/pkg.Clear/Endless")(b"100000", timeout=30)
        next(stream)
        for n in range(50):
            self.assertEqual(channel.unary_unary("/pkg.Clear/Unary")(b"%d" % n, timeout=10), b"%d" % n)
        time.sleep(0.3)
        self.assertLess(self.gateway.resident() - before, 4 << 20)
        for item in stream:
            taken[0] += len(item)
            if taken[0] > 5_000_000:
                break
        stream.cancel()

    def test_the_gateway_keeps_a_deadline_that_the_client_forgets(self):
        """A raw client that never gives up, and a server that never answers."""
        for text, least, most in (("300m", 0.25, 2), ("300000u", 0.25, 2), ("90000000n", 0.08, 2), ("1S", 0.9, 3)):
            gone = []
            self.origin.on("/pkg.Raw/Hang", lambda w, g=gone: g.append(w.cancelled.wait(8)))
            client = self.raw()
            began = time.monotonic()
            answer = client.ask("/pkg.Raw/Hang", "POST", headers=GRPC + [("grpc-timeout", text)], body=message(b"x"))
            took = time.monotonic() - began
            fields = dict(answer.fields) | dict(answer.trailers)
            self.assertEqual((answer.status, fields.get("grpc-status"), fields.get("content-type")), (200, "4", "application/grpc"), text)
            self.assertTrue(least <= took <= most, (text, took))
            self.assertTrue(wait(lambda g=gone: g) and gone[0], f"{text}: the upstream was left working")
            self.assertIsNotNone(self.origin.seen("/pkg.Raw/Hang")[-1].get("grpc-timeout"))

    def test_a_deadline_also_ends_a_response_that_has_begun(self):
        def script(work):
            work.head(200, [("content-type", "application/grpc")])
            work.send(message(b"first"))
            work.cancelled.wait(8)
        self.origin.on("/pkg.Raw/Begun", script)
        client = self.raw()
        began = time.monotonic()
        answer = client.ask("/pkg.Raw/Begun", "POST", headers=GRPC + [("grpc-timeout", "400m")], body=message(b"x"))
        self.assertTrue(0.3 <= time.monotonic() - began <= 2)
        self.assertEqual(answer.body, message(b"first"))
        # Trailers that say so, or a stream that broke: never a good end.
        self.assertTrue(dict(answer.trailers).get("grpc-status") == "4" or answer.code == CANCEL, answer)
        self.assertTrue(wait(lambda: self.origin.seen("/pkg.Raw/Begun")[-1].cancelled.is_set()))

    def test_a_deadline_that_is_kept_changes_nothing(self):
        self.origin.on("/pkg.Raw/Quick", lambda w: w.respond(200, w.body, [("content-type", "application/grpc")], [("grpc-status", "0")]))
        client = self.raw()
        for text in ("10S", "99999999H", "5M", "nonsense", "", "123456789S", "-1S"):
            answer = client.ask("/pkg.Raw/Quick", "POST", headers=GRPC + [("grpc-timeout", text)], body=message(b"x"))
            if text in ("10S", "99999999H", "5M"):
                self.assertEqual((answer.status, answer.trailers), (200, [("grpc-status", "0")]), text)
            else:
                self.assertIn(answer.status, (200, 400), text)

    def test_a_service_that_is_too_slow_is_deadline_exceeded(self):
        code, details, _ = self.code(self.channels["h2c"].unary_unary("/pkg.Timed/Slow"), b"")
        self.assertEqual((code, details), (Code.DEADLINE_EXCEEDED, "The upstream server is timing out"))
        eventually("the server to see the cancellation", lambda: self.clear.cancelled["Slow"] == 1)

    def test_a_server_that_restarts_finishes_what_it_began_and_is_found_again(self):
        server = Server()
        self.addCleanup(server.stop)
        with Gateway(kong([grpc_service("Restart", server.url)])) as gateway:
            channel = grpc.insecure_channel(f"127.0.0.1:{gateway.port}", OPTIONS)
            self.addCleanup(channel.close)
            slow, quick = channel.unary_unary("/pkg.Restart/Slow"), channel.unary_unary("/pkg.Restart/Unary")
            self.assertEqual(quick(b"1", timeout=10), b"1")
            future = slow.future(b"", timeout=20)
            eventually("the call to arrive", lambda: server.calls["Slow"])
            # GOAWAY, then the port belongs to the next server.
            ended = server.server.stop(5)
            server.start(server.port)
            for n in range(20):
                self.assertEqual(quick(b"%d" % n, timeout=10), b"%d" % n)
            self.assertFalse(future.done())
            server.hold.set()
            self.assertEqual(future.result(), b"slow")
            ended.wait(5)

    def test_a_server_that_dies_in_a_call_is_unavailable(self):
        server = Server()
        self.addCleanup(server.stop)
        with Gateway(kong([grpc_service("Dies", server.url, retries=0)])) as gateway:
            channel = grpc.insecure_channel(f"127.0.0.1:{gateway.port}", OPTIONS)
            self.addCleanup(channel.close)
            stream = channel.unary_stream("/pkg.Dies/Endless")(b"10", timeout=20)
            next(stream)
            server.server.stop(0)
            with self.assertRaises(grpc.RpcError) as caught:
                list(stream)
            self.assertIn(caught.exception.code(), (Code.UNAVAILABLE, Code.CANCELLED, Code.INTERNAL))
            self.assertEqual(self.code(channel.unary_unary("/pkg.Dies/Unary"), b"")[0], Code.UNAVAILABLE)

    def test_calls_outlive_a_reload(self):
        channel = self.channels["h2"]
        asked = threading.Semaphore(0)

        def requests():
            for n in range(3):
                yield b"%d" % n
                asked.acquire(timeout=10)
        stream = channel.stream_stream("/pkg.Clear/Chat")(requests(), timeout=20)
        for n in range(3):
            self.assertEqual(next(stream), b"%d" % n)
            self.gateway.reload()
            asked.release()
        self.assertEqual(list(stream), [])


class Answers(Rig):
    """What the gateway says itself, in gRPC's own terms (Kong's messages)."""

    def refused(self, method, channel="h2c", **more):
        return self.code(self.channels[channel].unary_unary(method), b"x", **more)[:2]

    def test_no_route(self):
        self.assertEqual(self.refused("/pkg.None/Unary"), (Code.NOT_FOUND, "no Route matched with those values"))

    def test_no_credentials(self):
        self.assertEqual(self.refused("/pkg.Keyed/Unary"), (Code.UNAUTHENTICATED, "No API key found in request"))
        self.assertEqual(self.refused("/pkg.Keyed/Unary", metadata=[("apikey", "wrong")]), (Code.UNAUTHENTICATED, "Unauthorized"))

    def test_too_many_requests(self):
        call = self.channels["h2"].unary_unary("/pkg.Limited/Unary")
        for _ in range(2):
            self.assertEqual(call(b"x", timeout=10), b"x")
        self.assertEqual(self.refused("/pkg.Limited/Unary", "h2"), (Code.RESOURCE_EXHAUSTED, "API rate limit exceeded"))

    def test_forbidden(self):
        self.assertEqual(self.refused("/pkg.Denied/Unary"), (Code.PERMISSION_DENIED, "IP address not allowed: 127.0.0.1"))

    def test_an_upstream_that_is_down(self):
        self.assertEqual(self.refused("/pkg.Down/Unary")[0], Code.UNAVAILABLE)

    def test_an_upstream_without_targets(self):
        self.assertEqual(self.refused("/pkg.Nobody/Unary")[0], Code.UNAVAILABLE)

    def test_a_route_for_tls_only(self):
        code, details = self.refused("/pkg.OnlyTLS/Unary")
        self.assertEqual((code, details), (Code.CANCELLED, "gRPC request matched gRPCs route"))
        self.assertEqual(self.channels["h2"].unary_unary("/pkg.OnlyTLS/Unary")(b"x", timeout=10), b"x")
        answer = self.raw().ask("/pkg.OnlyTLS/Unary", "POST", headers=GRPC, body=message(b"x"))
        fields = dict(answer.fields) | dict(answer.trailers)
        self.assertEqual((answer.status, fields["grpc-status"]), (200, "1"))

    def test_hosts_and_headers_choose_the_route(self):
        call = self.channels["h2c"].unary_unary("/pkg.Versioned/Unary")
        self.assertEqual(call(b"v", timeout=10, metadata=[("x-version", "2")]), b"v")
        self.assertEqual(self.code(call, b"v", metadata=[("x-version", "1")])[0], Code.NOT_FOUND)
        channel = grpc.insecure_channel(f"127.0.0.1:{self.gateway.port}", OPTIONS + [("grpc.default_authority", "shop.example")])
        self.addCleanup(channel.close)
        self.assertEqual(channel.unary_unary("/pkg.Hosted/Unary")(b"h", timeout=10), b"h")
        self.assertEqual(self.refused("/pkg.Hosted/Unary")[0], Code.NOT_FOUND)

    def test_other_content_on_a_grpc_route_is_415(self):
        for headers in ([("content-type", "application/json")], [], [("content-type", "application/x-grpc")]):
            answer = self.raw().ask("/pkg.Clear/Unary", "POST", headers=headers, body=b"{}")
            self.assertEqual((answer.status, b"Non-gRPC request matched gRPC route" in answer.body), (415, True), headers)

    def test_grpc_over_http_1_is_426(self):
        answer = ask(self.gateway.port, "/pkg.Clear/Unary", "POST", headers=[("Content-Type", "application/grpc")], body=message(b"x"))
        fields = {n.decode().lower(): v.decode() for n, v in answer.fields}
        self.assertEqual(answer.status, 426)
        self.assertIn("Please use HTTP2 protocol", fields.get("grpc-message", "") + answer.body.decode("latin-1"))

    def test_own_answers_are_trailers_only(self):
        """One HEADERS frame that ends the stream: status in it, no body, no content length but 0."""
        answer = self.raw().ask("/pkg.Keyed/Unary", "POST", headers=GRPC, body=message(b"x"))
        fields = dict(answer.fields)
        self.assertEqual((fields.get("content-type"), fields.get("grpc-status"), answer.body, answer.trailers),
                         ("application/grpc", "16", b"", []))
        self.assertIn(fields.get("content-length"), (None, "0"))

    def test_a_web_route_serves_grpc_clients_too(self):
        """A grpc call on a route of protocol http is an HTTP/2 request like any other; its trailers cross."""
        self.origin.on("/web/pkg.S/M", lambda w: w.respond(200, w.body, [("content-type", "application/grpc")], [("grpc-status", "0")]))
        self.assertEqual(self.channels["h2c"].unary_unary("/web/pkg.S/M")(b"w", timeout=10), b"w")

    def test_the_balancer_spreads_calls_over_servers(self):
        servers = [Server() for _ in range(3)]
        for server in servers:
            self.addCleanup(server.stop)
        config = kong([grpc_service("Spread", "grpc://spread.example")])
        config["upstreams"] = [{"name": "spread.example", "targets": [{"target": f"127.0.0.1:{s.port}"} for s in servers]}]
        with Gateway(config) as gateway:
            channel = grpc.insecure_channel(f"127.0.0.1:{gateway.port}", OPTIONS)
            self.addCleanup(channel.close)
            call = channel.unary_unary("/pkg.Spread/Unary")
            for n in range(30):
                call(b"%d" % n, timeout=10)
            self.assertEqual([s.calls["Unary"] for s in servers], [10, 10, 10])


if __name__ == "__main__":
    unittest.main()
