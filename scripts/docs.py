#!/usr/bin/env python3
"""What the documents promise, held against the sources. Run by scripts/tidy.py.

1. docs/life-of-*.md, docs/ARCHITECTURE.md: every `File.swift`, `Type.member`, `function()` and `TypeName` in backticks exists in Sources,
   and ARCHITECTURE.md names every module.
2. docs/rejections.md: every fault of requests, responses, HTTP/2 sessions and connections has its row, and every row its fault.
3. docs/settings.md: every field of Settings and every flag of `seaway gateway run` stands there.
4. docs/snapshot.proto: what Sources/Snapshot says (scripts/proto.py).
5. Links between documents lead somewhere.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

TICKS = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def sources(root: pathlib.Path) -> dict[pathlib.Path, str]:
    return {p: p.read_text() for p in sorted((root / "Sources").rglob("*")) if p.suffix in (".swift", ".c", ".h")}


def declares_type(text: str, name: str) -> bool:
    return re.search(rf"\b(class|struct|enum|protocol|extension|typealias|actor) (?:\w+\.)*{name}\b", text) is not None


def declares_member(text: str, name: str) -> bool:
    if name == "init":
        return "init(" in text or "init?(" in text
    return re.search(rf"\b(func|var|let|static let) `?{name}\b|\bcase [^:\n]*\b{name}\b", text) is not None


def missing_name(token: str, files: dict[pathlib.Path, str]) -> str | None:
    """Why `token` names nothing in the sources; None if it does, or is no name of code at all."""
    if token.endswith(".swift"):
        return None if any(str(p).endswith("/" + token) for p in files) else "no such file"
    function = re.fullmatch(r"(?:([A-Z]\w*)\.)?(\w+)\(\)", token)
    member = re.fullmatch(r"([A-Z]\w*)\.(\w+)", token)
    if function or member:
        found = function or member
        owner, name = found.group(1), found.group(2)
        if owner is None:
            return None if any(re.search(rf"\bfunc `?{name}\b", t) for t in files.values()) else "no such function"
        if not any(declares_type(t, owner) for t in files.values()):
            return f"no type {owner}"
        near = [t for t in files.values() if declares_type(t, owner)]
        return None if any(declares_member(t, name) for t in near) else f"{owner} has no {name}"
    # Names of two words and more: `Host` or `Via` may be a field of HTTP, `RouteTable` is ours.
    if re.fullmatch(r"[A-Z]+[a-z]\w*[A-Z]\w*", token):
        return None if any(declares_type(t, token) for t in files.values()) else "no such type"
    return None


def check_names(root: pathlib.Path, files: dict[pathlib.Path, str]) -> list[str]:
    found = []
    for path in [*sorted((root / "docs").glob("life-of-*.md")), root / "docs/ARCHITECTURE.md"]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for token in TICKS.findall(line):
                why = missing_name(token, files)
                if why:
                    found.append(f"docs/{path.name}:{number}: stale-name: `{token}`: {why}")
    page = (root / "docs/ARCHITECTURE.md").read_text()
    for module in sorted(p.name for p in (root / "Sources").iterdir() if p.is_dir()):
        if not re.search(rf"(?<![\w-]){module}(?![\w-])", page):
            found.append(f"docs/ARCHITECTURE.md:1: stale-name: the module {module} is not on the page")
    return found


def fault_names(root: pathlib.Path) -> set[str]:
    text = (root / "Sources/HTTP/MessageHead.swift").read_text()
    request = text.split("enum RequestFault")[1].split("public enum ")[0]
    request += (root / "Sources/HTTP/HTTP2/HTTP2Code.swift").read_text()
    names = set(re.findall(r'case \.\w+: "(\w+)"', request))
    response = text.split("enum ResponseFault")[1].split("\npublic ")[0]
    names |= {snake(n) for n in re.findall(r"^\s+case (\w+)$", response, re.M)}
    connections = root / "Sources/Telemetry/WorkerMetrics.swift"
    if connections.exists():
        refusals = connections.read_text().split("enum ConnectionRefusal")[1].split("\n}\n")[0]
        names |= set(re.findall(r'case \.\w+: "(\w+)"', refusals))
    return names


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def check_rejections(root: pathlib.Path) -> list[str]:
    page = root / "docs/rejections.md"
    if not page.exists():
        return ["docs/rejections.md:1: rejections: missing"]
    listed = set(re.findall(r"^\| `(\w+)` \|", page.read_text(), re.M))
    names = fault_names(root)
    return [f"docs/rejections.md:1: rejections: {n} has no row" for n in sorted(names - listed)] + [
        f"docs/rejections.md:1: rejections: {n} is no fault any more" for n in sorted(listed - names)
    ]


def check_settings(root: pathlib.Path) -> list[str]:
    page = root / "docs/settings.md"
    if not page.exists():
        return ["docs/settings.md:1: settings: missing"]
    text = page.read_text()
    settings = (root / "Sources/Snapshot/Listener.swift").read_text().split("struct Settings")[1].split("init()")[0]
    found = [
        f"docs/settings.md:1: settings: Settings.{name} is not on the page"
        for name in re.findall(r"public var (\w+)", settings)
        if f"`{name}`" not in text
    ]
    folder = root / "Sources/seaway/Gateway"
    options = (folder / "SettingsOptions.swift").read_text() + (folder / "GatewayRun.swift").read_text()
    # An attribute, its arguments up to the closing line, and the property it is for.
    for attribute, name in re.findall(r"@(?:Option|Flag)\((.*?)\)\n\s+var (\w+)", options, re.S):
        flag = "--" + snake(name).replace("_", "-")
        if "visibility: .hidden" not in attribute and f"`{flag}" not in text:
            found.append(f"docs/settings.md:1: settings: {flag} is not on the page")
    return found


def check_schema(root: pathlib.Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, str(root / "scripts/proto.py"), "--check"], capture_output=True, text=True)
    return (done.stdout + done.stderr).splitlines() if done.returncode else []


def check_links(root: pathlib.Path) -> list[str]:
    found = []
    for path in [*sorted(root.glob("*.md")), *sorted((root / "docs").rglob("*.md"))]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for target in LINK.findall(line):
                if "://" not in target and not (path.parent / target).exists():
                    found.append(f"{path.relative_to(root)}:{number}: dead-link: {target}")
    return found


def check(root: pathlib.Path) -> list[str]:
    files = sources(root)
    return check_names(root, files) + check_rejections(root) + check_settings(root) + check_schema(root) + check_links(root)


def self_test() -> list[str]:
    """What is wrong with the rules themselves, on a made-up tree."""
    bad = []
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        (root / "Sources/A").mkdir(parents=True)
        (root / "docs").mkdir()
        (root / "Sources/A/Door.swift").write_text("struct DoorBell {\n    func ring() {}\n    case low, high\n}\n")
        files = sources(root)
        for good in ["Door.swift", "A/Door.swift", "DoorBell.ring", "ring()", "DoorBell.high", "DoorBell", "Host", "--flag"]:
            if missing_name(good, files):
                bad.append(f"rule stale-name takes `{good}` for stale")
        for stale in ["Window.swift", "DoorBell.knock", "knock()", "WindowPane", "WindowPane.open"]:
            if not missing_name(stale, files):
                bad.append(f"rule stale-name overlooks `{stale}`")
        (root / "docs/a.md").write_text("[here](a.md) [there](b.md)\n")
        if check_links(root) != ["docs/a.md:1: dead-link: b.md"]:
            bad.append("rule dead-link does not bite")
    return bad


if __name__ == "__main__":
    problems = self_test() + check(pathlib.Path(__file__).resolve().parent.parent)
    print("\n".join(problems) if problems else "docs: they say what the sources say")
    sys.exit(1 if problems else 0)
