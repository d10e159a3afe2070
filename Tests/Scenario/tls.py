"""TLS on both sides, seen with Python's ssl and the openssl command."""

import socket
import ssl
import subprocess
import threading
import time
import unittest
import uuid

from certs import Authority
from gateway import Gateway, eventually, kong, service
from wire import Client, Origin, Stream, ask, read_body, reply


def entity(pair, *names, chain=""):
    """A certificate of kong.yml with its server names."""
    certificate, key = pair
    return {"id": str(uuid.uuid5(uuid.NAMESPACE_URL, str(certificate))), "cert": certificate.read_text() + chain,
            "key": key.read_text(), "snis": [{"name": n} for n in names]}


class TLS(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.authority = Authority()
        cls.other = Authority("Another Authority")
        issue = cls.authority.issue
        cls.exact, cls.wild = issue("www.example"), issue("wild.example", "DNS:*.example")
        cls.prefix, cls.fallback = issue("mail.test"), issue("fallback.test")
        cls.client_pair = issue("client.test")
        cls.foreign = cls.other.issue("foreign.test")
        cls.origin = Origin()

    @classmethod
    def tearDownClass(cls):
        cls.origin.close()
        cls.authority.close()
        cls.other.close()

    def config(self, *more, www=None, **entities):
        route = {"name": "all", "paths": ["/"], "strip_path": False}
        certificates = [entity(www or self.exact, "www.example"), entity(self.wild, "*.example"),
                        entity(self.prefix, "mail.*"), entity(self.fallback, "*")]
        return kong([service("origin", self.origin.url, [route]), *more], certificates=certificates, **entities)

    def gateway(self, config=None, *flags, **more):
        gateway = Gateway(config or self.config(), *flags, https=True, **more)
        self.addCleanup(gateway.stop)
        return gateway

    def context(self, minimum=None, maximum=None, pair=None, protocols=("http/1.1",)):
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        context.check_hostname = False
        if minimum:
            context.minimum_version = minimum
        if maximum:
            context.maximum_version = maximum
        if pair:
            context.load_cert_chain(*map(str, pair))
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context

    def connect(self, gateway, name="www.example", context=None, session=None):
        sock = socket.create_connection(("127.0.0.1", gateway.https_port), timeout=10)
        self.addCleanup(sock.close)
        secure = (context or self.context()).wrap_socket(sock, server_hostname=name, session=session)
        self.addCleanup(secure.close)
        return Stream(secure)

    def common_name(self, stream):
        return dict(pair[0] for pair in stream.socket.getpeercert()["subject"])["commonName"]

    def get(self, stream, target="/", host="www.example"):
        stream.send(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")
        return stream.response()

    def test_the_certificate_is_chosen_by_server_name(self):
        gateway = self.gateway()
        for name, want in (("www.example", "www.example"), ("WWW.EXAMPLE", "www.example"), ("api.example", "wild.example"),
                           ("mail.org", "mail.test"), ("nobody.org", "fallback.test"), (None, "fallback.test"),
                           ("a.b.example", "fallback.test")):
            stream = self.connect(gateway, name)
            self.assertEqual(self.common_name(stream), want, name)
            self.assertEqual(self.get(stream).body, b"origin")

    def test_without_any_certificate_one_of_its_own_is_served(self):
        gateway = self.gateway(kong([service("origin", self.origin.url, [{"name": "all", "paths": ["/"]}])]))
        context = ssl._create_unverified_context()
        self.assertEqual(self.get(self.connect(gateway, "any.example", context)).status, 200)

    def test_tls_1_2_and_1_3_and_no_less(self):
        gateway = self.gateway()
        for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
            stream = self.connect(gateway, context=self.context(version, version))
            self.assertEqual((stream.socket.version(), self.get(stream).status), (name, 200))
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.https_port}", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
            input=b"", capture_output=True, timeout=10, check=False)
        self.assertNotEqual(done.returncode, 0)

    def test_alpn_agrees_on_http_1_1(self):
        gateway = self.gateway()
        for offered in (["http/1.1"], ["unknown", "http/1.1"]):
            self.assertEqual(self.connect(gateway, context=self.context(protocols=offered)).socket.selected_alpn_protocol(), "http/1.1")
        stream = self.connect(gateway, context=self.context(protocols=()))
        self.assertEqual((stream.socket.selected_alpn_protocol(), self.get(stream).status), (None, 200))

    def test_requests_know_that_they_came_by_tls(self):
        gateway = self.gateway(kong([service("origin", self.origin.url, [{"name": "s", "paths": ["/"], "protocols": ["https"]}])]))
        self.origin.clear()
        context = ssl._create_unverified_context()
        self.assertEqual(self.get(self.connect(gateway, context=context)).status, 200)
        head = self.origin.seen()[0]
        self.assertEqual((head.get("X-Forwarded-Proto"), head.get("X-Forwarded-Port")), ("https", str(gateway.https_port)))
        self.assertEqual(ask(gateway.port, "/").status, 426)

    def test_large_bodies_pass_both_ways(self):
        body = bytes(range(256)) * 20_000
        self.origin.on("/echo", lambda s, h: (read_body(s, h), reply(200, h.body))[1])
        stream = self.connect(self.gateway())
        stream.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        self.assertEqual(stream.response().body, body)

    def s_client(self, gateway, *flags):
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.https_port}", "-servername", "www.example", "-ign_eof", *flags],
            input=b"GET / HTTP/1.1\r\nHost: www.example\r\nConnection: close\r\n\r\n", capture_output=True, timeout=15, check=False)
        text = done.stdout.decode(errors="replace")
        self.assertIn("200 OK", text, text[-1500:] + done.stderr.decode(errors="replace"))
        return text

    def test_sessions_are_resumed_by_every_worker_and_after_a_reload(self):
        gateway = self.gateway(workers=3)
        for version in ("-tls1_2", "-tls1_3"):
            session = str(gateway.folder / f"session{version}")
            self.assertIn("New, ", self.s_client(gateway, version, "-sess_out", session))
            for _ in range(6):
                self.assertIn("Reused, ", self.s_client(gateway, version, "-sess_in", session), version)
            gateway.reload(self.config(service("more", self.origin.url)))
            self.assertIn("Reused, ", self.s_client(gateway, version, "-sess_in", session), f"{version} after a reload")
            gateway.reload(self.config())

    def test_a_changed_certificate_is_served_without_a_restart(self):
        gateway = self.gateway()
        proxy = gateway.proxy
        old = self.connect(gateway)
        self.assertEqual((self.common_name(old), self.get(old).status), ("www.example", 200))
        renewed = self.authority.issue("renewed.example", "DNS:www.example")
        gateway.reload(self.config(www=renewed))
        self.assertEqual(self.common_name(self.connect(gateway)), "renewed.example")
        self.assertEqual((self.get(old).status, gateway.proxy), (200, proxy))

    def test_client_certificates_are_asked_for_and_checked(self):
        gateway = self.gateway(None, "--client-ca", str(self.authority.certificate))
        self.assertEqual(self.get(self.connect(gateway, context=self.context(pair=self.client_pair))).status, 200)
        for pair in (None, self.foreign):
            with self.assertRaises((ssl.SSLError, OSError), msg=str(pair)):
                self.get(self.connect(gateway, context=self.context(pair=pair)))

    def test_a_client_hello_in_pieces_is_understood(self):
        gateway = self.gateway()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        secure = self.context().wrap_bio(incoming, outgoing, server_hostname="www.example")
        with socket.create_connection(("127.0.0.1", gateway.https_port), timeout=10) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def flush():
                for byte in outgoing.read():
                    sock.send(bytes([byte]))

            def drive(step):
                while True:
                    try:
                        result = step()
                        flush()
                        return result
                    except ssl.SSLWantReadError:
                        flush()
                        data = sock.recv(65536)
                        self.assertTrue(data)
                        incoming.write(data)

            drive(secure.do_handshake)
            drive(lambda: secure.write(b"GET / HTTP/1.1\r\nHost: www.example\r\n\r\n"))
            self.assertTrue(drive(lambda: secure.read(4096)).startswith(b"HTTP/1.1 200"))

    def test_plain_http_and_noise_on_the_tls_port_harm_nobody(self):
        gateway = self.gateway()
        for data in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(70000), b"\x80\x2e\x01", b"\0" * 100):
            with socket.create_connection(("127.0.0.1", gateway.https_port), timeout=5) as sock:
                try:
                    sock.sendall(data)
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(4096):
                        pass
                except ConnectionError:
                    pass
        self.assertEqual(self.get(self.connect(gateway)).status, 200)

    def test_a_handshake_that_does_not_end_is_cut_off(self):
        gateway = self.gateway(None, "--tls-handshake-timeout", "300ms")
        with socket.create_connection(("127.0.0.1", gateway.https_port), timeout=5) as sock:
            began = time.monotonic()
            sock.sendall(b"\x16\x03\x01")
            self.assertEqual(sock.recv(1), b"")
            self.assertLess(time.monotonic() - began, 2)


