"""Every mix of HTTP/1.1 and HTTP/2 between a client and an upstream, behind one face for both."""

import unittest

from certs import Authority
from gateway import Gateway, eventually, kong, service
from h2wire import H2Client, H2Origin, connect, serving, trusting
from wire import Client, Ended, Origin, Stream, reply

CLIENTS = ("h1", "h1s", "h2c", "h2")
UPSTREAMS = ("h1", "h2c", "h2")
TAG = ["seaway.upstream-protocol=h2"]
MIXES = [(client, upstream) for client in CLIENTS for upstream in UPSTREAMS]


class Answer:
    """A response, its names in lower case. `broken` says how it ended too early."""

    def __init__(self, status=0, fields=(), body=b"", trailers=(), interim=(), broken=None):
        self.status, self.fields, self.body = status, list(fields), body
        self.trailers, self.interim, self.broken = list(trailers), list(interim), broken

    def all(self, name) -> list:
        return [v for n, v in self.fields if n == name]

    def get(self, name, default=None):
        found = self.all(name)
        return found[0] if found else default

    def __repr__(self):
        return f"<{self.status} {self.fields} {self.body[:80]!r} ({len(self.body)}) {self.trailers} {self.interim} {self.broken}>"


def plain(fields):
    return [(n.lower().decode("latin-1"), v.decode("latin-1")) for n, v in fields]


class Job:
    """A request at an upstream of any kind, its names in lower case; and the way to answer it."""

    def __init__(self, work, head=None):
        self.work, self.head = work, head
        self.kind = "h1" if head else "h2"
        self.method, self.target = (head or work).method, (head or work).target
        self.fields = plain(head.fields) if head else [(n, v) for n, v in work.fields if not n.startswith(":")]
        self.authority = head.get("Host") if head else work.pseudo.get(":authority")
        self.body, self.trailers = None, []

    def all(self, name) -> list:
        return [v for n, v in self.fields if n == name]

    def get(self, name, default=None):
        found = self.all(name)
        return found[0] if found else default

    def read(self) -> bytes:
        """The whole body, and the trailers after it."""
        if self.head:
            Origin._read_body(self.work, self.head)
            self.body, self.trailers = self.head.body, plain(self.head.trailers)
        else:
            self.body = self.work.body
            self.trailers = self.work.trailers
        return self.body

    def interim(self, status, fields=()):
        if self.head:
            self.work.send("\r\n".join([f"HTTP/1.1 {status} Interim"] + [f"{n}: {v}" for n, v in fields]) + "\r\n\r\n")
        else:
            self.work.interim(status, fields)

    def respond(self, status=200, body=b"ok", fields=(), trailers=()):
        body = body if isinstance(body, bytes) else body.encode()
        if self.body is None:
            self.read()
        if not self.head:
            return self.work.respond(status, body, fields, trailers)
        if trailers:
            self.work.send("\r\n".join([f"HTTP/1.1 {status} X", "Transfer-Encoding: chunked"] + [f"{n}: {v}" for n, v in fields]))
            self.work.send(b"\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n")
            self.work.send("".join(f"{n}: {v}\r\n" for n, v in trailers) + "\r\n")
        elif status in (204, 304):
            self.work.send("\r\n".join([f"HTTP/1.1 {status} X"] + [f"{n}: {v}" for n, v in fields]) + "\r\n\r\n")
        else:
            self.work.send(reply(status, body, fields))
        return True


