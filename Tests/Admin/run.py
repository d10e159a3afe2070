#!/usr/bin/env python3
"""The Admin API of a real control plane, asked by table, by other people's clients and by its own description.

    python3 Tests/Admin/run.py [--program .build/release/seaway] [--only behaviours|clients|sync|contract]
"""

import argparse
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PYTHON = ROOT / "Tests/.venv/bin/python3"
sys.path.insert(0, str(HERE))

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
    parser.add_argument("--only", choices=["behaviours", "clients", "sync", "contract"])
    options = parser.parse_args()
    from control_plane import ControlPlane

    for name in ("behaviours", "clients", "sync", "contract"):
        if options.only not in (None, name):
            continue
        before = CHECKED
        with ControlPlane(options.program) as plane:
            __import__(name).test(plane, check)
            check(f"{name}: the control plane is still there", plane.process.poll() is None, "".join(plane.lines[-20:]))
        print(f"admin: {name}: {CHECKED - before} checks")
    print(f"admin: {CHECKED} checks, {len(FAILURES)} failed")
    return 1 if FAILURES else 0


if __name__ == "__main__":
    raise SystemExit(main())
