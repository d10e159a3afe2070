"""T-29 to T-33: too much, too deep, too slow, too clever, too many."""

import gzip
import os
import pathlib
import resource
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import zlib

from bench import (
    Connection, Meter, Target, answer, ask, connect, drain, eventually, exchange, head, item, second_port, statuses)
from gateway import SEAWAY
from h2raw import GOAWAY, HEADERS, PREFACE, RST_STREAM, literal

MIB = 1024 * 1024


def meter_of(gateway) -> Meter:
    return Meter(gateway.proxies())


@item("T-29", "100,000 fields, fields of 1 MB and targets of 10 MB, over HTTP/1 and HTTP/2")
def too_large(t):
    with t.world.start(t.world.config()) as gateway:
        ask(gateway.port)
        meter, sent, mark = meter_of(gateway), 0, t.world.origin.mark()
        for name, data in (("a target of 10 MB", head(target="/" + "a" * 10_000_000)),
                           ("a field of 1 MB", head(fields=["X: " + "a" * 1_000_000])),
                           ("a name of 1 MB", head(fields=["a" * 1_000_000 + ": b"])),
                           ("100,000 fields", head(fields=[f"X{n}: b" for n in range(100_000)])),
                           ("100,000 equal fields", head(fields=["X: b"] * 100_000)),
                           ("1,000 cookies", head(fields=["Cookie: " + "a=b; " * 200] * 1000)),
                           ("a method of 1 MB", head("A" * 1_000_000)),
                           ("spaces without end", head(fields=["X:" + " " * 2_000_000])),
                           ("empty lines without end", b"\r\n" * 500_000),
                           ("trailers without end",
                            head("POST", "/", ["Transfer-Encoding: chunked"]) + b"0\r\n" + b"X: y\r\n" * 200_000)):
            sent += len(data)
            got, ended = exchange(gateway.port, data)
            t.check(ended and (not got or statuses(got)[0] in (400, 405, 413, 414, 431)),
                    f"{name}: {statuses(got)}, ended {ended}")
        t.check([r for r in t.world.origin.since(mark) if r.target != "/"] == [], "some of it reached the origin")
        t.check(meter.growth() <= 2 * MIB, f"memory grew by {meter.growth()}")
        t.figure("over HTTP/1",
                 f"{sent / MIB:.0f} MB sent, memory +{meter.growth() / MIB:.1f} MB, CPU {meter.spent() * 1000:.0f} ms")
        t.check(ask(gateway.port)[0] == 200, "no page afterwards")
    target = t.world.target()
    meter, sent = Meter(t.world.server().pids()), 0
    base = [(n, v) for n, v in Connection(target).handshake().fields()]
    for name, fields in (("a target of 1 MB", [(n, "/" + "a" * 1_000_000 if n == ":path" else v) for n, v in base]),
                         ("a field of 1 MB", [*base, ("x", "a" * 1_000_000)]),
                         ("100,000 fields", [*base, *[("x", "b")] * 100_000]), ("101 fields", [*base, *[("x", "b")] * 101]),
                         ("a field of 40 kB", [*base, ("x", "a" * 40_000)])):
        block = b"".join(literal(0x10, n, v) for n, v in fields)
        connection, mark = Connection(target).handshake(), t.world.origin.mark()
        connection.headers(block=block[:16000], done=len(block) <= 16000)
        for at in range(16000, len(block), 16000):
            connection.continuation(1, block[at:at + 16000], at + 16000 >= len(block))
        sent += len(block)
        outcome = "silent"
        for event in connection.events():
            if event.kind in (GOAWAY, RST_STREAM, HEADERS, "closed"):
                outcome = str(event)
                break
        connection.close()
        t.check(outcome != "silent" and not t.world.origin.since(mark),
                f"{name} over HTTP/2: {outcome}, the origin saw {len(t.world.origin.since(mark))}")
    t.check(meter.growth() <= 3 * MIB, f"memory grew by {meter.growth()} over HTTP/2")
    t.figure("over HTTP/2",
             f"{sent / MIB:.1f} MB sent, memory +{meter.growth() / MIB:.1f} MB, CPU {meter.spent() * 1000:.0f} ms")


