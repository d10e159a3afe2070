"""T-01 to T-14: one reading of every message, and nothing of a refused one reaches an upstream."""

import re

from bench import answer, ask, connect, drain, exchange, head, item, statuses
from servers import HAProxy, Server

CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
HIDDEN = head(target="/hidden")


def post(*fields, body=b"hello", version="HTTP/1.1") -> bytes:
    return head("POST", "/", fields, version=version) + body


def chunked(body, *fields) -> bytes:
    return post("Transfer-Encoding: chunked", *fields, body=body)


@item("T-01", "Content-Length that is not one plain number, twice, or beside Transfer-Encoding")
def lengths(t):
    for value in ("+5", "-1", "-0", "0x5", "1_0", "", " ", "5,5", "5, 6", "5 5", "5;", '"5"', "5.0", "1e1", "five",
                  "٥".encode(),
                  "5\x0b", "\xa05", "9" * 20, "18446744073709551621", "9" * 400):
        value = value if isinstance(value, bytes) else value.encode("latin-1")
        t.refused(f"length {value[:30]!r}", post(b"Content-Length: " + value), allowed=(400, 413))
    for second in ("5", "6", "0", "+5", ""):
        t.refused(f"lengths 5 and {second!r}", post("Content-Length: 5", f"content-length: {second}"))
    for fields in (("Content-Length: 5", "Transfer-Encoding: chunked"), ("Transfer-Encoding: chunked", "Content-Length: 15"),
                   ("Content-Length: 0", "X: y", "transfer-encoding: chunked"), ("Content-Length: 5", "Transfer-Encoding: x")):
        t.refused(f"both framings {fields}", post(*fields, body=CHUNKS + HIDDEN), allowed=(400, 501))
    t.arrives("a plain length", post("Content-Length: \t5 "), wanted=[("POST", "/", b"hello")])


@item("T-02", "Transfer-Encoding that is not exactly one final chunked")
def codings(t):
    for value in (",chunked", "chunked,", "chunked,chunked", "chunked, identity", "gzip, chunked", "xchunked", "chunked;q=1",
                  "\x0bchunked", "chunked\x0b", "chunked\x00", '"chunked"', "chunked foo", "identity", "", "chunked\xa0",
                  "chunke"):
        t.refused(f"coding {value!r}", post(f"Transfer-Encoding: {value}", body=CHUNKS), allowed=(400, 501))
    for fields in (("Transfer-Encoding: chunked",) * 2, ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
                   ("Transfer-Encoding: identity", "Transfer-Encoding: chunked"), ("Transfer-Encoding : chunked",),
                   ("Transfer-Encoding:", " chunked"), ("X: y\rTransfer-Encoding: chunked",),
                   ("\tTransfer-Encoding: chunked",)):
        t.refused(f"codings {fields}", post(*fields, body=CHUNKS), allowed=(400, 501))
    t.refused("chunked in HTTP/1.0", post("Transfer-Encoding: chunked", body=CHUNKS, version="HTTP/1.0"), allowed=(400, 501))
    for value in ("chunked", "ChUnKeD", "\tchunked "):
        t.arrives(f"coding {value!r}", post(f"Transfer-Encoding:{value}", body=CHUNKS), wanted=[("POST", "/", b"hello")])


@item("T-03", "chunk sizes and chunk ends that are not to the letter")
def chunks(t):
    for size in (b"+5", b"-5", b"0x5", b"5_", b" 5", b"5 ", b"5\t", b"", b"g", b"5\x00", b"5.", b"FFFFFFFFFFFFFFFF",
                 b"1" + b"0" * 16,
                 b"8000000000000000", b"10000000000000005", b"0" * 300 + b"5"):
        t.refused(f"size {size[:20]!r}", chunked(size + b"\r\nhello\r\n0\r\n\r\n"), allowed=(400, 413))
    for body in (b"5\nhello\r\n0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n", b"5\r\nhelloX\r\n0\r\n\r\n",
                 b"5;a\rb\r\nhello\r\n0\r\n\r\n", b"5;a\nb\r\nhello\r\n0\r\n\r\n", b"5;a\0\r\nhello\r\n0\r\n\r\n",
                 b"5\r\nhello\r\n0\n\r\n", b"5\r\nhello\r\n0\r\n\n", b"5\r\nhello\r\n0\r\nX\r\n\r\n",
                 b"5\r\nhello\r\n0\r\na : b\r\n\r\n",
                 b"5\r\nhello\r\n0\r\na: b\r\n c\r\n\r\n", b"5;" + b"e" * 70000 + b"\r\nhello\r\n0\r\n\r\n"):
        t.refused(f"body {body[:30]!r}", chunked(body + HIDDEN), reset=len(body) > 60000)
    t.arrives("extensions and leading zeros", chunked(b'005;a="b c"\r\nhello\r\n000;x\r\n\r\n'),
              wanted=[("POST", "/", b"hello")])


