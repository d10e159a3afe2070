#!/usr/bin/env python3
"""Runs the numbered cases of h2spec's list, written anew, against a server that speaks HTTP/2.

    Tests/H2Spec/run.py                              Seaway, in clear (prior knowledge) and over TLS (ALPN)
    Tests/H2Spec/run.py --server nginx               another server, started before the same origin
    Tests/H2Spec/run.py --target 127.0.0.1:8443 --tls    whatever listens there; GET / must have a page of 5 octets
    Tests/H2Spec/run.py -k 5.1 -v                    cases whose number or sentence matches, each with its outcome

The last line is "N passed, N failed" (", N skipped" where a case does not apply to the server).
"""

import argparse
import concurrent.futures
import json
import re
import sys
import time

import cases_generic  # noqa: F401  the tables register their rows when imported, in the list's order
import cases_connection  # noqa: F401
import cases_frames  # noqa: F401
import cases_messages  # noqa: F401
import cases_hpack  # noqa: F401
from h2raw import DATA, HEADERS, Connection, Failed, Skipped, Target
from rows import ROWS, check_complete
from servers import SERVERS, origin


def run_row(row, target):
    """("passed" | "failed" | "skipped", why)."""
    connection = None
    try:
        connection = Connection(target)
        if row.handshake:
            connection.handshake()
        row.send(connection)
        row.judge(connection)
        return "passed", ""
    except Failed as found:
        return "failed", str(found)
    except Skipped as found:
        return "skipped", str(found)
    except OSError as found:
        return "failed", f"no connection: {found}"
    finally:
        if connection:
            connection.close()


def speaks_http2(target) -> str:
    """Empty when a page comes; otherwise why no case can be run."""
    try:
        connection = Connection(target).handshake().headers()
        first, length = None, 0
        for event in connection.events():
            first = first or (event if event.kind == HEADERS else None)
            length += event.length if event.kind == DATA else 0
            if not isinstance(event.kind, str) and event.kind in (DATA, HEADERS) and event.ends_stream:
                break
        connection.close()
    except (Failed, OSError) as found:
        return f"{target} does not speak HTTP/2: {found}"
    if first is None or length < 5:
        return f"{target}: GET {target.path} must be answered with a body of 5 octets at least, not {length}"
    return ""


def run_target(target, rows, options):
    """Outcomes by number. All cases have connections of their own, so they run side by side."""
    problem = speaks_http2(target)
    if problem:
        print(f"FAIL {problem}")
        return {"precondition": ("failed", problem)}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        outcomes = dict(zip([r.number for r in rows], pool.map(lambda r: run_row(r, target), rows)))
    for row in rows:
        outcome, why = outcomes[row.number]
        if outcome == "failed" or options.verbose:
            mark = {"failed": "FAIL", "passed": "ok  ", "skipped": "skip"}[outcome]
            print(f"{mark} {'tls' if target.tls else 'h2c'} {row}{': ' + why if why else ''}", flush=True)
    return outcomes


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", choices=sorted(SERVERS), default="seaway")
    parser.add_argument("--target", metavar="HOST:PORT", help="a server that runs already")
    parser.add_argument("--tls", action="store_true", help="the target speaks TLS and chooses h2 by ALPN")
    parser.add_argument("--strict", action="store_true", help="also what the RFC only recommends (one case)")
    parser.add_argument("--timeout", type=float, default=2.0, metavar="SECONDS", help="for each wait; default 2")
    parser.add_argument("--jobs", type=int, default=16, help="cases at a time; default 16")
    parser.add_argument("--report", action="store_true", help="count, and exit 0 whatever the count")
    parser.add_argument("--json", metavar="FILE", help="write every outcome")
    parser.add_argument("-k", dest="only", metavar="REGEX", default="", help="cases whose number or sentence matches")
    parser.add_argument("-v", "--verbose", action="store_true", help="print cases that pass too")
    return parser.parse_args()


def run_all(rows, options) -> dict:
    if options.target:
        host, _, port = options.target.rpartition(":")
        target = Target(host.strip("[]"), int(port), options.tls, options.timeout)
        return {"tls" if options.tls else "h2c": run_target(target, rows, options)}
    upstream = origin()
    with SERVERS[options.server](upstream.port) as server:
        before = server.pids()
        outcomes = {"tls" if tls else "h2c": run_target(Target("127.0.0.1", port, tls, options.timeout), rows, options)
                    for port, tls in ((server.plain, False), (server.tls, True))}
        if server.pids() != before:
            print(f"FAIL {options.server} ended or was restarted while the cases ran")
            outcomes["process"] = {"alive": ("failed", "")}
    upstream.close()
    return outcomes


def main() -> int:
    options = parse_arguments()
    check_complete()
    rows = [r for r in ROWS if (options.strict or not r.strict) and re.search(options.only, str(r))]
    if not rows:
        print(f"no case matches {options.only!r}")
        return 2
    started = time.monotonic()
    outcomes = run_all(rows, options)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"server": options.target or options.server, "outcomes": outcomes}, file, indent=1)
    counts = {}
    for kind, found in outcomes.items():
        tally = [o for o, _ in found.values()]
        counts[kind] = {o: tally.count(o) for o in ("passed", "failed", "skipped")}
        print(f"{options.target or options.server} {kind}: {counts[kind]['passed']} of {len(tally)}")
    passed, failed, skipped = (sum(c[o] for c in counts.values()) for o in ("passed", "failed", "skipped"))
    print(f"{len(rows)} cases in {time.monotonic() - started:.1f} s")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 0 if options.report or not failed else 1


if __name__ == "__main__":
    sys.exit(main())
