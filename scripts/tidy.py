#!/usr/bin/env python3
"""The rules that the compiler does not know: import arrows, purity, no traps on untrusted bytes, file heads.

Prints every finding as file:line: rule, and exits 1 when there is one. `--self-test` shows that each rule bites.
"""

import pathlib
import re
import sys
import tempfile

import docs

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Who may import whom. The package manager lets transitive imports through, so the arrows of the
# architecture are kept here. A module that is missing from this table is a finding too.
SYSTEM = {"Glibc", "Synchronization"}
FOUNDATION = {"Foundation", "FoundationEssentials"}
MAY_IMPORT = {
    # Shared by both planes.
    "Bytes": SYSTEM | {"CLinux"},
    "Snapshot": {"Bytes", "CPCRE2", "CLinux", "Synchronization"},
    # Control plane. Compile and Explain are pure, so they get nothing of the system.
    "Model": FOUNDATION | {"Bytes"},
    "Dialects": FOUNDATION | SYSTEM | {"Model", "Bytes", "CYAML", "CPCRE2"},
    "Compile": FOUNDATION | {"Model", "Snapshot", "Bytes", "COpenSSL", "CPCRE2"},
    "Explain": {"Snapshot", "Bytes", "CPCRE2"},
    "Store": FOUNDATION | SYSTEM | {"Model", "CPostgres", "GRDB", "Logging", "Crypto", "Dispatch"},
    "Authority": FOUNDATION | SYSTEM | {
        "Crypto", "SwiftASN1", "X509", "JWTKit", "_CryptoExtras", "CryptoExtras", "Logging",
    },
    "ControlPlane": FOUNDATION | SYSTEM | {
        "Model", "Dialects", "Compile", "Snapshot", "Explain", "Bytes", "Store", "Authority", "Hummingbird",
        "HummingbirdCore", "HummingbirdTLS", "HTTPTypes", "NIOCore", "NIOPosix", "NIOSSL", "NIOFoundationCompat",
        "NIOCertificateReloading",
        "NIOHTTP1", "GRPCCore", "GRPCNIOTransportHTTP2", "GRPCNIOTransportHTTP2Posix", "AsyncHTTPClient", "Logging",
        "Crypto", "X509", "SwiftASN1", "JWTKit", "ServiceLifecycle", "CWeb",
    },
    "seaway": FOUNDATION | SYSTEM | {
        "Store", "Authority", "ControlPlane", "AsyncHTTPClient", "NIOCore", "Logging", "NIOHTTP1",
        "Model", "Dialects", "Compile", "Snapshot", "Explain", "Bytes", "CLinux", "ArgumentParser", "Dispatch",
    },
    # Data plane: no Foundation, nothing of the control plane.
    "Engine": SYSTEM | {"Bytes", "CLinux", "COpenSSL", "CCAres", "CNghttp2"},
    "HTTP": {"Bytes", "Synchronization", "CNghttp2"},
    "Telemetry": SYSTEM | {"Bytes", "HTTP", "Snapshot", "CLinux"},
    "Proxy": SYSTEM | {
        "Bytes", "Snapshot", "Engine", "HTTP", "Telemetry", "CLinux", "COpenSSL", "CPCRE2", "CCAres",
    },
    "seaway-proxy": SYSTEM | {"Proxy", "Engine", "HTTP", "Snapshot", "Telemetry", "Bytes", "CLinux", "COpenSSL"},
}
# Pure modules: same input, same output, whenever and wherever it runs.
PURE = {"Compile", "Explain"}
IMPURE = re.compile(
    r"\b(Date\(|ContinuousClock|SuspendingClock|clock_gettime|gettimeofday|FileManager|FileHandle|fopen\(|"
    r"contentsOfFile|ProcessInfo|getenv|URLSession|SystemRandomNumberGenerator|\.random\(|arc4random|UUID\(\))"
)
# Traps that input could reach. Tests and literals may use them; sources name why with `// tidy:allow <rule>: reason`.
TRAPS = [
    ("try!", re.compile(r"\btry!")),
    ("as!", re.compile(r"\bas!")),
    ("fatalError", re.compile(r"\bfatalError\(")),
    ("force-unwrap", re.compile(r"[\w\)\]\>]!(?![=\w])")),
    ("unowned-unsafe", re.compile(r"\bunowned\(unsafe\)")),
    ("implicitly-unwrapped", re.compile(r":\s*[\w.<>\[\]]+!(?=\s*(=|$|\{))")),
]
UNCHECKED = re.compile(r"-Ounchecked|-assume-single-threaded|-remove-runtime-asserts")
IMPORT = re.compile(
    r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?import\s+"
    r"(?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?([A-Za-z_]\w*)"
)


