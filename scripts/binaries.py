#!/usr/bin/env python3
"""Looks at the built programs: what seaway-proxy may link, and how large both may be.

A proxy sits beside every service, so its size counts: full Foundation alone would add some 50 MB.
"""

import pathlib
import re
import subprocess
import sys

# Shared libraries that seaway-proxy may need at run time. The Swift runtime is linked in.
PROXY_LIBRARIES = {
    "libc", "libm", "libstdc++", "libgcc_s", "ld-linux-x86-64", "ld-linux-aarch64", "libpthread", "libdl",
    "libssl", "libcrypto", "libpcre2-8", "libcares", "libnghttp2", "libz",
}
# Bytes on disk, debug information left out. Raise one only with the reason in the commit.
STRIPPED_LIMIT = {"seaway-proxy": 16_000_000, "seaway": 115_000_000}


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def loaded_size(program: pathlib.Path) -> int:
    """The bytes of the sections that are loaded into memory, as `size` counts them."""
    return int(run("size", "-B", str(program)).splitlines()[1].split()[3])


def main() -> int:
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".build/release")
    bad = []
    for name, limit in STRIPPED_LIMIT.items():
        program = folder / name
        if not program.exists():
            bad.append(f"{program} is not built")
            continue
        size = loaded_size(program)
        print(f"binaries: {name}: {size / 1e6:.1f} MB loaded, {program.stat().st_size / 1e6:.1f} MB on disk")
        if size > limit:
            bad.append(f"{name} is {size / 1e6:.1f} MB, over its limit of {limit / 1e6:.1f} MB")
    proxy = folder / "seaway-proxy"
    if proxy.exists():
        needed = re.findall(r"NEEDED\s+(\S+)", run("objdump", "-p", str(proxy)))
        for library in needed:
            if library.split(".so")[0].rstrip("-0123456789.") not in {x.rstrip("-0123456789.") for x in PROXY_LIBRARIES}:
                bad.append(f"seaway-proxy needs {library}, which is not on its list")
        symbols = run("nm", str(proxy))
        # $s10Foundation… and $s20FoundationEssentials…: mangled names of modules begin with their length.
        foreign = re.search(r"\$s(10Foundation[A-Z]|20FoundationEssentials|3NIO|14SwiftProtobuf)", symbols)
        if foreign:
            bad.append(f"seaway-proxy links {foreign.group(1).lstrip('0123456789')}")
    for line in bad:
        print(f"binaries: {line}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
