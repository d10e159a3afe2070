"""Runs one case through all proxies: in turns for CPU and speed, one after another for memory, or beside a slow reader."""

import dataclasses
import os
import pathlib
import re
import statistics
import subprocess
import threading
import time
import urllib.error
import urllib.request

import loads
from cases import Case
from peers import LOAD_CORE, NAME, PEERS, PROXY_CORE, Peer, Site, free_port
from report import add_ratios, table

# The share of the proxy's core that other programs may take before a run is made again.
QUIET = 0.05


def make_certificate(folder: pathlib.Path):
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
         "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", key, "-out", cert],
        check=True, capture_output=True)
    return cert, key


def core_busy(core: str) -> float:
    """Seconds that a core has spent in programs (user, nice and system time) since the machine started."""
    found = re.search(rf"^cpu{core} (\d+) (\d+) (\d+)", pathlib.Path("/proc/stat").read_text(), re.MULTILINE)
    return sum(int(v) for v in found.groups()) / os.sysconf("SC_CLK_TCK")


class Peak:
    """The most memory that a proxy has had while a block ran."""

    def __init__(self, peer: Peer):
        self.peer, self.bytes, self.done = peer, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self) -> None:
        while True:
            self.bytes = max(self.bytes, self.peer.rss_bytes())
            if self.done.wait(0.05):
                return

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.done.set()
        self.thread.join()


