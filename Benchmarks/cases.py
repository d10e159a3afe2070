"""The kinds of work that are measured: HTTP/1, what plugins add, HTTP/2 and gRPC, and streams."""

import dataclasses

# Who is held against seaway: in the older cases those that HTTP/1 is about.
H1_PROXIES = ("seaway", "nginx", "haproxy", "envoy")


@dataclasses.dataclass
class Case:
    """One kind of work: what the proxies are set up for, and options of the load tool.

    `kind` is one of peers.KINDS. `tool` is a program of Benchmarks/tools, or h2load. `how` says which of the runner's
    ways to measure: `rounds` (CPU for each request), `idle` (memory for each of `count`), `slow` (with and without a slow
    reader). `unit` is what one "request" of the tool is.
    """

    name: str
    title: str
    load: list = dataclasses.field(default_factory=list)
    kind: str = "h1"
    tool: str = "load"
    tls: bool = False
    routes: int = 0
    seconds: float = 4.0
    how: str = "rounds"
    count: int = 0
    unit: str = "request"
    proxies: tuple = None
    # Another case of seaway's that takes turns with this one, so that their difference means something.
    against: "Case" = None
    # Attributes of seaway's peer.
    seaway: dict = dataclasses.field(default_factory=dict)


KEY = "consumers:\n  - username: ada\n    keyauth_credentials: [{key: bench-key}]\n"
BASIC = "consumers:\n  - username: ada\n    basicauth_credentials: [{username: ada, password: bench}]\n"
ACL = "consumers:\n  - username: ada\n    keyauth_credentials: [{key: bench-key}]\n    acls: [{group: staff}]\n"
WITH_KEY = ["--header", "apikey: bench-key"]
KEY_AUTH = "  - name: key-auth\n"
SMALL = ["--connections", "64"]
PLAIN = Case("plain", "", SMALL)
ONE_ROUTE = Case("one-route", "", [*SMALL, "--path", "/r{}/x", "--ids", "1"], routes=1)


def h1(name, title, load, proxies=H1_PROXIES, **more):
    return Case(name, title, load, proxies=proxies, **more)


def alone(name, title, against=PLAIN, load=SMALL, routes=0, **seaway):
    """Seaway in a special setting against itself."""
    return Case(name, title, load, proxies=("seaway",), against=against, routes=routes, seaway=seaway)


def plugin(name, config="", load=(), consumers="", before=""):
    text = f"  - name: {name}\n" + (f"    config: {config}\n" if config else "")
    return alone(f"plugin-{name}", f"small responses with {name}", load=[*SMALL, *load], plugins=before + text,
                 consumers=consumers)


def routes(count, words):
    return h1(f"routes-{count}", f"{words} route{'s' if count > 1 else ''}",
              [*SMALL, "--path", "/r{}/x", "--ids", str(count)], routes=count)


HTTP1 = [
    h1("small-64", "small responses, 64 keep-alive connections", SMALL),
    h1("small-512", "small responses, 512 keep-alive connections", ["--connections", "512"]),
    h1("tls-64", "small responses over TLS, 64 keep-alive connections", SMALL, tls=True),
    h1("new", "a new connection for each request", [*SMALL, "--new"]),
    h1("new-tls", "a new TLS connection for each request, full handshake", ["--connections", "32", "--new"], tls=True),
    h1("new-tls-resumed", "a new TLS connection for each request, resumed", ["--connections", "32", "--new", "--resume"],
       tls=True),
    h1("body-1m", "responses of 1 MB, 16 connections", ["--connections", "16", "--path", "/1m", "--body", "1048576"]),
    h1("idle", "10,000 idle connections", ["--idle"], how="idle", count=10_000, unit="connection"),
    routes(1, "1"), routes(1000, "1,000"), routes(100_000, "100,000"),
    alone("routes-growth", "100,000 routes against one, in turns", ONE_ROUTE,
          [*SMALL, "--path", "/r{}/x", "--ids", "100000"], routes=100_000),
    alone("bare", "small responses without access log and metrics", log=False, metrics=False),
    alone("no-log", "small responses without access log", log=False),
]

