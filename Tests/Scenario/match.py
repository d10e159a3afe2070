"""`seaway gateway match` and the running gateway never disagree: random files, random requests, a real socket."""

import json
import os
import random
import re
import socket
import ssl
import subprocess
import threading
import unittest

from gateway import SEAWAY, Gateway, kong
from wire import Client, Origin

HOSTS = ["a.example", "b.example", "x.a.example", "a.example:8123", "A.Example", "c.test", "deep.x.a.example",
         "a.example.", "A.Example.:8123", "x.a.example."]
ROUTE_HOSTS = ["a.example", "b.example", "*.a.example", "a.*", "a.example:8123", "c.test", "b.example."]
SEGMENTS = ["a", "b", "ab", "c", "1", "22", "%61", "a%20b", "x.y", ".", "..", "", "a-b", "%2F", "~t"]
ROUTE_PATHS = ["/", "/a", "/a/", "/a/b", "/ab", "/c", "/a/b/c", "~/a/\\d+", "~/(?<name>[a-z]+)/x$", "~/c", "~/a/(b|c)", "/x.y"]
HEADERS = ["X-Kind", "X-Other"]
VALUES = ["one", "two", "ONE", "three"]


class Agreement(unittest.TestCase):
    ROUNDS, REQUESTS = 25, 40

    @classmethod
    def setUpClass(cls):
        cls.origin = Origin()
        cls.seed = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
        print(f"  match: SEED={cls.seed}")

    @classmethod
    def tearDownClass(cls):
        cls.origin.close()

    def config(self, chance, gateway_round):
        services, count = [], chance.randint(1, 4)
        for s in range(count):
            routes = []
            for r in range(chance.randint(1, 4)):
                route = {"name": f"r{gateway_round}-{s}-{r}"}
                if chance.random() < 0.4:
                    route["hosts"] = chance.sample(ROUTE_HOSTS, chance.randint(1, 2))
                if chance.random() < 0.8 or len(route) == 1:
                    route["paths"] = chance.sample(ROUTE_PATHS, chance.randint(1, 3))
                if chance.random() < 0.3:
                    route["methods"] = chance.sample(["GET", "POST", "PUT", "DELETE"], chance.randint(1, 2))
                if chance.random() < 0.3:
                    route["headers"] = {chance.choice(HEADERS): chance.sample(VALUES[:2], 1)}
                if chance.random() < 0.2:
                    route["protocols"] = ["https"]
                if chance.random() < 0.3:
                    route["regex_priority"] = chance.randint(0, 3)
                route["strip_path"] = chance.random() < 0.5
                route["preserve_host"] = chance.random() < 0.5
                route["path_handling"] = chance.choice(["v0", "v1"])
                routes.append(route)
            path = chance.choice(["", "/", "/s", "/s/", "/s/t"])
            services.append({"name": f"s{s}", "url": self.origin.url + path, "routes": routes, "retries": 0})
        return kong(services)

    def request(self, chance):
        path = "/" + "/".join(chance.choice(SEGMENTS) for _ in range(chance.randint(0, 4)))
        if chance.random() < 0.3:
            path += chance.choice(["?", "?q=1", "?a/../b", "?x=%20"])
        headers = {h: [chance.choice(VALUES) for _ in range(chance.randint(1, 2))] for h in HEADERS if chance.random() < 0.5}
        return {"method": chance.choice(["GET", "GET", "POST", "PUT"]), "host": chance.choice(HOSTS), "path": path,
                "scheme": "http", "headers": headers}

    def explained(self, gateway, requests):
        done = subprocess.run(
            [SEAWAY, "gateway", "match", "--config", str(gateway.config), "--requests", "-"],
            input="".join(json.dumps(r) + "\n" for r in requests), capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def served(self, client, request):
        self.origin.clear()
        headers = [(n, v) for n, values in request["headers"].items() for v in values]
        answer = client.ask(request["path"], request["method"], host=request["host"], headers=headers,
                            body=b"" if request["method"] != "GET" else None)
        seen = self.origin.seen()
        return answer, seen[0] if seen else None

    def test_explained_and_served_agree(self):
        chance = random.Random(self.seed)
        gateway = Gateway(kong(), "--access-log", "access.log")
        self.addCleanup(gateway.stop)
        answered, routed, names = 0, 0, []
        expected = []
        client = None
        for n in range(self.ROUNDS):
            config = self.config(chance, n)
            gateway.reload(config)
            requests = [self.request(chance) for _ in range(self.REQUESTS)]
            explained = self.explained(gateway, requests)
            self.assertEqual(len(explained), len(requests))
            client = client or Client(gateway.port)
            for request, said in zip(requests, explained):
                answer, head = self.served(client, request)
                where = f"seed {self.seed}, round {n}: {request}\nexplained {said}\n{json.dumps(config)}"
                self.assertEqual(answer.status, said["status"], where)
                self.assertEqual(head is not None, said["status"] == 200, where)
                if head is not None:
                    self.assertEqual(head.target, said["upstream_uri"], where)
                    self.assertEqual(head.get("Host"), said["upstream_host"], where)
                    routed += 1
                answered += 1
                expected.append((said["route"], where))
                if "close" in answer.tokens("Connection"):
                    client.close()
                    client = Client(gateway.port)
        client.close()
        # Which route answered, the access log knows.
        path = gateway.folder / "access.log"
        from gateway import eventually
        eventually("the log", lambda: path.read_text().count("\n") >= answered)
        names = [json.loads(line).get("route", {}).get("name") for line in path.read_text().splitlines()]
        for (want, where), got in zip(expected, names):
            self.assertEqual(got, want, where)
        print(f"  match: {answered} requests over {self.ROUNDS} files agree, {routed} of them proxied")
        self.assertGreater(routed, answered // 10)


class Names:
    """A service that tells its name to whoever connects or sends, before anything else."""

    def __init__(self, name):
        self.name = f"origin {name}\n".encode()
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.port = self.tcp.getsockname()[1]
        self.udp.bind(("127.0.0.1", self.port))
        for serve in (self.connections, self.datagrams):
            threading.Thread(target=serve, daemon=True).start()

    def connections(self):
        while True:
            try:
                client, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self.tell, args=(client,), daemon=True).start()

    def tell(self, client):
        with client:
            try:
                client.sendall(self.name)
                client.settimeout(5)
                while client.recv(4096):
                    pass
            except OSError:
                pass

    def datagrams(self):
        while True:
            try:
                _, peer = self.udp.recvfrom(4096)
            except OSError:
                return
            if peer is None:  # Shut down.
                return
            self.udp.sendto(self.name, peer)

    def close(self):
        for end in (self.tcp, self.udp):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()


class Streams(unittest.TestCase):
    """Connections, TLS and datagrams: the verdict and the service that `match` names are those that clients meet."""

    ROUNDS, QUESTIONS = 12, 25
    SNIS = ["a.example", "b.example", "*.example", "a.*", "*.b.example"]
    SENT = ["a.example", "A.Example", "x.b.example", "c.example", "a.org", "d.test", ""]
    CLIENTS = ["127.0.0.1", "127.0.0.2", "127.0.1.1"]

    @classmethod
    def setUpClass(cls):
        cls.seed = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
        print(f"  match streams: SEED={cls.seed}")
        cls.names = [Names(f"s{n}") for n in range(4)]
        cls.gateway = Gateway(
            kong(), "--stream", "127.0.0.1:0", "--stream", "127.0.0.1:0,tls", "--stream", "127.0.0.1:0,udp")
        cls.ports = {
            scheme: int(re.search(rf"{scheme}://127\.0\.0\.1:(\d+)", cls.gateway.talk)[1]) for scheme in ("tcp", "tls", "udp")}

    @classmethod
    def tearDownClass(cls):
        cls.gateway.stop()
        for origin in cls.names:
            origin.close()

    def places(self, chance, addresses, ports):
        found = []
        for _ in range(chance.randint(1, 2)):
            place = {}
            if chance.random() < 0.6:
                place["ip"] = chance.choice(addresses)
            if chance.random() < 0.5 or not place:
                place["port"] = chance.choice(ports)
            found.append(place)
        return found

    def config(self, chance, number):
        ports = list(self.ports.values())
        services = []
        for s, origin in enumerate(self.names):
            routes = []
            for r in range(chance.randint(1, 3)):
                passes = chance.random() < 0.3
                protocols = ["tls_passthrough"] if passes else chance.sample(["tcp", "tls", "udp"], chance.randint(1, 3))
                route = {"name": f"r{number}-{s}-{r}", "protocols": protocols}
                if passes or "tls" in protocols and chance.random() < 0.5:
                    route["snis"] = chance.sample(self.SNIS, chance.randint(1, 2))
                if chance.random() < 0.4:
                    route["sources"] = self.places(chance, ["127.0.0.2", "127.0.0.0/24", "127.0.0.0/8", "10.0.0.0/8"], [1])
                if chance.random() < 0.4 or len(route) == 2:
                    route["destinations"] = self.places(chance, ["127.0.0.1", "127.0.0.0/8", "10.0.0.1"], ports)
                routes.append(route)
            services.append({"name": f"s{s}", "protocol": "tcp", "host": "127.0.0.1", "port": origin.port, "routes": routes})
        return kong(services)

    def ask(self, chance):
        """One question as `match` takes it, with what a client met."""
        scheme = chance.choice(["tcp", "tls", "tls", "udp"])
        name = chance.choice(self.SENT) if scheme == "tls" or scheme == "tcp" and chance.random() < 0.3 else ""
        kind = socket.SOCK_DGRAM if scheme == "udp" else socket.SOCK_STREAM
        with socket.socket(socket.AF_INET, kind) as client:
            client.bind((chance.choice(self.CLIENTS), 0))
            client.settimeout(5)
            client.connect(("127.0.0.1", self.ports[scheme]))
            question = {"scheme": scheme, "src": "{}:{}".format(*client.getsockname()),
                        "dst": "{}:{}".format(*client.getpeername()), "sni": name}
            if scheme == "udp":
                del question["sni"]
                return question, self.datagram(client)
            if scheme == "tcp" and not name:
                client.sendall(b"?")
                return question, self.read(client, b"", "forwarded")
            return question, self.hello(client, name)

    def datagram(self, client):
        client.settimeout(0.3)
        client.send(b"?")
        try:
            return "forwarded", client.recv(100).decode().split()[1]
        except (TimeoutError, ConnectionRefusedError):
            return "dropped", None

    def read(self, client, start, verdict):
        """Bytes that no TLS is around: a name, or the end."""
        got = start
        try:
            while not got.endswith(b"\n"):
                more = client.recv(100)
                if not more:
                    return "closed", None
                got += more
        except ConnectionResetError:
            return "closed", None
        return verdict, got.decode().split()[1]

    def hello(self, client, name):
        """A TLS client that notices when its hello is answered by something else."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname=name or None)
        got, is_first, is_shaken = b"", True, False
        while not got.endswith(b"\n"):
            try:
                if not is_shaken:
                    tls.do_handshake()
                    is_shaken = True
                told = tls.read(100)
                if not told:
                    return "closed", None
                got += told
                continue
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                return "closed", None
            try:
                client.sendall(outgoing.read())
                more = client.recv(16384)
            except (ConnectionResetError, BrokenPipeError):
                return "closed", None
            if not more:
                return "closed", None
            if is_first and more[0] not in (0x15, 0x16):
                return self.read(client, more, "raw")
            is_first = False
            incoming.write(more)
        return "forwarded", got.decode().split()[1]

    def test_explained_and_met_agree(self):
        chance = random.Random(self.seed)
        kinds = {}
        for n in range(self.ROUNDS):
            config = self.config(chance, n) if n else kong()
            self.gateway.reload(config)
            asked = [self.ask(chance) for _ in range(self.QUESTIONS)]
            done = subprocess.run(
                [SEAWAY, "gateway", "match", "--config", str(self.gateway.config), "--requests", "-"],
                input="".join(json.dumps(q) + "\n" for q, _ in asked), capture_output=True, text=True, timeout=30, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            for (question, (verdict, origin)), line in zip(asked, done.stdout.splitlines(), strict=True):
                said = json.loads(line)
                # Where no TLS is ended, a hello is carried like any bytes.
                expected = "raw" if said["verdict"] == "passed_through" or question["scheme"] == "tcp" and question.get("sni") and said["service"] else said["verdict"]
                where = f"seed {self.seed}, round {n}: {question} met {verdict} {origin}\nexplained {said}\n{json.dumps(config)}"
                self.assertEqual(verdict, expected, where)
                self.assertEqual(origin, said["service"], where)
                kinds[said["verdict"]] = kinds.get(said["verdict"], 0) + 1
        print(f"  match: {sum(kinds.values())} streams over {self.ROUNDS} files agree: {kinds}")
        self.assertLessEqual({"forwarded", "passed_through", "closed"}, set(kinds))
