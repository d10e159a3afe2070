#!/usr/bin/env python3
"""Counts the instructions that seaway-proxy runs for each request of a case, under callgrind, and names the functions.

    Benchmarks/instructions.py h2c               the 40 functions that take the most, and the sum
    Benchmarks/instructions.py grpc --lines 100 --out /tmp/grpc.callgrind

Instructions of the program itself, not of the kernel: a number that a busy machine does not change, so that a change can
be held against the commit before it. callgrind makes the proxy some fifty times slower; batches are therefore as large
as they are under full load. Needs valgrind, and what `make release` built.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import loads
import runner
from cases import CASES
from peers import Peer, PEERS
from peers.base import children
from peers.seaway import Seaway


class Observed(Seaway):
    """Seaway whose proxy runs under callgrind, and counts only when told to."""

    def command(self) -> list:
        self.out = self.folder / "callgrind.out"
        wrapper, plain = self.folder / "observed-proxy", self.folder / "seaway-proxy"
        # Its symbols are enough; Swift's debugging information is newer than what valgrind can read.
        subprocess.run(["objcopy", "--strip-debug", self.program.parent / "seaway-proxy", plain], check=True)
        wrapper.write_text(f"""#!/bin/sh
exec valgrind --tool=callgrind --instr-atstart=no --callgrind-out-file={self.out} --quiet \\
    {plain} "$@"
""")
        wrapper.chmod(0o755)
        return [*super().command(), "--proxy", str(wrapper)]

    def measured(self) -> list:
        return children(self.process.pid)

    def control(self, *arguments: str) -> None:
        done = subprocess.run(["callgrind_control", *arguments, str(self.measured()[0])], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"callgrind_control {' '.join(arguments)}: {(done.stderr or done.stdout).strip()}")

    def newest(self) -> pathlib.Path:
        """What the last dump wrote: callgrind numbers them."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = [f for f in self.folder.glob("callgrind.out.*") if "\ntotals:" in f.read_text(errors="replace")]
            if found:
                return max(found, key=lambda f: f.stat().st_mtime)
            time.sleep(0.2)
        raise RuntimeError("callgrind wrote nothing")


def observe(bench: runner.Bench, case, seconds: float) -> tuple:
    """(requests answered, callgrind's file) of one run after another that warms up."""
    PEERS["seaway"] = Observed
    peer: Peer = bench.start(case, "seaway")
    try:
        loads.run(case, peer, seconds)
        peer.control("-i", "on")
        result = loads.run(case, peer, seconds)
        peer.control("-i", "off")
        peer.control("-d")
        return result["requests"], peer.newest()
    finally:
        peer.stop()


def readable(text: str) -> str:
    """Swift's names as people write them."""
    swift = shutil.which("swift")
    if not swift:
        return text
    return subprocess.run([swift, "demangle", "--compact", "--simplified"], input=text, capture_output=True, text=True).stdout or text


def functions(found: pathlib.Path, requests: float, lines: int) -> tuple:
    """The instructions for each request, and of that the functions' own shares as text."""
    text = subprocess.run(["callgrind_annotate", "--threshold=100", str(found)], capture_output=True, text=True).stdout
    total = re.search(r"^\s*([\d,]+)\s.*PROGRAM TOTALS", text, re.MULTILINE)
    if not total:
        raise RuntimeError("callgrind_annotate says nothing")
    rows = re.findall(r"^\s*([\d,]+) \([\s\d.]+%\)\s+(?:\S*?:)?(.+?)(?: \[.*\])?$", text, re.MULTILINE)
    rows = [(int(count.replace(",", "")), name) for count, name in rows if "PROGRAM TOTALS" not in name]
    said = "\n".join(f"{count / requests:12,.1f}  {name}" for count, name in rows[:lines])
    return int(total.group(1).replace(",", "")) / requests, readable(said)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", help="one of those that bench.py --list names")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of the run (default 4)")
    parser.add_argument("--lines", type=int, default=40, help="how many functions (default 40)")
    parser.add_argument("--out", metavar="FILE", help="keep callgrind's file here, for kcachegrind")
    options = parser.parse_args()
    case = next((c for c in CASES if c.name == options.case and c.how == "rounds"), None)
    missing = Seaway.available() or ("" if shutil.which("valgrind") else "valgrind is not installed (apt-get install valgrind)")
    if case is None or missing:
        print(f"instructions: {missing or f'no case {options.case} that counts requests; bench.py --list names them'}", file=sys.stderr)
        return 2
    loads.build_tools()
    with tempfile.TemporaryDirectory(prefix="instructions-") as folder:
        bench = runner.Bench(options, pathlib.Path(folder))
        try:
            requests, found = observe(bench, case, options.seconds)
        finally:
            bench.close()
        each, said = functions(found, requests, options.lines)
        if options.out:
            shutil.copy(found, options.out)
    print(f"{case.name}: {each:,.0f} instructions for each {case.unit} ({requests:,.0f} of them), of which\n\n{said}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
