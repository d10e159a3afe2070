"""Gateways that follow a control plane: what they join, take, refuse and survive."""

import json
import os
import queue
import signal
import stat
import threading
import time
import unittest

from feed_plane import ControlPlane, GatewayAuthority, broken, configuration, delta, farewell, fields, snapshot, zigzag
from gateway import Gateway, eventually
from reload import Load
from wire import Origin, ask


class Feed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.authority = GatewayAuthority()
        cls.one, cls.two = Origin(name="one"), Origin(name="two")

    @classmethod
    def tearDownClass(cls):
        cls.one.close()
        cls.two.close()
        cls.authority.close()

    def plane(self, **more) -> ControlPlane:
        plane = ControlPlane(self.authority, **more)
        self.addCleanup(plane.close)
        return plane

    def gateway(self, *planes, flags=(), token=True, **more) -> Gateway:
        urls = [plane if isinstance(plane, str) else plane.url for plane in planes]
        path = self.authority.folder / "token"
        path.write_text(self.authority.token())
        source = ["--control-plane", ",".join(urls), "--name", "edge"]
        source += ["--token-file", str(path)] if token else []
        gateway = Gateway(None, *flags, source=source, **more)
        self.addCleanup(gateway.stop)
        return gateway

    def tables(self, origin) -> bytes:
        return snapshot([("/", origin.port)])

    def answers(self, gateway, target="/") -> bytes:
        return ask(gateway.port, target).body

    def fed(self, plane, origin=None, **more):
        """A gateway with revision 1 in effect, and its stream."""
        plane.first = (1, self.tables(origin or self.one))
        gateway = self.gateway(plane, **more)
        stream = plane.stream()
        self.assertEqual(stream.next(), ("applied", 1))
        return gateway, stream


