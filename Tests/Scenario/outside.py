"""What clients, upstreams and operators see: headers, error bodies, status pages, logs."""

import json
import os
import re
import signal
import subprocess
import unittest

from gateway import Gateway, eventually, kong, service
from wire import Client, Origin, ask, reply

ID = r"^[0-9a-f]{32}$"


class Outside(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.origin = Origin()
        cls.gateways = {}

    @classmethod
    def tearDownClass(cls):
        for gateway in cls.gateways.values():
            gateway.stop()
        cls.origin.close()

    def setUp(self):
        self.origin.scripts.clear()
        self.origin.clear()

    def config(self):
        with_path = [{"name": "strip", "paths": ["/strip"]}, {"name": "keep", "paths": ["/keep"], "strip_path": False,
                                                              "preserve_host": True}]
        routes = [
            {"name": "secure", "paths": ["/secure"], "protocols": ["https"]},
            {"name": "moved", "paths": ["/moved"], "protocols": ["https"], "https_redirect_status_code": 301},
            {"name": "all", "paths": ["/"], "hosts": ["all.example"], "strip_path": False}]
        dead = service("dead", "http://127.0.0.1:1", retries=0)
        unresolved = service("unresolved", "http://does-not-exist.invalid", retries=0)
        config = kong([service("origin", self.origin.url, with_path + routes), dead, unresolved],
                      plugins=[{"name": "prometheus", "config": {"status_code_metrics": True, "latency_metrics": True,
                                                                 "bandwidth_metrics": True, "upstream_health_metrics": True}}])
        config["routes"] = [{"name": "nowhere", "paths": ["/nowhere"]}]
        return config

    def gateway(self, *flags):
        """One gateway for each set of flags."""
        if flags not in self.gateways:
            self.gateways[flags] = Gateway(self.config(), *flags)
        return self.gateways[flags]

    # Headers

    def test_kongs_headers_on_proxied_answers_and_requests(self):
        answer = ask(self.gateway().port, "/strip")
        head = self.origin.seen()[0]
        self.assertEqual(answer.get("Via"), "1.1 kong/3.9.1")
        self.assertRegex(answer.get("X-Kong-Upstream-Latency"), r"^\d+$")
        self.assertRegex(answer.get("X-Kong-Proxy-Latency"), r"^\d+$")
        self.assertRegex(answer.get("X-Kong-Request-Id"), ID)
        self.assertEqual(head.all("X-Kong-Request-Id"), answer.all("X-Kong-Request-Id"))
        self.assertEqual((answer.all("Server"), head.get("Via")), ([], "1.1 kong/3.9.1"))

    def test_the_origins_own_server_and_via_are_kept(self):
        self.origin.on("/keep", lambda s, h: reply(200, "x", [("Server", "apache"), ("Via", "1.1 cache")]))
        answer = ask(self.gateway().port, "/keep", headers=[("Via", "1.0 edge")])
        self.assertEqual((answer.all("Server"), answer.all("Via")), (["apache"], ["1.1 cache, 1.1 kong/3.9.1"]))
        self.assertEqual(self.origin.seen()[0].all("Via"), ["1.0 edge, 1.1 kong/3.9.1"])

    def test_kongs_headers_on_its_own_answers(self):
        answer = ask(self.gateway().port, "/none")
        self.assertEqual((answer.status, answer.all("Server"), answer.all("Via")), (404, ["kong/3.9.1"], []))
        self.assertRegex(answer.get("X-Kong-Response-Latency"), r"^\d+$")
        self.assertRegex(answer.get("X-Kong-Request-Id"), ID)
        self.assertEqual(answer.all("X-Kong-Upstream-Latency"), [])

    def test_own_names_with_seaway_and_none_with_off(self):
        answer = ask(self.gateway("--headers", "seaway").port, "/strip")
        head = self.origin.seen()[0]
        self.assertRegex(answer.get("X-Request-ID"), ID)
        self.assertEqual((answer.get("Via"), head.get("X-Request-ID")), ("1.1 seaway", answer.get("X-Request-ID")))
        self.assertRegex(answer.get("X-Seaway-Upstream-Latency"), r"^\d+$")
        own = ask(self.gateway("--headers", "seaway").port, "/none")
        self.assertEqual(own.get("Server"), "seaway")
        self.origin.clear()
        for target in ("/strip", "/none"):
            answer = ask(self.gateway("--headers", "off").port, target)
            names = {n.lower() for n, _ in answer.fields}
            # The date says when, not who.
            self.assertEqual(names - {b"content-type"}, {b"content-length", b"connection", b"date"}, target)
        names = {n.lower() for n, _ in self.origin.seen()[0].fields}
        self.assertEqual({n for n in names if b"kong" in n or b"seaway" in n or n in (b"via", b"x-request-id")}, set())

    def test_request_ids_differ(self):
        client = Client(self.gateway().port)
        ids = {client.ask("/strip").get("X-Kong-Request-Id") for _ in range(500)}
        client.close()
        self.assertEqual(len(ids), 500)

    # Error bodies

    def test_error_bodies_follow_accept(self):
        message = "no Route matched with those values"
        for accept, kind, pattern in (
            (None, "application/json", r'^\{\n  "message":"%s",\n  "request_id":"[0-9a-f]{32}"\n\}$'),
            ("*/*", "application/json", r'"message":"%s"'),
            ("text/html", "text/html", r"<p>%s\.</p>"),
            ("text/plain", "text/plain", r"^%s\nrequest_id: [0-9a-f]{32}\n?$"),
            ("application/xml", "application/xml", r"<message>%s</message>"),
            ("application/json;q=0.5, text/html;q=0.9", "text/html", r"<p>%s"),
            ("text/html;q=0.1, application/xml", "application/xml", r"<message>%s"),
            ("image/png", "application/json", r'"message":"%s"'),
        ):
            answer = ask(self.gateway().port, "/none", headers=[("Accept", accept)] if accept else [])
            self.assertEqual((answer.status, answer.get("Content-Type")), (404, f"{kind}; charset=utf-8"), accept)
            self.assertRegex(answer.body.decode(), pattern % message, accept)
            if kind == "application/json":
                self.assertEqual(json.loads(answer.body)["request_id"], answer.get("X-Kong-Request-Id"))

    def test_each_refusal_has_its_status_and_words(self):
        port = self.gateway().port
        for target, status, words in (
            ("/none", 404, "no Route matched with those values"),
            ("/secure", 426, "Please use HTTPS protocol"),
            ("/nowhere", 503, "no Service found with those values"),
            ("/dead", 502, "An invalid response was received from the upstream server"),
            ("/unresolved", 503, "name resolution failed"),
        ):
            answer = ask(port, target, headers=[("Accept", "application/json")])
            self.assertEqual((answer.status, json.loads(answer.body)["message"]), (status, words), target)

    def test_https_only_routes_name_the_upgrade_or_redirect(self):
        port = self.gateway().port
        answer = ask(port, "/secure")
        self.assertEqual((answer.get("Upgrade"), answer.tokens("Connection")), ("TLS/1.2, HTTP/1.1", ["upgrade"]))
        answer = ask(port, "/moved/a?b=c", host="example.com:8000")
        self.assertEqual((answer.status, answer.get("Location")), (301, "https://example.com/moved/a?b=c"))

    def test_a_service_that_cannot_be_reached_answers_by_accept_or_content_type(self):
        port = self.gateway().port
        for headers, kind in (([], "text/plain"), ([("Content-Type", "application/json")], "application/json"),
                              ([("Accept", "text/html")], "text/html")):
            answer = ask(port, "/dead", headers=headers)
            self.assertEqual((answer.status, answer.get("Content-Type")), (502, f"{kind}; charset=utf-8"), headers)

    # Forwarding

    def forwarded(self, gateway, target="/strip/a?b", host="Shop.Example:8080", headers=()):
        self.origin.clear()
        self.assertEqual(ask(gateway.port, target, host=host, headers=headers).status, 200)
        head = self.origin.seen()[0]
        names = ("For", "Proto", "Host", "Port", "Path", "Prefix")
        return {n: head.get(f"X-Forwarded-{n}") for n in names} | {"Real": head.get("X-Real-IP"), "target": head.target,
                                                                   "host": head.get("Host")}

    FORGED = [("X-Forwarded-For", "9.9.9.9"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil"),
              ("X-Forwarded-Port", "1"), ("X-Forwarded-Path", "/evil"), ("X-Forwarded-Prefix", "/evil"), ("X-Real-IP", "8.8.8.8")]

    def test_an_untrusted_peers_forwarding_headers_are_replaced(self):
        gateway = self.gateway()
        got = self.forwarded(gateway, headers=self.FORGED)
        self.assertTrue(got.pop("For").endswith("127.0.0.1"))
        self.assertEqual(got, {
            "Proto": "http", "Host": "shop.example", "Port": str(gateway.port), "Path": "/strip/a", "Prefix": "/strip",
            "Real": "127.0.0.1", "target": "/a?b", "host": f"127.0.0.1:{self.origin.port}"})
        self.assertIsNone(self.forwarded(gateway, "/keep")["Prefix"])

    def test_a_trusted_peers_forwarding_headers_are_kept(self):
        got = self.forwarded(self.gateway("--trusted-ips", "127.0.0.0/8"), headers=self.FORGED)
        self.assertEqual(got, {
            "For": "9.9.9.9, 127.0.0.1", "Proto": "https", "Host": "evil", "Port": "1", "Path": "/evil", "Prefix": "/evil",
            "Real": "8.8.8.8", "target": "/a?b", "host": f"127.0.0.1:{self.origin.port}"})

    def test_x_forwarded_for_is_walked_past_trusted_addresses_when_asked(self):
        gateway = self.gateway("--trusted-ips", "127.0.0.0/8,10.0.0.0/8", "--real-ip-header", "X-Forwarded-For",
                               "--real-ip-recursive")
        chain = [("X-Forwarded-For", "6.6.6.6, 7.7.7.7, 10.1.1.1")]
        self.assertEqual(self.forwarded(gateway, headers=chain)["Real"], "7.7.7.7")

    def test_a_trusted_peer_that_speaks_of_https_reaches_https_routes(self):
        gateway = self.gateway("--trusted-ips", "127.0.0.0/8")
        headers = [("X-Forwarded-Proto", "https")]
        self.assertEqual(ask(gateway.port, "/secure", headers=headers).status, 200)
        self.assertEqual(ask(self.gateway().port, "/secure", headers=headers).status, 426)

    def test_preserve_host_keeps_the_clients_host_and_port(self):
        self.assertEqual(self.forwarded(self.gateway(), "/keep", host="Shop.Example:8080")["host"], "Shop.Example:8080")

    # Status

    def test_status_pages_and_kongs_metric_names(self):
        gateway = self.gateway()
        ask(gateway.port, "/strip")
        ask(gateway.port, "/none")
        status, body = gateway.status("/status")
        self.assertEqual(status, 200)
        self.assertGreater(json.loads(body)["server"]["total_requests"], 0)
        self.assertEqual(gateway.status("/status/ready")[0], 200)
        self.assertEqual(gateway.status("/no")[0], 404)
        text = gateway.status("/metrics")[1]
        for name in ("kong_http_requests_total", "kong_kong_latency_ms_bucket", "kong_upstream_latency_ms_sum",
                     "kong_request_latency_ms_count", "kong_bandwidth_bytes", "kong_nginx_connections_total",
                     "kong_nginx_requests_total", "kong_node_info", "kong_datastore_reachable"):
            self.assertRegex(text, rf"(?m)^{name}(\{{| )", name)
        self.assertGreater(gateway.metric("kong_http_requests_total", service="origin", route="strip", code="200",
                                          source="service"), 0)

    # Logs

    def lines(self, path, count):
        eventually(lambda: f"{count} lines in {path}", lambda: path.exists() and path.read_text().count("\n") >= count)
        return path.read_text().splitlines()

    def test_the_json_log_has_kongs_shape(self):
        gateway = self.gateway("--access-log", "access.log")
        path = gateway.folder / "access.log"
        before = path.read_text().count("\n") if path.exists() else 0
        answer = ask(gateway.port, "/strip/x?y=1", headers=[("User-Agent", 'quote"and\\more'), ("Authorization", "Basic c2VjcmV0")])
        ask(gateway.port, "/none")
        proxied, own = (json.loads(line) for line in self.lines(path, before + 2)[before:before + 2])
        self.assertEqual(proxied["request"]["id"], answer.get("X-Kong-Request-Id"))
        self.assertEqual((proxied["request"]["method"], proxied["request"]["uri"], proxied["request"]["querystring"]),
                         ("GET", "/strip/x?y=1", {"y": "1"}))
        self.assertEqual(proxied["request"]["headers"]["user-agent"], 'quote"and\\more')
        self.assertNotIn("c2VjcmV0", json.dumps(proxied))
        self.assertEqual((proxied["response"]["status"], proxied["upstream_uri"], proxied["upstream_status"]), (200, "/x?y=1", "200"))
        self.assertEqual((proxied["service"]["name"], proxied["route"]["name"], proxied["client_ip"]), ("origin", "strip", "127.0.0.1"))
        self.assertEqual(set(proxied["latencies"]), {"kong", "proxy", "request", "receive"})
        self.assertEqual([t["port"] for t in proxied["tries"]], [self.origin.port])
        self.assertEqual((own["response"]["status"], own["source"], own.get("route"), own["tries"]), (404, "kong", None, []))

    def test_the_log_names_who_asked_and_how_the_connection_was_secured(self):
        config = kong([service("origin", self.origin.url, [{"name": "strip", "paths": ["/strip"]}])],
                      plugins=[{"name": "basic-auth"}])
        config["consumers"] = [{"username": "ada", "basicauth_credentials": [
            {"id": "6b1ae31c-3d4f-4a5e-9c5c-0f8d6f1a2b3c", "username": "ada-login", "password": "open"}]}]
        command = ["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", "-u", "ada-login:open"]
        for format in ("json", "combined"):
            gateway = Gateway(config, "--access-log", "access.log", "--access-log-format", format, https=True)
            try:
                url = f"https://127.0.0.1:{gateway.https_port}/strip"
                self.assertEqual(subprocess.run(command + [url], capture_output=True, text=True).stdout, "200")
                line = self.lines(gateway.folder / "access.log", 1)[0]
            finally:
                gateway.stop()
            if format == "combined":
                self.assertTrue(line.startswith("127.0.0.1 - ada-login ["), line)
                continue
            record = json.loads(line)
            self.assertEqual(record["request"]["tls"]["version"], "TLSv1.3")
            self.assertRegex(record["request"]["tls"]["cipher"], "^TLS_")
            self.assertEqual(record["request"]["tls"]["client_verify"], "NONE")
            self.assertEqual(record["authenticated_entity"]["id"], "6b1ae31c-3d4f-4a5e-9c5c-0f8d6f1a2b3c")
            self.assertEqual(record["consumer"]["username"], "ada")

    def test_the_combined_log_is_what_tools_read(self):
        gateway = self.gateway("--access-log", "combined.log", "--access-log-format", "combined")
        ask(gateway.port, "/strip?a=b", headers=[("User-Agent", "curl/1"), ("Referer", "http://r/")])
        line = self.lines(gateway.folder / "combined.log", 1)[0]
        self.assertRegex(line, r'^127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] '
                               r'"GET /strip\?a=b HTTP/1\.1" 200 \d+ "http://r/" "curl/1"')

    def test_sigusr1_reopens_the_log(self):
        gateway = Gateway(self.config(), "--access-log", "access.log")
        self.addCleanup(gateway.stop)
        path, moved = gateway.folder / "access.log", gateway.folder / "access.log.1"
        ask(gateway.port, "/strip")
        self.lines(path, 1)
        os.rename(path, moved)
        gateway.signal(signal.SIGUSR1)
        eventually("the new file", path.exists)
        ask(gateway.port, "/none")
        self.assertEqual(json.loads(self.lines(path, 1)[0])["response"]["status"], 404)
        self.assertEqual(len(moved.read_text().splitlines()), 1)
