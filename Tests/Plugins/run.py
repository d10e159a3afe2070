#!/usr/bin/env python3
"""Every plugin through the real gateway, by table; and what a table cannot say: limits, ids, reloads.

    python3 Tests/Plugins/run.py [--program .build/release/seaway] [--only TEXT] [-v]
"""

import argparse
import collections
import concurrent.futures
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import tables
from gateway import ROOT, Gateway, Origin

FAILURES = []


def check(name, condition, detail=""):
    if not condition:
        FAILURES.append(name)
        print(f"FAIL {name}: {detail}")


def judge(name, answer, want, reached):
    """One row: everything that is expected, nothing that is not asked for."""
    def same(what, got, expected):
        check(name, got == expected, f"{what} is {got!r}, not {expected!r}")

    if "status" in want:
        same("status", answer.status, want["status"])
    if "message" in want:
        same("message", (answer.json or {}).get("message"), want["message"])
        check(name, re.fullmatch("[0-9a-f]{32}", (answer.json or {}).get("request_id", "")), "no request_id")
    for header, value in want.get("headers", {}).items():
        same(header, answer.header(header), value)
    if "reply" in want:
        same("body", answer.body.decode(), want["reply"])
    if "has" in want:
        check(name, want["has"] in answer.body.decode(), f"body is {answer.body!r}")
    seen = answer.seen or {"headers": {}}
    for header, value in want.get("to_origin", {}).items():
        values = seen["headers"].get(header)
        same(f"{header} at the origin", values[0] if values and len(values) == 1 else values, value)
    for key in ("uri", "method", "body"):
        if key in want:
            same(f"{key} at the origin", seen.get(key), want[key])
    for header, pattern in want.get("matches_to_origin", {}).items():
        value = (seen["headers"].get(header) or [""])[0]
        check(name, re.search(pattern, value), f"{header} is {value!r}")
    if "echoes" in want:
        same(want["echoes"], answer.header(want["echoes"]), (seen["headers"].get(want["echoes"].lower()) or [None])[0])
    if want.get("unreached"):
        check(name, reached == 0, "the origin saw it")


def run_table(program, only, verbose):
    origin = Origin()
    gateway = Gateway(tables.config(origin.server_port), program)
    count = 0
    try:
        for name, request, want in tables.CASES:
            if only and only not in f"{name} {request[1]}":
                continue
            before = origin.seen
            answer = gateway.request(*request)
            failed = len(FAILURES)
            judge(name, answer, want, origin.seen - before)
            count += 1
            if verbose or len(FAILURES) > failed:
                print(f"     {name}: {request[0]} {request[1]} -> {answer.status} {answer.fields} {answer.body[:300]!r}")
        check("chunked at the limit", gateway.request("POST", "/size", body="0123456789", chunked=True).status == 200)
        check("chunked beyond the limit", gateway.request("POST", "/size", body="0123456789a", chunked=True).status == 413)
        answer = gateway.request("POST", "/rt", [tables.JSON], '{"k":1}', chunked=True)
        check("chunked JSON is edited", answer.seen and answer.seen["body"] == '{"k":1,"add":"a","app":["2"]}', answer.body)
        for target in ("/c/../x", "/c/%2e%2e/x", "/c/a/..%2f..", "/c/a/%2e%2e"):
            answer = gateway.request("GET", target)
            uri = (answer.seen or {}).get("uri", "")
            check("templates make no dot segments", answer.status in (400, 404) or ".." not in uri.split("/"), f"{target} -> {uri}")
        ids = [gateway.request("GET", "/id").header("Kong-Request-ID") for _ in range(200)]
        check("ids are unique across workers", len(set(ids)) == 200)
    finally:
        gateway.stop()
    return count + 9


def limited(origin, *routes, **config):
    """A configuration whose routes have one rate limit each."""
    return {"_format_version": "3.0", "consumers": tables.CONSUMERS, "services": [{
        "name": "limited", "id": "44444444-4444-4444-8444-444444444444", "url": f"http://127.0.0.1:{origin.server_port}",
        "routes": [dict({"paths": [f"/{name}"], "name": name}, plugins=plugins) for name, plugins in routes], **config}]}


def minute_with_time_left(seconds=25):
    """Waits for a minute in which the next checks fit."""
    left = 60 - time.time() % 60
    if left < seconds:
        time.sleep(left + 0.1)