PLUGINS = [
    plugin("key-auth", "", WITH_KEY, KEY),
    plugin("basic-auth", "", ["--header", "Authorization: Basic YWRhOmJlbmNo"], BASIC),
    plugin("acl", "{allow: [staff]}", WITH_KEY, ACL, before=KEY_AUTH),
    plugin("cors", "{origins: ['https://shop.example']}", ["--header", "Origin: https://shop.example"]),
    plugin("ip-restriction", "{allow: [127.0.0.0/8]}"),
    plugin("rate-limiting", "{second: 100000000, policy: local, limit_by: ip}"),
    plugin("request-size-limiting", "{allowed_payload_size: 1}"),
    plugin("request-termination", "{status_code: 403, message: refused}", ["--status", "403"]),
    plugin("request-transformer", "{add: {headers: ['X-A:b']}, remove: {headers: [Accept]}}"),
    plugin("response-transformer", "{add: {headers: ['X-A:b']}}"),
    plugin("correlation-id", "{header_name: X-Id, generator: uuid}"),
]

# Ten connections of a hundred streams: few connections with much on each is what HTTP/2 is for.
MANY = ["--connections", "10", "--streams", "100"]
H2LOAD = ["-c", "10", "-m", "100"]


def h2(name, title, load=MANY, kind="h2", tool="h2", seconds=2.5, **more):
    return Case(name, title, load, kind=kind, tool=tool, seconds=seconds, **more)


HTTP2 = [
    h2("h2-tls", "HTTP/2 over TLS to HTTP/1, 10 connections of 100 streams (h2load)", H2LOAD, tool="h2load", tls=True),
    h2("h2-tls-h2", "HTTP/2 over TLS to HTTP/2, 10 connections of 100 streams (h2load)", H2LOAD, "h2-h2", "h2load", tls=True),
    h2("h2c", "HTTP/2 in the clear to HTTP/1, 10 connections of 100 streams"),
    h2("grpc", "gRPC, unary calls of 16 bytes, 10 connections of 100 streams", [*MANY, "--grpc", "--path", "/bench.Echo/Unary"],
       "grpc"),
    h2("idle-h2c", "10,000 idle HTTP/2 connections", ["--idle"], how="idle", count=10_000, unit="connection"),
    h2("idle-h2-tls", "10,000 idle HTTP/2 connections over TLS", ["--idle"], how="idle", count=10_000, unit="connection",
       tls=True),
    h2("idle-streams", "10,000 idle HTTP/2 streams, 100 on a connection, each an open one to an HTTP/1 upstream",
       ["--hold", "/hold", "--streams", "100"], how="idle", count=10_000, unit="stream"),
    h2("idle-streams-h2", "10,000 idle HTTP/2 streams, 100 on a connection, to an HTTP/2 upstream",
       ["--hold", "/hold", "--streams", "100"], "h2-h2", how="idle", count=10_000, unit="stream"),
    h2("slow-reader", "a stream of 100 MB that nobody reads beside 10 others on a connection, 16 connections",
       ["--connections", "16", "--streams", "10"], how="slow", count=16, seconds=2.0),
    h2("slow-reader-h2", "a stream of 100 MB that nobody reads beside 10 others, to an HTTP/2 upstream",
       ["--connections", "16", "--streams", "10"], "h2-h2", how="slow", count=16, seconds=2.0),
]


def stream(name, title, mode, connections, kind="tcp", unit="MB"):
    hello = ["--hello", "bench.example"] if kind == "passthrough" else []
    return Case(name, title, ["--mode", mode, "--connections", str(connections), *hello], kind=kind, tool="stream",
                seconds=2.5, unit=unit)


STREAMS = [
    stream("tcp-download", "TCP, download over 16 connections", "download", 16),
    stream("tcp-upload", "TCP, upload over 16 connections", "upload", 16),
    stream("tcp-new", "TCP, a new connection for each exchange of 64 bytes", "connect", 64, unit="connection"),
    stream("passthrough-download", "TLS passed through by its SNI, download over 16 connections", "download", 16, "passthrough"),
    stream("passthrough-new", "TLS passed through by its SNI, a new connection for each exchange", "connect", 64, "passthrough",
           "connection"),
    stream("websocket", "WebSocket, echo of 32 bytes on 64 connections", "websocket", 64, "websocket", "message"),
]

CASES = [*HTTP1, *PLUGINS, *HTTP2, *STREAMS]