class Upstream(unittest.TestCase):
    """https services."""

    @classmethod
    def setUpClass(cls):
        cls.authority, cls.other = Authority(), Authority("Another Authority")
        cls.middle = Authority("Middle Authority", parent=cls.authority)
        cls.contexts = {}

        def origin(name, pair, chain="", **more):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            path = cls.authority.folder / f"{name}.chain"
            path.write_text(pair[0].read_text() + chain)
            context.load_cert_chain(str(path), str(pair[1]))
            if more.get("ask"):
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(str(cls.authority.certificate))
            cls.contexts[name] = context
            return Origin(context, name)

        names = ("DNS:localhost", "IP:127.0.0.1")
        cls.good = origin("good", cls.authority.issue("good.test", *names))
        cls.wrong_name = origin("wrong-name", cls.authority.issue("wrong.test", "DNS:wrong.test"))
        cls.wrong_signer = origin("wrong-signer", cls.other.issue("foreign.test", *names))
        cls.deep = origin("deep", cls.middle.issue("deep.test", *names), cls.middle.certificate.read_text())
        cls.asking = origin("asking", cls.authority.issue("asking.test", *names), ask=True)
        ca = {"id": str(uuid.uuid4()), "cert": cls.authority.certificate.read_text()}
        pair = cls.authority.issue("proxy.test")
        client = {"id": str(uuid.uuid4()), "cert": pair[0].read_text(), "key": pair[1].read_text()}
        checked = {"tls_verify": True, "ca_certificates": [ca["id"]], "retries": 0}

        def at(name, o, **fields):
            return service(name, f"https://localhost:{o.port}", **fields)

        cls.gateway = Gateway(kong([
            at("unchecked", cls.wrong_signer), at("good", cls.good, **checked), at("wrong-name", cls.wrong_name, **checked),
            at("wrong-signer", cls.wrong_signer, **checked), at("deep", cls.deep, **checked),
            at("shallow", cls.deep, tls_verify_depth=0, **checked), at("asking", cls.asking, client_certificate=client["id"]),
            at("nameless", cls.asking, retries=0),
            service("plain", f"https://127.0.0.1:{cls.plain()}", retries=0),
        ], ca_certificates=[ca], certificates=[client]))

    @staticmethod
    def plain():
        """The port of a server that answers anything as a plain HTTP server does."""
        listener = socket.create_server(("127.0.0.1", 0))

        def serve():
            while True:
                sock, _ = listener.accept()
                sock.recv(4096)
                sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                sock.close()

        threading.Thread(target=serve, daemon=True).start()
        return listener.getsockname()[1]

    @classmethod
    def tearDownClass(cls):
        cls.gateway.stop()
        for origin in (cls.good, cls.wrong_name, cls.wrong_signer, cls.deep, cls.asking):
            origin.close()
        for authority in (cls.authority, cls.other, cls.middle):
            authority.close()

    def test_certificates_are_checked_only_where_asked(self):
        for path, status in (("unchecked", 200), ("good", 200), ("wrong-name", 502), ("wrong-signer", 502), ("deep", 200),
                             ("shallow", 502)):
            answer = ask(self.gateway.port, f"/{path}")
            self.assertEqual(answer.status, status, path)

    def test_a_client_certificate_is_shown_where_configured(self):
        self.assertEqual(ask(self.gateway.port, "/asking").body, b"asking")
        self.assertEqual(ask(self.gateway.port, "/nameless").status, 502)

    def test_a_plain_upstream_called_https_is_a_bad_gateway(self):
        self.assertEqual(ask(self.gateway.port, "/plain").status, 502)

    def test_tls_connections_are_kept_and_resumed(self):
        self.good.clear()
        with Client(self.gateway.port) as client:
            for _ in range(10):
                self.assertEqual(client.ask("/good").body, b"good")
        self.assertLessEqual(self.good.connections, 1)
        hits = self.contexts["good"].session_stats()["hits"]
        self.good.hang_up()
        eventually("the connection to end", lambda: not self.good.open)
        time.sleep(0.02)
        self.assertEqual(ask(self.gateway.port, "/good").body, b"good")
        self.assertEqual(self.contexts["good"].session_stats()["hits"], hits + 1)
