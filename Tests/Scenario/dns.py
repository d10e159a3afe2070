"""Upstreams by name, through a small DNS server: A, SRV, TTLs, and a server that dies."""

import socket
import struct
import threading
import time
import unittest

from gateway import Gateway, eventually, kong, service
from wire import Client, Origin, ask


class NameServer:
    """Answers from a table of (name, type) → [(ttl, data)] over UDP (RFC 1035 section 4)."""

    A, SRV = 1, 33

    def __init__(self):
        self.table, self.asked = {}, []
        self.listen(0)

    def listen(self, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", port))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, args=(self.socket,), daemon=True).start()

    def a(self, name, *addresses, ttl=60):
        self.table[name, self.A] = [(ttl, socket.inet_aton(a)) for a in addresses]

    def srv(self, name, *records, ttl=60):
        """Records are (priority, weight, port, target)."""
        self.table[name, self.SRV] = [(ttl, struct.pack(">HHH", *r[:3]) + self.encode(r[3])) for r in records]

    @staticmethod
    def encode(name):
        return b"".join(bytes([len(p)]) + p.encode() for p in name.split(".") if p) + b"\0"

    def _serve(self, sock):
        while True:
            try:
                data, peer = sock.recvfrom(4096)
            except OSError:
                return
            if sock is not self.socket:
                return
            at, parts = 12, []
            while data[at]:
                parts.append(data[at + 1:at + 1 + data[at]].decode().lower())
                at += data[at] + 1
            name, kind = ".".join(parts), struct.unpack(">H", data[at + 1:at + 3])[0]
            self.asked.append((name, kind))
            found = self.table.get((name, kind), [])
            known = found or any(n == name for n, _ in self.table)
            head = data[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, len(found), 0, 0)
            body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, ttl, len(rdata)) + rdata for ttl, rdata in found)
            sock.sendto(head + data[12:at + 5] + body, peer)

    def die(self):
        """Nobody answers any more: the port refuses."""
        dying, self.socket = self.socket, None
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.sendto(b"x", dying.getsockname())
        sock.close()
        dying.close()

    def close(self):
        if self.socket:
            self.die()


class Names(unittest.TestCase):
    def setUp(self):
        self.server = NameServer()
        self.addCleanup(self.server.close)
        self.origins = [Origin(name="one"), Origin(name="two")]
        for origin in self.origins:
            self.addCleanup(origin.close)

    def gateway(self, *services, **entities):
        gateway = Gateway(kong(services, **entities), "--resolver", f"127.0.0.1:{self.server.port}")
        self.addCleanup(gateway.stop)
        return gateway

    def test_a_service_is_found_by_name(self):
        self.server.a("api.internal", "127.0.0.1")
        gateway = self.gateway(service("main", f"http://api.internal:{self.origins[0].port}"))
        eventually("an answer", lambda: ask(gateway.port, "/main").body == b"one")
        self.assertEqual(self.origins[0].seen()[-1].get("Host"), f"api.internal:{self.origins[0].port}")

    def test_an_unknown_name_is_503_until_it_is_known(self):
        gateway = self.gateway(service("main", f"http://late.internal:{self.origins[0].port}"))
        answer = ask(gateway.port, "/main")
        self.assertEqual(answer.status, 503)
        self.assertIn(b"name resolution failed", answer.body)

    def test_srv_records_give_ports_and_weights(self):
        one, two = (o.port for o in self.origins)
        self.server.srv("_http._tcp.svc.internal", (1, 30, one, "h.internal"), (1, 10, two, "h.internal"), (2, 50, 9, "h.internal"))
        self.server.a("h.internal", "127.0.0.1")
        gateway = self.gateway(service("main", "http://_http._tcp.svc.internal", retries=0))
        eventually("an answer", lambda: ask(gateway.port, "/main").status == 200)
        with Client(gateway.port) as client:
            found = [client.ask("/main").body for _ in range(40)]
        self.assertEqual((found.count(b"one"), found.count(b"two")), (30, 10))

    def test_a_changed_answer_is_used_when_its_time_is_over(self):
        one, two = (o.port for o in self.origins)
        self.server.srv("svc.internal", (1, 1, one, "h.internal"), ttl=1)
        self.server.a("h.internal", "127.0.0.1", ttl=1)
        gateway = self.gateway(service("main", "http://svc.internal", retries=0))
        eventually("an answer", lambda: ask(gateway.port, "/main").body == b"one")
        self.server.srv("svc.internal", (1, 1, two, "h.internal"), ttl=1)
        eventually("the other answer", lambda: ask(gateway.port, "/main").body == b"two", 10)

    def test_a_dead_name_server_is_not_noticed(self):
        self.server.a("api.internal", "127.0.0.1", ttl=1)
        gateway = self.gateway(service("main", f"http://api.internal:{self.origins[0].port}"))
        eventually("an answer", lambda: ask(gateway.port, "/main").body == b"one")
        self.server.die()
        until = time.monotonic() + 3
        with Client(gateway.port) as client:
            while time.monotonic() < until:
                self.assertEqual(client.ask("/main").status, 200)
                time.sleep(0.01)

    def test_addresses_and_localhost_need_no_question(self):
        port = self.origins[0].port
        gateway = self.gateway(service("main", f"http://127.0.0.1:{port}"), service("local", f"http://localhost:{port}"))
        self.assertEqual([ask(gateway.port, p).body for p in ("/main", "/local")], [b"one"] * 2)
        self.assertEqual(self.server.asked, [])

    def test_a_name_is_not_asked_for_at_each_request(self):
        self.server.a("api.internal", "127.0.0.1")
        gateway = self.gateway(service("main", f"http://api.internal:{self.origins[0].port}"))
        eventually("an answer", lambda: ask(gateway.port, "/main").body == b"one")
        asked = len(self.server.asked)
        with Client(gateway.port) as client:
            for _ in range(200):
                self.assertEqual(client.ask("/main").status, 200)
        self.assertEqual(len(self.server.asked), asked)

    def test_targets_of_an_upstream_may_be_names(self):
        self.server.a("t1.internal", "127.0.0.1")
        self.server.a("t2.internal", "127.0.0.1")
        targets = [{"target": f"t{n + 1}.internal:{o.port}"} for n, o in enumerate(self.origins)]
        gateway = self.gateway(service("main", "http://up"), upstreams=[{"name": "up", "targets": targets}])
        eventually("both names", lambda: {ask(gateway.port, "/main").body for _ in range(4)} == {b"one", b"two"})
