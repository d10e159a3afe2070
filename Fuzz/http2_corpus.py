#!/usr/bin/env python3
"""Writes the seeds of the fuzz target http2: conversations by h2, and single frames, right and wrong, by hyperframe.

    pip install h2 && Fuzz/http2_corpus.py        # rewrites Fuzz/corpus/http2/

The first byte of a seed chooses how it is cut, and from 128 on that it is for the client end.
"""

import pathlib

import h2.config
import h2.connection
import h2.settings
import hyperframe.frame as frames
from hpack import Encoder

FOLDER = pathlib.Path(__file__).resolve().parent / "corpus/http2"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD = [(":method", "GET"), (":scheme", "https"), (":authority", "a.example"), (":path", "/a?b=c")]
seeds: dict[str, bytes] = {}


def seed(name: str, data: bytes, client: bool = False) -> None:
    seeds[name] = bytes([len(seeds) % 3 + (129 if client else 0)]) + data


def pair():
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
    client.initiate_connection()
    server.initiate_connection()
    return client, server


def exchange(client, server, sent: list[bytes], answered: list[bytes]) -> None:
    """Both sides' bytes, until neither has any more."""
    while True:
        out, back = client.data_to_send(), server.data_to_send()
        if not out and not back:
            return
        sent.append(out)
        answered.append(back)
        server.receive_data(out)
        client.receive_data(back)


def conversation(name: str, steps) -> None:
    client, server = pair()
    sent, answered = [], []
    exchange(client, server, sent, answered)
    for step in steps:
        step(client, server)
        exchange(client, server, sent, answered)
    seed(f"{name}-server", b"".join(sent))
    seed(f"{name}-client", b"".join(answered), client=True)


def get(client, server):
    client.send_headers(1, HEAD + [("cookie", "a=b"), ("cookie", "c=d"), ("user-agent", "seed/1")], end_stream=True)


def get_answer(client, server):
    server.send_headers(1, [(":status", "200"), ("content-length", "5"), ("server", "seed")])
    server.send_data(1, b"hello", end_stream=True)


def post(client, server):
    head = [(":method", "POST"), *HEAD[1:], ("content-length", "11"), ("te", "trailers"), ("expect", "100-continue")]
    client.send_headers(3, head)
    client.send_data(3, b"hello world", pad_length=7)
    client.send_headers(3, [("x-sum", "1")], end_stream=True)


def post_answer(client, server):
    server.send_headers(3, [(":status", "100")])
    server.send_headers(3, [(":status", "200"), ("trailer", "grpc-status")])
    server.send_data(3, b"x" * 300)
    server.send_headers(3, [("grpc-status", "0")], end_stream=True)


def many(client, server):
    for stream in range(5, 25, 2):
        client.send_headers(stream, HEAD, end_stream=stream % 4 == 1, priority_weight=7, priority_depends_on=0)
    client.reset_stream(7)
    client.ping(b"12345678")
    client.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 70000})
    client.increment_flow_control_window(1000)
    client.increment_flow_control_window(1000, 5)


def many_answers(client, server):
    server.reset_stream(5, 7)
    server.close_connection(2, b"bye", 21)


def connect(client, server):
    client.send_headers(1, [
        (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":authority", "a.example"),
        (":path", "/chat"), ("sec-websocket-version", "13"),
    ])


def of(*parts) -> bytes:
    settings = frames.SettingsFrame(0)
    return b"".join(p if isinstance(p, bytes) else p.serialize() for p in (PREFACE, settings, *parts))


def headers(stream: int, flags=("END_HEADERS",), extra=(), head=tuple(HEAD), **more) -> bytes:
    frame = frames.HeadersFrame(stream, Encoder().encode(list(head) + list(extra), huffman=stream % 4 == 1), **more)
    frame.flags |= set(flags)
    return frame.serialize()


