"""Configuration changes, upgrades and crashes while requests run."""

import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
import unittest

from gateway import Gateway, eventually, kong, service
from wire import Client, Ended, Origin, Stream, ask, reply, wait


class Load:
    """Clients that keep asking, over kept connections and new ones, and remember what failed."""

    def __init__(self, port, kept=3, fresh=1, target="/"):
        self.port, self.target = port, target
        self.stopping = threading.Event()
        self.answers, self.failures, self.bodies = 0, [], {}
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._ask, args=(n < kept,), daemon=True) for n in range(kept + fresh)]
        for thread in self.threads:
            thread.start()

    def _ask(self, keeps):
        client = None
        headers = [] if keeps else [("Connection", "close")]
        while not self.stopping.is_set():
            try:
                client = client or Client(self.port)
                answer = client.ask(self.target, headers=headers)
                with self.lock:
                    self.answers += 1
                    key = (answer.status, answer.body)
                    self.bodies[key] = self.bodies.get(key, 0) + 1
                if "close" in answer.tokens("Connection"):
                    client.close()
                    client = None
            except (OSError, Ended) as failure:
                # A kept connection may end while it idles: RFC 9112 section 9.6 has the client ask again.
                with self.lock:
                    self.failures.append(repr(failure))
                client = None
        if client:
            client.close()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(10)
        return self.failures


