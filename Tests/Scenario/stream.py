"""Stream routes: TCP, TLS and UDP through the built gateway."""

import hashlib
import json
import os
import random
import socket
import ssl
import threading
import time
import unittest

import peers
from certs import Authority
from gateway import Gateway, eventually, kong
from wire import Origin, Stream
from peers import TCPServer, UDPServer, client, datagrams, ending, exactly, line, named, rest


def tcp(name, port, protocols=("tcp",), protocol="tcp", route=None, host="127.0.0.1", **fields) -> dict:
    """A service with one stream route; every destination matches unless `route` says which."""
    matchers = route or {"sources": [{"ip": "0.0.0.0/0"}]}
    return {"name": name, "protocol": protocol, "host": host, "port": port,
            "routes": [{"name": name, "protocols": list(protocols), **matchers}], **fields}


def fast(**fields) -> dict:
    return {"connect_timeout": 2000, "read_timeout": 60000, "write_timeout": 60000, **fields}


class Case(unittest.TestCase):
    """Gateways of a test end with it, and leave no descriptor behind while they run."""

    def gateway(self, services, *flags, streams=("127.0.0.1:0",), entities=None, **more) -> Gateway:
        arguments = [word for stream in streams for word in ("--stream", stream)]
        gateway = Gateway(kong(services, **(entities or {})), *arguments, *flags, **more)
        self.addCleanup(gateway.stop)
        gateway.quiet_sockets = gateway.descriptors()
        return gateway

    def server(self, script=peers.echo, **more) -> TCPServer:
        server = TCPServer(script, **more)
        self.addCleanup(server.close)
        return server

    def assertNothingIsLeft(self, gateway):
        eventually(lambda: f"{gateway.descriptors()} sockets, {gateway.quiet_sockets} before",
                   lambda: gateway.descriptors() <= gateway.quiet_sockets, 10)
        self.assertLessEqual(gateway.descriptors("pipe"), 2 * 64)
        eventually("no active session", lambda: gateway.metric("seaway_stream_sessions_active") == 0)

    def refusals(self, gateway, reason) -> int:
        return int(gateway.metric("seaway_connections_rejected_total", reason=reason))

    def refused(self, gateway, reason, count=1):
        eventually(lambda: f"{count} refused for {reason}: {gateway.status('/metrics')[1]}",
                   lambda: self.refusals(gateway, reason) >= count)