def limited():
    """The control plane may take this much; past it the kernel says no."""
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    resource.setrlimit(resource.RLIMIT_CPU, (20, 20))


def checked(text, name="kong.yml"):
    """Exit code, what was said, memory in kB and seconds of CPU of `gateway check` on this file."""
    with tempfile.TemporaryDirectory(prefix="seaway-bomb-") as folder:
        path = pathlib.Path(folder) / name
        path.write_bytes(text.encode())
        with open(pathlib.Path(folder) / "said", "w+b") as said:
            command = [SEAWAY, "gateway", "check", "--config", str(path)]
            child = subprocess.Popen(command, stdout=said, stderr=said, preexec_fn=limited)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            return child.returncode, said.read().decode(errors="replace"), usage.ru_maxrss, usage.ru_utime + usage.ru_stime


@item("T-30", "alias bombs and depth in kong.yml, depth in JSON bodies, and compressed bombs that nobody unpacks")
def expansion(t):
    laughs = "\n".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]" for n in range(1, 12))
    maps = "\n".join(f"m{n}: &m{n} {{{', '.join(f'k{k}: *m{n - 1}' for k in range(10))}}}" for n in range(1, 12))
    merges = "\n".join(f"g{n}: &g{n} {{<<: [{', '.join([f'*g{n - 1}'] * 9)}], k{n}: 1}}" for n in range(1, 12))
    for name, text in (("lists of aliases", '_format_version: "3.0"\nx0: &x0 lol\n' + laughs),
                       ("maps of aliases", '_format_version: "3.0"\nm0: &m0 {a: b}\n' + maps),
                       ("merges", '_format_version: "3.0"\ng0: &g0 {a: b}\n' + merges),
                       ("an alias to itself", '_format_version: "3.0"\na: &a [*a]\n'),
                       ("services of aliases", '_format_version: "3.0"\nx0: &x0 lol\n' + laughs + "\nservices: *x11\n"),
                       ("lists 100,000 deep", '_format_version: "3.0"\nx: ' + "[" * 100_000 + "]" * 100_000),
                       ("maps 20,000 deep", '_format_version: "3.0"\nx: ' + "{a: " * 20_000 + "1" + "}" * 20_000),
                       ("indented 5,000 deep", '_format_version: "3.0"\n' + "\n".join(" " * n + "a:" for n in range(5000))),
                       ("a key of 10 MB", '"' + "a" * 10_000_000 + '": 1')):
        code, said, memory, cpu = checked(text)
        t.check(0 < code < 100, f"{name}: ended with {code}: {said[-200:]}")
        t.check(memory < 600_000 and cpu < 15, f"{name}: {memory // 1024} MB, {cpu:.1f} s")
    for name, text in (("JSON lists", '{"_format_version": "3.0", "x": ' + "[" * 100_000 + "]" * 100_000 + "}"),
                       ("JSON objects", '{"x":' * 100_000 + "1" + "}" * 100_000)):
        code, said, memory, cpu = checked(text, "kong.json")
        t.check(0 < code < 100, f"{name} 100,000 deep: ended with {code}: {said[-200:]}")
    bodies(t)


