"""The load tools: how they are built and run, and what their result means."""

import json
import pathlib
import re
import statistics
import subprocess
import tempfile

from cases import Case
from peers import LOAD_CORE, NAME, ROOT, Peer

SOURCES = ROOT / "Benchmarks/tools"
TOOLS = ROOT / "Benchmarks/.build"
LIBRARIES = {
    "upstream": [], "h2-upstream": ["-lnghttp2"], "stream-upstream": ["-lcrypto"],
    "load": ["-lssl", "-lcrypto"], "h2": ["-lnghttp2", "-lssl", "-lcrypto"], "stream": ["-lssl", "-lcrypto"],
}


def build_tools() -> None:
    TOOLS.mkdir(exist_ok=True)
    shared = max(f.stat().st_mtime for f in SOURCES.glob("*.h"))
    for name, libraries in LIBRARIES.items():
        source, program = SOURCES / f"{name}.c", TOOLS / name
        if not program.exists() or program.stat().st_mtime < max(source.stat().st_mtime, shared):
            subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-o", program, source, *libraries], check=True)


def port_of(case: Case, peer: Peer) -> int:
    if peer.streams:
        return peer.stream
    if case.tls:
        return peer.https
    return peer.h2c if peer.speaks_h2 and case.tool != "load" else peer.http


def command(case: Case, peer: Peer, seconds: float) -> list:
    """A run of one of our own tools."""
    tls = ["--tls"] if case.tls else []
    return ["taskset", "-c", LOAD_CORE, str(TOOLS / case.tool), "--port", str(port_of(case, peer)), "--seconds", str(seconds),
            *tls, *case.load]


def run(case: Case, peer: Peer, seconds: float) -> dict:
    if case.tool == "h2load":
        return run_h2load(case, peer, seconds)
    done = subprocess.run(command(case, peer, seconds), capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{peer.name}, {case.name}: {done.stderr.strip()}")
    return in_units(json.loads(done.stdout), case)


def in_units(result: dict, case: Case) -> dict:
    """Bulk data counts in bytes, and is told in MB."""
    if case.unit == "MB":
        result.update(requests=result["requests"] / 1e6, per_second=result["per_second"] / 1e6)
    return result


def run_h2load(case: Case, peer: Peer, seconds: float) -> dict:
    """h2load looks at statuses only; that answers are right to the byte is checked by our own tool before the rounds."""
    scheme = "https" if case.tls else "http"
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "requests.log"
        arguments = [*case.load, "-D", f"{seconds * 1000:.0f}ms", f"--log-file={log}", "-H", f":authority: {NAME}"]
        if case.tls:
            arguments += ["--npn-list=h2", "--tls13-ciphers=TLS_AES_128_GCM_SHA256", "--groups=X25519"]
        done = subprocess.run(["taskset", "-c", LOAD_CORE, "h2load", *arguments, f"{scheme}://127.0.0.1:{port_of(case, peer)}/"],
                              capture_output=True, text=True)
        counts = re.search(r"requests: .* (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", done.stdout)
        speed = re.search(r"finished in .*, ([\d.]+) req/s", done.stdout)
        if done.returncode != 0 or not counts or not speed or "Application protocol: h2" not in done.stdout:
            raise RuntimeError(f"{peer.name}, {case.name}: h2load: {(done.stderr or done.stdout).strip()[-400:]}")
        finished, right, failed, errors = (int(v) for v in counts.groups())
        if failed or errors or finished != right or not right:
            raise RuntimeError(f"{peer.name}, {case.name}: h2load had {failed} failed and {errors} broken requests of {finished}")
        times = [int(line.rsplit("\t", 1)[1]) for line in log.read_text().splitlines()]
    cuts = statistics.quantiles(times, n=100)
    return {"requests": right, "seconds": seconds, "per_second": float(speed.group(1)), "p50_us": cuts[49], "p99_us": cuts[98]}