class TCP(Case):
    def test_bytes_pass_both_ways(self):
        server = self.server()
        gateway = self.gateway([tcp("echo", server.port)])
        with client(gateway.stream_ports[0]) as sock:
            for size in (1, 10, 1000, 70_000, 3):
                data = os.urandom(size)
                sock.sendall(data)
                self.assertEqual(exactly(sock, size), data)
        self.assertNothingIsLeft(gateway)

    def test_large_transfers_both_ways_at_once_arrive_whole(self):
        size = 64 << 20
        seed = random.randrange(1 << 30)
        back = random.Random(seed).randbytes(1 << 20)
        digests = {}

        def both(sock):
            def send():
                for _ in range(size >> 20):
                    sock.sendall(back)
                sock.shutdown(socket.SHUT_WR)
            sender = threading.Thread(target=send)
            sender.start()
            digests["up"] = hashlib.sha256(rest(sock)).hexdigest()
            sender.join()

        server = self.server(both)
        gateway = self.gateway([tcp("both", server.port)])
        data = random.Random(seed + 1).randbytes(1 << 20)
        with client(gateway.stream_ports[0]) as sock:
            def send():
                for _ in range(size >> 20):
                    sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
            sender = threading.Thread(target=send)
            sender.start()
            down = hashlib.sha256(rest(sock)).hexdigest()
            sender.join()
        self.assertEqual(down, hashlib.sha256(back * (size >> 20)).hexdigest(), f"seed {seed}")
        eventually("the upstream's digest", lambda: "up" in digests)
        self.assertEqual(digests["up"], hashlib.sha256(data * (size >> 20)).hexdigest(), f"seed {seed}")
        self.assertNothingIsLeft(gateway)

    def test_random_pieces_and_pauses_keep_their_order(self):
        seed = random.randrange(1 << 30)
        chance = random.Random(seed)
        server = self.server()
        gateway = self.gateway([tcp("echo", server.port)])
        with client(gateway.stream_ports[0]) as sock:
            data = chance.randbytes(6 << 20)

            def send():
                at = 0
                while at < len(data):
                    size = chance.choice([1, 100, 1448, 16384, 65536, 300_000, 1 << 20])
                    sock.sendall(data[at:at + size])
                    at += size
                    if chance.random() < 0.1:
                        time.sleep(0.002)
                sock.shutdown(socket.SHUT_WR)
            sender = threading.Thread(target=send)
            sender.start()
            self.assertEqual(hashlib.sha256(rest(sock)).digest(), hashlib.sha256(data).digest(), f"seed {seed}")
            sender.join()

    def test_a_client_that_ends_its_sending_still_gets_the_answer(self):
        def count(sock):
            data = rest(sock)
            time.sleep(0.05)
            sock.sendall(b"%d bytes" % len(data))

        server = self.server(count)
        gateway = self.gateway([tcp("count", server.port)])
        with client(gateway.stream_ports[0]) as sock:
            sock.sendall(b"x" * 100_000)
            sock.shutdown(socket.SHUT_WR)
            self.assertEqual(rest(sock), b"100000 bytes")
        self.assertNothingIsLeft(gateway)

    def test_an_upstream_that_ends_its_sending_still_gets_the_rest(self):
        seen = []

        def greet(sock):
            sock.sendall(b"goodbye")
            sock.shutdown(socket.SHUT_WR)
            seen.append(rest(sock))

        server = self.server(greet)
        gateway = self.gateway([tcp("greet", server.port)])
        with client(gateway.stream_ports[0]) as sock:
            self.assertEqual(rest(sock), b"goodbye")
            for _ in range(20):
                sock.sendall(b"y" * 10_000)
                time.sleep(0.002)
        eventually("the rest", lambda: seen == [b"y" * 200_000])
        self.assertNothingIsLeft(gateway)

    def test_a_reset_reaches_the_other_side_as_a_reset(self):
        endings = []

        def wait(sock):
            sock.sendall(b"ready\n")
            endings.append(ending(sock))

        server = self.server(wait)
        gateway = self.gateway([tcp("wait", server.port)])
        sock = client(gateway.stream_ports[0])
        line(sock)
        peers.reset(sock)
        eventually("the upstream's end", lambda: endings == ["reset"])

        def break_off(sock):
            sock.sendall(b"half an answ")
            exactly(sock, 1)
            peers.reset(sock)

        server.script = break_off
        with client(gateway.stream_ports[0]) as sock:
            exactly(sock, 12)
            sock.sendall(b"!")
            self.assertEqual(ending(sock), "reset")
        self.assertNothingIsLeft(gateway)

    def test_an_early_answer_reaches_a_client_that_still_sends(self):
        def impatient(sock):
            exactly(sock, 10)
            sock.sendall(b"enough" * 1000)

        server = self.server(impatient)
        gateway = self.gateway([tcp("impatient", server.port)])
        for _ in range(20):
            with client(gateway.stream_ports[0]) as sock:
                sock.sendall(b"z" * 5000)
                got = b""
                try:
                    while data := sock.recv(65536):
                        got += data
                except ConnectionResetError:
                    pass  # As without a gateway: the upstream closed with bytes unread.
                self.assertTrue((b"enough" * 1000).startswith(got))
        self.assertNothingIsLeft(gateway)

    def test_silence_ends_a_session_and_bytes_keep_it(self):
        server = self.server()
        gateway = self.gateway([tcp("echo", server.port, read_timeout=400)])
        with client(gateway.stream_ports[0]) as sock:
            for _ in range(8):
                sock.sendall(b"a")
                exactly(sock, 1)
                time.sleep(0.1)
            began = time.monotonic()
            self.assertEqual(ending(sock), "end")
            self.assertGreater(time.monotonic() - began, 0.25)
        self.assertNothingIsLeft(gateway)

    def test_a_reader_that_stops_holds_little_memory_and_is_given_up(self):
        def pour(sock):
            block = b"p" * (1 << 20)
            while True:
                sock.sendall(block)

        server = self.server(pour)
        gateway = self.gateway([tcp("pour", server.port, write_timeout=700)])
        before = gateway.resident()
        socks = [client(gateway.stream_ports[0], receive_buffer=4096) for _ in range(20)]
        time.sleep(0.4)
        self.assertLess(gateway.resident() - before, 30 << 20)
        for sock in socks:
            self.assertIn(ending(sock, 0.001), ("open", "reset"))
        eventually("given up", lambda: gateway.metric("seaway_stream_sessions_active") == 0, 10)
        for sock in socks:
            sock.close()
        self.assertNothingIsLeft(gateway)

    def test_a_slow_reader_is_not_given_up(self):
        size = 6 << 20

        def pour(sock):
            sock.sendall(b"p" * size)

        server = self.server(pour)
        gateway = self.gateway([tcp("pour", server.port, write_timeout=600, read_timeout=600)])
        with client(gateway.stream_ports[0], receive_buffer=8192) as sock:
            have, began = 0, time.monotonic()
            while time.monotonic() - began < 2.5:
                have += len(exactly(sock, 20_000))
                time.sleep(0.05)
            have += len(rest(sock))
        self.assertEqual(have, size)

    def test_many_connections_at_once_and_none_left(self):
        server = self.server()
        gateway = self.gateway([tcp("echo", server.port)], workers=2)
        socks = [client(gateway.stream_ports[0]) for _ in range(400)]
        for index, sock in enumerate(socks):
            sock.sendall(b"%06d" % index)
        for index, sock in enumerate(socks):
            self.assertEqual(exactly(sock, 6), b"%06d" % index)
        self.assertEqual(gateway.metric("seaway_stream_sessions_active"), 400)
        for sock in socks:
            sock.close()
        self.assertNothingIsLeft(gateway)

    def test_the_connection_limit_closes_what_is_over_it(self):
        server = self.server()
        gateway = self.gateway([tcp("echo", server.port)], "--connection-limit", "3")
        socks = [client(gateway.stream_ports[0]) for _ in range(3)]
        for sock in socks:
            sock.sendall(b"x")
            exactly(sock, 1)
        with client(gateway.stream_ports[0]) as over:
            self.assertIn(ending(over), ("end", "reset"))
        self.refused(gateway, "too_many_sessions")
        for sock in socks:
            sock.close()
        self.assertNothingIsLeft(gateway)