class Bench:
    def __init__(self, options, folder: pathlib.Path):
        self.options, self.folder = options, folder
        cert, key = make_certificate(folder)
        self.site = Site(free_port(), free_port(), free_port(), cert, key)
        self.upstreams = [
            subprocess.Popen(["taskset", "-c", LOAD_CORE, loads.TOOLS / name, str(port)])
            for name, port in (("upstream", self.site.h1), ("h2-upstream", self.site.h2), ("stream-upstream", self.site.stream))]
        self.results = {}
        # Of the case that runs: proxies that do not take part, and why. Of all cases: what went wrong.
        self.left_out, self.failures = {}, []

    def close(self) -> None:
        for upstream in self.upstreams:
            upstream.terminate()
            upstream.wait()

    def start(self, case: Case, name: str, label: str = "") -> Peer:
        folder = self.folder / f"{case.name}-{label or name}"
        peer = PEERS[name](folder, self.site, case.kind, case.routes)
        peer.bulk = case.unit == "MB"
        if name == "seaway":
            for setting, value in case.seaway.items():
                setattr(peer, setting, value)
        peer.start()
        return peer

    def run(self, case: Case, available: list) -> None:
        wanted = [n for n in available if case.proxies is None or n in case.proxies]
        self.left_out = {n: PEERS[n].cannot(case.kind) for n in wanted if PEERS[n].cannot(case.kind)}
        names = [n for n in wanted if n not in self.left_out]
        if not names:
            return
        print(f"\n{case.name}: {case.title}", flush=True)
        measure = {"rounds": self.run_rounds, "idle": self.run_idle, "slow": self.run_slow}[case.how]
        figures = add_ratios(measure(case, names))
        if figures:
            self.results[case.name] = {"title": case.title, "how": case.how, "unit": case.unit, "routes": case.routes,
                                       "left_out": self.left_out, "proxies": figures}
            print(table(self.results[case.name]), flush=True)

    def attempt(self, case: Case, name: str, action):
        """What the action gives, or nothing after a failure, which takes the proxy out of the case."""
        if name in self.left_out:
            return None
        try:
            return action()
        except RuntimeError as error:
            self.left_out[name] = f"failed: {str(error).splitlines()[0][:200]}"
            self.failures.append(f"{case.name}: {name}: {error}")
            print(f"{case.name}: {name} FAILED: {error}", flush=True)
            return None

    def lengths(self, case: Case) -> tuple:
        """Seconds of a run, and how many rounds of them."""
        if self.options.quick:
            return min(case.seconds, 1.5), 1
        return case.seconds, self.options.rounds

    # Rounds: CPU for each request.

    def run_rounds(self, case: Case, names: list) -> dict:
        seconds, rounds = self.lengths(case)
        # Label -> the case that it runs: every proxy this one, and seaway once more the case that it is held against.
        cases = {n: case for n in names}
        if case.against is not None:
            cases["without"] = case.against
        labels = list(cases)
        running, samples, figures = {}, {n: [] for n in labels}, {}
        try:
            for name, its_case in cases.items():
                def begin():
                    peer = running[name] = self.start(its_case, "seaway" if name == "without" else name, name)
                    figures[name] = {"idle_rss_mb": peer.rss_bytes() / 1e6, "load_seconds": peer.load_seconds}
                    self.warm_up(its_case, peer)
                self.attempt(case, name, begin)
            for turn in range(rounds):
                for name in labels[turn % len(labels):] + labels[: turn % len(labels)]:
                    samples[name].append(self.attempt(case, name, lambda: self.measure(cases[name], running[name], seconds)))
            for name in [n for n in labels if n not in self.left_out]:
                figures[name]["rss_mb"] = running[name].rss_bytes() / 1e6
                figures[name].update(medians(samples[name]))
        finally:
            for peer in running.values():
                peer.stop()
        return {n: v for n, v in figures.items() if n not in self.left_out}

    def warm_up(self, case: Case, peer: Peer) -> None:
        if case.routes:
            self.check_routes(case, peer)
        if case.tool == "h2load":
            # The same work by our own tool first, since that one looks at every byte.
            case = dataclasses.replace(case, tool="h2", load=["--connections", "10", "--streams", "100"])
        # Long enough that most routes have been asked for once: their first time is not what is measured.
        loads.run(case, peer, 0.5 + case.routes / 12_000)

    def measure(self, case: Case, peer: Peer, seconds: float) -> dict:
        """One run; again, up to four times, while other programs had more than a twentieth of the proxy's core."""
        best = None
        for _ in range(1 if self.options.quick else 4):
            sample = self.measure_once(case, peer, seconds)
            if best is None or sample["disturbed"] < best["disturbed"]:
                best = sample
            if best["disturbed"] <= QUIET:
                break
        return best

    def measure_once(self, case: Case, peer: Peer, seconds: float) -> dict:
        processes = peer.measured()
        before, busy, began = peer.cpu_ns(), core_busy(PROXY_CORE), time.monotonic()
        result = loads.run(case, peer, seconds)
        if peer.measured() != processes:
            raise RuntimeError(f"{peer.name}, {case.name}: the process that proxies has been replaced")
        spent = peer.cpu_ns() - before
        others = (core_busy(PROXY_CORE) - busy) - spent / 1e9
        if case.name == "new-tls" and (result["resumed"] or result["handshakes"] < result["requests"]):
            raise RuntimeError(f"{peer.name}: {result['resumed']} handshakes were resumed, none should be")
        if case.name == "new-tls-resumed" and result["resumed"] < 0.9 * result["handshakes"]:
            raise RuntimeError(f"{peer.name}: only {result['resumed']} of {result['handshakes']} were resumed")
        # Nothing answered is a result where readers are slow, and a failure of the load tool elsewhere.
        cpu_us = spent / result["requests"] / 1000 if result["requests"] else 0.0
        return {"cpu_us": cpu_us, "per_second": result["per_second"],
                "p50_us": result["p50_us"], "p99_us": result["p99_us"], "stuck": result.get("stuck", 0),
                "disturbed": max(0.0, others / (time.monotonic() - began))}

    def check_routes(self, case: Case, peer: Peer) -> None:
        """The last route answers, and a path of no route does not: the table is really searched."""
        last = f"http://127.0.0.1:{peer.http}/r{case.routes - 1}/x"
        with urllib.request.urlopen(last, timeout=5) as answer:
            if answer.status != 200:
                raise RuntimeError(f"{peer.name}: {last} gave {answer.status}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{peer.http}/none/x", timeout=5).close()
        except urllib.error.HTTPError as error:
            # HAProxy says 503 where no backend was chosen.
            if error.code in (404, 503):
                return
        raise RuntimeError(f"{peer.name}: a path of no route was answered")

    # Idle: memory for each connection or stream.

    def run_idle(self, case: Case, names: list) -> dict:
        """Memory of connections that made one request and then say nothing, or of streams whose answers do not go on."""
        figures = {n: self.attempt(case, n, lambda: self.measure_idle(case, n)) for n in names}
        return {n: v for n, v in figures.items() if v}

    def measure_idle(self, case: Case, name: str) -> dict:
        count = case.count // 10 if self.options.quick else case.count
        streams = 100 if case.unit == "stream" else 1
        peer = self.start(case, name)
        try:
            options = ["--connections", "64"] if case.tool == "load" else ["--connections", "64", "--streams", "10"]
            loads.run(dataclasses.replace(case, load=options), peer, 0.3)
            before = peer.rss_bytes()
            command = loads.command(case, peer, 0) + ["--connections", str(count // streams)]
            load = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            line = load.stdout.readline()
            # Buffers may be given back by a timer; two seconds is what an operator would grant.
            time.sleep(2)
            after = peer.rss_bytes()
            _, said = load.communicate()
            if line.strip() != "idle" or load.returncode != 0:
                raise RuntimeError(f"{name}, {case.name}: {said.strip()}")
        finally:
            peer.stop()
        return {"bytes_each": (after - before) / count, "idle_rss_mb": before / 1e6, "rss_mb": after / 1e6}

    # Slow: what a reader that does not read does to memory and to its neighbours.

    def run_slow(self, case: Case, names: list) -> dict:
        seconds, rounds = self.lengths(case)
        running, samples, figures = {}, {}, {}
        slow = dataclasses.replace(case, load=[*case.load, "--slow", "/100m"])
        try:
            for name in names:
                def begin():
                    peer = running[name] = self.start(case, name)
                    self.warm_up(case, peer)
                    figures[name] = {"idle_rss_mb": peer.rss_bytes() / 1e6, "rss_mb": 0.0}
                    samples[name] = {"without": [], "with": []}
                self.attempt(case, name, begin)
            for turn in range(rounds):
                for name in names[turn % len(names):] + names[: turn % len(names)]:
                    def both():
                        samples[name]["without"].append(self.measure(case, running[name], seconds))
                        with Peak(running[name]) as peak:
                            samples[name]["with"].append(self.measure(slow, running[name], seconds))
                        figures[name]["rss_mb"] = max(figures[name]["rss_mb"], peak.bytes / 1e6)
                    self.attempt(case, name, both)
        finally:
            for peer in running.values():
                peer.stop()
        figures = {n: v for n, v in figures.items() if n not in self.left_out}
        for name, v in figures.items():
            v["slow_bytes_each"] = (v["rss_mb"] - v["idle_rss_mb"]) * 1e6 / case.count
            v.update({label: medians(found) for label, found in samples[name].items()})
        return figures


def medians(samples: list) -> dict:
    cpu = [s["cpu_us"] for s in samples]
    found = {key: statistics.median(s[key] for s in samples) for key in ("cpu_us", "per_second", "p50_us", "p99_us")}
    return {**found, "cpu_us_range": [min(cpu), max(cpu)], "stuck": max(s["stuck"] for s in samples),
            "disturbed": max(s["disturbed"] for s in samples)}
