#!/usr/bin/env python3
"""Lists the files of web/ in Sources/CWeb/Files.h, which compiles them into `seaway`. `--check` only compares."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIST = ROOT / "Sources/CWeb/Files.h"
KINDS = {".html", ".css", ".js", ".svg"}


def files() -> list[str]:
    web = ROOT / "web"
    return sorted(str(path.relative_to(web)) for path in web.rglob("*") if path.suffix in KINDS)


def text(names: list[str]) -> str:
    lines = ["// Written by scripts/web.py: every file of web/.", ""]
    for index, name in enumerate(names):
        lines += [f"static const unsigned char file_{index}[] = {{", f'#embed "../../web/{name}"', "};"]
    lines += ["", "static const struct file files[] = {"]
    lines += [f'    {{"{name}", file_{index}, sizeof file_{index}}},' for index, name in enumerate(names)]
    return "\n".join(lines + ["};", ""])


def main() -> int:
    wanted = text(files())
    if LIST.exists() and LIST.read_text() == wanted:
        return 0
    if "--check" in sys.argv[1:]:
        print("web: Sources/CWeb/Files.h does not list the files of web/: run python3 scripts/web.py")
        return 1
    LIST.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