def bodies(t):
    edit = {"name": "request-transformer", "config": {"add": {"body": ["added:1"]}, "remove": {"body": ["gone"]}}}
    change = {"name": "response-transformer", "config": {"add": {"json": ["added:1"]}}}
    origin = t.world.origin
    answers = {}
    origin.script = lambda request, sock: answers.get(request.target) or origin.plain(request, sock)
    deep = {"lists": b"[" * 60_000 + b"]" * 60_000, "objects": b'{"a":' * 30_000 + b"1" + b"}" * 30_000,
            "unclosed lists": b"[" * 120_000, "unclosed objects": b'{"a":' * 40_000,
            "a list in an object": b'{"a":' + b"[" * 60_000 + b"]" * 60_000 + b"}",
            "a number of 100,000 digits": b'{"a":' + b"9" * 100_000 + b"}", "an exponent": b'{"a":1e999999999}',
            "escapes": b'{"a":"' + b"\\u0000" * 20_000 + b'"}', "half an escape": b'{"a":"\\ud800"}',
            "20,000 keys": b"{" + b",".join(b'"k%d":1' % n for n in range(20_000)) + b"}",
            "one key 20,000 times": b"{" + b",".join([b'"k":1'] * 20_000) + b"}"}
    zipped = gzip.compress(bytes(50 * MIB))
    try:
        with t.world.start(t.world.config(route={"plugins": [edit, change]})) as gateway:
            ask(gateway.port)
            meter = meter_of(gateway)
            for name, body in deep.items():
                began = time.monotonic()
                status, _ = ask(gateway.port, "/", ["Content-Type: application/json", f"Content-Length: {len(body)}"], "POST",
                                body=body)
                t.check(status in (200, 400, 413), f"request of {name}: {status}")
                answers["/deep"] = answer(body=body, fields=["Content-Type: application/json"])
                status, _ = ask(gateway.port, "/deep")
                t.check(status in (200, 502), f"answer of {name}: {status}")
                t.check(time.monotonic() - began < 2, f"{name}: {time.monotonic() - began:.1f} s")
            for coding in ("gzip", "deflate", "br", "zstd"):
                body = zlib.compress(bytes(50 * MIB)) if coding == "deflate" else zipped
                fields = [f"Content-Encoding: {coding}", "Content-Type: application/json"]
                mark = origin.mark()
                status, _ = ask(gateway.port, "/", [*fields, f"Content-Length: {len(body)}"], "POST", body=body)
                seen = origin.since(mark)
                t.check(status == 200 and seen and seen[0].body == body, f"a body of {coding}: {status}, it arrived changed")
                answers["/zip"] = answer(body=body, fields=fields)
                status, data = ask(gateway.port, "/zip")
                t.check(status == 200 and data.endswith(body), f"an answer of {coding}: {status}, it came back changed")
            t.check(meter.alive() and meter.growth() < 8 * MIB, f"memory grew by {meter.growth() / MIB:.1f} MB")
            t.figure("bodies",
                     f"memory +{meter.growth() / MIB:.1f} MB, CPU {meter.spent() * 1000:.0f} ms; "
                     f"a bomb of 50 MB passes as its {len(zipped) // 1024} kB")
            t.check(ask(gateway.port)[0] == 200, "no page afterwards")
    finally:
        origin.script = origin.plain