class Following(Feed):
    def test_a_gateway_joins_by_its_token_and_serves_what_it_is_sent(self):
        plane = self.plane()
        gateway, stream = self.fed(plane, flags=["--labels", "zone=eu,cloud=aws"])
        self.assertEqual(self.answers(gateway), b"one")
        join = plane.joins[0]
        self.assertEqual((join[1], join[3], join[4]), ([b"secret"], [b"edge"], [b"cloud=aws", b"zone=eu"]))
        self.assertEqual(stream.hello[3], [b"cloud=aws", b"zone=eu"])
        # The certificate that it shows is the one that it was given.
        self.assertIsNotNone(stream.connection.certificate)
        for name in ("identity", "configuration"):
            path = gateway.state / name
            eventually(f"{name} is stored", path.exists)
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        status = json.loads(gateway.status("/status")[1])
        self.assertEqual(status["revision"], 1)
        self.assertEqual(status["control_plane"]["connected"], True)
        self.assertEqual(gateway.metric("seaway_control_plane_connected"), 1)
        self.assertEqual(gateway.metric("seaway_configuration_revision"), 1)

    def test_clients_wait_for_the_first_configuration_and_none_is_turned_away(self):
        plane = self.plane()
        gateway = self.gateway(plane)
        self.assertEqual(gateway.status("/status/ready")[0], 503)
        answers = []
        asking = threading.Thread(target=lambda: answers.append(self.answers(gateway)))
        asking.start()
        stream = plane.stream()
        asking.join(0.3)
        self.assertEqual(answers, [])
        stream.send(configuration(5, self.tables(self.two)))
        self.assertEqual(stream.next(), ("applied", 5))
        asking.join(10)
        self.assertEqual(answers, [b"two"])
        self.assertEqual(gateway.status("/status/ready")[0], 200)

    def test_changes_come_into_effect_under_load_and_no_request_fails(self):
        plane = self.plane()
        gateway, stream = self.fed(plane, workers=2)
        load = Load(gateway.port)
        for revision in range(2, 102):
            stream.send(configuration(revision, self.tables(self.two if revision % 2 == 0 else self.one)))
            self.assertEqual(stream.next(), ("applied", revision))
        self.assertEqual(load.stop(), [])
        self.assertEqual({status for status, _ in load.bodies}, {200})
        self.assertEqual(set(load.bodies), {(200, b"one"), (200, b"two")})
        self.assertEqual(self.answers(gateway), b"one")

    def test_of_many_configurations_at_once_the_last_is_acknowledged(self):
        plane = self.plane()
        _, stream = self.fed(plane)
        for revision in range(2, 60):
            stream.send(configuration(revision, self.tables(self.two)))
        seen = [stream.next()]
        while seen[-1] != ("applied", 59):
            seen.append(stream.next())
        self.assertEqual([kind for kind, *_ in seen], ["applied"] * len(seen))
        self.assertEqual(sorted(revision for _, revision in seen), [revision for _, revision in seen])

    def test_an_empty_delta_changes_the_number_and_nothing_else(self):
        plane = self.plane()
        gateway, stream = self.fed(plane)
        adopted = gateway.metric("seaway_snapshots_applied_total")
        stream.send(delta(1, 2))
        self.assertEqual(stream.next(), ("applied", 2))
        stream.send(delta(2, 3))
        self.assertEqual(stream.next(), ("applied", 3))
        self.assertEqual(gateway.metric("seaway_configuration_revision"), 3)
        self.assertEqual(gateway.metric("seaway_snapshots_applied_total"), adopted)

    def test_a_delta_on_what_is_not_there_asks_for_everything(self):
        plane = self.plane()
        gateway, stream = self.fed(plane)
        stream.send(delta(7, 8, b"\x08\x00"))
        kind, revision, _, reason, needs_full = stream.next()
        self.assertEqual((kind, revision, needs_full), ("rejected", 8, True))
        self.assertIn("revision 7", reason)
        stream.send(configuration(8, self.tables(self.two)))
        self.assertEqual(stream.next(), ("applied", 8))
        self.assertEqual(self.answers(gateway), b"two")

    def test_what_cannot_be_used_is_rejected_with_its_reason_and_changes_nothing(self):
        plane = self.plane()
        gateway, stream = self.fed(plane)
        load = Load(gateway.port)
        stream.send(configuration(2, broken("/")))
        kind, revision, entity, reason, needs_full = stream.next()
        self.assertEqual((kind, revision, needs_full), ("rejected", 2, False))
        self.assertIn("lost", entity)
        self.assertIn("service", reason)
        stream.send(configuration(3, b"\xff\xff\xff"))
        self.assertEqual(stream.next()[:2], ("rejected", 3))
        # The stream goes on, and the next good one is taken.
        stream.send(configuration(4, self.tables(self.two)))
        self.assertEqual(stream.next(), ("applied", 4))
        self.assertEqual(load.stop(), [])
        self.assertEqual(self.answers(gateway), b"two")
        self.assertIn("revision 2 of the control plane cannot be used", gateway.talk)

    def test_reports_count_requests_and_errors_and_tell_latencies(self):
        plane = self.plane()
        gateway, stream = self.fed(plane)
        eventually("a first report", lambda: stream.reports)
        for _ in range(7):
            self.answers(gateway)
        eventually("a report of 7 requests", lambda: stream.reports[-1][1] == [7])
        self.assertEqual(stream.reports[-1][2], [0])


