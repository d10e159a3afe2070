#!/usr/bin/env python3
"""Who may do what, on both APIs of a real control plane; and the Resource API itself.

    python3 Tests/Access/run.py [--program .build/release/seaway] [--only refusals|resources|streams|login|contract]
"""

import argparse
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PYTHON = ROOT / "Tests/.venv/bin/python3"
sys.path[:0] = [str(HERE), str(HERE.parent / "Admin")]
TOPICS = ("refusals", "resources", "streams", "login", "contract_v1")

# The packages of `make deps` live in an environment of their own.
if PYTHON.exists() and pathlib.Path(sys.prefix).resolve() != PYTHON.parent.parent.resolve():
    os.execv(PYTHON, [str(PYTHON), __file__, *sys.argv[1:]])

FAILURES = []
CHECKED = 0


def check(name, condition, detail=""):
    global CHECKED
    CHECKED += 1
    if not condition:
        FAILURES.append(name)
        print(f"FAIL {name}: {detail}")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default=str(ROOT / ".build/release/seaway"))
    parser.add_argument("--only", choices=TOPICS)
    options = parser.parse_args()
    for name in TOPICS:
        if options.only not in (None, name):
            continue
        before = CHECKED
        __import__(name).test(options.program, check)
        print(f"access: {name}: {CHECKED - before} checks")
    print(f"access: {CHECKED} checks, {len(FAILURES)} failed")
    return 1 if FAILURES else 0


if __name__ == "__main__":
    raise SystemExit(main())