class Reloading(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.origins = [Origin(name="one"), Origin(name="two")]

    @classmethod
    def tearDownClass(cls):
        for origin in cls.origins:
            origin.close()

    def config(self, n, *more, **entities):
        return kong([service("main", self.origins[n % 2].url, [{"name": "all", "paths": ["/"]}]), *more], **entities)

    def gateway(self, config, *flags, **more):
        gateway = Gateway(config, *flags, **more)
        self.addCleanup(gateway.stop)
        return gateway

    def test_a_thousand_reloads_under_load_lose_nothing_and_leave_memory_where_it_was(self):
        def config(n):
            # Services and routes come, go and change, upstreams and plugins with them.
            more = [service(f"s{i}", self.origins[0].url, plugins=[{"name": "cors"}]) for i in range(n % 7)]
            entities = {"upstreams": [{"name": "up", "targets": [{"target": f"127.0.0.1:{self.origins[n % 2].port}"}]}]}
            main = service("main", "http://up" if n % 3 else self.origins[n % 2].url, [{"name": "all", "paths": ["/"]}])
            return kong([main, *more], **entities)

        gateway = self.gateway(config(0), workers=2)
        wrk = subprocess.Popen(["wrk", "-t1", "-c16", "-d60", f"http://127.0.0.1:{gateway.port}/"],
                               stdout=subprocess.PIPE, text=True)
        self.addCleanup(wrk.kill)
        load = Load(gateway.port, kept=1, fresh=1)
        link = Control(gateway)
        memory, began = {}, time.monotonic()
        for n in range(1, 1001):
            gateway.write(config(n))
            link.reload()
            if n in (100, 1000):
                memory[n] = gateway.resident()
        took = time.monotonic() - began
        wrk.send_signal(signal.SIGINT)
        text = wrk.communicate(timeout=20)[0]
        failures = load.stop()
        print(f"  1,000 reloads in {took:.1f} s under load; resident {memory[100] >> 10} KB after 100, "
              f"{memory[1000] >> 10} KB after 1,000; {load.answers} + wrk's {text.split(' requests in')[0].split()[-1]} requests")
        self.assertEqual(failures, [])
        self.assertNotIn("Socket errors", text, text)
        self.assertNotIn("Non-2xx", text, text)
        self.assertGreater(load.answers, 100)
        self.assertEqual({status for status, _ in load.bodies}, {200})
        self.assertLess(memory[1000] - memory[100], 1 << 20)
        self.assertEqual(gateway.proxies(), [gateway.proxy])

    def test_a_watched_change_is_in_effect_within_milliseconds(self):
        gateway = self.gateway(self.config(0), "--watch", workers=2)
        times = []
        for n in range(1, 21):
            want = self.origins[n % 2].name.encode()
            client = Client(gateway.port)
            client.ask("/")
            gateway.write(self.config(n))
            began = time.monotonic()
            while client.ask("/").body != want:
                self.assertLess(time.monotonic() - began, 2)
            times.append((time.monotonic() - began) * 1000)
            client.close()
            gateway.wait_for(f"revision {n + 1} is in effect")
        times.sort()
        print(f"  a watched change answers after {times[10]:.1f} ms (median of 20; longest {times[-1]:.1f} ms)")
        self.assertLess(times[10], 60)

    def test_a_broken_file_changes_nothing_and_the_next_good_one_is_used(self):
        gateway = self.gateway(self.config(0))
        for broken in ("services: [", kong([{"name": "x", "url": "http://a", "bogus": 1}]),
                       kong([service("x", "http://127.0.0.1:1", [{"name": "r", "paths": ["~/("]}])]), ""):
            said = gateway.reload(broken, expect=1)
            self.assertTrue(said.strip())
            self.assertEqual(ask(gateway.port).body, b"one")
        gateway.config.unlink()
        gateway.reload(expect=1)
        self.assertEqual(ask(gateway.port).body, b"one")
        gateway.reload(self.config(1))
        self.assertEqual(ask(gateway.port).body, b"two")

    def test_sighup_reloads(self):
        gateway = self.gateway(self.config(0))
        gateway.write(self.config(1))
        gateway.signal(signal.SIGHUP)
        gateway.wait_for("revision 2 is in effect")
        self.assertEqual(ask(gateway.port).body, b"two")

    def test_a_request_finishes_on_the_configuration_it_began_with(self):
        go = threading.Event()
        self.origins[0].on("/slow", lambda s, h: (go.wait(5), reply(200, "began with one"))[1])
        gateway = self.gateway(self.config(0, service("other", self.origins[0].url)))
        with Client(gateway.port) as client:
            client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertTrue(wait(lambda: self.origins[0].seen("/slow")))
            gateway.reload(kong([service("main", self.origins[1].url, [{"name": "all", "paths": ["/x"]}])]))
            go.set()
            self.assertEqual(client.response().body, b"began with one")
            self.assertEqual(client.ask("/slow").status, 404)
            self.assertEqual(client.ask("/x").body, b"two")

    def test_rate_limits_and_counters_survive_a_reload(self):
        limit = {"name": "rate-limiting", "config": {"hour": 5, "policy": "local"}}
        prometheus = {"name": "prometheus", "config": {"status_code_metrics": True}}

        def config(n):
            main = service("main", self.origins[0].url, [{"name": "all", "paths": ["/"], "plugins": [limit]}])
            return kong([main] + [service(f"s{i}", self.origins[0].url) for i in range(n)], plugins=[prometheus])

        gateway = self.gateway(config(0), workers=2)
        statuses = []
        for n in range(8):
            statuses.append(ask(gateway.port).status)
            gateway.reload(config(n + 1))
        self.assertEqual(statuses, [200] * 5 + [429] * 3)
        self.assertEqual(gateway.metric("kong_http_requests_total", service="main", code="200"), 5)
        self.assertEqual(gateway.metric("kong_http_requests_total", service="main", code="429"), 3)

    def test_an_upgrade_under_load_drops_nothing(self):
        gateway = self.gateway(self.config(0), workers=2)
        load = Load(gateway.port)
        seen = {gateway.proxy}
        for n in range(5):
            if n % 2:
                gateway.signal(signal.SIGUSR2)
                gateway.wait_for(" replaces ", times=n + 1)
            else:
                gateway.upgrade()
            eventually("the old process to end", lambda: len(gateway.proxies()) == 1)
            seen.add(gateway.proxy)
            self.assertEqual(ask(gateway.port).status, 200)
        failures = load.stop()
        self.assertEqual(len(seen), 6)
        self.assertEqual(failures, [])
        self.assertGreater(load.answers, 100)

    def test_an_upgrade_lets_long_requests_finish(self):
        go = threading.Event()
        self.origins[0].on("/long", lambda s, h: (go.wait(8), reply(200, "finished"))[1])
        gateway = self.gateway(self.config(0))
        with Client(gateway.port) as client:
            client.send("GET /long HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertTrue(wait(lambda: self.origins[0].seen("/long")))
            gateway.upgrade()
            self.assertEqual(ask(gateway.port).status, 200)
            go.set()
            answer = client.response()
            self.assertEqual((answer.body, answer.tokens("Connection")), (b"finished", ["close"]))
            self.assertTrue(client.ended())
        eventually("the old process to end", lambda: len(gateway.proxies()) == 1)

    def test_an_upgrade_to_a_proxy_that_does_not_start_leaves_the_old_one(self):
        program = pathlib.Path(Gateway.__init__.__globals__["PROGRAMS"]) / "seaway-proxy"
        folder = pathlib.Path(self.enterContext(__import__("tempfile").TemporaryDirectory()))
        link = folder / "seaway-proxy"
        link.symlink_to(program)
        gateway = self.gateway(self.config(0), "--proxy", str(link))
        link.unlink()
        link.write_text("#!/bin/sh\nexit 3\n")
        link.chmod(0o755)
        gateway.signal(signal.SIGUSR2)
        gateway.wait_for("the old one goes on")
        self.assertEqual(ask(gateway.port).body, b"one")

    def test_a_killed_proxy_serves_again_in_under_a_second(self):
        gateway = self.gateway(self.config(0), workers=2)
        times = []
        for _ in range(5):
            victim = gateway.proxy
            self.assertEqual(ask(gateway.port).status, 200)
            began = time.monotonic()
            os.kill(victim, signal.SIGKILL)
            # Connections queue meanwhile: not even the first is refused. One that was accepted dies with it.
            while True:
                try:
                    self.assertEqual(ask(gateway.port).status, 200)
                    break
                except (ConnectionResetError, Ended):
                    self.assertLess(time.monotonic() - began, 1)
            times.append(time.monotonic() - began)
            eventually("one proxy", lambda: gateway.proxies() not in ([], [victim]))
        print(f"  kill -9 of the proxy: serving again after {max(times) * 1000:.0f} ms (longest of 5)")
        self.assertLess(max(times), 1)

    def test_a_killed_supervisor_is_not_missed_and_its_successor_takes_over(self):
        gateway = self.gateway(self.config(0), workers=2)
        ports, proxy = (gateway.port, gateway.status_port), gateway.proxy
        load = Load(gateway.port)
        gateway.process.kill()
        gateway.process.wait()
        self.assertEqual(ask(gateway.port).status, 200)
        self.assertEqual(gateway.status("/status/ready")[0], 200)
        gateway.arguments = [a.replace("127.0.0.1:0", f"127.0.0.1:{ports[0]}") if gateway.arguments[i - 1] == "--http" else a
                             for i, a in enumerate(gateway.arguments)]
        gateway.write(self.config(1))
        gateway.start()
        gateway.wait_for(f"took over proxy {proxy}")
        eventually("the successor's configuration", lambda: ask(ports[0]).body == b"two")
        self.assertEqual(gateway.proxies(), [proxy])
        gateway.reload(self.config(0))
        self.assertEqual(ask(ports[0]).body, b"one")
        self.assertEqual(load.stop(), [])

    def test_a_stop_lets_running_requests_finish(self):
        go = threading.Event()
        self.origins[0].on("/stop", lambda s, h: (go.wait(8), reply(200, "finished"))[1])
        gateway = self.gateway(self.config(0))
        with Client(gateway.port) as client, Client(gateway.port) as idle:
            self.assertEqual(idle.ask("/").status, 200)
            client.send("GET /stop HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertTrue(wait(lambda: self.origins[0].seen("/stop")))
            gateway.signal(signal.SIGTERM)
            self.assertTrue(idle.ended())
            eventually("the port to be closed", lambda: self.refused(gateway.port))
            go.set()
            self.assertEqual(client.response().body, b"finished")
        self.assertEqual(gateway.process.wait(5), 0)
        self.assertEqual(gateway.proxies(), [])

    @staticmethod
    def refused(port):
        try:
            Client(port).close()
            return False
        except OSError:
            return True


class Control:
    """`seaway gateway reload` without a process for each: the command's own words on the control socket."""

    def __init__(self, gateway):
        self.gateway = gateway

    def reload(self):
        gateway = self.gateway
        want = gateway.talk.count("is in effect after") + 1
        gateway.signal(signal.SIGHUP)
        eventually(lambda: f"reload {want}:\n{gateway.talk[-500:]}", lambda: gateway.talk.count("is in effect after") >= want, 5)


if __name__ == "__main__":
    unittest.main()