@item("T-04", "control bytes, folds, spaces before colons, empty and non-token names in field lines")
def field_lines(t):
    for byte in (*b'"(),/;<=>?@[\\]{} ', *range(0x00, 0x09), 0x0b, 0x0c, 0x1f, 0x7f, 0x80, 0xff):
        t.refused(f"{byte:#04x} in a name", head(fields=[b"X" + bytes([byte]) + b"A: b"]))
    for byte in (*range(0x00, 0x09), 0x0b, 0x0c, *range(0x0e, 0x20), 0x7f):
        t.refused(f"{byte:#04x} in a value", head(fields=[b"X-A: b" + bytes([byte]) + b"c"]))
    for line in ("X-A : b", "X-A\t: b", ": b", " : b", "X-A", "X-A b", " X-A: b", "\tX-A: b", "X-A: b\r\n c", "X-A: b\r\n\tc",
                 "X-A: b\rc"):
        t.refused(f"line {line!r}", head(fields=["X-First: 1", line]))
    seen = t.arrives("bytes above 127 in a value", head(fields=[b"X-A: \x80\xff"]))
    t.check(seen and ("X-A", "\x80\xff") in seen[0].fields, "bytes above 127 arrived changed")


@item("T-05", "line ends that are not CR LF")
def line_ends(t):
    whole = head(fields=["X-A: b"])
    for place in range(whole.count(b"\r\n")):
        at = [i for i in range(len(whole)) if whole[i:i + 2] == b"\r\n"][place]
        t.refused(f"bare LF at line {place}", whole[:at] + b"\n" + whole[at + 2:])
        t.refused(f"CR CR LF at line {place}", whole[:at] + b"\r\r\n" + whole[at + 2:])
        if place < 2:
            t.refused(f"bare CR at line {place}", whole[:at] + b"\r" + whole[at + 2:])
    t.refused("bare LF everywhere", whole.replace(b"\r\n", b"\n"))
    t.refused("a request hidden behind a bare LF", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\n\nGET /hidden HTTP/1.1\r\n\r\n")


@item("T-06", "Host missing, twice, not a host, or other than the absolute target's")
def hosts(t):
    t.refused("none", head(host=None))
    t.refused("two", head(fields=["Host: a.example"]))
    t.refused("two in other case", head(fields=["X: y", "HOST: b.example"]))
    for host in ("a b", "a/b", "a?b", "a#b", "u@a", "a,b", "a\\b", "a:b", "a:99999", "a:-1", "a:80:80", "[::1", "[::g]",
                 "a\x00b", "a\x80b",
                 "http://a", "a%zz", ":80"):
        t.refused(f"host {host!r}", head(host=host))
    for target in ("http://b.example/", "http://a.example:81/", "http://user@a.example/", "http:///", "ftp://a.example/",
                   "http://a\\b/"):
        t.refused(f"target {target} with Host a.example", head(target=target))
    t.arrives("an absolute target that agrees", head(target="http://a.example/x"), wanted=[("GET", "/x", b"")])


@item("T-07", "wrong versions, methods and request lines; more than one empty line before them")
def request_lines(t):
    for version in ("HTTP/2.0", "HTTP/0.9", "HTTP/1", "HTTP/1.10", "HTTP/01.1", "http/1.1", "HTTP/1.1x", "HTTPS/1.1",
                    "HTTP/1,1", "HTTP/1.1 "):
        t.refused(f"version {version!r}", head(version=version), allowed=(400, 505))
    for method in ("G@T", "GET:", "(GET)", "GET\x00", "G\xc9T", "G" * 20000):
        t.refused(f"method {method[:10]!r}", head(method), allowed=(400, 405, 414, 431, 501))
    for line in ("GET /", "GET  / HTTP/1.1", "GET /  HTTP/1.1", " GET / HTTP/1.1", "GET\t/ HTTP/1.1", "GET /a b HTTP/1.1",
                 "GET /a\x00 HTTP/1.1",
                 "GET /a\rb HTTP/1.1", "GET a HTTP/1.1", "GET * HTTP/1.1", "GET /a#b HTTP/1.1", "PRI * HTTP/2.1"):
        t.refused(f"line {line!r}", line.encode() + b"\r\nHost: a\r\n\r\n", allowed=(400, 405, 505))
    t.refused("three empty lines first", b"\r\n" * 3 + head())
    t.arrives("one empty line first", b"\r\n" + head())


@item("T-08", "bodies of GET and of other methods keep their framing")
def bodies(t):
    smuggled = head(target="/hidden")
    for method in ("GET", "DELETE", "OPTIONS", "PUT", "PURGE"):
        t.arrives(f"{method} with a length", head(method, "/",
                                                  [f"Content-Length: {len(smuggled)}"]) + smuggled + head(target="/next"),
                  wanted=[(method, "/", smuggled), ("GET", "/next", b"")])
        t.arrives(f"{method} with chunks", head(method, "/", ["Transfer-Encoding: chunked"]) + CHUNKS + head(target="/next"),
                  wanted=[(method, "/", b"hello"), ("GET", "/next", b"")])


@item("T-09", "requests pipelined behind a refused one never reach an upstream")
def after_errors(t):
    for name, bad in (("a bad length", post("Content-Length: +5")),
                      ("both framings", post("Content-Length: 5", "Transfer-Encoding: chunked")),
                      ("a bad chunk", chunked(b"x\r\nhello\r\n0\r\n\r\n")), ("a fold", head(fields=["X: y", " z"])),
                      ("no Host", head(host=None)),
                      ("a bad version", head(version="HTTP/3.0")), ("a bare LF", b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
                      ("a bad method", head("G@T")), ("TRACE", head("TRACE")), ("CONNECT", head("CONNECT", "a.example:443"))):
        t.refused(f"behind {name}", bad + HIDDEN * 3, allowed=(400, 405, 501, 505))


@item("T-10", "answers of upstreams that are framed twice, truncated, too long or too many; none is reused")
def upstream_answers(t):
    chunk = b"2\r\nok\r\n0\r\n\r\n"
    coded = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    early = b"HTTP/1.1 100 Continue\r\n\r\n"
    bad = {
        "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        "both framings": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk,
        "a signed length": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        "an unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: x\r\n\r\n" + chunk,
        "a bare LF": b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok",
        "a fold": b"HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 2\r\n\r\nok",
        "a NUL": b"HTTP/1.1 200 OK\r\nX: y\0\r\nContent-Length: 2\r\n\r\nok",
        "a space before the colon": b"HTTP/1.1 200 OK\r\nX : y\r\nContent-Length: 2\r\n\r\nok",
        "a bad version": b"HTTP/3.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "an unasked 101": b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "ten thousand interim answers": early * 10_000 + answer(),
        "no answer": b"",
        "half a head": b"HTTP/1.1 200 OK\r\nContent-",
    }
    cut = {
        "a bad chunk size": coded + b"zz\r\nok\r\n0\r\n\r\n", "a chunk without its end": coded + b"5\r\nok",
        "no last chunk": coded + b"2\r\nok\r\n",
        "a body shorter than its length": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
    }
    surplus = {
        "204 with a body": b"HTTP/1.1 204 No Content\r\n\r\nstolen",
        "304 with a body": b"HTTP/1.1 304 Not Modified\r\n\r\nstolen",
        "a second answer": answer() + answer(body=b"stolen"), "a body longer than its length": answer() + b"stolen",
    }
    origin, port = t.world.origin, t.world.gateway.port
    number = [0]

    def script(request, sock):
        if request.target == "/bad":
            number[0] = request.connection
            if reply:
                sock.sendall(reply)
            return None if ends else b""
        return origin.plain(request, sock)

    origin.script = script
    try:
        for group, table in (("bad", bad), ("cut", cut), ("surplus", surplus)):
            for name, reply in table.items():
                ends = group == "cut" or name in ("no answer", "half a head")
                data, ended = exchange(port, head(target="/bad", fields=["Connection: close"]))
                found = [s for s in statuses(data) if s >= 200]
                if group == "bad":
                    t.check(found == [502], f"{name}: passed on as {found or data[:60]}")
                elif group == "cut":
                    body = data.partition(b"\r\n\r\n")[2]
                    whole = found == [200] and (body.endswith(b"0\r\n\r\n") or b"\r\nContent-Length: 2\r\n" in data)
                    t.check(ended and not whole, f"{name}: passed on as if it were whole: {data[-60:]!r}")
                else:
                    t.check(b"stolen" not in data, f"{name}: the surplus was passed on")
                mark = origin.mark()
                status, data = ask(port, "/after")
                reused = number[0] in [r.connection for r in origin.since(mark)]
                t.check(status == 200 and not reused and b"stolen" not in data,
                        f"{name}: the next request got {status}{', over the same connection' if reused else ''}")
    finally:
        origin.script = origin.plain


@item("T-11", "fields named by Connection end here, and it cannot name away Host, framing or our own")
def connection_names(t):
    own = ("X-Forwarded-For", "X-Real-IP", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Path",
           "Host")
    for name in own:
        for spelling in (name, name.lower(), f"close, {name.upper()}", f"keep-alive , {name}"):
            seen = t.arrives(f"Connection: {spelling}", head(fields=[f"Connection: {spelling}"]))
            t.check(seen and name.lower() in [n.lower() for n, _ in seen[0].fields], f"Connection: {spelling} removed {name}")
    for spelling in ("X-Mine", "close, x-mine", "X-MINE ,,"):
        seen = t.arrives(f"Connection: {spelling}", head(fields=[f"Connection: {spelling}", "X-Mine: 1"]))
        t.check(seen and "x-mine" not in [n.lower() for n, _ in seen[0].fields], f"Connection: {spelling} left X-Mine")
    t.arrives("Connection: content-length", post("Connection: Content-Length", "Content-Length: 5"),
              wanted=[("POST", "/", b"hello")])
    t.arrives("Connection: transfer-encoding", chunked(CHUNKS, "Connection: Transfer-Encoding"),
              wanted=[("POST", "/", b"hello")])


@item("T-12", "upgrades carry no byte before 101, refused ones stay HTTP, CONNECT is refused, tunnels are never reused")
def tunnels(t):
    origin, port = t.world.origin, t.world.gateway.port
    upgrade = head(target="/chat", fields=["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="])
    switch = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
              b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
    early, used = [], []

    def accept(request, sock):
        if request.target != "/chat":
            return origin.plain(request, sock)
        used.append(request.connection)
        sock.settimeout(0.2)
        try:
            early.append(sock.recv(100))
        except TimeoutError:
            early.append(b"")
        sock.settimeout(3)
        sock.sendall(switch)
        sock.sendall(b"got:" + sock.recv(100))
        sock.recv(100)
        return None

    def refuse(request, sock):
        return answer(403, b"anchor") if request.target == "/chat" else origin.plain(request, sock)

    try:
        origin.script = accept
        with connect(port) as sock:
            sock.sendall(upgrade + b"EARLY")
            data, _ = drain(sock, lambda d: b"got:" in d)
            t.check(early == [b""], f"before 101 the origin got {early}")
            t.check(b"got:EARLY" in data, f"after 101 the tunnel did not carry: {data[-60:]!r}")
        mark = origin.mark()
        status, _ = ask(port, "/after")
        t.check(status == 200 and used[0] not in [r.connection for r in origin.since(mark)],
                "a tunnel's connection was used again")
        origin.script = refuse
        mark, broken = origin.mark(), len(origin.broken)
        data, ended = exchange(port, upgrade + b"\x81\x05hello\r\n\r\n")
        t.check(statuses(data)[:1] == [403] and ended, f"after a refused upgrade: {statuses(data)}, ended {ended}")
        t.check([r.target for r in origin.since(mark)] == ["/chat"] and len(origin.broken) == broken,
                f"the origin also saw {origin.broken[broken:]}")
    finally:
        origin.script = origin.plain
    for target in ("a.example:443", "/", "a.example"):
        t.refused(f"CONNECT {target}", head("CONNECT", target) + HIDDEN, allowed=(400, 405, 501))
    t.refused("CONNECT with a body", head("CONNECT", "a.example:443", ["Content-Length: 5"]) + b"hello",
              allowed=(400, 405, 501))


SOWN = [
    head() * 10, post("Content-Length: 5") + chunked(CHUNKS) + head(),
    chunked(b"5;a=b\r\nhello\r\n00\r\nX-T: 1\r\n\r\n") + head(),
    head(fields=["Content-Length: 33"]) + HIDDEN[:33] + head(), post("Content-Length: 5", "X-Transfer-Encoding: chunked"),
    post("Content-Length: 5", "Content_Length: 50"), post("Content-Length: 5", "Content-Length-X: 9"), post("Content-Length:5"),
    post("Content-Length: 005"), chunked(b"0005\r\nhello\r\n0\r\n\r\n"), head("HEAD") * 3,
    head(target="http://a.example/x?y=z"),
    head(target="//double//slash"), head(fields=[b"X-A: \xff\x80"]), head(fields=["X-A:"]),
    head(fields=["Connection: close"]) + HIDDEN,
    head(fields=["Upgrade: h2c", "HTTP2-Settings: AAMAAABk", "Connection: Upgrade, HTTP2-Settings"]),
    head(version="HTTP/1.0") + HIDDEN,
    b"\r\n" + head() + head(), chunked(b"11\r\n" + HIDDEN[:17] + b"\r\n0\r\n\r\n") + head(), head("GET", "/a%0d%0aX:%20y"),
    head("GET", "/" + "a" * 4000), head(fields=["Te: trailers, chunked", "Trailer: X"]),
    head(fields=["Transfer_Encoding: chunked"]),
    head(fields=[f"X{n}: " + "y" * 600 for n in range(10)]), post("Content-Length: 0", body=b"") + head(),
    chunked(b"0\r\n\r\n") + head(),
    chunked(b"5\r\n0\r\n\r\n\r\n0\r\n\r\n") + head(), post("Content-Length: +5"),
    post("Transfer-Encoding: chunked, x", body=CHUNKS),
    post("Content-Length: 5", "Transfer-Encoding: chunked", body=CHUNKS), head(fields=["X : y"]),
    b"GET / HTTP/1.1\nHost: a\n\n",
    head("DELETE", "/", ["Content-Length: 5"]) + b"hello" + head(), head("PURGE") * 2,
    head("PATCH", "/", ["Transfer-Encoding: chunked"]) + CHUNKS,
]


@item("T-13", "what is passed on means as many requests to nginx and to HAProxy as to our own reader")
def garden(t):
    """The bytes that reached the origin are replayed to other servers, with a last request behind them."""
    origin, port = t.world.origin, t.world.gateway.port
    streams = []
    for number, seed in enumerate(SOWN):
        before, broken = origin.raw_bytes(), len(origin.broken)
        mark = origin.mark()
        exchange(port, seed + head(target="/end", fields=["Connection: close"]))
        ask(port, "/probe")
        after = origin.raw_bytes()
        t.check(len(origin.broken) == broken, f"seed {number}: we cannot read it: {origin.broken[-1:]}")
        parts = [after[c][len(before.get(c, b"")):] for c in after]
        streams.append((number, [p for p in parts if p], len(origin.since(mark))))
    t.figure("requests passed on", sum(wanted for _, _, wanted in streams))
    for name, server in (("nginx", NginxReader), ("HAProxy", HAProxyReader)):
        with server(origin.port) as other:
            for number, parts, wanted in streams:
                answers = 0
                for part in parts:
                    data, _ = exchange(other.plain, part + head(target="/end", fields=["Connection: close"]))
                    answers += len(re.findall(rb"HTTP/1\.1 [2-5]", data)) - 1
                t.check(answers == wanted, f"seed {number}: {wanted} requests to us, {answers} to {name}")


class NginxReader(Server):
    """Answers every request itself, after it has read the body."""

    name = "nginx"

    def command(self) -> list:
        here = self.folder
        config = self.write("nginx.conf", f"""
daemon off; worker_processes 1; pid {here}/nginx.pid; error_log {here}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {here}/b; proxy_temp_path {here}/p;
  fastcgi_temp_path {here}/f; uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;
  server {{ listen 127.0.0.1:{self.plain}; listen 127.0.0.1:{self.tls}; location / {{ return 200 "anchor"; }} }}
}}
""")
        return ["nginx", "-c", config, "-p", str(here), "-e", str(here / "error.log")]


class HAProxyReader(HAProxy):
    """Passes what it reads to our origin."""


@item("T-14", "trailers are dropped, and none turns into a field")
def trailers(t):
    for name in ("Content-Length", "Transfer-Encoding", "Host", "Authorization", "Cookie", "X-Real-IP", "X-Forwarded-For",
                 "X-Consumer-ID", "Connection", "Content-Type", "X-Anything"):
        seen = t.arrives(f"trailer {name}", chunked(b"5\r\nhello\r\n0\r\n" + name.encode() + b": smuggled\r\n\r\n",
                                                    f"Trailer: {name}"),
                         wanted=[("POST", "/", b"hello")])
        values = [v for r in seen for _, v in r.fields + (r.trailers if name != "X-Anything" else [])]
        t.check("smuggled" not in values, f"the trailer {name} arrived")
