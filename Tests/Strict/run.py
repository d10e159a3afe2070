#!/usr/bin/env python3
"""Runs the strictness tables against one proxy: raw bytes in, a recording origin behind.

    Tests/Strict/run.py --proxy seaway              every row must hold
    Tests/Strict/run.py --proxy nginx --report      how many of the rules another proxy keeps
    Tests/Strict/run.py --only 'T-05|bare LF' -v    some rows, each with what was seen

The last line is "N passed, N failed".
"""

import argparse
import collections
import json
import re
import sys
import time

import replies_table  # noqa: F401  the tables register their rows when imported
import requests_table  # noqa: F401
import scripts_table
from proxies import PROXIES
from rows import ROWS, check_unique, request
from scripts_table import probe, serve, silent
from wire import Malformed, Rig, read_messages

# Long enough for a proxy that thinks; only a row that fails waits for it.
PATIENCE = 1.2


def answers(rig, methods):
    return read_messages(rig.received, methods=methods, ended=rig.client_ended)[0]


def run_reject(rig, row):
    rig.start_row(serve)
    rig.connect()

    def refused_or_served() -> bool:
        if rig.client_ended:
            return True
        # A proxy that serves the request will not close: no need to wait until it might.
        return rig.received.startswith((b"HTTP/1.1 2", b"HTTP/1.0 2")) and rig.received.endswith(b"ok")

    for segment in row.send:
        rig.send(segment)
    rig.pump(refused_or_served, PATIENCE)
    rig.pump(lambda: False, 0)
    upstream = rig.upstream_bytes()
    if upstream:
        complete = [m for _, m in rig.upstream_requests() if m.complete]
        if complete or not row.partial:
            return f"reached the origin: {upstream[:90]!r}"
        rig.pump(lambda: all(u.ended for u in rig.upstreams if u.data), 0.3)
        if any(not u.ended for u in rig.upstreams if u.data):
            return "a part of the body reached the origin, and its connection was left open"
    if not rig.received:
        if rig.client_ended and row.reset:
            return None
        return "closed without an answer" if rig.client_ended else "no answer"
    messages = answers(rig, ["GET"])
    if not messages:
        return f"not an answer: {rig.received[:60]!r}"
    if messages[0].status not in row.statuses:
        return f"answered {messages[0].status}, not {'/'.join(map(str, sorted(row.statuses)))}"
    if len(messages) > 1:
        return f"answered {len(messages)} times"
    if not rig.client_ended:
        return f"answered {messages[0].status} but left the connection open"
    return None


def field_problem(has, lacks, message) -> str:
    for name, value in has.items():
        found = message.all(name)
        if not found or (value is not None and value not in found):
            return f"{name} is {found or 'missing'}, not {value!r}"
    for name in lacks:
        if message.all(name):
            return f"{name} arrived: {message.all(name)}"
    return ""


def special_problem(row, messages) -> str:
    for _, message in messages:
        lines = message.fields + message.trailers
        if "no-trailer" in row.has and any(n.lower() == row.has["no-trailer"].lower().encode() for n, _ in message.trailers):
            return f"the trailer {row.has['no-trailer']} arrived"
        if "no-spoof" in row.has and any(row.has["no-spoof"].encode() in v for _, v in lines):
            return f"the client's value arrived: {[n for n, v in lines if row.has['no-spoof'].encode() in v]}"
        if "last-hop" in row.has:
            value = ",".join(message.all("X-Forwarded-For"))
            if value.split(",")[-1].strip() != row.has["last-hop"]:
                return f"X-Forwarded-For is {value!r}"
    return ""


def run_forward(rig, row):
    rig.start_row(serve)
    rig.connect()
    for segment in row.send:
        rig.send(segment)
        rig.pump(lambda: False, 0.0005)
    methods = [s.method for s in row.seen]

    def all_answered() -> bool:
        if rig.client_ended:
            return True
        return rig.received.count(b"\r\n\r\n") >= len(methods) and len(answers(rig, methods)) >= len(methods) and all(
            m.complete for m in answers(rig, methods))

    rig.pump(all_answered, PATIENCE)
    # Whatever else it might send upstream (a request too many) it would send now.
    rig.pump(lambda: False, 0.002)
    replies = answers(rig, methods)
    requests = rig.upstream_requests()
    if [m.status for m in replies] != [200] * len(methods):
        return f"the client got {[m.status for m in replies] or rig.received[:60]}, not {len(methods)} × 200"
    if len(requests) != len(row.seen):
        return f"the origin saw {len(requests)} requests, not {len(row.seen)}"
    if len({n for n, _ in requests}) > 1:
        order = {m.target: i for i, (_, m) in enumerate(requests)}
        requests.sort(key=lambda pair: next((i for i, s in enumerate(row.seen) if s.target == pair[1].target), order[pair[1].target]))
    for want, (_, message) in zip(row.seen, requests):
        if not message.complete:
            return "the origin saw an unfinished request"
        got = (message.method, message.target, message.body)
        if got != (want.method, want.target, want.body):
            return f"the origin saw {got!r:.150}"
        if problem := field_problem(want.has, want.lacks, message):
            return problem
    return special_problem(row, requests) or None