def singles() -> None:
    block = Encoder().encode(HEAD)
    first = frames.HeadersFrame(1, block[:3], flags=["END_STREAM"])
    middle = frames.ContinuationFrame(1, block[3:6])
    last = frames.ContinuationFrame(1, block[6:], flags=["END_HEADERS"])
    ping = frames.PingFrame(0, b"abcdefgh")
    seed("continuation", of(first, middle, last, ping))
    seed("continuation-broken", of(first, ping))
    seed("padded", of(
        headers(1, ("END_HEADERS", "PADDED", "PRIORITY"), pad_length=9, depends_on=3, stream_weight=5),
        frames.DataFrame(1, b"abc", pad_length=200, flags=["PADDED"]),
        frames.DataFrame(1, b"", pad_length=3, flags=["PADDED", "END_STREAM"])))
    seed("padding-too-long", of(headers(1), b"\0\0\4\0\x08\0\0\0\1\4abc"))
    seed("itself", of(headers(1, ("END_HEADERS", "PRIORITY"), depends_on=1), headers(3), frames.PriorityFrame(3, 3)))
    seed("windows", of(
        headers(1), frames.WindowUpdateFrame(0, 100), frames.WindowUpdateFrame(1, 0x7FFF_0000),
        frames.WindowUpdateFrame(1, 0x7FFF_0000), frames.SettingsFrame(0, {4: 0, 5: 16384, 1: 0, 8: 1})))
    seed("window-zero", of(headers(1, ("END_HEADERS", "END_STREAM")), b"\0\0\4\x08\0\0\0\0\1\0\0\0\0"))
    seed("closed", of(headers(1), frames.RstStreamFrame(1, 8), frames.DataFrame(1, b"x")))
    seed("half-closed", of(headers(1, ("END_HEADERS", "END_STREAM")), frames.DataFrame(1, b"x"), headers(3)))
    seed("idle", of(frames.DataFrame(1, b"x")))
    seed("even", of(headers(2)))
    seed("passed-over", of(headers(5), headers(3)))
    seed("push", of(headers(1), frames.PushPromiseFrame(1, 2, block, flags=["END_HEADERS"])))
    seed("unknown", of(frames.ExtensionFrame(0x16, 5, 1, b"abc"), frames.AltSvcFrame(0, b"a", b"b"), headers(1)))
    seed("goaway", of(headers(1), frames.GoAwayFrame(0, 1, 11, b"debug"), headers(3)))
    seed("settings-bad", of(frames.SettingsFrame(0, {2: 2})))
    seed("settings-many", of(frames.SettingsFrame(0, {n: n for n in range(16, 90)})))
    seed("length", of(headers(1, extra=[("content-length", "5")]), frames.DataFrame(1, b"hello", flags=["END_STREAM"]),
                      headers(3, extra=[("content-length", "5")]), frames.DataFrame(3, b"hello!")))
    seed("pings", of(*[ping] * 300))
    seed("resets", of(*[part for n in range(1, 600, 2) for part in (headers(n), frames.RstStreamFrame(n, 8))]))
    seed("empty-data", of(headers(1), *[frames.DataFrame(1)] * 110))
    seed("preface-only", PREFACE[:20])
    for name, extra in {
        "upper-case": ("X-Upper", "1"), "connection": ("connection", "close"), "te": ("te", "gzip"),
        "line-end": ("x", "a\r\nb: c"), "nul": ("x", "a\0b"), "unknown-pseudo": (":x", "1"), "host": ("host", "b.example"),
        "length-list": ("content-length", "5, 5"), "long": ("x", "y" * 5000), "space": ("x", " y "),
    }.items():
        seed(f"field-{name}", of(headers(1, extra=[extra])))
    for name, path in {"space": "/a b", "empty": "", "star": "*", "fragment": "/#", "long": "/" + "a" * 2000}.items():
        seed(f"path-{name}", of(headers(1, head=(*HEAD[:3], (":path", path)))))
    answer = frames.SettingsFrame(0)
    block = Encoder().encode([(":status", "200"), ("content-length", "3")])
    early = Encoder().encode([(":status", "103"), ("link", "</a>")])
    seed("answers", b"".join(f.serialize() for f in (
        answer, frames.HeadersFrame(1, early, flags=["END_HEADERS"]), frames.HeadersFrame(1, block, flags=["END_HEADERS"]),
        frames.DataFrame(1, b"abc", flags=["END_STREAM"]), frames.HeadersFrame(3, block, flags=["END_HEADERS"]),
        frames.DataFrame(3, b"abcd"), frames.DataFrame(5, b"early"), frames.RstStreamFrame(7, 7),
        frames.HeadersFrame(9, block, flags=["END_HEADERS", "END_STREAM"]), frames.GoAwayFrame(0, 9, 0))), client=True)


def main() -> None:
    conversation("talk", [get, get_answer, post, post_answer, many, many_answers])
    settings = {h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1}
    conversation("websocket", [lambda c, s: s.update_settings(settings), connect])
    singles()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    for name, data in sorted(seeds.items()):
        (FOLDER / name).write_bytes(data)
    print(f"{len(seeds)} seeds, {sum(map(len, seeds.values()))} bytes")


if __name__ == "__main__":
    main()