class Routing(Case):
    def test_destinations_and_sources_choose(self):
        names = {n: self.server(named(n)) for n in ("one", "two", "near", "rest")}
        streams = ("127.0.0.1:0", "127.0.0.1:0", "*:0")
        plain = [tcp(n, s.port) for n, s in names.items()]
        gateway = self.gateway(plain, streams=streams)
        first, second, third = gateway.stream_ports
        plain[0]["routes"][0].update(sources=None, destinations=[{"port": first}])
        plain[1]["routes"][0].update(sources=None, destinations=[{"ip": "127.0.0.1", "port": second}])
        plain[2]["routes"][0].update(sources=[{"ip": "127.0.0.3"}], destinations=[{"ip": "127.0.0.9"}])
        plain[3]["routes"][0].update(sources=[{"ip": "127.0.0.2/31"}])
        gateway.reload(kong(plain))
        for port, source, host, name in (
                (first, "127.0.0.1", "127.0.0.1", b"one\n"), (second, "127.0.0.1", "127.0.0.1", b"two\n"),
                (third, "127.0.0.3", "127.0.0.9", b"near\n"), (third, "127.0.0.2", "127.0.0.9", b"rest\n"),
                (third, "127.0.0.3", "127.0.0.8", b"rest\n")):
            with client(port, source, host=host) as sock:
                self.assertEqual(line(sock), name, (port, source, host))
        with client(third, "127.0.0.77", host="127.0.0.9") as sock:
            self.assertIn(ending(sock), ("end", "reset"))
        self.refused(gateway, "no_route")
        self.assertNothingIsLeft(gateway)

    def test_ip_restriction_keeps_clients_out(self):
        server = self.server()
        services = [tcp("echo", server.port)]
        services[0]["plugins"] = [{"name": "ip-restriction", "config": {"deny": ["127.0.0.2"]}, "protocols": ["tcp"]}]
        gateway = self.gateway(services)
        with client(gateway.stream_ports[0], "127.0.0.2") as sock:
            self.assertIn(ending(sock), ("end", "reset"))
        self.refused(gateway, "not_admitted")
        with client(gateway.stream_ports[0], "127.0.0.1") as sock:
            sock.sendall(b"x")
            exactly(sock, 1)

    def upstream(self, *ports, **fields) -> dict:
        return {"upstreams": [{"name": "pool", "targets": [{"target": f"127.0.0.1:{p}", "weight": 10} for p in ports], **fields}]}

    def ask(self, gateway, source=None) -> bytes:
        with client(gateway.stream_ports[0], source) as sock:
            return line(sock)

    def dead_port(self) -> int:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            return sock.getsockname()[1]

    def test_targets_take_turns(self):
        ports = [self.server(named(n)).port for n in "abc"]
        gateway = self.gateway([tcp("pool", 80, host="pool")], entities=self.upstream(*ports))
        answers = [self.ask(gateway) for _ in range(30)]
        self.assertEqual(sorted(answers), sorted([b"a\n", b"b\n", b"c\n"] * 10))

    def test_least_connections_counts_sessions(self):
        ports = [self.server(named(n)).port for n in "ab"]
        gateway = self.gateway([tcp("pool", 80, host="pool")], entities=self.upstream(*ports, algorithm="least-connections"))
        held = [client(gateway.stream_ports[0]) for _ in range(4)]
        names = [line(sock) for sock in held]
        self.assertEqual(sorted(names), [b"a\n", b"a\n", b"b\n", b"b\n"])
        for sock, name in zip(held, names):
            if name == b"a\n":
                sock.close()
        eventually("two sessions", lambda: gateway.metric("seaway_stream_sessions_active") == 2)
        self.assertEqual([self.ask(gateway) for _ in range(2)], [b"a\n", b"a\n"])
        for sock in held:
            sock.close()

    def test_a_hash_of_the_address_sticks(self):
        ports = [self.server(named(n)).port for n in "abcd"]
        gateway = self.gateway(
            [tcp("pool", 80, host="pool")], entities=self.upstream(*ports, algorithm="consistent-hashing", hash_on="ip"))
        for n in range(2, 8):
            self.assertEqual(len({self.ask(gateway, f"127.0.0.{n}") for _ in range(5)}), 1)
        self.assertGreater(len({self.ask(gateway, f"127.0.0.{n}") for n in range(2, 30)}), 1)

    def test_a_dead_target_is_passed_over_and_ejected(self):
        server = self.server(named("alive"))
        checks = {"passive": {"type": "tcp", "unhealthy": {"tcp_failures": 2}}}
        gateway = self.gateway(
            [tcp("pool", 80, host="pool", **fast(retries=3))],
            entities=self.upstream(server.port, self.dead_port(), healthchecks=checks))
        self.assertEqual([self.ask(gateway) for _ in range(20)], [b"alive\n"] * 20)
        self.assertEqual(gateway.metric("seaway_upstream_retries_total"), 2)

    def test_without_an_upstream_the_client_is_closed(self):
        gateway = self.gateway([tcp("gone", self.dead_port(), **fast(retries=2))])
        with client(gateway.stream_ports[0]) as sock:
            self.assertIn(ending(sock), ("end", "reset"))
        self.refused(gateway, "upstream_failed")
        self.assertEqual(gateway.metric("seaway_upstream_retries_total"), 2)
        self.assertNothingIsLeft(gateway)

    def test_a_target_that_does_not_answer_costs_the_connect_timeout(self):
        # A queue of one that is full: further handshakes get no answer.
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            fillers = []
            for _ in range(4):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(full.getsockname())
                fillers.append(filler)
            server = self.server(named("alive"))
            gateway = self.gateway(
                [tcp("pool", 80, host="pool", connect_timeout=300, retries=2)],
                entities=self.upstream(full.getsockname()[1], server.port))
            time.sleep(0.1)
            began = time.monotonic()
            self.assertEqual([self.ask(gateway) for _ in range(2)], [b"alive\n"] * 2)
            self.assertLess(time.monotonic() - began, 3)
            for filler in fillers:
                filler.close()


class Telling(Case):
    """Counters and the log."""

    def test_metrics_and_the_log_tell_of_sessions(self):
        server = self.server()
        services = [tcp("echo", server.port)]
        plugins = [{"name": "prometheus", "protocols": ["tcp"], "config": {
            "status_code_metrics": True, "latency_metrics": True, "bandwidth_metrics": True}}]
        path = f"/tmp/seaway-stream-{os.getpid()}.log"
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        gateway = self.gateway(services, "--access-log", path, entities={"plugins": plugins})
        with client(gateway.stream_ports[0]) as sock:
            sock.sendall(b"x" * 1000)
            exactly(sock, 1000)
            sock.shutdown(socket.SHUT_WR)
            self.assertEqual(rest(sock), b"")
        self.assertNothingIsLeft(gateway)
        labels = {"service": "echo", "route": "echo"}
        self.assertEqual(gateway.metric("kong_stream_sessions_total", code="200", source="service", **labels), 1)
        self.assertEqual(gateway.metric("kong_bandwidth_bytes", direction="ingress", **labels), 1000)
        self.assertEqual(gateway.metric("kong_bandwidth_bytes", direction="egress", **labels), 1000)
        self.assertEqual(gateway.metric("kong_session_duration_ms_count", **labels), 1)
        self.assertEqual(gateway.metric("kong_http_requests_total", **labels), 0)
        text = eventually("a log line", lambda: open(path, encoding="utf-8").read())
        record = json.loads(text.splitlines()[0])
        self.assertEqual(record["session"]["protocol"], "tcp")
        self.assertEqual(record["session"]["status"], 200)
        self.assertEqual(record["session"]["end"], "closed")
        self.assertEqual((record["session"]["received"], record["session"]["sent"]), (1000, 1000))
        self.assertEqual((record["upstream"]["received"], record["upstream"]["sent"]), (1000, 1000))
        self.assertEqual(record["session"]["server_port"], gateway.stream_ports[0])
        self.assertEqual(record["route"]["name"], "echo")
        self.assertEqual(record["service"]["name"], "echo")
        self.assertEqual([t["port"] for t in record["tries"]], [server.port])
        self.assertEqual(record["client_ip"], "127.0.0.1")

    def test_the_combined_format_is_nginx_own(self):
        server = self.server()
        path = f"/tmp/seaway-stream-{os.getpid()}.txt"
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        gateway = self.gateway([tcp("echo", server.port)], "--access-log", path, "--access-log-format", "combined")
        with client(gateway.stream_ports[0]) as sock:
            sock.sendall(b"xyz")
            exactly(sock, 3)
        text = eventually("a log line", lambda: open(path, encoding="utf-8").read())
        self.assertRegex(text, r"^127\.0\.0\.1 \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] TCP 200 3 3 \d+\.\d{3}\n$")