def code_of(line: str, state: dict) -> str:
    """The line without comments and string contents, so that prose and messages cannot trip a rule."""
    out, i = [], 0
    while i < len(line):
        if state["multiline"]:
            end = line.find('"""', i)
            if end < 0:
                return "".join(out)
            state["multiline"] = False
            i = end + 3
            continue
        if line.startswith('"""', i):
            state["multiline"] = True
            i += 3
            continue
        if line.startswith("//", i):
            break
        # Raw strings end at the quote with as many hash marks as they began with.
        raw = re.match(r'(#+)"', line[i:])
        if raw:
            close = '"' + raw.group(1)
            end = line.find(close, i + len(raw.group(0)))
            i = len(line) if end < 0 else end + len(close)
            out.append('""')
            continue
        if line[i] == '"':
            i += 1
            while i < len(line) and line[i] != '"':
                i += 2 if line[i] == "\\" else 1
            i += 1
            out.append('""')
            continue
        out.append(line[i])
        i += 1
    return "".join(out)


def check_source(module: str, path: pathlib.Path, shown: str) -> list[str]:
    found = []
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    allowed = MAY_IMPORT.get(module)
    if not lines or not lines[0].startswith("// ") or len(lines[0]) < 12:
        found.append(f"{shown}:1: file-head: the first line says in one `//` sentence what the file is for")
    state = {"multiline": False}
    for number, line in enumerate(lines, 1):
        where = f"{shown}:{number}"
        code = code_of(line, state)
        # Memory that cannot be had is no input; there is nothing left to answer with.
        if 'fatalError("out of memory")' in line:
            code = code.replace("fatalError(", "")
        excused = re.findall(r"// tidy:allow ([\w!-]+): \S", line)
        imported = IMPORT.match(code)
        if imported and allowed is not None and imported.group(1) not in allowed and imported.group(1) != "Swift":
            found.append(f"{where}: import: {module} may not import {imported.group(1)} (table in scripts/tidy.py)")
        if module in PURE and IMPURE.search(code):
            found.append(f"{where}: pure: {module} sees no clock, file, environment or randomness")
        for name, pattern in TRAPS:
            if pattern.search(code) and name not in excused:
                found.append(f"{where}: {name}: untrusted input must never reach a trap; return an error instead")
        if UNCHECKED.search(code):
            found.append(f"{where}: unchecked: bounds checks stay on")
    return found


def check_tree(root: pathlib.Path) -> list[str]:
    found = []
    for module in sorted(p for p in (root / "Sources").iterdir() if p.is_dir()):
        swift = sorted(module.rglob("*.swift"))
        if swift and module.name not in MAY_IMPORT:
            found.append(f"Sources/{module.name}:1: import: a new module needs its row in scripts/tidy.py")
        for path in swift:
            found += check_source(module.name, path, str(path.relative_to(root)))
    manifest = root / "Package.swift"
    if manifest.exists() and UNCHECKED.search(manifest.read_text()):
        found.append("Package.swift:1: unchecked: bounds checks stay on")
    return found


def self_test() -> int:
    """Each rule finds its fault in a made-up tree, and nothing in a clean one."""
    clean = '// A file that keeps every rule.\npublic import Bytes\nlet a = "try! it"  // really, try! it\nlet b = !flag\nif a != b {}\n'
    faults = {
        "import": ("Engine", "// A file that imports too much.\nimport Model\n"),
        "file-head": ("HTTP", "import Bytes\n"),
        "pure": ("Compile", "// A file that reads the clock.\nlet now = Date()\n"),
        "try!": ("HTTP", "// A file that tries its luck.\nlet a = try! f()\n"),
        "as!": ("HTTP", "// A file that casts blindly.\nlet a = b as! C\n"),
        "fatalError": ("HTTP", '// A file that gives up.\nfatalError("x")\n'),
        "force-unwrap": ("HTTP", "// A file that unwraps.\nlet a = b!\nlet c = d[0]!.e\n"),
        "implicitly-unwrapped": ("HTTP", "// A file with a late value.\nvar a: Int! = nil\n"),
        "unchecked": ("HTTP", "// A file that turns checks off.\nlet flags = [-Ounchecked]\n"),
    }
    bad = []
    with tempfile.TemporaryDirectory() as name:
        for rule, (module, text) in faults.items():
            path = pathlib.Path(name) / "x.swift"
            path.write_text(text)
            if not any(f": {rule}: " in f for f in check_source(module, path, "x.swift")):
                bad.append(f"rule {rule} does not bite")
        path.write_text(clean)
        bad += check_source("HTTP", path, "clean.swift")
    bad += docs.self_test()
    print("\n".join(bad) if bad else f"tidy: {len(faults)} rules bite")
    return 1 if bad else 0


def main() -> int:
    if self_test():
        return 1
    found = check_tree(ROOT) + docs.check(ROOT)
    for line in found:
        print(line)
    print(f"tidy: {len(found)} finding{'' if len(found) == 1 else 's'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
