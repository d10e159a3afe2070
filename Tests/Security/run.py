#!/usr/bin/env python3
"""Runs the security checklist: one test for each item T-01 to T-33, named by its number.

    Tests/Security/run.py                            Seaway, every item must hold
    Tests/Security/run.py T-26 T-23 -v               some items, with what they measured
    Tests/Security/run.py --server haproxy           another server, for the items that any HTTP/2 server can be asked
    Tests/Security/run.py --write-docs               writes docs/security-tests.md from the results

The last line is "N passed, N failed".
"""

import argparse
import json
import sys
import time
import traceback

import crossing  # noqa: F401  the topics register their items when imported
import floods  # noqa: F401
import framing  # noqa: F401
import identity  # noqa: F401
import path  # noqa: F401
import resource_limits  # noqa: F401
from bench import ITEMS, ROOT, Trial, World
from servers import SERVERS

DOCUMENT = ROOT / "docs/security-tests.md"


def run_item(entry, world) -> dict:
    trial, began = Trial(world), time.monotonic()
    try:
        entry.run(trial)
        if not trial.tried:
            trial.problems.append("nothing was tried")
    except Exception:  # pylint: disable=broad-except
        trial.problems.append(traceback.format_exc(limit=-4).strip())
    return {"number": entry.number, "topic": entry.topic, "what": entry.what, "tried": trial.tried,
            "holds": not trial.problems, "problems": trial.problems, "figures": trial.figures, "notes": trial.notes,
            "seconds": round(time.monotonic() - began, 1)}


def show(result, verbose) -> None:
    if not result["holds"]:
        problems = result["problems"]
        more = f" (and {len(problems) - 12} more)" if len(problems) > 12 else ""
        print(f"FAIL {result['number']} {result['what']}\n     " + "\n     ".join(problems[:12]) + more, flush=True)
    elif verbose:
        print(f"ok   {result['number']} {result['what']}: {result['tried']} tried, {result['seconds']} s", flush=True)
    if verbose:
        for name, value in result["figures"].items():
            print(f"       {name}: {value}", flush=True)


HEAD = """# Security tests

The checklist T-01 to T-33 of [Tests/Security](../Tests/Security/README.md): what each test tries, and what came of it in
the run that wrote this page (`Tests/Security/run.py --write-docs`). Memory is what the proxy's process grew by at its
highest; CPU is what it spent meanwhile; both against the bytes that the attacker sent.

| | tried | spellings | result |
|---|---|---|---|
"""


def document(results) -> str:
    lines = [HEAD.rstrip("\n")]
    for r in results:
        lines.append(f"| {r['number']} | {r['what']} | {r['tried']} | {'holds' if r['holds'] else '**fails**'} |")
    lines += ["", "## Recorded", ""]
    for r in results:
        for name, value in r["figures"].items():
            lines.append(f"- {r['number']} {name}: {value}")
        for note in r["notes"]:
            lines.append(f"- {r['number']}: {note}")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("items", nargs="*", metavar="T-NN", help="default: all")
    parser.add_argument("--server", choices=sorted(SERVERS), default="seaway")
    parser.add_argument("--json", metavar="FILE", help="write every result")
    parser.add_argument("--report", action="store_true", help="count, and exit 0 whatever the count")
    parser.add_argument("--write-docs", action="store_true",
                        help="write docs/security-tests.md; only for a whole run of Seaway")
    parser.add_argument("-v", "--verbose", action="store_true", help="print items that hold too, and what they measured")
    options = parser.parse_args()
    numbers = {e.number for e in ITEMS}
    missing = {f"T-{n:02}" for n in range(1, 34)} - numbers
    if missing:
        print(f"no test for {', '.join(sorted(missing))}")
        return 2
    if unknown := set(options.items) - numbers:
        print(f"no item {', '.join(sorted(unknown))}; there are T-01 to T-33")
        return 2
    chosen = sorted((e for e in ITEMS if (not options.items or e.number in options.items)
                     and (options.server == "seaway" or e.any_server)), key=lambda e: e.number)
    started, results = time.monotonic(), []
    world = World(options.server)
    try:
        for entry in chosen:
            results.append(run_item(entry, world))
            show(results[-1], options.verbose)
    finally:
        world.close()
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"server": options.server, "results": results}, file, indent=1, ensure_ascii=False)
    if options.write_docs:
        if options.items or options.server != "seaway":
            print("--write-docs wants a whole run: leave out the items and --server")
            return 2
        DOCUMENT.write_text(document(results), encoding="utf-8")
    failed = sum(not r["holds"] for r in results)
    print(f"security of {options.server}: {sum(r['tried'] for r in results)} spellings in {time.monotonic() - started:.0f} s")
    print(f"{len(results) - failed} passed, {failed} failed")
    return 0 if options.report or (results and not failed) else 1


if __name__ == "__main__":
    sys.exit(main())