class TLS(Case):
    @classmethod
    def setUpClass(cls):
        cls.authority = Authority()
        cls.addClassCleanup(cls.authority.close)
        cls.pairs = {name: cls.authority.issue(name) for name in ("a.example", "b.example", "pass.example", "client")}

    def context(self, name) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*map(str, self.pairs[name]))
        return context

    def trusting(self, **fields) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        for key, value in fields.items():
            setattr(context, key, value)
        return context

    def certificates(self, *names) -> dict:
        return {"certificates": [
            {"cert": self.pairs[n][0].read_text(), "key": self.pairs[n][1].read_text(), "snis": [{"name": n}]} for n in names]}

    def connect(self, port, name, context=None) -> ssl.SSLSocket:
        return (context or self.trusting()).wrap_socket(client(port), server_hostname=name)

    def names(self, **matchers) -> dict:
        return {"snis": matchers["snis"]}

    def test_tls_is_ended_and_routed_by_name(self):
        a, b = self.server(named("a")), self.server(named("b"))
        services = [tcp("a", a.port, ("tls",), route={"snis": ["a.example"]}), tcp("b", b.port, ("tls",), route={"snis": ["b.example"]})]
        gateway = self.gateway(services, streams=("127.0.0.1:0,tls",), entities=self.certificates("a.example", "b.example"))
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.trusting(minimum_version=version, maximum_version=version)
            context.set_alpn_protocols(["postgresql"])
            for name in ("a", "b"):
                with self.connect(gateway.stream_ports[0], f"{name}.example", context) as sock:
                    self.assertEqual(line(sock), name.encode() + b"\n")
                    data = os.urandom(300_000)
                    self.assertEqual(peers.round_trip(sock, data), data)
        with self.assertRaises(OSError):
            self.connect(gateway.stream_ports[0], "c.example", self.trusting())
        self.assertNothingIsLeft(gateway)

    def test_large_transfers_through_tls_arrive_whole(self):
        server = self.server()
        gateway = self.gateway(
            [tcp("a", server.port, ("tls",), route={"snis": ["a.example"]})], streams=("127.0.0.1:0,tls",),
            entities=self.certificates("a.example"))
        data = os.urandom(20 << 20)
        with self.connect(gateway.stream_ports[0], "a.example") as sock:
            self.assertEqual(hashlib.sha256(peers.round_trip(sock, data)).digest(), hashlib.sha256(data).digest())

    def test_the_orderly_end_of_tls_is_passed_on_and_a_cut_is_not_taken_for_it(self):
        endings = []

        def wait(sock):
            sock.sendall(b"ready\n")
            endings.append(ending(sock))

        server = self.server(wait)
        gateway = self.gateway(
            [tcp("a", server.port, ("tls",), route={"snis": ["a.example"]})], streams=("127.0.0.1:0,tls",),
            entities=self.certificates("a.example"))
        sock = self.connect(gateway.stream_ports[0], "a.example")
        line(sock)
        try:
            sock.unwrap()
        except (OSError, ssl.SSLError):
            pass
        sock.close()
        eventually("an orderly end", lambda: endings == ["end"])
        sock = self.connect(gateway.stream_ports[0], "a.example")
        line(sock)
        # The TCP connection ends without close_notify: anybody on the way could have done that.
        raw = socket.socket(fileno=sock.detach())
        raw.close()
        eventually("a reset", lambda: endings == ["end", "reset"])
        self.assertNothingIsLeft(gateway)

    def test_tls_to_the_upstream_is_verified(self):
        server = self.server(named("secret"), context=self.context("b.example"))
        ca = {"id": "11111111-2222-4333-8444-555555555555", "cert": self.authority.certificate.read_text()}
        service = tcp("b", server.port, ("tcp",), protocol="tls", tls_verify=True, ca_certificates=[ca["id"]], **fast(retries=0))
        good = {"upstreams": [{"name": "up", "host_header": "b.example", "targets": [{"target": f"127.0.0.1:{server.port}"}]}]}
        bad = {"upstreams": [{"name": "up", "host_header": "other.example", "targets": [{"target": f"127.0.0.1:{server.port}"}]}]}
        service["host"] = "up"
        gateway = self.gateway([service], entities={**good, "ca_certificates": [ca]})
        with client(gateway.stream_ports[0]) as sock:
            self.assertEqual(line(sock), b"secret\n")
            sock.sendall(b"through")
            self.assertEqual(exactly(sock, 7), b"through")
        gateway.reload(kong([service], ca_certificates=[ca], **bad))
        with client(gateway.stream_ports[0]) as sock:
            self.assertIn(ending(sock), ("end", "reset"))
        self.refused(gateway, "upstream_failed")
        self.assertNothingIsLeft(gateway)

    def test_client_certificates_are_asked_for(self):
        server = self.server(named("a"))
        gateway = self.gateway(
            [tcp("a", server.port, ("tls",), route={"snis": ["a.example"]})], "--client-ca", str(self.authority.certificate),
            streams=("127.0.0.1:0,tls",), entities=self.certificates("a.example"))
        context = self.trusting()
        with self.assertRaises((OSError, EOFError)):
            with self.connect(gateway.stream_ports[0], "a.example", context) as sock:
                line(sock)
        context.load_cert_chain(*map(str, self.pairs["client"]))
        with self.connect(gateway.stream_ports[0], "a.example", context) as sock:
            self.assertEqual(line(sock), b"a\n")

    # Passing through

    def both(self, *flags, streams=("127.0.0.1:0,tls", "127.0.0.1:0"), extra=()):
        passed = self.server(named("passed"), context=self.context("pass.example"))
        ended, plain = self.server(named("ended")), self.server(named("plain"))
        services = [
            tcp("passed", passed.port, ("tls_passthrough",), "tcp", {"snis": ["pass.example", "*.pass.example"]}),
            tcp("ended", ended.port, ("tls",), route={"snis": ["a.example"]}), *extra]
        if len(streams) > 1:
            services.append(tcp("plain", plain.port, ("tcp",)))
        return self.gateway(services, *flags, streams=streams, entities=self.certificates("a.example"))

    def test_a_name_decides_what_is_passed_and_what_is_ended(self):
        gateway = self.both()
        secure, plain = gateway.stream_ports
        for port in (secure, plain):
            with self.connect(port, "pass.example") as sock:
                self.assertEqual(line(sock), b"passed\n")
                data = os.urandom(400_000)
                self.assertEqual(peers.round_trip(sock, data), data)
        with self.connect(secure, "a.example") as sock:
            self.assertEqual(line(sock), b"ended\n")
        with client(plain) as sock:
            sock.sendall(b"no tls at all\n")
            self.assertEqual(line(sock), b"plain\n")
        with client(plain) as sock:  # The server speaks first.
            self.assertEqual(line(sock), b"plain\n")
        self.assertNothingIsLeft(gateway)

    def test_a_hello_in_any_pieces_finds_its_route(self):
        gateway = self.both()
        seen = []

        def first(sock):
            seen.append(exactly(sock, len(seen_hello)))
            sock.sendall(b"!")

        upstream = self.server(first)
        services = [tcp("raw", upstream.port, ("tls_passthrough",), "tcp", {"snis": ["pass.example"]})]
        gateway.reload(kong(services, **self.certificates("a.example")))
        whole = peers.hello("PASS.example")
        for size, step, port in ((16384, 7, 0), (1, 500, 0), (40, 40, 1), (16384, 1, 1), (3, 11, 0)):
            seen_hello = peers.records(whole, size)
            with client(gateway.stream_ports[port]) as sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for at in range(0, len(seen_hello), step):
                    sock.sendall(seen_hello[at:at + step])
                    if at % 5 == 0:
                        time.sleep(0.0005)
                self.assertEqual(exactly(sock, 1), b"!")
            self.assertEqual(seen[-1], seen_hello)
        self.assertNothingIsLeft(gateway)

    def test_t36_a_hello_that_cannot_be_read_is_refused(self):
        gateway = self.both()
        whole = peers.hello("pass.example")
        bad = bytearray(whole)
        bad[bad.index(b"pass.example") - 2] = 0xFF
        for count, data in enumerate((bytes(bad), b"\x16\x03\x01\x00\x00", whole[:5] + b"\x02" + whole[6:]), 1):
            for port in gateway.stream_ports:
                with client(port) as sock:
                    sock.sendall(data)
                    self.assertIn(ending(sock), ("end", "reset"))
            self.refused(gateway, "bad_client_hello", 2 * count)
        self.assertNothingIsLeft(gateway)

    def test_t31_a_stalled_hello_is_given_up(self):
        gateway = self.both("--tls-handshake-timeout", "600ms")
        socks = [client(port) for port in gateway.stream_ports for _ in range(5)]
        for sock in socks:
            sock.sendall(peers.hello("pass.example")[:50])
        began = time.monotonic()
        for sock in socks:
            self.assertIn(ending(sock), ("end", "reset"))
        self.assertLess(time.monotonic() - began, 3)
        self.refused(gateway, "setup_timeout", len(socks))
        drip = client(gateway.stream_ports[0])
        drip.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.monotonic()
        try:
            for byte in peers.hello("pass.example"):
                drip.sendall(bytes([byte]))
                time.sleep(0.02)
            self.fail("a hello of eight seconds went through")
        except OSError:
            self.assertLess(time.monotonic() - began, 3)
        drip.close()
        self.assertNothingIsLeft(gateway)


