"""Routes by expression through the running gateway: the language, what it sees of real connections, and agreement
with `seaway gateway match` on random files and requests."""

import json
import os
import random
import ssl
import subprocess
import unittest

from certs import Authority
from gateway import SEAWAY, Gateway, eventually, kong
from peers import TCPServer, UDPServer, client, datagrams, ending, line, named
from wire import Client, Origin, ask

FLAGS = ("--router", "expressions")


def route(name, expression, priority=0, **fields) -> dict:
    return {"name": name, "expression": expression, "priority": priority, **fields}


class Expressions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.origin = Origin()
        cls.authority = Authority()
        cls.pair = cls.authority.issue("www.example")

    @classmethod
    def tearDownClass(cls):
        cls.origin.close()
        cls.authority.close()

    def gateway(self, routes, *flags, plugins=(), **more) -> Gateway:
        certificate, key = self.pair
        certificates = [{"cert": certificate.read_text(), "key": key.read_text(), "snis": [{"name": "*"}]}]
        # Each route has a service of its own, whose path names it.
        services = [{"name": f"s-{r['name']}", "url": f"{self.origin.url}/{r['name']}", "routes": [r], "retries": 0}
                    for r in routes]
        gateway = Gateway(kong(services, certificates=certificates, plugins=list(plugins)), *FLAGS, *flags, **more)
        self.addCleanup(gateway.stop)
        return gateway

    def target(self, gateway, *arguments, **more) -> str:
        """What the origin was asked for; the status if it was not."""
        self.origin.clear()
        answer = ask(gateway.port, *arguments, **more)
        seen = self.origin.seen()
        return seen[0].target if seen else str(answer.status)

    def secure(self, gateway, name, target="/") -> str:
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        context.check_hostname = False
        self.origin.clear()
        client = Client(gateway.https_port)
        client.socket = context.wrap_socket(client.socket, server_hostname=name)
        answer = client.ask(target, host=name)
        client.close()
        seen = self.origin.seen()
        return seen[0].target if seen else str(answer.status)

    def test_fields_of_a_request(self):
        gateway = self.gateway([
            route("method", 'http.method == "PUT"', 90),
            route("query", 'http.queries.page == "2" && any(http.queries.tag) == "x y"', 80),
            route("header", 'any(lower(http.headers.x_tenant)) == "blue"', 70),
            route("all", 'http.headers.x_all ^= "a"', 60),
            route("host", 'http.host =^ ".example.org"', 50),
            route("segment", 'http.path.segments.1 == "b" && http.path.segments.len > 2', 40),
            route("trap", 'http.path == "/trap" && http.method == "POST" || http.path ^= "/trap"', 30),
            route("raw", r'http.path ~ r#"^/u/(?<id>\d+)"#', 20),
            {"name": "classic", "paths": ["/u", "/classic"]},
        ])
        for want, arguments, more in [
            ("/method", ("/", "PUT"), {"body": b""}),
            ("/query?page=2&tag=a&tag=x%20y", ("/?page=2&tag=a&tag=x%20y",), {}),
            ("404", ("/?page=2&page=3&tag=x+y",), {}),
            ("/header", ("/",), {"headers": [("X-Tenant", "red"), ("X-Tenant", "BLUE")]}),
            ("/all", ("/",), {"headers": [("X-All", "a1"), ("x_all", "a2")]}),
            ("404", ("/",), {"headers": [("X-All", "a1"), ("X-All", "b")]}),
            ("/host", ("/",), {"host": "API.Example.org:81"}),
            ("/segment/a/b/c", ("/a/b/c",), {}),
            ("404", ("/a/b/",), {}),
            # || binds tighter: the first predicate and one of the other two.
            ("/trap", ("/trap", "POST"), {"body": b""}),
            ("404", ("/trap/x",), {}),
            ("/raw/x", ("/u/42/x",), {}),
            ("/classic/x", ("/u/x",), {}),
            ("404", ("/none",), {}),
        ]:
            with self.subTest(arguments=arguments, **more):
                self.assertEqual(self.target(gateway, *arguments, **more), want)

    def test_captures_reach_plugins(self):
        gateway = self.gateway(
            [route("c", r'http.path ~ r#"^/u/(?<id>\d+)"# && http.headers.x_t ~ r#"^(?<team>\w+)-"#')],
            plugins=[{"name": "request-transformer",
                      "config": {"add": {"headers": ["X-Id:$(uri_captures.id)", "X-Team:$(uri_captures.team)",
                                                     "X-One:$(uri_captures[1])"]}}}])
        self.origin.clear()
        self.assertEqual(ask(gateway.port, "/u/42/x", headers=[("X-T", "blue-7")]).status, 200)
        head = self.origin.seen()[0]
        self.assertEqual([head.get("X-Id"), head.get("X-Team"), head.get("X-One")], ["42", "blue", "blue"])

    def test_both_ends_of_a_connection(self):
        gateway = self.gateway([
            route("inside", "net.src.ip in 192.0.2.0/24 && net.dst.ip == 127.0.0.1", 9),
            route("port", "net.src.ip == 127.0.0.1 && net.src.port > 0 && net.dst.port == 4711", 8),
            route("none", "net.src.ip == 198.51.100.7 && !(net.src.port > 0)", 7),
            route("six", "net.src.ip in ::/0", 6),
            route("local", "net.src.ip in 127.0.0.0/8 && net.dst.ip not in 10.0.0.0/8", 5),
        ], "--trusted-ips", "127.0.0.1")
        self.assertEqual(self.target(gateway), "/local")
        self.assertEqual(self.target(gateway, host="h:4711"), "/port")
        self.assertEqual(self.target(gateway, headers=[("X-Real-IP", "192.0.2.9")]), "/inside")
        self.assertEqual(self.target(gateway, headers=[("X-Real-IP", "198.51.100.7")]), "/none")
        self.assertEqual(self.target(gateway, headers=[("X-Real-IP", "2001:db8::1")]), "/six")

    def test_protocols_and_server_names(self):
        gateway = self.gateway([
            route("sni", 'tls.sni =^ ".named.example"', 9),
            route("clear", 'http.path ^= "/clear"', 8, protocols=["http"]),
            route("secure", 'http.path ^= "/secure"', 7, protocols=["https"]),
            route("scheme", 'net.protocol == "https" && http.path ^= "/any"', 6),
            {"name": "classic", "paths": ["/old"], "protocols": ["http"]},
        ], https=True)
        self.assertEqual(self.secure(gateway, "x.named.example"), "/sni")
        self.assertEqual(self.target(gateway, "/", host="x.named.example"), "404")
        self.assertEqual(self.target(gateway, "/clear"), "/clear")
        self.assertEqual(self.secure(gateway, "www.example", "/clear"), "404")
        self.assertEqual(self.target(gateway, "/secure"), "426")
        self.assertEqual(self.secure(gateway, "www.example", "/secure/x"), "/secure/x")
        self.assertEqual(self.secure(gateway, "www.example", "/any"), "/scheme")
        self.assertEqual(self.target(gateway, "/any"), "404")
        self.assertEqual(self.target(gateway, "/old"), "/classic")
        self.assertEqual(self.secure(gateway, "www.example", "/old"), "404")

    def test_a_broken_expression_changes_nothing(self):
        gateway = self.gateway([route("good", 'http.path ^= "/"')])
        self.assertEqual(self.target(gateway), "/good")
        broken = kong([{"name": "s", "url": self.origin.url, "routes": [route("bad", 'http.hots == "a"')]}])
        gateway.write(broken)
        gateway.process.send_signal(1)
        gateway.wait_for("K164")
        self.assertIn("there is no field http.hots, at column 1", gateway.talk)
        self.assertIn("did you mean http.host?", gateway.talk)
        self.assertEqual(self.target(gateway), "/good")

    def test_without_the_flag_expressions_are_refused(self):
        config = kong([{"name": "s", "url": self.origin.url, "routes": [route("r", 'http.path ^= "/"')]}])
        with self.assertRaises(AssertionError) as refused:
            Gateway(config).stop()
        self.assertIn("K162", str(refused.exception))
        self.assertIn("start with --router expressions", str(refused.exception))

    def test_thousands_of_routes(self):
        routes = [route(f"r{n}", f'http.path ^= "/p{n}/" && (http.method == "GET" || http.method == "PUT")', n % 7)
                  for n in range(3000)]
        service = {"name": "s", "url": self.origin.url, "routes": [{**r, "strip_path": False} for r in routes]}
        gateway = Gateway(kong([service]), *FLAGS, "--access-log", "access.log")
        self.addCleanup(gateway.stop)
        asked = [0, 1, 77, 1500, 2999]
        with Client(gateway.port) as client:
            for n in asked:
                self.assertEqual(client.ask(f"/p{n}/x").status, 200)
            self.assertEqual(client.ask("/p3000/x").status, 404)
        log = gateway.folder / "access.log"
        eventually("the log", lambda: log.exists() and log.read_text().count("\n") >= len(asked) + 1)
        names = [json.loads(line).get("route", {}).get("name") for line in log.read_text().splitlines()]
        self.assertEqual(names, [f"r{n}" for n in asked] + [None])