@item("T-31", "clients that stall: in a head, a body, a TLS hello, a preface, a header block, or reading")
def stalls(t):
    flags = ("--head-timeout", "400ms", "--body-timeout", "400ms", "--idle-timeout", "400ms",
             "--tls-handshake-timeout", "400ms", "--http", "127.0.0.1:0,proxy_protocol", "--trusted-ips", "127.0.0.1")
    origin, large = t.world.origin, b"p" * (64 * MIB)
    certificate, key = t.world.authority.issue("localhost")
    pair = {"cert": certificate.read_text(), "key": key.read_text(), "snis": [{"name": "localhost"}]}
    origin.script = lambda request, sock: answer(body=large) if request.target == "/large" else origin.plain(request, sock)
    request = head()

    def drip(sock, data):
        """An octet at a time, more often than any timeout; True once the other side has had enough."""
        until = time.monotonic() + 4
        for octet in data:
            if time.monotonic() > until:
                return False
            try:
                sock.sendall(bytes([octet]))
                sock.settimeout(0.05)
                if sock.recv(4096) == b"":
                    return True
            except TimeoutError:
                continue
            except OSError:
                return True
        return False

    def ends(sock, seconds=4.0):
        sock.settimeout(seconds)
        return drain(sock)[1]

    try:
        with t.world.start(t.world.config(certificates=[pair], route={"request_buffering": False}), *flags,
                           https=True) as gateway:
            for name, part in (("nothing", b""), ("half a request line", b"GET / HT"), ("half a head", request[:-2]),
                               ("half a body", head("POST", "/", ["Content-Length: 9"]) + b"hel"),
                               ("half a chunk", head("POST", "/", ["Transfer-Encoding: chunked"]) + b"9\r\nhel"),
                               ("half a chunk size", head("POST", "/", ["Transfer-Encoding: chunked"]) + b"9"),
                               ("an idle connection", request), ("half a preface", PREFACE[:10]),
                               ("a preface and no SETTINGS", PREFACE)):
                with connect(gateway.port) as sock:
                    sock.sendall(part)
                    t.check(ends(sock), f"{name}: the connection was held for 4 s")
            with connect(gateway.port) as sock:
                t.check(drip(sock, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 500), "a head in drips was held for 4 s")
            for name, part in (("no PROXY line", b""), ("half a PROXY line", b"PROXY TCP4 1.2"),
                               ("half a PROXY header", b"\r\n\r\n\0\r\nQUIT\n\x21")):
                with connect(second_port(gateway)) as sock:
                    sock.sendall(part)
                    t.check(ends(sock), f"{name}: held for 4 s")
            hello = client_hello()
            for name, part in (("no hello", b""), ("half a hello", hello[:20]), ("a hello and no more", hello)):
                with connect(gateway.https_port) as sock:
                    sock.sendall(part)
                    t.check(ends(sock), f"TLS with {name}: held for 4 s")
            with connect(gateway.https_port) as sock:
                t.check(drip(sock, hello[:-1]), "a TLS hello in drips was held for 4 s")
            with socket.socket() as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                sock.settimeout(4)
                sock.connect(("127.0.0.1", gateway.port))
                sock.sendall(head(target="/large"))
                time.sleep(1.5)
                got, ended = drain(sock)
                t.check(ended and len(got) < len(large), f"an unread answer: {len(got)} octets came, ended {ended}")
            target = Target("127.0.0.1", gateway.port, False, 4.0)
            for name, send in (("an idle connection", lambda c: c), ("half a header block", lambda c: c.headers(done=False)),
                               ("half a body", lambda c: c.post().data(end=False)),
                               ("half a frame", lambda c: c.send(b"\x00\x00\x20\x01\x05"))):
                connection = Connection(target).handshake()
                send(connection)
                outcome = [e.kind for e in connection.events()]
                t.check(outcome[-1] == "closed" or GOAWAY in outcome or RST_STREAM in outcome,
                        f"HTTP/2 with {name}: held for 4 s")
                connection.close()
            t.check(ask(gateway.port)[0] == 200, "no page afterwards")
            crowd = [connect(gateway.port) for _ in range(300)]
            for number, sock in enumerate(crowd):
                sock.sendall(request[:number % len(request)])
            t.check(all(ask(gateway.port)[0] == 200 for _ in range(20)),
                    "300 stalled connections kept others from being served")
            t.check(all(ends(sock) for sock in crowd), "some of 300 stalled connections were held")
            for sock in crowd:
                sock.close()
    finally:
        origin.script = origin.plain


