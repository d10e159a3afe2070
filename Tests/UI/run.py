#!/usr/bin/env python3
"""The web UI in headless Chromium, against a control plane that this starts.

    Tests/UI/run.py                     every case
    Tests/UI/run.py --only 'conflict'   some cases
    Tests/UI/run.py --shots DIR         where screenshots of every page go (default: .build/ui-shots)

Each case is one thing that a person does. Besides what a case says, every page of every case must keep to its own
host and log no error. The last line is "N passed, N failed".
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VENV = ROOT / "Tests/.venv/bin/python"
try:
    import playwright  # noqa: F401
except ImportError:
    if VENV.exists() and not os.environ.get("SEAWAY_UI_VENV"):
        os.environ["SEAWAY_UI_VENV"] = "1"
        os.execv(VENV, [str(VENV), *sys.argv])
    raise SystemExit("playwright is missing: run make deps")

from browser import LOOKS, Visitor, browsers  # noqa: E402
from program import Api, ControlPlane, certificate, programs  # noqa: E402
import cases  # noqa: E402


class World:
    """What all cases share: one control plane, one browser; each case has a context of its own."""

    def __init__(self, base: str, token: str, browser, shots: pathlib.Path):
        self.base, self.token, self.browser, self.shots = base, token, browser, shots
        self.api = Api(base, token)
        self.folder = tempfile.mkdtemp(prefix="seaway-ui-")
        self.opened: list[Visitor] = []

    def visitor(self, look="light", login=True, token=None) -> Visitor:
        assert look in LOOKS
        one = Visitor(self.browser, self.base, look)
        self.opened.append(one)
        if login:
            one.login(token or self.token)
        return one

    def certificate(self, name: str):
        return certificate(self.folder, name)

    def close(self):
        opened, self.opened = self.opened, []
        try:
            for one in opened:
                one.check()
        finally:
            for one in opened:
                one.close()


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--only", default="", help="cases whose name matches this expression")
    arguments.add_argument("--program", default="", help="the seaway to test")
    arguments.add_argument("--shots", default=str(ROOT / ".build/ui-shots"))
    arguments.add_argument("--url", default="", help="a control plane that runs already; its token in SEAWAY_TOKEN")
    asked = arguments.parse_args()
    listed = subprocess.run([sys.executable, str(ROOT / "scripts/web.py"), "--check"], check=False)
    plane = None if asked.url else ControlPlane(asked.program or programs())
    base, token = (asked.url, os.environ.get("SEAWAY_TOKEN", "")) if asked.url else (plane.base, plane.token)
    passed, failed = 0, 1 if listed.returncode else 0
    try:
        with browsers() as browser:
            world = World(base, token, browser, pathlib.Path(asked.shots))
            for case in cases.ALL:
                name = case.__name__.replace("_", " ")
                if not re.search(asked.only, name):
                    continue
                begun = time.monotonic()
                try:
                    try:
                        case(world)
                    except Exception:
                        world.shots.mkdir(parents=True, exist_ok=True)
                        for one in world.opened[-1:]:
                            one.page.screenshot(path=str(world.shots / f"failed {name}.png"))
                        raise
                    finally:
                        world.close()
                    passed += 1
                    print(f"ok    {name} ({time.monotonic() - begun:.1f} s)", flush=True)
                except Exception as error:
                    failed += 1
                    place = traceback.extract_tb(error.__traceback__)
                    line = next((f"{one.name}:{one.lineno}" for one in reversed(place) if one.filename.endswith("cases.py")), "")
                    print(f"FAIL  {name} at {line}: {str(error)[:1500]}", flush=True)
    finally:
        if plane:
            plane.stop()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