class Streams(unittest.TestCase):
    """Expressions of tcp, tls, tls_passthrough and udp routes."""

    @classmethod
    def setUpClass(cls):
        cls.authority = Authority()
        cls.addClassCleanup(cls.authority.close)
        cls.pair = cls.authority.issue("a.example")
        cls.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        cls.context.load_cert_chain(*map(str, cls.pair))

    def server(self, name, **more) -> TCPServer:
        server = TCPServer(named(name), **more)
        self.addCleanup(server.close)
        return server

    def service(self, name, server, expression, protocols, priority=0) -> dict:
        protocol = protocols[0] if protocols[0] in ("udp", "tls_passthrough") else "tcp"
        return {"name": name, "protocol": protocol, "host": "127.0.0.1", "port": server.port,
                "routes": [route(name, expression, priority, protocols=protocols)]}

    def gateway(self, services, *streams) -> Gateway:
        certificate, key = self.pair
        certificates = [{"cert": certificate.read_text(), "key": key.read_text(), "snis": [{"name": "*"}]}]
        arguments = [word for stream in streams for word in ("--stream", stream)]
        gateway = Gateway(kong(services, certificates=certificates), *FLAGS, *arguments)
        self.addCleanup(gateway.stop)
        return gateway

    def test_sources_and_destinations(self):
        near, other, rest = (self.server(n) for n in ("near", "other", "rest"))
        config = [
            self.service("near", near, "net.src.ip == 127.0.0.3 && net.src.port > 0", ["tcp"], 2),
            self.service("other", other, "net.dst.port == 1", ["tcp"], 1),
            self.service("rest", rest, 'net.protocol == "tcp" && !(net.src.ip in 127.0.0.64/26)', ["tcp"])]
        gateway = self.gateway(config, "127.0.0.1:0", "127.0.0.1:0")
        first, second = gateway.stream_ports
        config[1]["routes"][0]["expression"] = f"net.dst.port == {second} && net.dst.ip == 127.0.0.1"
        gateway.reload(kong(config))
        for port, source, name in ((first, "127.0.0.3", b"near\n"), (second, "127.0.0.3", b"near\n"),
                                   (second, "127.0.0.4", b"other\n"), (first, "127.0.0.4", b"rest\n")):
            with client(port, source) as sock:
                self.assertEqual(line(sock), name, (port, source))
        with client(first, "127.0.0.77") as sock:
            self.assertIn(ending(sock), ("end", "reset"))

    def test_server_names(self):
        ended, passed = self.server("ended"), self.server("passed", context=self.context)
        gateway = self.gateway([
            self.service("ended", ended, 'tls.sni == "A.example" && net.protocol == "tls"', ["tls"]),
            self.service("passed", passed, 'tls.sni ^= "pass"', ["tls_passthrough"], 1)], "127.0.0.1:0,tls")
        trusting = ssl.create_default_context(cafile=str(self.authority.certificate))
        trusting.check_hostname = False
        for name, want in (("a.example", b"ended\n"), ("pass.example", b"passed\n")):
            with trusting.wrap_socket(client(gateway.stream_ports[0]), server_hostname=name) as sock:
                self.assertEqual(line(sock), want)

    def test_datagrams(self):
        servers = [UDPServer(name) for name in ("one", "two")]
        for server in servers:
            self.addCleanup(server.close)
        gateway = self.gateway([
            self.service("one", servers[0], "net.src.ip == 127.0.0.3", ["udp"], 1),
            self.service("two", servers[1], 'net.protocol == "udp"', ["udp"])], "127.0.0.1:0,udp")
        for source, want in (("127.0.0.3", b"one"), ("127.0.0.4", b"two")):
            with datagrams(source) as sock:
                sock.sendto(b"x", ("127.0.0.1", gateway.stream_ports[0]))
                self.assertIn(want, sock.recv(100))


