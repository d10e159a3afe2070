#!/usr/bin/env python3
"""Writes docs/snapshot.proto and docs/gateways.proto from the types in Sources/Snapshot that travel: one source.

    scripts/proto.py           rewrite the schemas
    scripts/proto.py --check   exit 1 if they are not what the sources say (part of `make check`)

A type travels if it is a WireMessage. Its `encode` gives field numbers, its properties give types, names
and comments. The types of the control socket have a schema of their own, docs/control.proto.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = ROOT / "Sources/Snapshot"

SNAPSHOT_HEADER = """\
// A snapshot: everything a proxy runs from. `seaway` sends it over the control socket (control.proto)
// and keeps the last one in effect as `snapshot` in the state directory.
//
// Generated from Sources/Snapshot by scripts/proto.py; `make check` compares. The comments are the
// sources' own, so names in them are Swift's: `Snapshot.caCertificates` is ca_certificates here.
//
// Every scalar is written, defaults included, so that a change of a default in a later version never
// changes what an earlier one sent. A field that a message does not have is absent, and then the
// default noted here holds. Unknown fields are passed over; an unknown number of an enum is refused, and
// so is nesting deeper than 16. Ids are 16 bytes, a UUID in network order. Indices point into the arrays
// of Snapshot; -1 means none. A single field that comes twice has its last value: that is how a revision
// is appended to a snapshot that was compiled before.
syntax = "proto3";
package seaway.snapshot;
"""

GATEWAYS_HEADER = """\
// What control planes and gateways say to each other: gRPC over HTTP/2 and TLS, port 5678 unless configured.
//
// Generated from Sources/Snapshot/Gateways and Delta by scripts/proto.py; `make check` compares. The comments are
// the sources' own, so names in them are Swift's. As in snapshot.proto every scalar is written, and what is not
// there has the default noted here. A snapshot within is bytes: decode them with snapshot.proto.
//
// Join takes any client certificate and a join token. Renew and Stream take a certificate that the control plane's
// authority issued to the gateway and that is neither expired nor revoked.
syntax = "proto3";
package seaway.gateways.v1;