class ProxyProtocol(Case):
    TRUST = ("--trusted-ips", "127.0.0.1,127.0.0.2")

    def shown(self) -> TCPServer:
        """An upstream that tells what it got first."""
        def script(sock):
            data = sock.recv(65536)
            sock.sendall(data)
            peers.echo(sock)
        return self.server(script)

    def test_the_header_tells_who_the_client_is(self):
        near, far = self.server(named("near")), self.server(named("far"))
        services = [tcp("far", far.port, route={"sources": [{"ip": "192.0.2.0/24"}]}),
                    tcp("near", near.port, route={"sources": [{"ip": "127.0.0.0/8"}]})]
        gateway = self.gateway(services, *self.TRUST, streams=("127.0.0.1:0,proxy_protocol",))
        port = gateway.stream_ports[0]
        for head, name in (
                (b"PROXY TCP4 192.0.2.7 198.51.100.1 51000 443\r\n", b"far\n"), (peers.header2(), b"far\n"),
                (peers.header2(tags=b"\x04\0\x02ab"), b"far\n"), (b"PROXY UNKNOWN\r\n", b"near\n"),
                (peers.header2(command=0x20), b"near\n"), (peers.header2(source="127.9.9.9"), b"near\n")):
            for step in (1000, 1, 9):
                with client(port) as sock:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    for at in range(0, len(head), step):
                        sock.sendall(head[at:at + step])
                    sock.sendall(b"payload")
                    self.assertEqual(line(sock), name, head)
                    self.assertEqual(exactly(sock, 7), b"payload")
        self.assertNothingIsLeft(gateway)

    def test_t16_only_listed_peers_may_send_one_and_must(self):
        server = self.server(named("x"))
        gateway = self.gateway([tcp("x", server.port)], *self.TRUST, streams=("127.0.0.1:0,proxy_protocol", "127.0.0.1:0"))
        with client(gateway.stream_ports[0], "127.0.0.3") as sock:
            self.assertIn(ending(sock), ("end", "reset"))
        self.refused(gateway, "untrusted_peer")
        bad = [b"GET / HTTP/1.1\r\n\r\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", b"PROXY " + b"x" * 200 + b"\r\n",
               peers.header2(tags=b"\x04\xff\xff"), peers.SIGNATURE + b"\x31\x11\0\0", b"PROXY TCP4"]
        for data in bad:
            with client(gateway.stream_ports[0], "127.0.0.2") as sock:
                sock.sendall(data)
                try:
                    sock.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # Refused already.
                self.assertIn(ending(sock), ("end", "reset"), data)
        self.refused(gateway, "bad_proxy_header", len(bad))
        self.assertEqual(server.accepted, 0)
        # On a listener without the option a header is the client's own bytes.
        with client(gateway.stream_ports[1]) as sock:
            sock.sendall(b"PROXY UNKNOWN\r\n")
            self.assertEqual((line(sock), line(sock)), (b"x\n", b"PROXY UNKNOWN\r\n"))
        self.assertNothingIsLeft(gateway)

    def test_t31_a_stalled_header_is_given_up(self):
        server = self.server(named("x"))
        gateway = self.gateway(
            [tcp("x", server.port)], *self.TRUST, "--tls-handshake-timeout", "500ms", streams=("127.0.0.1:0,proxy_protocol",))
        silent, half = client(gateway.stream_ports[0]), client(gateway.stream_ports[0])
        half.sendall(b"PROXY TCP4 192.0.2.7")
        for sock in (silent, half):
            self.assertIn(ending(sock, 3), ("end", "reset"))
            sock.close()
        self.refused(gateway, "setup_timeout", 2)
        self.assertNothingIsLeft(gateway)

    def test_upstreams_are_told(self):
        server = self.shown()
        service = tcp("x", server.port)
        for version in ("v1", "v2"):
            service["tags"] = [f"seaway.proxy-protocol={version}"]
            gateway = self.gateway([service], *self.TRUST, streams=("127.0.0.1:0,proxy_protocol", "127.0.0.1:0"))
            told, own = gateway.stream_ports
            with client(told) as sock:
                sock.sendall(peers.header2() + b"payload")
                expected = (b"PROXY TCP4 192.0.2.7 198.51.100.1 51000 443\r\n" if version == "v1" else peers.header2()) + b"payload"
                self.assertEqual(exactly(sock, len(expected)), expected)
            with client(own) as sock:
                sock.sendall(b"payload")
                port = sock.getsockname()[1]
                expected = (b"PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n" % (port, own) if version == "v1"
                            else peers.header2("127.0.0.1", port, "127.0.0.1", own)) + b"payload"
                self.assertEqual(exactly(sock, len(expected)), expected)
            gateway.stop()