HOSTS = ["a.example", "b.example", "x.a.example", "A.Example:8123"]
PATHS = ["/", "/a", "/a/b", "/a/b/c", "/b/1", "/ab", "//a/./b", "/a%2Fb", "/a/"]
VALUES = ["one", "two", "One", ""]


class Agreement(unittest.TestCase):
    """Random expressions: what `gateway match` says and what the gateway does."""

    ROUNDS, REQUESTS = 12, 40

    @classmethod
    def setUpClass(cls):
        cls.origin = Origin()
        cls.seed = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
        print(f"  expressions: SEED={cls.seed}")

    @classmethod
    def tearDownClass(cls):
        cls.origin.close()

    def predicate(self, chance) -> str:
        text = chance.choice(["==", "==", "!=", "^=", "=^", "contains"])
        return chance.choice([
            lambda: f'http.method {chance.choice(["==", "!="])} "{chance.choice(["GET", "POST"])}"',
            lambda: f'http.path {text} "{chance.choice(["/", "/a", "/a/b", "b", "/ab"])}"',
            lambda: f'lower(http.host) {text} "{chance.choice(["a.example", ".example", "x.", "B.example"])}"',
            lambda: f'http.path.segments.{chance.choice(["0", "1", "0_1"])} {text} "{chance.choice(["a", "b", "a/b", "1"])}"',
            lambda: f'http.path.segments.len {chance.choice(["==", ">", "<="])} {chance.randint(0, 3)}',
            lambda: f'{chance.choice(["any(http.headers.x_kind)", "http.headers.x_kind", "any(lower(http.headers.x_kind))"])} '
                    f'{text} "{chance.choice(VALUES)}"',
            lambda: f'{chance.choice(["any(http.queries.q)", "http.queries.q"])} {text} "{chance.choice(VALUES)}"',
            lambda: f'net.src.ip {chance.choice(["in", "not in"])} {chance.choice(["127.0.0.0/8", "10.0.0.0/8"])}',
            lambda: f'net.dst.port {chance.choice(["==", "!="])} 8123',
            lambda: r'http.path ~ r#"' + chance.choice([r"^/a/(?<n>\w)", r"\d$", "^/[ab]", "b/"]) + '"#',
        ])()

    def expression(self, chance, depth=2) -> str:
        if depth == 0 or chance.random() < 0.3:
            return self.predicate(chance)
        parts = [self.expression(chance, depth - 1) for _ in range(chance.randint(2, 3))]
        # Without parentheses too: both sides must read the precedence alike.
        joined = chance.choice([" && ", " || "]).join(parts) if chance.random() < 0.6 else \
            parts[0] + "".join(chance.choice([" && ", " || "]) + part for part in parts[1:])
        kind = chance.random()
        return f"!({joined})" if kind < 0.15 else f"({joined})" if kind < 0.6 else joined

    def config(self, chance, round_number) -> dict:
        routes = []
        for n in range(chance.randint(1, 8)):
            name = f"r{round_number}-{n}"
            if chance.random() < 0.2:
                routes.append({"name": name, "paths": chance.sample(["/", "/a", "/b"], 1)})
            else:
                routes.append(route(name, self.expression(chance), chance.randint(0, 3),
                                    strip_path=chance.random() < 0.5))
        return kong([{"name": "s", "url": self.origin.url + chance.choice(["", "/s"]), "routes": routes, "retries": 0}])

    def request(self, chance) -> dict:
        path = chance.choice(PATHS) + chance.choice(["", "", "?q=one", "?q=two&q=one", "?q", "?x=1"])
        headers = {"X-Kind": [chance.choice(VALUES) for _ in range(chance.randint(1, 2))]} if chance.random() < 0.6 else {}
        return {"method": chance.choice(["GET", "POST"]), "host": chance.choice(HOSTS), "path": path, "headers": headers}

    def test_explained_and_served_agree(self):
        chance = random.Random(self.seed)
        gateway = Gateway(kong(), *FLAGS, "--access-log", "access.log")
        self.addCleanup(gateway.stop)
        client, expected, routed = Client(gateway.port), [], 0
        self.addCleanup(client.close)
        for n in range(self.ROUNDS):
            config = self.config(chance, n)
            gateway.reload(config)
            requests = [self.request(chance) for _ in range(self.REQUESTS)]
            ends = {"src": "127.0.0.1", "dst": f"127.0.0.1:{gateway.port}"}
            done = subprocess.run(
                [SEAWAY, "gateway", "match", *FLAGS, "--config", str(gateway.config), "--requests", "-"],
                input="".join(json.dumps({**r, **ends}) + "\n" for r in requests), capture_output=True, text=True,
                timeout=30, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            for request, said in zip(requests, map(json.loads, done.stdout.splitlines()), strict=True):
                where = f"seed {self.seed}, round {n}: {request}\nexplained {said}\n{json.dumps(config)}"
                self.origin.clear()
                answer = client.ask(request["path"], request["method"], host=request["host"],
                                    headers=[(k, v) for k, values in request["headers"].items() for v in values],
                                    body=b"" if request["method"] == "POST" else None)
                self.assertEqual(answer.status, said["status"], where)
                seen = self.origin.seen()
                self.assertEqual(bool(seen), said["status"] == 200, where)
                if seen:
                    self.assertEqual(seen[0].target, said["upstream_uri"], where)
                    routed += 1
                expected.append((said["route"], where))
        log = gateway.folder / "access.log"
        eventually("the log", lambda: log.read_text().count("\n") >= len(expected))
        for line, (want, where) in zip(log.read_text().splitlines(), expected, strict=True):
            self.assertEqual(json.loads(line).get("route", {}).get("name"), want, where)
        print(f"  expressions: {len(expected)} requests over {self.ROUNDS} files agree, {routed} of them proxied")
        self.assertGreater(routed, len(expected) // 5)
