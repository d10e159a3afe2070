"""What a row of the tables is: bytes in, and what must come of them."""

import dataclasses
import re


@dataclasses.dataclass
class Seen:
    """One request as the origin must have received it."""

    method: str = "GET"
    target: str = "/"
    body: bytes = b""
    has: dict = dataclasses.field(default_factory=dict)
    lacks: tuple = ()


@dataclasses.dataclass
class Row:
    test: str
    name: str
    kind: str
    send: list = dataclasses.field(default_factory=list)
    statuses: frozenset = frozenset({400})
    # A body that turns out bad late may have been begun upstream, never finished.
    partial: bool = False
    # So much was sent that the refusal may be lost to a reset.
    reset: bool = False
    seen: list = dataclasses.field(default_factory=list)
    reply: list = dataclasses.field(default_factory=list)
    reply_ends: bool = False
    method: str = "GET"
    status: int = 200
    body: bytes = b"ok"
    has: dict = dataclasses.field(default_factory=dict)
    lacks: tuple = ()
    script: object = None
    group: str = "framing"
    retry_after_interim: bool = False

    @property
    def id(self) -> str:
        return f"{self.test} {self.name}"


ROWS = []


def show(data) -> str:
    """A value as part of a row's name: printable, short and different for different bytes."""
    raw = data if isinstance(data, bytes) else str(data).encode("latin-1")
    text = "".join(chr(b) if 0x21 <= b <= 0x7E else "␠" if b == 0x20 else f"\\x{b:02x}" for b in raw)
    return text if len(text) <= 44 else f"{text[:30]}…({len(raw)} bytes)"


def raw(text) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")


def request(
    method="GET", target="/", version="HTTP/1.1", host="a.example", fields=(), body=b"", end="\r\n"
) -> bytes:
    """A request with exactly these fields, in this order; no Host line where `host` is None."""
    lines = [raw(method) + b" " + raw(target) + b" " + raw(version)]
    if host is not None:
        lines.append(b"Host: " + raw(host))
    lines += [raw(f) for f in fields]
    return raw(end).join(lines) + raw(end) * 2 + raw(body)


def add(row: Row) -> None:
    ROWS.append(row)


def reject(test, name, data, statuses=(400,), **more) -> None:
    """The client gets one of `statuses` and the end of the connection; nothing reaches the origin."""
    add(Row(test, name, "reject", send=[data] if isinstance(data, bytes) else data, statuses=frozenset(statuses), **more))


def forward(test, name, data, *seen, **more) -> None:
    """The origin sees exactly these requests, and the client one answer for each."""
    add(Row(test, name, "forward", send=[data] if isinstance(data, bytes) else data, seen=list(seen), **more))


def bad_reply(test, name, reply, method="GET", **more) -> None:
    """The origin's answer is not passed on as if it were one, and its connection carries no further request."""
    add(Row(test, name, "bad-reply", reply=[reply] if isinstance(reply, bytes) else reply, method=method, **more))


def good_reply(test, name, reply, status=200, body=b"ok", method="GET", **more) -> None:
    add(Row(test, name, "good-reply", reply=[reply] if isinstance(reply, bytes) else reply, method=method,
            status=status, body=body, **more))


def script(test, name, group="framing"):
    """A row that needs an order of events: the function returns None, or what went wrong."""

    def register(function):
        add(Row(test, name, "script", script=function, group=group))
        return function

    return register


def check_unique() -> None:
    names = [r.id for r in ROWS]
    doubled = {n for n in names if names.count(n) > 1}
    if doubled:
        raise SystemExit(f"two rows of one name: {sorted(doubled)}")
    for row in ROWS:
        if not re.match(r"T-\d\d\Z", row.test):
            raise SystemExit(f"{row.id}: not a test number")