service Gateways {
  rpc Join(JoinRequest) returns (Credentials);
  rpc Renew(RenewRequest) returns (Credentials);
  rpc Stream(stream GatewayMessage) returns (stream ControlPlaneMessage);
}
"""


class Schema:
    """A file, the types it begins with, and where they are declared."""

    def __init__(self, file: str, header: str, roots: list[str], folders: set[str], excluded: bool):
        self.path, self.header, self.roots = ROOT / "docs" / file, header, roots
        self.folders, self.excluded = folders, excluded

    def has(self, path: pathlib.Path) -> bool:
        return (path.parent.name in self.folders) != self.excluded


GATEWAYS = {"Delta", "Gateways"}
SCHEMAS = [
    Schema("snapshot.proto", SNAPSHOT_HEADER, ["Snapshot"], {"Control", "Routing"} | GATEWAYS, excluded=True),
    Schema(
        "gateways.proto", GATEWAYS_HEADER,
        ["JoinRequest", "RenewRequest", "Credentials", "GatewayMessage", "ControlPlaneMessage", "SnapshotDelta",
         "SignedSnapshot"],
        GATEWAYS, excluded=False),
]

SCALARS = {"Int": "sint64", "UInt64": "uint64", "Bool": "bool", "Double": "double", "String": "string", "ID": "bytes"}
DECLARATION = re.compile(r"^(\s*)(?:public )?(?:(?:indirect )?)(struct|enum) (\w+)(?:<[^>]*>)?\s*:?\s*([^{]*)\{(.*)$")
PROPERTY = re.compile(r"^\s*public (?:internal\(set\) )?var `?(\w+)`?(?:: ([\w.\[\]]+\??))?(?: = (.+?))?\s*$")
PUT = re.compile(r"out\.put\((\d+), (?:messages?: )?(?:self\.)?`?(\w+)`?(\.rawValue)?\)")
CASE_PUT = re.compile(r"case \.(\w+)\(let \w+\): out\.put\((\d+), message: ")


class Type:
    def __init__(self, kind: str, name: str, doc: list[str]):
        self.kind, self.name, self.doc = kind, name, doc
        self.properties: dict[str, tuple[str, str, list[str]]] = {}
        self.fields: list[tuple[int, str, bool]] = []
        self.cases: list[tuple[str, int, list[str]]] = []
        self.payloads: dict[str, str] = {}
        self.oneof: list[tuple[str, int]] = []


def snake(name: str) -> str:
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name).lower()


def parse(path: pathlib.Path, types: dict[str, Type]) -> None:
    """Reads the declarations of one file. Depth is counted in braces; the sources are in one format."""
    stack: list[tuple[int, Type | None]] = []
    depth, doc = 0, []
    for raw in path.read_text().splitlines():
        line = raw
        text = line.strip()
        if text.startswith("///"):
            doc.append(text[3:].strip())
            continue
        found = DECLARATION.match(line)
        if found:
            kind, name, bases, rest = found.group(2), found.group(3), found.group(4), found.group(5)
            wanted = "WireMessage" in bases or (kind == "enum" and re.search(r"\bInt\b", bases))
            outer = stack[-1][1].name if stack and stack[-1][1] else ""
            made = Type(kind, name if not outer else outer + name, doc) if wanted else None
            if made:
                made.path = name if not outer else outer + "." + name
                types[made.path] = made
                types.setdefault(name, made)
            doc = []
            if rest.count("}") > rest.count("{"):  # all in one line
                if made:
                    read_cases(rest, made, [])
                continue
            stack.append((depth, made))
        elif stack and stack[-1][1] is not None:
            read_member(line, text, stack[-1][1], doc)
        if text and not text.startswith("//"):
            doc = [] if not found else doc
        depth += code(line).count("{") - code(line).count("}")
        while stack and depth <= stack[-1][0]:
            stack.pop()


def code(line: str) -> str:
    return re.sub(r'"(?:\\.|[^"\\])*"', '""', line.split("//")[0])


def read_member(line: str, text: str, into: Type, doc: list[str]) -> None:
    for number, name, raw in PUT.findall(line):
        into.fields.append((int(number), name, bool(raw)))
    found = CASE_PUT.search(line)
    if found:
        into.oneof.append((found.group(1), int(found.group(2))))
    if into.kind == "enum":
        if text.startswith("case ") and "out.put" not in text and ":" not in code(text).split("(")[0]:
            read_cases(text, into, list(doc))
        return
    found = PROPERTY.match(line.split("  //")[0])
    if found and "{" not in line:
        into.properties[found.group(1)] = (found.group(2) or "", found.group(3) or "", list(doc))


def read_cases(text: str, into: Type, doc: list[str]) -> None:
    text = code(text).split("}")[0].strip()
    if not text.startswith("case ") or text.startswith("case ."):
        return
    for part in re.split(r",\s*(?![^(]*\))", text[5:]):
        found = re.match(r"`?(\w+)`?(?:\((\w+)\))?(?: = (\d+))?", part.strip())
        if not found:
            continue
        number = int(found.group(3)) if found.group(3) else (into.cases[-1][1] + 1 if into.cases else 0)
        into.cases.append((found.group(1), number, doc))
        if found.group(2):
            into.payloads[found.group(1)] = found.group(2)


def field_type(owner: Type, declared: str, default: str, is_raw: bool, types: dict[str, Type]) -> tuple[str, str]:
    """The proto type, and the default worth noting."""
    if is_raw:  # of an option set: the sum of its options
        options = re.findall(r"\.(\w+)", default)
        return "sint64", " + ".join(options)
    declared = declared.removesuffix("?")  # a message that is not there is not written
    if declared:
        inner = re.fullmatch(r"\[(\w[\w.]*)\]", declared)
        if declared == "[UInt8]":
            return "bytes", ""
        if declared == "[[UInt8]]":
            return "repeated bytes", ""
        if inner:
            return "repeated " + field_type(owner, inner.group(1), "", False, types)[0], ""
        if declared in SCALARS:
            return SCALARS[declared], default
        return types[declared].name, ""
    if default in ("true", "false"):
        return "bool", default
    if re.fullmatch(r"-?[\d_]+(?: \* [\d_]+)?", default):
        return "sint64", str(eval(default))  # digits and one product, by the pattern
    if re.fullmatch(r"-?[\d_]+\.\d+", default):
        return "double", default
    if default.startswith('"'):
        return "string", default
    if default == "ID()":
        return "bytes", ""
    found = re.fullmatch(r"([A-Z][\w.]*?)(?:\(\)|\.(\w+))", default)
    if found and found.group(1) in types:
        made = types[found.group(1)]
        return made.name, enum_value(made, found.group(2)) if found.group(2) else ""
    raise SystemExit(f"proto: {owner.name}: what type is '{declared or default}'?")


def enum_value(made: Type, case: str) -> str:
    return f"{snake(made.name)}_{snake(case)}".upper()


def comment(lines: list[str], indent: str) -> list[str]:
    return [f"{indent}// {line}".rstrip() for line in lines]


def message(made: Type, types: dict[str, Type]) -> tuple[list[str], list[str]]:
    """Its lines, and the names of the types that it needs."""
    out, needs = comment(made.doc, ""), []
    if made.kind == "enum" and made.oneof:
        out += [f"message {made.name} {{", "  oneof kind {"]
        for case, number in made.oneof:
            needs.append(made.payloads[case])
            out.append(f"    {types[made.payloads[case]].name} {snake(case)} = {number};")
        return out + ["  }", "}"], needs
    if made.kind == "enum":
        out.append(f"enum {made.name} {{")
        for case, number, doc in made.cases:
            out += comment(doc, "  ") + [f"  {enum_value(made, case)} = {number};"]
        return out + ["}"], []
    out.append(f"message {made.name} {{")
    for number, name, is_raw in made.fields:
        if name not in made.properties:
            raise SystemExit(f"proto: {made.name}.{name} is encoded but was not found as a property")
        declared, default, doc = made.properties[name]
        kind, note = field_type(made, declared, default, is_raw, types)
        needs += [t.path for t in types.values() if t.name == kind.removeprefix("repeated ")][:1]
        doc = list(doc)
        if made.name == "Route" and name == "protocols" or made.name == "Service" and name == "protocol":
            doc.append("A set, as the sum of: http 1, https 2, grpc 4, grpcs 8, tcp 16, tls 32, udp 64, tls_passthrough 128.")
        tail = f"  // default {note}" if note and note not in ('""', "0", "false", "0.0") and not note.endswith("_NONE") else ""
        out += comment(doc, "  ") + [f"  {kind} {snake(name)} = {number};{tail}"]
    missing = set(made.properties) - {name for _, name, _ in made.fields}
    if missing:
        raise SystemExit(f"proto: {made.name}: {', '.join(sorted(missing))} is not encoded")
    return out + ["}"], needs


def schema(of: Schema) -> str:
    types: dict[str, Type] = {}
    for path in sorted(SOURCES.rglob("*.swift")):
        if of.has(path):
            parse(path, types)
    out, queue, seen = [of.header], list(of.roots), set()
    while queue:
        made = types[queue.pop(0)]
        if made.name in seen:
            continue
        seen.add(made.name)
        lines, needs = message(made, types)
        out.append("\n".join(lines) + "\n")
        queue += needs
    travelling = {t.name for t in types.values() if t.fields or t.oneof}
    if travelling - seen:
        raise SystemExit(f"proto: nothing leads to {', '.join(sorted(travelling - seen))}")
    return "\n".join(out)


def main() -> int:
    failed = False
    for each in SCHEMAS:
        text = schema(each)
        if "--check" not in sys.argv[1:]:
            each.path.write_text(text)
        elif not each.path.exists() or each.path.read_text() != text:
            print(f"docs/{each.path.name}:1: schema: it is not what Sources/Snapshot says; run scripts/proto.py and review the change")
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