class Surviving(Feed):
    def attempts(self, gateway) -> dict:
        """How many processes began to put each revision in effect and did not come to the end of it."""
        try:
            entries = fields((gateway.state / "attempt").read_bytes())
        except FileNotFoundError:
            return {}
        entries = [fields(entry) for entry in entries.get(1, [])]
        return {entry[1][0]: zigzag(entry[2][0]) for entry in entries}

    def test_it_serves_on_without_a_control_plane_and_over_restarts(self):
        plane = self.plane()
        gateway, _ = self.fed(plane)
        eventually("the configuration is stored", (gateway.state / "configuration").exists)
        load = Load(gateway.port)
        plane.close()
        gateway.wait_for("is lost")
        old = gateway.proxy
        os.kill(old, signal.SIGKILL)
        eventually("another proxy", lambda: gateway.proxies() and gateway.proxy != old)
        load.stop()
        # The whole gateway, from nothing but its state directory.
        gateway.signal(signal.SIGTERM)
        gateway.process.wait(10)
        gateway.start()
        self.assertEqual(self.answers(gateway), b"one")
        self.assertEqual(gateway.status("/status/ready")[0], 200)

    def test_a_gateway_that_comes_back_builds_on_what_it_has(self):
        plane = self.plane()
        gateway, _ = self.fed(plane)
        eventually("the configuration is stored", (gateway.state / "configuration").exists)
        gateway.signal(signal.SIGTERM)
        gateway.process.wait(10)
        gateway.start()
        stream = plane.stream()
        self.assertEqual(len(plane.joins), 1, "the certificate is used again")
        self.assertEqual(stream.hello[4], [1])
        self.assertNotEqual(stream.hello[5], [0])
        stream.send(delta(1, 9))
        self.assertEqual(stream.next(), ("applied", 9))

    def test_the_second_address_is_followed_when_the_first_dies(self):
        first, second = self.plane(), self.plane()
        first.first = second.first = (1, self.tables(self.one))
        gateway = self.gateway(first, second)
        eventually("a stream", lambda: not first.streams.empty() or not second.streams.empty())
        here, there = (first, second) if not first.streams.empty() else (second, first)
        self.assertEqual(here.stream().next(), ("applied", 1))
        # What one knows the other does: certificates come from one authority.
        there.gateways = here.gateways
        load = Load(gateway.port)
        here.close()
        stream = there.stream()
        self.assertEqual(stream.hello[4], [1])
        stream.send(configuration(2, self.tables(self.two)))
        self.assertEqual(stream.next(), ("applied", 2))
        self.assertEqual(load.stop(), [])
        self.assertEqual(self.answers(gateway), b"two")

    def test_a_control_plane_that_falls_silent_is_left_within_15_seconds(self):
        first, second = self.plane(), self.plane()
        first.first = second.first = (1, self.tables(self.one))
        self.gateway(first, second)
        eventually("a stream", lambda: not first.streams.empty() or not second.streams.empty())
        here, there = (first, second) if not first.streams.empty() else (second, first)
        there.gateways = here.gateways
        self.assertEqual(here.stream().next(), ("applied", 1))
        began = time.monotonic()
        here.freeze()
        there.stream(20)
        self.assertLess(time.monotonic() - began, 15)

    def test_a_proxy_that_is_killed_while_a_configuration_comes_serves_the_one_before(self):
        plane = self.plane()
        gateway, stream = self.fed(plane)
        eventually("the configuration is stored", (gateway.state / "configuration").exists)
        many = snapshot([(f"/r{n}", self.one.port) for n in range(20000)])
        stream.send(configuration(2, many))
        old = gateway.proxy
        eventually("the attempt is noted", lambda: self.attempts(gateway).get(2) == 1, 30)
        os.kill(old, signal.SIGKILL)
        stream = plane.stream()
        self.assertEqual(self.answers(gateway), b"one")
        self.assertEqual(stream.hello[4], [1])

    def test_a_revision_that_killed_the_proxy_twice_is_refused(self):
        plane = self.plane()
        gateway, stream = self.fed(plane)
        eventually("the configuration is stored", (gateway.state / "configuration").exists)
        many = snapshot([(f"/r{n}", self.one.port) for n in range(20000)])
        for times in (1, 2):
            old = gateway.proxy
            stream.send(configuration(2, many))
            eventually("the attempt is noted", lambda: self.attempts(gateway).get(2) == times, 30)
            os.kill(old, signal.SIGKILL)
            stream = plane.stream()
        stream.send(configuration(2, many))
        self.assertEqual(stream.next(30)[:2], ("rejected", 2))
        self.assertEqual(self.answers(gateway), b"one")
        # Others are taken, and clear the record.
        stream.send(configuration(3, self.tables(self.two)))
        self.assertEqual(stream.next(), ("applied", 3))

    def test_an_upgrade_and_a_new_supervisor_go_on_with_the_stream(self):
        plane = self.plane()
        gateway, _ = self.fed(plane)
        eventually("the configuration is stored", (gateway.state / "configuration").exists)
        load = Load(gateway.port)
        self.assertIn("replaces", gateway.upgrade())
        stream = plane.stream()
        self.assertEqual(stream.hello[4], [1])
        stream.send(configuration(2, self.tables(self.two)))
        self.assertEqual(stream.next(), ("applied", 2))
        proxy = gateway.proxy
        gateway.process.kill()
        gateway.process.wait(5)
        stream.send(configuration(3, self.tables(self.one)))
        self.assertEqual(stream.next(), ("applied", 3))
        gateway.start()
        self.assertEqual(gateway.proxy, proxy)
        stream.send(configuration(4, self.tables(self.two)))
        self.assertEqual(stream.next(), ("applied", 4))
        self.assertEqual(load.stop(), [])
        self.assertEqual(self.answers(gateway), b"two")