class Mixed(unittest.TestCase):
    """One gateway; routes /h1, /h2c and /h2 lead to upstreams of these kinds."""

    flags = ()
    fields = {}
    mix = None

    @classmethod
    def setUpClass(cls):
        cls.authority = Authority()
        cls.pair = cls.authority.issue("www.example")
        cls.origins = {"h1": Origin(), "h2c": H2Origin(), "h2": H2Origin(serving(cls.pair))}
        cls.gateway = Gateway(cls.config(), *cls.flags, https=True)

    @classmethod
    def tearDownClass(cls):
        cls.gateway.stop()
        for origin in cls.origins.values():
            origin.close()
        cls.authority.close()

    @classmethod
    def config(cls):
        services = [service(kind, origin.url, tags=TAG if kind != "h1" else [], **cls.fields) for kind, origin in cls.origins.items()]
        streamed = [{"name": f"stream-{kind}", "paths": [f"/{kind}/stream"], "strip_path": False, "request_buffering": False,
                     "response_buffering": False} for kind in cls.origins]
        for entity, route in zip(services, streamed):
            entity["routes"].append(route)
        return kong(services)

    def setUp(self):
        for origin in self.origins.values():
            origin.scripts.clear()
            origin.hang_up()
        eventually("the origins' connections to end", lambda: not any(o.open for o in self.origins.values()))
        for origin in self.origins.values():
            origin.clear()

    def tearDown(self):
        for kind in ("h2c", "h2"):
            self.assertEqual(self.origins[kind].faults, [], f"the {kind} upstream was treated against the rules")

    def _formatMessage(self, message, standard):
        return super()._formatMessage(message if message is not None else self.mix, standard)

    # Upstreams

    def on(self, path, script):
        """The same script at `/KIND` + path of every upstream; it is called with a `Job`."""
        def http1(stream, head):
            out = script(Job(stream, head))
            return True if out is None else out
        self.origins["h1"].on(f"/h1{path}", http1)
        for kind in ("h2c", "h2"):
            self.origins[kind].on(f"/{kind}{path}", lambda work: script(Job(work)))

    def jobs(self, upstream, path=""):
        """Requests that an upstream saw."""
        seen = self.origins[upstream].seen(f"/{upstream}{path}")
        return [Job(None, m) if upstream == "h1" else Job(m) for m in seen]

    # Clients

    def port(self, kind):
        return self.gateway.https_port if kind in ("h1s", "h2") else self.gateway.port

    def h2(self, kind="h2c", **more):
        client = H2Client(self.port(kind), trusting() if kind == "h2" else None, **more)
        self.addCleanup(client.close)
        return client

    def h1(self, kind="h1", **more):
        client = Client(self.port(kind), **more) if kind == "h1" else Stream(connect(self.port(kind), trusting(["http/1.1"])))
        self.addCleanup(client.close)
        return client

    def ask(self, kind, target, method="GET", fields=(), body=None, trailers=(), host="www.example") -> Answer:
        """One request on a connection of its own, by a client of this kind."""
        return (self._ask_h1 if kind.startswith("h1") else self._ask_h2)(kind, target, method, fields, body, trailers, host)

    def _ask_h1(self, kind, target, method, fields, body, trailers, host):
        with self.h1(kind) as client:
            lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"] + [f"{n}: {v}" for n, v in fields]
            tail = body or b""
            if trailers:
                lines.append("Transfer-Encoding: chunked")
                tail = (b"%x\r\n" % len(body) + body + b"\r\n" if body else b"") + b"0\r\n"
                tail += "".join(f"{n}: {v}\r\n" for n, v in trailers).encode() + b"\r\n"
            elif body is not None and not any(n.lower() == "content-length" for n, _ in fields):
                lines.append(f"Content-Length: {len(body)}")
            client.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + tail)
            interim, head = [], None
            try:
                while (head := client.response(method, interim=True)).status < 200:
                    interim.append((head.status, plain(head.fields)))
            except (Ended, OSError) as failure:
                return Answer(interim=interim, broken=repr(failure))
            broken = None
            if (length := head.get("Content-Length")) and method != "HEAD" and head.status not in (204, 304):
                broken = None if len(head.body) == int(length) else "short"
            return Answer(head.status, plain(head.fields), head.body, plain(head.trailers), interim, broken)

    def _ask_h2(self, kind, target, method, fields, body, trailers, host):
        with self.h2(kind) as client:
            got = client.ask(target, method, host, [(n.lower(), v) for n, v in fields], body, trailers)
            return Answer(got.status, got.fields, got.body, got.trailers, got.interim, got.code)
