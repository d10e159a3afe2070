"""Balancing over real upstreams: who answers, how often, and what happens to those that fail."""

import collections
import threading
import time
import unittest

from gateway import Gateway, eventually, kong
from wire import Client, Origin, ask, reply


class Balance(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.origins = [Origin(name=name) for name in ("a", "b", "c")]

    @classmethod
    def tearDownClass(cls):
        for origin in cls.origins:
            origin.close()

    def setUp(self):
        for origin in self.origins:
            origin.scripts.clear()
            origin.clear()

    def gateway(self, weights=(100, 100, 100), *flags, extra=(), retries=5, fields=None, **upstream):
        """A gateway with one upstream on the origins, and what is in `extra` besides."""
        targets = [{"target": f"127.0.0.1:{o.port}", "weight": w} for o, w in zip(self.origins, weights)]
        targets += [{"target": f"127.0.0.1:{port}", "weight": 100} for port in extra]
        route = {"name": "all", "paths": ["/", "~/user/(?<user>[a-z0-9]+)"], "strip_path": False}
        service = {"name": "main", "url": "http://up", "retries": retries, "routes": [route], **(fields or {})}
        gateway = Gateway(kong([service], upstreams=[{"name": "up", "targets": targets, **upstream}]), *flags)
        self.addCleanup(gateway.stop)
        return gateway

    def counts(self, gateway, n, target="/", headers=(), **more):
        found = collections.Counter()
        with Client(gateway.port) as client:
            for i in range(n):
                answer = client.ask(target.replace("#", str(i)), headers=[(k, v.replace("#", str(i))) for k, v in headers], **more)
                found[answer.body.decode() if answer.status == 200 else answer.status] += 1
        return dict(found)

    # Algorithms

    def test_round_robin_is_exact_and_smooth(self):
        gateway = self.gateway((50, 30, 20))
        self.assertEqual(self.counts(gateway, 100), {"a": 50, "b": 30, "c": 20})
        with Client(gateway.port) as client:
            row = [client.ask("/").body.decode() for _ in range(10)]
        self.assertNotIn("aaa", "".join(row))

    def test_weight_0_gets_nothing_and_a_reload_brings_it_back(self):
        gateway = self.gateway((100, 0, 100))
        self.assertEqual(self.counts(gateway, 40), {"a": 20, "c": 20})

    def test_all_weights_0_is_503(self):
        answer = ask(self.gateway((0, 0, 0)).port)
        self.assertEqual(answer.status, 503)
        self.assertIn(b"failure to get a peer from the ring-balancer", answer.body)

    def test_least_connections_avoids_the_busy_one(self):
        go = threading.Event()
        for origin in self.origins:
            origin.on("/hold", lambda s, h: (go.wait(10), reply())[1])
        gateway = self.gateway(algorithm="least-connections")
        threads = [threading.Thread(target=ask, args=(gateway.port, "/hold"), daemon=True) for _ in range(9)]
        for n, thread in enumerate(threads):
            thread.start()
            eventually("the request upstream", lambda: sum(len(o.seen("/hold")) for o in self.origins) == n + 1)
        self.assertEqual([len(o.seen("/hold")) for o in self.origins], [3, 3, 3])
        go.set()
        for thread in threads:
            thread.join(5)

    def test_latency_prefers_the_fast_one(self):
        self.origins[0].on("/", lambda s, h: (time.sleep(0.05), reply(200, "a"))[1])
        found = self.counts(self.gateway((100, 100, 0), algorithm="latency"), 60)
        self.assertGreater(found.get("b", 0), 40, found)

    def test_consistent_hashing_sticks_to_what_it_hashes(self):
        cases = (
            ({"hash_on": "header", "hash_on_header": "X-User"}, "/", [("X-User", "u#")]),
            ({"hash_on": "path"}, "/path/#", []),
            ({"hash_on": "query_arg", "hash_on_query_arg": "id"}, "/?id=#", []),
            ({"hash_on": "uri_capture", "hash_on_uri_capture": "user"}, "/user/u#", []),
        )
        for fields, target, headers in cases:
            gateway = self.gateway(algorithm="consistent-hashing", **fields)

            def answers():
                with Client(gateway.port) as client:
                    return [client.ask(target.replace("#", str(i)), headers=[(k, v.replace("#", str(i))) for k, v in headers]).body
                            for i in range(60)]

            first = answers()
            self.assertEqual(first, answers(), fields)
            self.assertEqual(set(first), {b"a", b"b", b"c"}, fields)
            gateway.stop()

    def test_hashing_the_address_gives_one_target(self):
        gateway = self.gateway(algorithm="consistent-hashing", hash_on="ip")
        self.assertEqual(len(self.counts(gateway, 20)), 1)

    def test_hashing_a_cookie_gives_one_to_who_has_none(self):
        gateway = self.gateway(algorithm="consistent-hashing", hash_on="cookie", hash_on_cookie="who")
        for _ in range(8):
            answer = ask(gateway.port)
            cookie = answer.get("Set-Cookie")
            self.assertRegex(cookie, r"^who=[0-9a-f-]{36}; ?Path=/")
            again = ask(gateway.port, headers=[("Cookie", cookie.split(";")[0])])
            self.assertEqual((again.body, again.all("Set-Cookie")), (answer.body, []))

    def test_an_empty_hash_value_falls_back_to_round_robin(self):
        gateway = self.gateway(algorithm="consistent-hashing", hash_on="header", hash_on_header="X-User")
        self.assertEqual(self.counts(gateway, 30), {"a": 10, "b": 10, "c": 10})

    def test_a_hash_fallback_is_used_when_the_first_is_missing(self):
        gateway = self.gateway(algorithm="consistent-hashing", hash_on="header", hash_on_header="X-User", hash_fallback="ip")
        self.assertEqual(len(self.counts(gateway, 20)), 1)

    # Failures

    @staticmethod
    def dead_port():
        import socket
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            return sock.getsockname()[1]

    def test_a_refused_connection_is_retried_elsewhere(self):
        gateway = self.gateway(extra=[self.dead_port()])
        for method in ("GET", "POST"):
            found = self.counts(gateway, 40, method=method, body=b"x")
            self.assertEqual(sum(found.get(n, 0) for n in "abc"), 40, found)

    def test_a_target_that_breaks_off_is_not_tried_twice_while_another_is_left(self):
        for origin in self.origins[:2]:
            origin.on("/break", lambda s, h: False)
        gateway = self.gateway()
        for _ in range(6):
            for origin in self.origins:
                origin.clear()
            self.assertEqual(ask(gateway.port, "/break").body, b"c")
            self.assertTrue(all(len(o.seen("/break")) <= 1 for o in self.origins), [len(o.seen()) for o in self.origins])

    def test_hashing_tries_another_target_too(self):
        for origin in self.origins[:2]:
            origin.on("/break", lambda s, h: False)
        gateway = self.gateway(algorithm="consistent-hashing", hash_on="header", hash_on_header="X-User")
        self.assertEqual(self.counts(gateway, 20, "/break", [("X-User", "#")]), {"c": 20})

    def test_a_post_that_broke_off_is_not_repeated(self):
        for origin in self.origins:
            origin.on("/break", lambda s, h: False)
        answer = ask(self.gateway().port, "/break", "POST", body=b"x")
        self.assertEqual((answer.status, sum(len(o.seen("/break")) for o in self.origins)), (502, 1))

    def test_errors_of_the_upstream_itself_are_final(self):
        for origin in self.origins:
            origin.on("/500", lambda s, h: reply(500, "x"))
        self.assertEqual(ask(self.gateway().port, "/500").status, 500)
        self.assertEqual(sum(len(o.seen("/500")) for o in self.origins), 1)

    # Health

    PASSIVE = {"passive": {"unhealthy": {"http_failures": 3, "tcp_failures": 2, "http_statuses": [500]}, "healthy": {"successes": 1}}}

    def test_passive_checks_eject_a_failing_target(self):
        self.origins[0].on("/", lambda s, h: reply(500, "x"))
        gateway = self.gateway(healthchecks=self.PASSIVE)
        found = self.counts(gateway, 60)
        self.assertEqual(found.pop(500), 3)
        self.assertEqual(sum(found.values()), 57)

    def test_an_ejected_target_comes_back_by_a_trial(self):
        self.origins[0].on("/", lambda s, h: reply(500, "x"))
        gateway = self.gateway(healthchecks=self.PASSIVE)
        self.counts(gateway, 30)
        self.origins[0].scripts.clear()
        self.origins[0].clear()
        eventually("the trial", lambda: ask(gateway.port).body == b"a", 20)
        self.assertEqual(len(self.origins[0].seen()), 1)
        self.assertEqual(self.counts(gateway, 30), {"a": 10, "b": 10, "c": 10})

    def test_all_ejected_is_503_without_a_try(self):
        for origin in self.origins:
            origin.on("/", lambda s, h: reply(500, "x"))
        gateway = self.gateway(healthchecks=self.PASSIVE)
        found = self.counts(gateway, 30)
        self.assertEqual(found, {500: 9, 503: 21})

    def active(self, **fields):
        return {"active": {"type": "http", "http_path": "/health", "timeout": 1,
                           "healthy": {"interval": 0.1, "successes": 1}, "unhealthy": {"interval": 0.1, "http_failures": 1,
                                                                                     "tcp_failures": 1, "timeouts": 1}, **fields}}

    def test_active_checks_take_targets_out_and_in(self):
        self.origins[0].on("/health", lambda s, h: reply(500, "ill"))
        gateway = self.gateway(healthchecks=self.active())
        eventually("a to be out", lambda: "a" not in self.counts(gateway, 9))
        self.assertEqual(self.counts(gateway, 30), {"b": 15, "c": 15})
        self.origins[0].on("/health", lambda s, h: reply(200, "well"))
        eventually("a to be in", lambda: self.counts(gateway, 30) == {"a": 10, "b": 10, "c": 10})
        probe = self.origins[0].seen("/health")[0]
        self.assertEqual(probe.get("Host"), f"127.0.0.1")

    def test_all_out_is_503(self):
        for origin in self.origins:
            origin.on("/health", lambda s, h: reply(503, "ill"))
        gateway = self.gateway(healthchecks=self.active())
        eventually("all to be out", lambda: self.counts(gateway, 3) == {503: 3})

    def test_health_survives_a_reload(self):
        self.origins[0].on("/", lambda s, h: reply(500, "x"))
        gateway = self.gateway(healthchecks=self.PASSIVE)
        self.counts(gateway, 30)
        import json
        config = json.loads(gateway.config.read_text())
        config["services"][0]["routes"].append({"name": "another", "paths": ["/another"]})
        gateway.reload(config)
        self.assertEqual(self.counts(gateway, 20), {"b": 10, "c": 10})