class ProxyProtocolForHTTP(Case):
    """The same header before HTTP and HTTPS."""

    def setUp(self):
        self.origin = Origin()
        self.addCleanup(self.origin.close)

    def forwarded(self, sock, *headers) -> tuple:
        stream = Stream(sock)
        stream.send("\r\n".join(["GET / HTTP/1.1", "Host: a", *headers, "", ""]))
        self.assertEqual(stream.response().status, 200)
        head = self.origin.seen()[-1]
        return head.get("X-Forwarded-For"), head.get("X-Real-IP"), head.get("X-Forwarded-Proto")

    def test_requests_come_from_the_client_of_the_header(self):
        services = [{"name": "o", "url": self.origin.url, "routes": [{"name": "o", "paths": ["/"]}]}]
        place = "127.0.0.1:0,proxy_protocol"
        gateway = Gateway(
            kong(services), *ProxyProtocol.TRUST, "--tls-handshake-timeout", "700ms", http=place, https=place)
        self.addCleanup(gateway.stop)
        forged = "X-Forwarded-For: 6.6.6.6"
        for step in (1000, 1):
            with client(gateway.port) as sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                head = peers.header2()
                for at in range(0, len(head), step):
                    sock.sendall(head[at:at + step])
                # The hop is trusted to name its client; the client is not trusted to name another.
                self.assertEqual(self.forwarded(sock, forged), ("6.6.6.6, 192.0.2.7", "192.0.2.7", "http"))
                self.assertEqual(self.forwarded(sock), ("192.0.2.7", "192.0.2.7", "http"))
        with client(gateway.https_port) as sock:
            sock.sendall(b"PROXY TCP4 192.0.2.8 198.51.100.1 51000 443\r\n")
            secure = ssl._create_unverified_context().wrap_socket(sock, server_hostname="a.example")
            self.assertEqual(self.forwarded(secure), ("192.0.2.8", "192.0.2.8", "https"))
        with client(gateway.port, "127.0.0.3") as sock:
            sock.sendall(peers.header2() + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertIn(ending(sock), ("end", "reset"))
        self.refused(gateway, "untrusted_peer")
        for data in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", peers.SIGNATURE + b"\x31\x11\0\0"):
            with client(gateway.port) as sock:
                sock.sendall(data)
                self.assertIn(ending(sock), ("end", "reset"))
        self.refused(gateway, "bad_proxy_header", 2)
        with client(gateway.port) as sock:
            sock.sendall(b"PROXY TCP4 ")
            self.assertIn(ending(sock, 3), ("end", "reset"))
        self.refused(gateway, "setup_timeout")


class UDP(Case):
    def upstream(self, *args, **more) -> UDPServer:
        server = UDPServer(*args, **more)
        self.addCleanup(server.close)
        return server

    def service(self, port, **fields) -> dict:
        return tcp("dns", port, ("udp",), "udp", **fields)

    def ask(self, sock, port, data=b"?", host="127.0.0.1") -> tuple:
        sock.sendto(data, (host, port))
        answer, sender = sock.recvfrom(65536)
        self.assertEqual(sender, (host, port))
        name, upstream_port, rest = answer.split(b" ", 2)
        self.assertEqual(rest, data)
        return name.decode(), int(upstream_port)

    def test_each_client_has_a_session_of_its_own(self):
        server = self.upstream()
        gateway = self.gateway([self.service(server.port)], streams=("127.0.0.1:0,udp",), workers=2)
        port = gateway.stream_ports[0]
        socks = [datagrams() for _ in range(20)]
        used = [self.ask(sock, port)[1] for sock in socks]
        self.assertEqual(len(set(used)), 20)
        self.assertEqual([self.ask(sock, port, b"again")[1] for sock in socks], used)
        for size in (0, 1, 1472, 9000, 60_000):
            self.ask(socks[0], port, os.urandom(size))
        self.assertEqual(gateway.metric("seaway_stream_sessions_active"), 20)
        for sock in socks:
            sock.close()

    def test_a_burst_arrives(self):
        server = self.upstream(answers=False)
        gateway = self.gateway([self.service(server.port)], streams=("127.0.0.1:0,udp",))
        got = []

        def collect():
            server.socket.settimeout(2)
        with datagrams() as sock:
            server.answers = True
            answers = 0
            for base in range(0, 2000, 50):
                for n in range(base, base + 50):
                    sock.sendto(b"%d" % n, ("127.0.0.1", gateway.stream_ports[0]))
                for _ in range(50):
                    got.append(int(sock.recv(65536).split(b" ")[2]))
                    answers += 1
        self.assertEqual(got, list(range(2000)))
        self.assertEqual(gateway.metric("seaway_datagrams_lost_total"), 0)

    def test_replies_come_from_the_address_that_was_asked(self):
        server = self.upstream()
        gateway = self.gateway([self.service(server.port)], streams=("*:0,udp",))
        with datagrams("127.0.0.5") as sock:
            for host in ("127.0.0.1", "127.0.0.6", "127.0.0.7"):
                self.ask(sock, gateway.stream_ports[0], host=host)
        self.assertEqual(len(server.senders), 3)

    def test_silence_ends_a_session(self):
        server = self.upstream()
        gateway = self.gateway([self.service(server.port, read_timeout=300)], streams=("127.0.0.1:0,udp",))
        with datagrams() as sock:
            first = self.ask(sock, gateway.stream_ports[0])
            for _ in range(5):
                time.sleep(0.1)
                self.assertEqual(self.ask(sock, gateway.stream_ports[0]), first)
            self.assertNothingIsLeft(gateway)
            self.assertNotEqual(self.ask(sock, gateway.stream_ports[0]), first)

    def test_sessions_survive_reloads_and_end_with_their_route(self):
        one, two = self.upstream("one"), self.upstream("two")
        services = [self.service(one.port)]
        gateway = self.gateway(services, streams=("127.0.0.1:0,udp",))
        port = gateway.stream_ports[0]
        with datagrams() as sock:
            first = self.ask(sock, port)
            for n in range(10):
                gateway.reload(kong(services + [tcp(f"other-{n}", 9, ("udp",), "udp", {"sources": [{"ip": "10.0.0.1"}]})]))
                self.assertEqual(self.ask(sock, port), first)
            # The route leads elsewhere now: what is under way stays, new clients go there.
            services[0]["port"] = two.port
            gateway.reload(kong(services))
            self.assertEqual(self.ask(sock, port), first)
            with datagrams() as other:
                self.assertEqual(self.ask(other, port)[0], "two")
            gateway.reload(kong([tcp("new", two.port, ("udp",), "udp")]))
            self.assertEqual(self.ask(sock, port)[0], "two")

    def test_sessions_take_turns_over_targets_and_pass_over_a_dead_one(self):
        servers = [self.upstream(n) for n in "ab"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as spare:
            spare.bind(("127.0.0.1", 0))
            dead = spare.getsockname()[1]
        checks = {"passive": {"type": "tcp", "unhealthy": {"tcp_failures": 1}}}
        upstreams = [{"name": "pool", "healthchecks": checks, "targets": [{"target": f"127.0.0.1:{p}"} for p in
                                                                         [servers[0].port, servers[1].port, dead]]}]
        gateway = self.gateway([self.service(80, host="pool")], streams=("127.0.0.1:0,udp",), entities={"upstreams": upstreams})
        names = []
        for _ in range(12):
            with datagrams(seconds=0.5) as sock:
                for _ in range(3):
                    try:
                        names.append(self.ask(sock, gateway.stream_ports[0])[0])
                        break
                    except TimeoutError:
                        names.append("lost")
        self.assertLessEqual(names.count("lost"), 1)
        self.assertGreaterEqual(names.count("a"), 4)
        self.assertGreaterEqual(names.count("b"), 4)

    def test_without_a_route_datagrams_are_dropped(self):
        server = self.upstream()
        gateway = self.gateway(
            [self.service(server.port, route={"sources": [{"ip": "10.0.0.0/8"}]})], streams=("127.0.0.1:0,udp",))
        with datagrams(seconds=0.2) as sock:
            with self.assertRaises(TimeoutError):
                self.ask(sock, gateway.stream_ports[0])
        self.refused(gateway, "no_route")
        self.assertNothingIsLeft(gateway)

    def test_many_clients_leave_descriptors_for_others(self):
        server, other = self.upstream(), self.server()
        services = [self.service(server.port), tcp("echo", other.port)]
        gateway = self.gateway(
            services, streams=("127.0.0.1:0,udp", "127.0.0.1:0"), prefix=("prlimit", "--nofile=256:256"))
        socks = [datagrams(seconds=0.4) for _ in range(30)]
        answered = 0
        for sock in socks:
            try:
                self.ask(sock, gateway.stream_ports[0])
                answered += 1
            except TimeoutError:
                pass
        self.assertEqual(answered, 256 // 16)
        self.assertEqual(self.refusals(gateway, "too_many_sessions"), 30 - 256 // 16)
        with client(gateway.stream_ports[1]) as sock:
            sock.sendall(b"x")
            exactly(sock, 1)

    def test_an_upgrade_keeps_clients_served(self):
        server = self.upstream()
        gateway = self.gateway([self.service(server.port)], "--drain-timeout", "2s", streams=("127.0.0.1:0,udp",))
        with datagrams() as sock:
            self.ask(sock, gateway.stream_ports[0])
            before = gateway.proxy
            gateway.upgrade()
            for _ in range(20):
                self.ask(sock, gateway.stream_ports[0])
                time.sleep(0.02)
            eventually("the former proxy's end", lambda: before not in gateway.proxies(), 10)
            self.ask(sock, gateway.stream_ports[0])


class Changes(Case):
    def test_sessions_outlive_reloads_and_their_route(self):
        server, other = self.server(named("old")), self.server(named("new"))
        gateway = self.gateway([tcp("s", server.port)])
        with client(gateway.stream_ports[0]) as sock:
            self.assertEqual(line(sock), b"old\n")
            for n in range(20):
                gateway.reload(kong([tcp(f"s{n}", other.port)]))
                sock.sendall(b"still here")
                self.assertEqual(exactly(sock, 10), b"still here")
            with client(gateway.stream_ports[0]) as fresh:
                self.assertEqual(line(fresh), b"new\n")
        self.assertNothingIsLeft(gateway)

    def test_reloads_under_load_break_nothing(self):
        seed = random.randrange(1 << 30)
        servers = [self.server(), self.server()]
        services = [[tcp("s", servers[0].port)], [tcp("s", servers[1].port), tcp("t", 9, route={"sources": [{"ip": "10.1.1.1"}]})]]
        gateway = self.gateway(services[0], workers=2)
        stopping, failures, rounds = threading.Event(), [], [0]

        def load(n):
            chance = random.Random(seed + n)
            while not stopping.is_set():
                try:
                    with client(gateway.stream_ports[0]) as sock:
                        for _ in range(chance.randrange(1, 20)):
                            data = chance.randbytes(chance.choice([10, 1000, 200_000]))
                            sender = threading.Thread(target=sock.sendall, args=(data,))
                            sender.start()
                            if exactly(sock, len(data)) != data:
                                failures.append("other bytes")
                            sender.join()
                            rounds[0] += 1
                except (OSError, EOFError) as failure:
                    failures.append(repr(failure))
        threads = [threading.Thread(target=load, args=(n,), daemon=True) for n in range(4)]
        for thread in threads:
            thread.start()
        for n in range(40):
            gateway.reload(kong(services[n % 2]))
        stopping.set()
        for thread in threads:
            thread.join(20)
        self.assertEqual(failures, [], f"seed {seed}")
        self.assertGreater(rounds[0], 40)
        self.assertNothingIsLeft(gateway)

    def test_an_upgrade_lets_sessions_go_on_and_loses_no_client(self):
        server = self.server()
        gateway = self.gateway([tcp("echo", server.port)])
        before = gateway.proxy
        with client(gateway.stream_ports[0]) as sock:
            sock.sendall(b"a")
            exactly(sock, 1)
            stopping, failures, count = threading.Event(), [], [0]

            def knock():
                while not stopping.is_set():
                    try:
                        with client(gateway.stream_ports[0]) as other:
                            other.sendall(b"b")
                            exactly(other, 1)
                            count[0] += 1
                    except (OSError, EOFError) as failure:
                        failures.append(repr(failure))
            thread = threading.Thread(target=knock)
            thread.start()
            gateway.upgrade()
            time.sleep(0.3)
            sock.sendall(b"c")
            self.assertEqual(exactly(sock, 1), b"c")
            self.assertIn(before, gateway.proxies())
            stopping.set()
            thread.join(10)
            self.assertEqual(failures, [])
            self.assertGreater(count[0], 10)
        eventually("the former proxy's end", lambda: before not in gateway.proxies(), 10)

    def test_a_drain_ends_with_its_timeout(self):
        server = self.server()
        gateway = self.gateway([tcp("echo", server.port)], "--drain-timeout", "1s")
        before = gateway.proxy
        with client(gateway.stream_ports[0]) as sock:
            sock.sendall(b"a")
            exactly(sock, 1)
            began = time.monotonic()
            gateway.upgrade()
            self.assertIn(ending(sock), ("end", "reset"))
            self.assertGreater(time.monotonic() - began, 0.7)
        eventually("the former proxy's end", lambda: before not in gateway.proxies(), 10)

    def test_stopping_ends_silent_sessions_at_once_and_lets_busy_ones_finish(self):
        done = []

        def slow(sock):
            sock.sendall(b"begin\n")
            for _ in range(15):
                sock.sendall(b"x" * 1000)
                time.sleep(0.05)
            done.append(True)

        server, quiet = self.server(slow), self.server(named("quiet"))
        gateway = self.gateway(
            [tcp("slow", server.port)], streams=("127.0.0.1:0", "127.0.0.1:0"))
        services = [tcp("slow", server.port, route={"destinations": [{"port": gateway.stream_ports[0]}]}),
                    tcp("quiet", quiet.port, route={"destinations": [{"port": gateway.stream_ports[1]}]})]
        gateway.reload(kong(services))
        with client(gateway.stream_ports[1]) as silent, client(gateway.stream_ports[0]) as busy:
            line(silent)
            line(busy)
            time.sleep(0.1)
            gateway.signal(15)
            self.assertIn(ending(silent, 2), ("end", "reset"))
            self.assertEqual(len(rest(busy)), 15_000)
        gateway.process.wait(5)


if __name__ == "__main__":
    unittest.main()