def ask(rig, row):
    """Sends the row's request, lets the origin give the row's reply, and says which connection that was."""
    rig.start_row(silent)
    rig.connect()
    rig.send(request(row.method, "/ask"))
    up = scripts_table.wait_for_request(rig, b"/ask")
    if up is None:
        return None
    for segment in row.reply:
        if segment:
            up.send(segment)
            rig.pump(lambda: False, 0.0005)
    if row.reply_ends:
        up.close()
    return up


def settled(rig, row) -> bool:
    """The client has a whole answer, or the end of its connection."""
    if rig.client_ended:
        return True
    try:
        messages = answers(rig, [row.method])
    except Malformed:
        return False
    return bool(messages) and messages[0].complete


def run_bad_reply(rig, row):
    up = ask(rig, row)
    if up is None:
        return "the request did not reach the origin"
    rig.pump(lambda: settled(rig, row), PATIENCE)
    messages = answers(rig, [row.method])
    if messages and messages[0].complete and messages[0].status != 502:
        return f"passed on as {messages[0].status} {messages[0].body[:30]!r}"
    if not messages and not rig.client_ended:
        return "no answer"
    if messages and not messages[0].complete and not rig.client_ended:
        return "an unfinished answer, and the connection left open"
    return probe(rig, up.number)


def run_good_reply(rig, row):
    up = ask(rig, row)
    if up is None:
        return "the request did not reach the origin"
    rig.pump(lambda: settled(rig, row), PATIENCE)
    messages, _, rest = read_messages(rig.received, methods=[row.method], ended=rig.client_ended)
    has = {k: v for k, v in row.has.items() if k not in ("or-502", "no-reuse")}
    if len(messages) != 1 or not messages[0].complete:
        return f"the client got {rig.received[:80]!r}"
    if rest:
        return f"bytes after the answer: {rest[:40]!r}"
    refused = "or-502" in row.has and messages[0].status == 502
    if not refused:
        if (messages[0].status, messages[0].body) != (row.status, row.body):
            return f"the client got {messages[0].status} {messages[0].body[:40]!r}"
        if problem := field_problem(has, row.lacks, messages[0]):
            return problem
    return probe(rig, up.number if "no-reuse" in row.has or row.reply_ends else None)


RUNNERS = {"reject": run_reject, "forward": run_forward, "bad-reply": run_bad_reply, "good-reply": run_good_reply,
           "script": lambda rig, row: row.script(rig)}


def run_row(rig, row):
    try:
        problem = RUNNERS[row.kind](rig, row)
    except Malformed as found:
        problem = f"malformed on the wire: {found}"
    except OSError as found:
        problem = f"no connection to the proxy: {found}"
    rig.hang_up()
    if problem:
        # What a failed row left under way must not be counted against the next.
        rig.responder = serve
        rig.pump(lambda: False, 0.03)
    return problem


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proxy", choices=sorted(PROXIES), default="seaway")
    parser.add_argument("--only", metavar="REGEX", default="", help="rows whose name matches")
    parser.add_argument("--group", action="append", choices=["framing", "identity", "slow", "slow-tls"], help="default: all that apply")
    parser.add_argument("--report", action="store_true", help="count, and exit 0 whatever the count")
    parser.add_argument("--json", metavar="FILE", help="write every row's outcome")
    parser.add_argument("-v", "--verbose", action="store_true", help="print rows that hold too")
    return parser.parse_args()


def main() -> int:
    options = parse_arguments()
    check_unique()
    rig = Rig()
    proxy = PROXIES[options.proxy](rig.port)
    groups = options.group or ["framing", "identity"] + (
        ["slow"] if proxy.stall_seconds else []) + (["slow-tls"] if proxy.stall_seconds and proxy.https else [])
    rows = [r for r in ROWS if r.group in groups and re.search(options.only, r.id)]
    if not rows:
        print(f"no row matches {options.only!r}")
        return 2
    rig.proxy_port, rig.tls_port, rig.stall_seconds = proxy.port, proxy.https, proxy.stall_seconds
    started = time.monotonic()
    outcomes, slowest = {}, []
    proxy.start()
    try:
        for row in rows:
            began = time.monotonic()
            problem = run_row(rig, row)
            slowest.append((time.monotonic() - began, row.id))
            if not proxy.alive():
                problem = f"the proxy ended ({problem})"
            outcomes[row.id] = problem
            if problem or options.verbose:
                print(f"{'FAIL' if problem else 'ok  '} {row.id}{': ' + problem if problem else ''}")
            if not proxy.alive():
                print(f"the proxy exited with {proxy.process.returncode}; it had said:\n{proxy.output()}")
                break
    finally:
        proxy.stop()
    failed = [i for i, p in outcomes.items() if p]
    by_test = collections.Counter(r.test for r in rows)
    failed_by_test = collections.Counter(i.split(" ")[0] for i in failed)
    print("  ".join(f"{t} {n - failed_by_test[t]}/{n}" for t, n in sorted(by_test.items())))
    if options.verbose:
        print("slowest:", *[f"{s:.2f} s {i}" for s, i in sorted(slowest, reverse=True)[:5]], sep="\n  ")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"proxy": options.proxy, "rows": outcomes}, file, indent=1, ensure_ascii=False)
    print(f"strictness of {options.proxy}: {len(rows)} rows in {time.monotonic() - started:.1f} s")
    print(f"{len(outcomes) - len(failed)} passed, {len(failed) + len(rows) - len(outcomes)} failed")
    return 0 if options.report or (not failed and len(outcomes) == len(rows)) else 1


if __name__ == "__main__":
    sys.exit(main())
