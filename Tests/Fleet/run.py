#!/usr/bin/env python3
"""Control planes and gateways together: failures, selection, monitoring, and a newcomer's first minutes.

    python3 Tests/Fleet/run.py [--program .build/release/seaway] [--only selection|rollout|observe|failures|newcomer]
"""

import argparse
import pathlib
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))
TOPICS = ("selection", "rollout", "observe", "failures", "newcomer")

FAILURES = []
CHECKED = 0


def check(name, condition, detail=""):
    global CHECKED
    CHECKED += 1
    if not condition:
        FAILURES.append(name)
        print(f"FAIL {name}: {detail}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default=str(ROOT / ".build/release/seaway"))
    parser.add_argument("--only", choices=TOPICS)
    options = parser.parse_args()
    for name in TOPICS:
        if options.only not in (None, name):
            continue
        before, start = CHECKED, time.monotonic()
        module = __import__(name)
        steps = [value for key, value in vars(module).items() if key in getattr(module, "STEPS", ())] or [module.test]
        for step in steps:
            try:
                step(options.program, check)
            except Exception:
                check(f"{name}.{step.__name__}", False, traceback.format_exc(limit=6))
        print(f"fleet: {name}: {CHECKED - before} checks in {time.monotonic() - start:.0f} s", flush=True)
    print(f"fleet: {CHECKED} checks, {len(FAILURES)} failed")
    return 1 if FAILURES else 0


if __name__ == "__main__":
    raise SystemExit(main())