def run_limits(program):
    def rate(**config):
        return {"name": "rate-limiting", "config": dict({"policy": "local"}, **config)}

    origin = Origin()
    key = {"name": "key-auth"}
    routes = [
        ("exact", [rate(minute=500)]), ("three", [rate(minute=3, hour=5)]),
        ("quiet", [rate(minute=1, hide_client_headers=True, error_code=420, error_message='calm "down"')]),
        ("consumer", [key, rate(minute=2)]), ("credential", [key, rate(minute=2, limit_by="credential")]),
        ("header", [rate(minute=1, limit_by="header", header_name="X-Tenant")]),
        ("path", [rate(minute=1, limit_by="path", path="/path/x")]),
        ("service", [rate(minute=1, limit_by="service")]),
    ]
    gateway = Gateway(limited(origin, *routes), program, workers=4)
    try:
        minute_with_time_left()
        # Exact across workers: 1,000 requests on 32 connections, 500 may pass.
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(lambda _: gateway.request("GET", "/exact"), range(1000)))
        statuses = collections.Counter(a.status for a in answers)
        check("exact under concurrency", statuses == {200: 500, 429: 500}, statuses)
        check("each place is given once", sorted(int(a.header("X-RateLimit-Remaining-Minute")) for a in answers if a.status == 200) == list(range(500)))
        check("rejected requests reach nothing", origin.seen == 500, origin.seen)

        first = gateway.request("GET", "/three")
        check("limits are told", [first.header(f"X-RateLimit-{h}") for h in ("Limit-Minute", "Remaining-Minute", "Limit-Hour", "Remaining-Hour")] == ["3", "2", "5", "4"], first.fields)
        check("the tightest is told", [first.header(f"RateLimit-{h}") for h in ("Limit", "Remaining")] == ["3", "2"], first.fields)
        check("the reset is told", 1 <= int(first.header("RateLimit-Reset")) <= 60 and first.header("Retry-After") is None, first.fields)
        check("within the limit", [gateway.request("GET", "/three").status for _ in range(3)] == [200, 200, 429])
        last = gateway.request("GET", "/three")
        check("refusal", last.status == 429 and last.json["message"] == "API rate limit exceeded" and last.json["request_id"], last.body)
        check("refusal's fields", last.header("X-RateLimit-Remaining-Minute") == "0" and last.header("X-RateLimit-Remaining-Hour") == "2"
              and last.header("Retry-After") == last.header("RateLimit-Reset"), last.fields)

        gateway.request("GET", "/quiet")
        quiet = gateway.request("GET", "/quiet")
        check("own code and message", quiet.status == 420 and quiet.json["message"] == 'calm "down"', quiet.body)
        check("hidden fields", quiet.header("Retry-After") is None and quiet.header("RateLimit-Limit") is None, quiet.fields)

        for name in ("consumer", "credential"):
            used = [gateway.request("GET", f"/{name}", [("apikey", k)]).status for k in ("alice-key",) * 3 + ("bob key+",) * 2]
            check(f"by {name}", used == [200, 200, 429, 200, 200], used)
        tenants = [gateway.request("GET", "/header", [("X-Tenant", t)] if t else []).status for t in ("a", "a", "b", "127.0.0.1", None, None)]
        check("by header, else by address", tenants == [200, 429, 200, 200, 200, 429], tenants)
        paths = [gateway.request("GET", p).status for p in ("/path/x", "/path/x", "/path/y", "/path/z")]
        check("by path, else by address", paths == [200, 429, 200, 429], paths)
        check("by service", [gateway.request("GET", "/service").status for _ in range(2)] == [200, 429])

        # Counts outlive the configuration that made them.
        ids = {"id": "55555555-5555-4555-8555-555555555555"}
        config = limited(origin, ("kept", [rate(minute=5)]))
        config["services"][0]["routes"][0].update(ids)
        gateway.reload(config)
        before = [gateway.request("GET", "/kept").status for _ in range(3)]
        check("before the reload", before == [200] * 3, before)
        config["services"][0]["routes"][0]["plugins"] = [rate(minute=4)]
        gateway.reload(config)
        after = [gateway.request("GET", "/kept").status for _ in range(2)]
        check("counts survive a reload, with the new limit", after == [200, 429], after)
    finally:
        gateway.stop()
    return 18


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--program", type=pathlib.Path, default=ROOT / ".build/release/seaway")
    arguments.add_argument("--only", help="rows whose name or target holds this text")
    arguments.add_argument("-v", "--verbose", action="store_true")
    options = arguments.parse_args()
    count = run_table(options.program.resolve(), options.only, options.verbose)
    if not options.only:
        count += run_limits(options.program.resolve())
    print(f"{count} checks, {len(set(FAILURES))} failed")
    return 1 if FAILURES else 0


if __name__ == "__main__":
    sys.exit(main())
