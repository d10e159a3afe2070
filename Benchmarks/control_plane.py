#!/usr/bin/env python3
"""Measures the control plane with the built programs, and writes docs/benchmarks-control-plane.md.

    swift build -c release --static-swift-stdlib
    python3 Benchmarks/control_plane.py                      # everything, about ten minutes
    python3 Benchmarks/control_plane.py --only latency       # or apply, or memory; prints, and writes nothing
    python3 Benchmarks/control_plane.py --programs .build/debug --small    # does it run?

Three questions: how soon is a change in effect on every gateway; what does a very large one do to the traffic
meanwhile; does memory grow with revisions. All on one machine, over 127.0.0.1, with real TLS and gRPC.
"""

import argparse
import contextlib
import datetime
import http.client
import json
import os
import pathlib
import platform
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import loads

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/benchmarks-control-plane.md"
LOCAL = "127.0.0.1"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind((LOCAL, 0))
        return sock.getsockname()[1]


def quantile(values: list, share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def rss_bytes(pid: int) -> int:
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def wait_for(what: str, holds, seconds: float = 60, pause: float = 0.02):
    """The first value of `holds` that is true. Waits for another process, which says nothing when it is ready."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := holds():
            return value
        time.sleep(pause)
    raise RuntimeError(f"{what}: not within {seconds:.0f} s")


# MARK: Programs


class Process:
    """A program that is stopped at the end, with its output in a file."""

    def __init__(self, name: str, command: list, folder: pathlib.Path, **options):
        folder.mkdir(parents=True, exist_ok=True)
        self.name, self.log = name, folder / f"{name}.log"
        self.output = self.log.open("ab")
        options.setdefault("stdout", self.output)
        self.process = subprocess.Popen([str(part) for part in command], stderr=self.output, **options)
        self.pid = self.process.pid

    def check(self) -> None:
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}: {self.log.read_text()[-800:]}")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.output.close()

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.stop()


class Postgres(Process):
    """A server of its own in a folder of its own. It refuses to run as root, so it becomes somebody else then."""

    def __init__(self, folder: pathlib.Path):
        binaries = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
        if not binaries:
            raise RuntimeError("PostgreSQL is not installed: apt-get install postgresql")
        folder.mkdir(parents=True)
        self.port, data = free_port(), folder / "data"
        self.become = {}
        if os.getuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            self.become = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        subprocess.run([binaries[-1] / "initdb", "-D", data, "-U", "seaway", "-A", "trust", "--no-sync"], check=True,
                       capture_output=True, cwd=folder, **self.become)
        super().__init__("postgres", [binaries[-1] / "postgres", "-D", data, "-k", folder, "-h", LOCAL, "-p", self.port],
                         folder / "log", cwd=folder, **self.become)
        ready = [binaries[-1] / "pg_isready", "-h", LOCAL, "-p", str(self.port)]
        wait_for("PostgreSQL", lambda: subprocess.run(ready, capture_output=True).returncode == 0)
        subprocess.run([binaries[-1] / "createdb", "-h", LOCAL, "-p", str(self.port), "-U", "seaway", "bench"], check=True)
        self.url = f"postgres://seaway@{LOCAL}:{self.port}/bench"


class ControlPlane(Process):
    def __init__(self, programs: pathlib.Path, folder: pathlib.Path, store: str = ""):
        self.programs, self.folder = programs, folder
        self.api, self.stream = free_port(), free_port()
        command = [programs / "seaway", "control-plane", "run", "--data", folder / "data", "--api", f"{LOCAL}:{self.api}",
                   "--stream", f"{LOCAL}:{self.stream}", "--admin", "off"]
        super().__init__("control-plane", command + (["--store", store] if store else []), folder)
        token = folder / "data/admin-token"
        wait_for("the control plane", lambda: self.check() or (token.exists() and self.answers()))
        self.token = token.read_text().strip()
        self.connection = http.client.HTTPConnection(LOCAL, self.api, timeout=300)
        self.gateway_token = folder / "gateway-token"
        self.gateway_token.write_text(self.call("POST", "/v1/tokens", {"name": "bench", "roles": ["gateway"]})["token"])

    def answers(self) -> bool:
        with contextlib.suppress(OSError), contextlib.closing(http.client.HTTPConnection(LOCAL, self.api, timeout=5)) as to:
            to.request("GET", "/healthz")
            return to.getresponse().status == 200
        return False

    def call(self, method: str, path: str, body=None):
        text = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        self.connection.request(method, path, text,
                                {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:600].decode(errors='replace')}")
        return json.loads(content) if content else None


class Gateway(Process):
    def __init__(self, plane: ControlPlane, name: str):
        self.port = free_port()
        super().__init__(name, [
            plane.programs / "seaway", "gateway", "run", "--control-plane", f"https://{LOCAL}:{plane.stream}", "--token-file",
            plane.gateway_token, "--name", name, "--http", f"{LOCAL}:{self.port}", "--https", "off", "--status",
            f"{LOCAL}:{free_port()}", "--workers", "1", "--state-dir", plane.folder / name, "--access-log", "off",
            "--keep-alive-requests", "0", "--upstream-keep-alive-requests", "0", "--idle-timeout", "600s"], plane.folder)
        self.connection = http.client.HTTPConnection(LOCAL, self.port, timeout=30)

    def status(self, path: str) -> int:
        try:
            self.connection.request("GET", path)
            answer = self.connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.check()
            return 0

    @property
    def proxy(self) -> int:
        children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return next(int(c) for c in children if "seaway-proxy" in pathlib.Path(f"/proc/{c}/comm").read_text())


class Streams(Process):
    """The load client; a thread collects what it prints."""

    def __init__(self, plane: ControlPlane, count: int):
        super().__init__("streams-bench", [plane.programs / "streams-bench", "--control-plane", f"{LOCAL}:{plane.stream}",
                                           "--token-file", plane.gateway_token, "--streams", count],
                         plane.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lines: dict[int, dict] = {}
        threading.Thread(target=self.read, daemon=True).start()

    def read(self) -> None:
        for line in self.process.stdout:
            record = json.loads(line)
            self.lines[record["revision"]] = record

    def revision(self, number: int, seconds: float = 60) -> dict:
        def found():
            self.check()
            return self.lines.get(number)
        return wait_for(f"revision {number} on all streams", found, seconds, 0.002)


class Upstream(Process):
    def __init__(self, folder: pathlib.Path):
        self.port = free_port()
        super().__init__("upstream", [loads.TOOLS / "upstream", self.port], folder)


class Load:
    """Asks one route of a gateway evenly; `end` says how it went. A failed or wrong answer is an error there."""

    def __init__(self, gateway: Gateway, rate: int, seconds: float):
        self.process = subprocess.Popen(
            [loads.TOOLS / "load", "--port", str(gateway.port), "--path", "/load", "--connections", "16", "--rate", str(rate),
             "--seconds", str(seconds)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self, now: bool = False) -> dict:
        if now:
            self.process.send_signal(signal.SIGTERM)
        output, errors = self.process.communicate(timeout=600)
        if self.process.returncode != 0:
            raise RuntimeError(f"a request failed: {errors.strip()}")
        return json.loads(output)


# MARK: Configurations


def document(upstream: int, services: int, routes_each: int, first: str = "s") -> dict:
    """Services with routes, all before the one upstream; the first service also has what the load asks for."""
    made = [{"name": "load", "url": f"http://{LOCAL}:{upstream}",
             "routes": [{"name": "load", "paths": ["/load"], "strip_path": False}]}]
    for n in range(services):
        routes = [{"name": f"{first}{n}-r{m}", "paths": [f"/{first}{n}/r{m}"], "strip_path": False, "methods": ["GET", "POST"]}
                  for m in range(routes_each)]
        made.append({"name": f"{first}{n}", "url": f"http://{LOCAL}:{upstream}", "routes": routes})
    return {"_format_version": "3.0", "services": made}


def apply(plane: ControlPlane, config: dict) -> int:
    return plane.call("POST", "/v1/apply", json.dumps(config).encode())["revision"]


# MARK: How soon is a change in effect?


def latency(options, folder: pathlib.Path) -> dict:
    streams_count, changes = (5, 10) if options.small else (100, 200)
    services = 10 if options.small else 1000
    with Upstream(folder) as upstream, ControlPlane(options.programs, folder) as plane:
        revision = apply(plane, document(upstream.port, services, 10))
        with Gateway(plane, "gateway-1") as gateway, Streams(plane, streams_count) as streams:
            wait_for("the gateway", lambda: gateway.status("/load") == 200)
            start = streams.revision(revision, 180)
            times, last, stored, real, bytes_max, work = [], [], [], [], 0, 0
            for change in range(changes):
                probe = f"/probe-{change}"
                began = time.time()
                version = plane.call("PATCH", f"/v1/routes/s{change % services}-r{change % 10}",
                                     {"spec": {"paths": [probe]}})["version"]
                stored.append((time.time() - began) * 1000)
                wait_for("the gateway's change", lambda: gateway.status(probe) == 200, 30, 0.001)
                real.append((time.time() - began) * 1000)
                line = streams.revision(version)
                each = [(at / 1e6 - began) * 1000 for at in line["times"]]
                times += each
                last.append(max(each))
                bytes_max, work = max(bytes_max, line["bytesMax"]), max(work, line["workMax"])
                if line["fulls"]:
                    raise RuntimeError(f"revision {version} was sent whole to {line['fulls']} streams")
                time.sleep(0.05)
    return {
        "routes": services * 10 + 1, "streams": streams_count, "changes": changes, "full_bytes": start["bytesMax"],
        "p50": quantile(times, 0.5), "p99": quantile(times, 0.99), "everywhere_p50": quantile(last, 0.5),
        "everywhere_p99": quantile(last, 0.99), "stored_p50": quantile(stored, 0.5), "stored_p99": quantile(stored, 0.99),
        "gateway_p50": quantile(real, 0.5), "gateway_p99": quantile(real, 0.99), "bytes": bytes_max, "work_ms": work / 1000,
    }


# MARK: What does a large change do to the traffic?


def large_apply(options, folder: pathlib.Path, store: str) -> dict:
    services, rate, quiet_seconds = (20, 200, 2) if options.small else (10_000, 500, 20)
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(Upstream(folder))
        url = stack.enter_context(Postgres(folder / "pg")).url if store == "postgresql" else ""
        plane = stack.enter_context(ControlPlane(options.programs, folder, url))
        apply(plane, document(upstream.port, 1, 1, "few"))
        gateway = stack.enter_context(Gateway(plane, "gateway-1"))
        wait_for("the gateway", lambda: gateway.status("/load") == 200)
        quiet = Load(gateway, rate, quiet_seconds).end()
        config = json.dumps(document(upstream.port, services, 9)).encode()
        load = Load(gateway, rate, 300)
        time.sleep(1)
        began = time.monotonic()
        plane.call("POST", "/v1/apply", config)
        stored = time.monotonic() - began
        wait_for("the last route", lambda: gateway.status(f"/s{services - 1}/r8") == 200, 120)
        effect = time.monotonic() - began
        time.sleep(1)
        busy = load.end(now=True)
    return {"store": store, "entities": services * 10, "megabytes": len(config) / 1e6, "stored_s": stored, "effect_s": effect,
            "requests": busy["requests"], "rate": rate, "quiet_p50": quiet["p50_us"] / 1000, "quiet_p99": quiet["p99_us"] / 1000,
            "busy_p50": busy["p50_us"] / 1000, "busy_p99": busy["p99_us"] / 1000}


# MARK: Does memory grow?


def memory(options, folder: pathlib.Path) -> dict:
    revisions, step = (40, 10) if options.small else (1000, 50)
    with Upstream(folder) as upstream, ControlPlane(options.programs, folder) as plane:
        apply(plane, document(upstream.port, 100, 10))
        with Gateway(plane, "gateway-1") as gateway:
            wait_for("the gateway", lambda: gateway.status("/load") == 200)
            samples = []
            for number in range(1, revisions + 1):
                probe = f"/probe-{number}"
                plane.call("PATCH", f"/v1/routes/s{number % 100}-r{number % 10}", {"spec": {"paths": [probe]}})
                if number % step == 0:
                    wait_for("the gateway's change", lambda: gateway.status(probe) == 200)
                    samples.append((number, rss_bytes(plane.pid), rss_bytes(gateway.proxy), rss_bytes(gateway.pid)))
    late = [s for s in samples if s[0] >= revisions // 10]
    def growth(column: int) -> float:
        return max(s[column] for s in late) / late[0][column] - 1
    return {"revisions": revisions, "samples": samples, "control_plane_mb": late[-1][1] / 1e6, "proxy_mb": late[-1][2] / 1e6,
            "supervisor_mb": late[-1][3] / 1e6, "control_plane_growth": growth(1), "proxy_growth": growth(2),
            "supervisor_growth": growth(3)}


# MARK: The page


def verdict(holds: bool) -> str:
    return "yes" if holds else "**no**"


def page(results: dict, programs: pathlib.Path) -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    models = [l.split(":", 1)[1].strip() for l in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if "model name" in l]
    out = [
        "# How fast the control plane is", "",
        "Measured by `python3 Benchmarks/control_plane.py` with the release programs, all on one machine: the control plane, "
        "its database, the gateway, the load and the clients share its cores.", "",
        f"{datetime.date.today()}, commit {commit}, {models[0] if models else platform.machine()}, {os.cpu_count()} cores, "
        f"Linux {platform.release().split('-')[0]}.", ""]
    if one := results.get("latency"):
        out += [
            "## A change reaches every gateway", "",
            f"{one['routes']:,} routes, {one['streams']} streams, {one['changes']} changes of one route each, one after another "
            "(`PATCH /v1/routes/…`, SQLite). Times are from before the request is sent. The streams are `streams-bench`: TLS, "
            "gRPC and certificates as a gateway has them; each stream decodes, applies the delta to its own tables, compares "
            "digests now and then, and acknowledges. One real gateway is connected besides; for it the time is until a request "
            "on the new path is answered.", "",
            "| | p50 | p99 | bound | holds |", "|---|---:|---:|---|---|",
            f"| in effect, each stream | {one['p50']:.0f} ms | {one['p99']:.0f} ms | 150 ms, 500 ms | "
            f"{verdict(one['p50'] <= 150 and one['p99'] <= 500)} |",
            f"| in effect on the last stream | {one['everywhere_p50']:.0f} ms | {one['everywhere_p99']:.0f} ms | 150 ms, 500 ms | "
            f"{verdict(one['everywhere_p50'] <= 150 and one['everywhere_p99'] <= 500)} |",
            f"| a request through the real gateway | {one['gateway_p50']:.0f} ms | {one['gateway_p99']:.0f} ms | | |",
            f"| stored: the request is answered | {one['stored_p50']:.0f} ms | {one['stored_p99']:.0f} ms | | |", "",
            f"The largest message of a change had {one['bytes']} bytes (bound: 4,096; holds: {verdict(one['bytes'] <= 4096)}); "
            f"the whole configuration has {one['full_bytes'] / 1e6:.1f} MB. Decoding and applying took a stream at most "
            f"{one['work_ms']:.1f} ms.", ""]
    if two := results.get("apply"):
        out += [
            "## 100,000 entities at once", "",
            "One `POST /v1/apply` of 10,000 services with nine routes each, while requests go evenly through a gateway with one "
            "worker. A request's time counts from when it was due.", "",
            "| store | stored | in effect | requests meanwhile | failed | p50 quiet → meanwhile | p99 quiet → meanwhile | bounds "
            "(15 s, 20 s, 2 × p99) hold |", "|---|---:|---:|---:|---:|---:|---:|---|"]
        for r in two:
            bounds = [r["stored_s"] <= 15, r["effect_s"] <= 20, r["busy_p99"] <= 2 * r["quiet_p99"]]
            out.append(
                f"| {r['store']} | {r['stored_s']:.1f} s | {r['effect_s']:.1f} s | {r['requests']:,} | 0 | "
                f"{r['quiet_p50']:.2f} → {r['busy_p50']:.2f} ms | {r['quiet_p99']:.2f} → {r['busy_p99']:.2f} ms | "
                f"{', '.join(verdict(b) for b in bounds)} |")
        out.append("")
    if three := results.get("memory"):
        out += [
            f"## {three['revisions']:,} revisions in a row", "",
            "1,001 routes, one changed by each revision. Growth is of the highest after the first tenth.", "",
            "| process | resident at the end | growth | bound | holds |", "|---|---:|---:|---:|---|"]
        for name, key in [("control plane", "control_plane"), ("gateway: seaway-proxy", "proxy"), ("gateway: seaway", "supervisor")]:
            growth = three[f"{key}_growth"]
            out.append(f"| {name} | {three[f'{key}_mb']:.0f} MB | {growth * 100:.1f} % | 10 % | {verdict(growth <= 0.1)} |")
        out.append("")
    return "\n".join(out)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=pathlib.Path, default=ROOT / ".build/release")
    parser.add_argument("--only", choices=["latency", "apply", "memory"])
    parser.add_argument("--small", action="store_true", help="a minute instead of ten; writes nothing")
    parser.add_argument("--keep", action="store_true", help="leave logs and data where they are")
    options = parser.parse_args()
    options.programs = options.programs.resolve()
    loads.build_tools()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="seaway-bench-"))
    folder.chmod(0o755)
    results = {}
    try:
        if options.only in (None, "latency"):
            results["latency"] = latency(options, folder / "latency")
            print(json.dumps(results["latency"]), flush=True)
        if options.only in (None, "apply"):
            results["apply"] = []
            for store in ["sqlite", "postgresql"]:
                results["apply"].append(large_apply(options, folder / store, store))
                print(json.dumps(results["apply"][-1]), flush=True)
        if options.only in (None, "memory"):
            results["memory"] = memory(options, folder / "memory")
            print(json.dumps(results["memory"]), flush=True)
    finally:
        if options.keep:
            print(folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if options.only or options.small:
        print(page(results, options.programs))
    else:
        PAGE.write_text(page(results, options.programs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