class Certificates(Feed):
    def test_at_half_of_its_life_a_certificate_is_renewed_with_another_key(self):
        plane = self.plane(lifetime=6)
        gateway, stream = self.fed(plane)
        keys = {(gateway.state / "identity").read_bytes()}
        load = Load(gateway.port)
        for _ in range(2):
            stream = plane.stream()
            self.assertEqual(stream.hello[4], [1])
            keys.add((gateway.state / "identity").read_bytes())
        self.assertGreaterEqual(len(plane.renewals), 2)
        self.assertEqual(len(plane.joins), 1)
        self.assertEqual(len({request[1][0] for request in plane.renewals}), len(plane.renewals))
        self.assertGreaterEqual(len(keys), 3)
        self.assertEqual(load.stop(), [])

    def test_a_revoked_gateway_says_so_and_serves_on(self):
        plane = self.plane()
        gateway, stream = self.fed(plane)
        plane.refuse_join = (7, "the token is revoked")
        stream.send(farewell("the gateway was revoked", revoked=True))
        stream.finish(7, "revoked")
        gateway.wait_for("does not accept this gateway any more")
        self.assertEqual(self.answers(gateway), b"one")
        self.assertFalse((gateway.state / "identity").exists())
        with self.assertRaises(queue.Empty):
            plane.stream(2)

    def test_a_certificate_that_is_not_known_any_more_is_replaced_by_joining_again(self):
        plane = self.plane()
        gateway, stream = self.fed(plane)
        eventually("the configuration is stored", (gateway.state / "configuration").exists)
        gateway.signal(signal.SIGTERM)
        gateway.process.wait(10)
        plane.refuse_stream = (16, "this certificate is not known")
        gateway.start()
        gateway.wait_for("is not known")
        plane.refuse_stream, plane.gateways = None, []
        stream = plane.stream()
        self.assertEqual(stream.hello[4], [1])
        self.assertEqual(len(plane.joins), 2)

    def test_a_control_plane_of_another_authority_gets_no_token(self):
        stranger = GatewayAuthority()
        self.addCleanup(stranger.close)
        plane = ControlPlane(stranger)
        self.addCleanup(plane.close)
        gateway = self.gateway(plane)
        gateway.wait_for("not of the authority that the join token names")
        self.assertEqual(plane.joins, [])

    def test_a_join_that_is_refused_is_told_and_not_repeated_at_once(self):
        plane = self.plane()
        plane.refuse_join = (16, "the join token is not known")
        gateway = self.gateway(plane)
        gateway.wait_for("does not let this gateway join: the join token is not known")
        time.sleep(1)
        self.assertEqual(len(plane.joins), 1)


class Fallback(Feed):
    def test_a_new_gateway_without_a_control_plane_takes_the_signed_snapshot(self):
        path = self.authority.folder / "default.seaway"
        path.write_bytes(self.authority.signed_snapshot(41, self.tables(self.two)))
        plane = self.plane()
        plane.close()
        gateway = self.gateway(plane, flags=["--fallback", f"file://{path}"])
        self.assertEqual(self.answers(gateway), b"two")
        self.assertEqual(json.loads(gateway.status("/status")[1])["revision"], 41)
        # The control plane comes, and is built upon.
        late = self.plane(port=plane.port)
        stream = late.stream()
        self.assertEqual(stream.hello[4], [41])

    def test_a_snapshot_that_was_touched_or_is_for_others_is_not_served(self):
        good = self.authority.signed_snapshot(41, self.tables(self.two))
        stranger = GatewayAuthority()
        self.addCleanup(stranger.close)
        for what, content in {
            "signature": good[:40] + bytes([good[40] ^ 1]) + good[41:],
            "labels": self.authority.signed_snapshot(41, self.tables(self.two), ["zone=us"]),
            "gateway": self.authority.signed_snapshot(41, self.tables(self.two), usage="clientAuth"),
            "authority": stranger.signed_snapshot(41, self.tables(self.two)),
            "bytes": b"nonsense",
        }.items():
            with self.subTest(what):
                path = self.authority.folder / f"{what}.seaway"
                path.write_bytes(content)
                plane = self.plane()
                plane.close()
                gateway = self.gateway(plane, flags=["--fallback", f"file://{path}", "--labels", "zone=eu"])
                gateway.wait_for("--fallback")
                self.assertEqual(gateway.status("/status/ready")[0], 503)
                gateway.stop()