def client_hello() -> bytes:
    """The first flight of a TLS client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


@item("T-32", "patterns that backtrack, in every field that takes one")
def backtracking(t):
    patterns = [r"(a+)+$", r"(a|a)*$", r"(a|aa)+$", r"(.*a){20}$", r"([a-z]+)*x$", r"(\w+\s?)*:$", r"^(a?){30}a{30}$",
                r"(?:a(?:a(?:a*)*)*)*b$", r"(x+x+)+y", r"a*a*a*a*a*a*a*b", r"(?=(a+))a*b\1"]
    subject = "a" * 3000
    origin = f"http://127.0.0.1:{t.world.origin.port}"
    slowest = 0.0
    for pattern in patterns:
        path = {"name": "p", "paths": ["~/p/" + pattern], "strip_path": False}
        field = {"name": "h", "paths": ["/h"], "headers": {"x-h": ["~*" + pattern]}, "strip_path": False}
        cors = {"name": "c", "paths": ["/c"], "strip_path": False,
                "plugins": [{"name": "cors", "config": {"origins": [r"https://" + pattern, "https://never.example"]}}]}
        plain = {"name": "all", "paths": ["/open"], "strip_path": False}
        with t.world.start({"_format_version": "3.0",
                            "services": [{"name": "o", "url": origin, "routes": [path, field, cors, plain]}]}) as gateway:
            ask(gateway.port, "/open")
            meter, worst = meter_of(gateway), 0.0
            for target, fields in (("/p/" + subject + "!", []), ("/p/" + "aa " * 900 + "!", []), ("/p/" + "x" * 3000, []),
                                   ("/h", [f"X-H: {subject}!"]), ("/h", ["X-H: " + "aa " * 900 + "!"]),
                                   ("/h", ["X-H: " + "x" * 3000]), ("/c", [f"Origin: https://{subject}!"]),
                                   ("/c", ["Origin: https://" + "x" * 3000])):
                began = time.monotonic()
                status, _ = ask(gateway.port, target.replace(" ", "%20"), fields)
                took = time.monotonic() - began
                worst = max(worst, took)
                t.check(status in (200, 400, 404, 500) and took < 2,
                        f"{pattern} on {target[:8]} {fields and fields[0][:10]}: {status} in {took:.1f} s")
            t.check(ask(gateway.port, "/open")[0] == 200 and meter.alive(), f"{pattern}: no page afterwards")
            slowest = max(slowest, worst)
    t.figure("the slowest match", f"{slowest * 1000:.0f} ms with everything around it")


@item("T-33", "overload is shed early, memory stays, and the status listener goes on answering")
def overload(t):
    origin = t.world.origin
    waiting = threading.Event()
    origin.script = lambda request, sock: (waiting.wait(10),
                                           origin.plain(request,
                                                        sock))[1] if request.target == "/wait" else origin.plain(request, sock)
    crowd = []
    try:
        with t.world.start(t.world.config(), "--connection-limit", "200") as gateway:
            ask(gateway.port)
            meter = meter_of(gateway)
            for _ in range(600):
                sock = connect(gateway.port)
                try:
                    sock.sendall(head(target="/wait"))
                except OSError:
                    pass
                crowd.append(sock)
            eventually("two hundred requests at the origin", lambda: origin.busy >= 190, 15)
            time.sleep(0.2)
            t.check(origin.busy <= 200, f"{origin.busy} requests are under way")
            shed = 0
            for sock in crowd:
                sock.settimeout(0)
                try:
                    data = sock.recv(4096)
                    shed += data == b"" or statuses(data)[:1] == [503]
                except BlockingIOError:
                    pass
                except OSError:
                    shed += 1
            t.check(shed >= 400, f"{shed} of 600 connections were shed")
            for path in ("/status/ready", "/metrics", "/status"):
                began = time.monotonic()
                code, _ = gateway.status(path)
                t.check(code == 200 and time.monotonic() - began < 2, f"{path}: {code} in {time.monotonic() - began:.1f} s")
            t.check(gateway.metric("seaway_connections_refused_total") >= 400, "refused connections are not counted")
            waiting.set()
            answered = 0
            for sock in crowd:
                sock.settimeout(10)
                try:
                    answered += statuses(drain(sock, lambda d: bool(statuses(d)))[0]) == [200]
                except OSError:
                    pass
                sock.close()
            t.check(answered >= 190, f"{answered} of the admitted were answered")
            eventually("a page afterwards", lambda: ask(gateway.port)[0] == 200)
            t.figure("600 connections against a limit of 200",
                     f"{shed} shed, {answered} answered, "
                     f"memory +{meter.growth() / MIB:.1f} MB, CPU {meter.spent() * 1000:.0f} ms")
            # Bodies that nobody waits for: each connection may fill its buffers and no more.
            meter, before = meter_of(gateway), ask(gateway.port)[0]
            waiting.clear()
            crowd[:] = [connect(gateway.port) for _ in range(100)]
            for sock in crowd:
                sock.settimeout(0.02)
                try:
                    sock.sendall(head("POST", "/wait", ["Content-Length: 100000000"]) + b"x" * (4 * MIB))
                except OSError:
                    pass
            time.sleep(0.3)
            grown = meter.growth()
            t.check(before == 200 and grown <= 100 * 2 * MIB, f"memory grew by {grown / MIB:.0f} MB for 100 bodies")
            t.check(ask(gateway.port)[0] == 200 and gateway.status("/status/ready")[0] == 200, "no page while 100 bodies wait")
            t.figure("100 bodies of 100 MB that nobody reads", f"memory +{grown / MIB:.1f} MB")
            waiting.set()
    finally:
        waiting.set()
        for sock in crowd:
            sock.close()
        origin.script = origin.plain
