"""HTTP/2 as a shared connection: many streams on few, windows from end to end, GOAWAY, drains."""

import os
import signal
import socket
import threading
import time
import unittest

from gateway import Gateway, eventually, kong, service
from h2wire import CODES, GoAwayFrame, H2Client, H2Origin, h2ask, serving, trusting
from mixes import TAG, UPSTREAMS, Mixed
from wire import Client, Ended, Origin, ask, wait

# How far a slow client may let its upstream run ahead: the body buffer of the service's routes, the window
# towards the upstream, the socket buffers of an HTTP/1.1 upstream, and the client's own window.
AHEAD = 256 * 1024 + 256 * 1024 + 65_536


class Multiplexing(Mixed):
    def test_a_hundred_requests_at_once_share_few_upstream_connections(self):
        """Each waits for all the others, so they are in flight together."""
        for upstream in ("h2c", "h2"):
            barrier = threading.Barrier(100)
            self.on("/together", lambda j, b=barrier: (b.wait(10), j.respond(200, j.target))[1])
            client = self.h2()
            replies = [client.start(f"/{upstream}/together?{n}") for n in range(100)]
            client.finish(*replies)
            self.assertEqual([(r.status, r.body.decode()) for r in replies],
                             [(200, f"/{upstream}/together?{n}") for n in range(100)])
            self.assertLessEqual(self.origins[upstream].connections, 3)

    def test_a_hundred_http_1_clients_share_few_upstream_connections(self):
        barrier = threading.Barrier(100)
        self.on("/together", lambda j: (barrier.wait(10), j.respond(200, "ok"))[1])
        clients = [self.h1() for _ in range(100)]
        for client in clients:
            client.send("GET /h2c/together HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual([c.response().status for c in clients], [200] * 100)
        self.assertLessEqual(self.origins["h2c"].connections, 3)

    def test_responses_may_come_in_any_order(self):
        """The last request is answered first, and so on back."""
        events = [threading.Event() for _ in range(20)]
        events[-1].set()

        def script(job):
            n = int(job.target.split("?")[1])
            events[n].wait(10)
            job.respond(200, str(n))
            if n:
                events[n - 1].set()
            return True
        self.on("/order", script)
        for upstream in UPSTREAMS:
            for event in events[:-1]:
                event.clear()
            client = self.h2()
            replies = [client.start(f"/{upstream}/order?{n}") for n in range(20)]
            client.finish(*replies)
            self.assertEqual([r.body for r in replies], [b"%d" % n for n in range(20)])

    def test_many_requests_on_one_connection(self):
        client = self.h2("h2")
        for start in range(0, 3000, 100):
            replies = [client.start(f"/h2c/{start + n}") for n in range(100)]
            client.finish(*replies)
            self.assertEqual({(r.status, r.body) for r in replies}, {(200, b"h2")})
            client.replies.clear()
        self.assertLessEqual(self.origins["h2c"].connections, 2)

    def test_more_requests_than_the_upstream_allows_wait_or_take_another_connection(self):
        """SETTINGS_MAX_CONCURRENT_STREAMS of 3: a fourth stream would be a fault of the gateway's."""
        origin = H2Origin(limit=3)
        self.addCleanup(origin.close)
        origin.on("/few", lambda w: (time.sleep(0.01), w.respond(200, w.target)))
        with Gateway(kong([service("few", origin.url, tags=TAG)])) as gateway, H2Client(gateway.port) as client:
            self.assertEqual(client.ask("/few?first").status, 200)
            replies = [client.start(f"/few?{n}") for n in range(60)]
            client.finish(*replies)
            self.assertEqual([(r.status, r.code) for r in replies], [(200, None)] * 60)
            self.assertEqual(origin.faults, [])

    def test_requests_sent_before_the_upstream_told_its_limit_are_not_lost(self):
        """Those it refuses were not begun (RFC 9113 section 8.7)."""
        origin = H2Origin(limit=3)
        self.addCleanup(origin.close)
        origin.on("/few", lambda w: (time.sleep(0.01), w.respond(200, w.target)))
        with Gateway(kong([service("few", origin.url, tags=TAG)])) as gateway, H2Client(gateway.port) as client:
            replies = [client.start(f"/few?{n}", "POST", headers=[("content-length", "0")]) for n in range(40)]
            client.finish(*replies)
            self.assertEqual([(r.status, r.code) for r in replies], [(200, None)] * 40, f"{origin.refused} refused")
            self.assertEqual(origin.faults, [])

    def test_the_limit_for_clients_is_told_and_kept(self):
        """Streams over the limit are refused, which promises that nothing was done; the connection lives."""
        release = threading.Event()
        self.addCleanup(release.set)
        self.on("/hold", lambda j: (release.wait(10), j.respond(200, "ok"))[1])
        client = self.h2()
        client.wait(lambda: client.peer_settings, "settings")
        limit = client.peer_settings.get(int(CODES.MAX_CONCURRENT_STREAMS))
        self.assertTrue(limit and 100 <= limit <= 1000, limit)
        client.machine.remote_settings[CODES.MAX_CONCURRENT_STREAMS] = limit + 10
        client.machine.remote_settings.acknowledge()
        replies = [client.start("/h2c/hold") for _ in range(limit + 5)]
        client.wait(lambda: sum(r.code is not None for r in replies) == 5, "five refusals")
        self.assertEqual({int(r.code) for r in replies if r.code is not None}, {7})
        release.set()
        client.finish(*replies)
        self.assertEqual(sum(r.status == 200 for r in replies), limit)


class Windows(Mixed):
    """A slow reader pauses its own upstream stream and nothing else."""

    fields = {"read_timeout": 20000, "write_timeout": 20000}

    def endless(self, sent, key):
        """Sends until nobody takes any more; what was taken is in `sent[key]`."""
        def script(job):
            chunk = bytes(32768)
            if job.kind == "h1":
                job.work.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
                job.work.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
            else:
                job.work.head(200, [("content-length", "1000000000")])
            try:
                while sent[key] < 1_000_000_000:
                    job.work.send(chunk)
                    sent[key] += len(chunk)
            except (Ended, OSError):
                pass
            return False
        return script

    @staticmethod
    def settled(value, seconds=0.4):
        """Waits until a number stands still; the number."""
        last, since = value(), time.monotonic()
        deadline = since + 15
        while time.monotonic() - since < seconds and time.monotonic() < deadline:
            time.sleep(0.02)
            if value() != last:
                last, since = value(), time.monotonic()
        return last

    def test_a_stream_that_is_not_read_stops_its_upstream_while_others_flow(self):
        for kind in ("h2c", "h2"):
            for upstream in UPSTREAMS:
                with self.subTest(client=kind, upstream=upstream):
                    sent = {upstream: 0}
                    self.on("/endless", self.endless(sent, upstream))
                    self.on("/large", lambda j: j.respond(200, bytes(500_000)))
                    client = self.h2(kind, window=1 << 24)
                    before = self.gateway.resident()
                    slow = client.start(f"/{upstream}/endless")
                    client.held.add(slow.stream)
                    client.wait(lambda s=slow: s.size >= 65_535, "the slow stream's window to fill")
                    for n in range(20):
                        got = client.ask(f"/{upstream}/{'large' if n % 5 == 0 else n}")
                        self.assertEqual((got.status, got.size), (200, 500_000 if n % 5 == 0 else len(got.body)))
                    taken = self.settled(lambda: sent[upstream])
                    self.assertEqual(slow.size, 65_535)
                    # A kernel holds some for a connection of HTTP/1.1, in both directions.
                    self.assertLessEqual(taken, AHEAD + (6 << 20 if upstream == "h1" else 0))
                    self.assertLess(self.gateway.resident() - before, 4 << 20)
                    client.release(slow)
                    client.wait(lambda s=slow: s.size > 3_000_000, "the stream to go on when it is read")
                    client.cancel(slow)
                    client.close()

    def test_a_client_whose_connection_window_is_full_gets_no_byte_too_many(self):
        """The `h2` package counts; the gateway waits, and goes on."""
        self.on("/large", lambda j: j.respond(200, bytes(300_000)))
        client = self.h2()
        replies = [client.start("/h2c/large") for _ in range(4)]
        client.held |= {r.stream for r in replies}
        client.wait(lambda: sum(r.size for r in replies) == 65_535, "the connection's window to fill")
        client.pump(0.2)
        self.assertEqual(sum(r.size for r in replies), 65_535)
        for reply in replies:
            client.release(reply)
        client.finish(*replies)
        self.assertEqual([r.size for r in replies], [300_000] * 4)

    def test_a_small_initial_window_is_respected_and_may_change(self):
        self.on("/large", lambda j: j.respond(200, bytes(100_000)))
        client = self.h2(settings={CODES.INITIAL_WINDOW_SIZE: 100}, window=1 << 20)
        reply = client.start("/h1/large")
        client.held.add(reply.stream)
        client.wait(lambda: reply.size == 100, "the first 100 bytes")
        client.pump(0.1)
        self.assertEqual(reply.size, 100)
        client.machine.update_settings({CODES.INITIAL_WINDOW_SIZE: 200_000})
        client.flush()
        client.finish(reply)
        self.assertEqual(reply.size, 100_000)

    def test_small_frames_are_honoured_and_large_ones_used_when_allowed(self):
        self.on("/large", lambda j: j.respond(200, bytes(200_000), [("x-long", "a" * 20_000)]))
        for size in (16384, 65536):
            client = self.h2(settings={CODES.MAX_FRAME_SIZE: size, CODES.INITIAL_WINDOW_SIZE: 1 << 20}, window=1 << 20)
            # The client may hold us to its old size until it has seen our acknowledgement.
            client.ask("/h1/small")
            reply = client.ask("/h1/large")
            self.assertEqual((reply.status, reply.size, len(reply.get("x-long"))), (200, 200_000, 20_000))
            self.assertLessEqual(max(map(len, reply.parts)), size)

    def test_an_upload_to_an_upstream_that_does_not_read_is_held_back(self):
        """Not by ending the connection, nor by holding memory; other streams flow."""
        release = threading.Event()

        def script(job):
            release.wait(10)
            return job.respond(200, str(len(job.read())))
        self.on("/stream/lazy", script)
        for upstream in UPSTREAMS:
            release.clear()
            client = self.h2()
            before = self.gateway.resident()
            reply = client.start(f"/{upstream}/stream/lazy", "POST", headers=[("content-length", str(30 << 20))], end=False)
            sent, chunk, quiet = 0, bytes(16384), 0
            while quiet < 10 and sent < 30 << 20:
                room = min(client.machine.local_flow_control_window(reply.stream), len(chunk))
                if room:
                    client.machine.send_data(reply.stream, chunk[:room])
                    client.flush()
                    sent, quiet = sent + room, 0
                elif not client.pump(0.03):
                    quiet += 1
            # An HTTP/1.1 upstream's kernel takes its share.
            self.assertLessEqual(sent, AHEAD + (8 << 20 if upstream == "h1" else 0), upstream)
            self.assertLess(self.gateway.resident() - before, 4 << 20)
            self.assertEqual(client.ask(f"/{upstream}/other").status, 200)
            release.set()
            client.send(reply, bytes((30 << 20) - sent), end=True, seconds=30)
            client.finish(reply)
            self.assertEqual((reply.status, reply.body), (200, b"%d" % (30 << 20)))

    def test_a_slow_http_1_client_holds_back_only_its_stream_of_a_shared_upstream_connection(self):
        sent = {"h2c": 0}
        self.on("/endless", self.endless(sent, "h2c"))
        slow = self.h1(receive_buffer=4096)
        slow.send("GET /h2c/endless HTTP/1.1\r\nHost: a\r\n\r\n")
        taken = self.settled(lambda: sent["h2c"])
        # The client's kernel and the gateway's may keep some megabytes for it.
        self.assertLess(taken, 8 << 20)
        for _ in range(20):
            self.assertEqual(self.ask("h1", "/h2c/quick").status, 200)
        self.assertLessEqual(self.origins["h2c"].connections, 2)

    def test_large_bodies_both_ways_at_once_on_many_streams(self):
        self.on("/stream/echo", lambda j: j.respond(200, j.read()))
        for upstream in UPSTREAMS:
            client = self.h2("h2", settings={CODES.INITIAL_WINDOW_SIZE: 1 << 20}, window=1 << 24)
            bodies = [os.urandom(400_000) for _ in range(8)]
            replies = []
            for body in bodies:
                reply = client.start(f"/{upstream}/stream/echo", "POST", end=False)
                client.send(reply, body, end=True)
                replies.append(reply)
            client.finish(*replies, seconds=20)
            self.assertTrue(all(r.body == b for r, b in zip(replies, bodies)), upstream)


class Departures(unittest.TestCase):
    """GOAWAY in both directions."""

    def origin(self, **more):
        origin = H2Origin(**more)
        self.addCleanup(origin.close)
        return origin

    def gateway(self, config, *flags, **more):
        gateway = Gateway(config, *flags, **more)
        self.addCleanup(gateway.stop)
        return gateway

    def pair(self, *origins, **fields):
        """A service with these as the targets of its upstream."""
        config = kong([service("pair", "http://pair.example", tags=TAG, **fields)])
        config["upstreams"] = [{"name": "pair.example", "targets": [{"target": f"127.0.0.1:{o.port}"} for o in origins]}]
        return config

    def test_requests_that_a_goaway_left_out_go_elsewhere(self):
        """Also POSTs: the upstream promised not to have begun them."""
        first, second = self.origin(name="first"), self.origin(name="second")
        gateway = self.gateway(self.pair(first, second))
        seen = threading.Semaphore(0)

        def leaver(work):
            seen.release()
            if work.number == 1:
                time.sleep(0.2)
                work.link.go_away(last=1)
                work.respond(200, "processed")
        first.on("/pair/x", leaver)
        second.on("/pair/x", lambda w: w.respond(200, "processed"))
        client = H2Client(gateway.port)
        self.addCleanup(client.close)
        replies = [client.start("/pair/x", "POST", headers=[("content-length", "0")]) for _ in range(12)]
        client.finish(*replies)
        self.assertEqual([(r.status, r.body) for r in replies], [(200, b"processed")] * 12)
        # New requests do not go to the connection that is leaving.
        first.on("/pair/x", lambda w: w.respond(200, "new connection" if w.link.last is None else "old"))
        for _ in range(6):
            self.assertIn(h2ask(gateway.port, "/pair/x").body, (b"processed", b"new connection"))

    def test_streams_at_or_below_the_last_of_a_goaway_finish(self):
        origin = self.origin()
        release = threading.Event()
        gateway = self.gateway(kong([service("one", origin.url, tags=TAG)]))

        def script(work):
            work.head(200)
            work.send(b"begun ")
            release.wait(5)
            work.send(b"and ended", end=True)
        origin.on("/one/slow", script)
        client = H2Client(gateway.port)
        self.addCleanup(client.close)
        slow = client.start("/one/slow")
        client.wait(lambda: slow.size, "the first bytes")
        origin.links[0].go_away()
        self.assertEqual(client.ask("/one/next").status, 200)
        self.assertEqual(origin.connections, 2)
        release.set()
        self.assertEqual(client.finish(slow).body, b"begun and ended")

    def test_an_upstream_that_says_goaway_after_every_answer_is_used_all_the_same(self):
        origin = self.origin()
        origin.on("/one/x", lambda w: (w.link.go_away(), w.respond(200, "x")))
        gateway = self.gateway(kong([service("one", origin.url, tags=TAG)]))
        client = H2Client(gateway.port)
        self.addCleanup(client.close)
        for _ in range(30):
            self.assertEqual(client.ask("/one/x").status, 200)
        self.assertEqual(origin.faults, [])

    def test_an_upstream_connection_that_is_cut_fails_what_it_carried_and_nothing_else(self):
        origin = self.origin()
        gateway = self.gateway(kong([service("one", origin.url, tags=TAG, retries=0)]))
        release = threading.Event()
        self.addCleanup(release.set)
        origin.on("/one/hang", lambda w: release.wait(10))
        client = H2Client(gateway.port)
        self.addCleanup(client.close)
        hanging = [client.start("/one/hang", "POST", headers=[("content-length", "0")]) for _ in range(5)]
        self.assertTrue(wait(lambda: len(origin.seen("/one/hang")) == 5))
        origin.hang_up()
        client.finish(*hanging)
        self.assertEqual({r.status for r in hanging}, {502})
        self.assertEqual(client.ask("/one/fine").status, 200)

    def test_an_upstream_that_restarts_is_found_again(self):
        origin = self.origin()
        gateway = self.gateway(kong([service("one", origin.url, tags=TAG)]))
        client = H2Client(gateway.port)
        self.addCleanup(client.close)
        for _ in range(5):
            self.assertEqual(client.ask("/one/x").status, 200)
            port = origin.port
            origin.close()
            eventually("its connections to end", lambda: not origin.open)
            origin.listen(port)

    def test_sigterm_says_goaway_and_lets_streams_finish(self):
        origin = Origin()
        self.addCleanup(origin.close)
        release = threading.Event()
        origin.on("/one/slow", lambda s, h: (release.wait(5), b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")[1])
        gateway = self.gateway(kong([service("one", origin.url)]), https=True)
        clients = [H2Client(gateway.port), H2Client(gateway.https_port, trusting())]
        slow = []
        for client in clients:
            self.addCleanup(client.close)
            self.assertEqual(client.ask("/one/x").status, 200)
            slow.append(client.start("/one/slow"))
        self.assertTrue(wait(lambda: len(origin.seen("/one/slow")) == 2))
        gateway.signal(signal.SIGTERM)
        for client in clients:
            client.wait(lambda c=client: c.goaways, "GOAWAY", 5)
            self.assertEqual(int(client.error), 0)
        release.set()
        for client, reply in zip(clients, slow):
            self.assertEqual(client.finish(reply).body, b"late")
            self.assertGreaterEqual(client.last, reply.stream)
            self.assertTrue(client.ended())

    def test_an_idle_connection_is_told_before_it_is_closed(self):
        gateway = self.gateway(kong(), "--idle-timeout", "300ms")
        client = H2Client(gateway.port)
        self.addCleanup(client.close)
        self.assertEqual(client.ask("/none").status, 404)
        self.assertTrue(client.ended(3))
        self.assertEqual(int(client.error), 0)

    def test_a_client_that_says_goaway_gets_its_answers(self):
        origin = self.origin()
        origin.on("/one/slow", lambda w: (time.sleep(0.2), w.respond(200, "late")))
        gateway = self.gateway(kong([service("one", origin.url, tags=TAG)]))
        client = H2Client(gateway.port)
        self.addCleanup(client.close)
        reply = client.start("/one/slow")
        client.raw(GoAwayFrame(0, last_stream_id=0, error_code=0).serialize())
        self.assertEqual(client.finish(reply).body, b"late")
        self.assertTrue(client.ended())

    def test_the_requests_of_a_connection_may_be_limited(self):
        gateway = self.gateway(kong(), "--keep-alive-requests", "5")
        client = H2Client(gateway.port)
        self.addCleanup(client.close)
        replies = []
        while not client.goaways and len(replies) < 20:
            replies.append(client.ask("/none"))
        self.assertEqual((len(replies), {r.status for r in replies}, int(client.error)), (5, {404}, 0))
        self.assertTrue(client.ended())


class Load:
    """HTTP/2 clients that keep asking and follow GOAWAY as clients should; what failed."""

    def __init__(self, port, context=None, count=3, target="/main"):
        self.port, self.context, self.target = port, context, target
        self.stopping, self.answers, self.failures = threading.Event(), 0, []
        self.threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def _ask(self):
        client = None
        while not self.stopping.is_set():
            replies = []
            try:
                if client is None or client.goaways or client.closed:
                    if client:
                        client.close()
                    client = H2Client(self.port, self.context)
                replies = [client.start(self.target) for _ in range(10)]
                client.finish(*replies)
            except (Ended, OSError) as failure:
                # What the GOAWAY left out may be asked again, and so may all that met a closed door.
                lost = [r for r in replies if not r.over and not (client.goaways and r.stream > client.goaways[-1][0])]
                if lost or not replies and not (client and (client.goaways or client.closed)):
                    self.failures.append(repr(failure))
                client = None
                replies = [r for r in replies if r.over]
            for reply in replies:
                if reply.status != 200 and not (reply.code is not None and int(reply.code) == 7):
                    self.failures.append(repr(reply))
                self.answers += 1
        if client:
            client.close()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(15)
        return self.failures


class UnderLoad(unittest.TestCase):
    def run_load(self, change, upstream="h2"):
        origin = H2Origin() if upstream == "h2" else Origin()
        self.addCleanup(origin.close)
        tags = TAG if upstream == "h2" else []
        config = lambda n: kong([service("main", origin.url, tags=tags)] + [service(f"s{i}", origin.url) for i in range(n % 4)])
        with Gateway(config(0), workers=2, https=True) as gateway:
            loads = [Load(gateway.port), Load(gateway.https_port, trusting())]
            for n in range(1, 9):
                before = sum(x.answers for x in loads)
                change(gateway, config(n), n)
                eventually("the load to go on", lambda b=before: sum(x.answers for x in loads) > b + 60)
            failures = [f for load in loads for f in load.stop()]
            self.assertEqual(failures[:5], [])

    def test_reloads_lose_nothing(self):
        self.run_load(lambda gateway, config, n: gateway.reload(config))

    def test_upgrades_lose_nothing(self):
        self.run_load(lambda gateway, config, n: gateway.upgrade() if n % 3 == 1 else None)

    def test_upgrades_lose_nothing_with_an_upstream_of_http_1(self):
        self.run_load(lambda gateway, config, n: gateway.upgrade() if n % 3 == 1 else None, "h1")


if __name__ == "__main__":
    unittest.main()
