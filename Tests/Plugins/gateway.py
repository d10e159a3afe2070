"""A recording origin, a gateway in front of it, and one request at a time through both."""

import base64
import http.client
import http.server
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Origin(http.server.ThreadingHTTPServer):
    """Answers with what it got, as JSON; a request may say how in X-Want (JSON: status, headers, body)."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.seen = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """A gateway that breaks off is what some rows ask for."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self) -> bytes:
        if self.headers.get("transfer-encoding") == "chunked":
            data = b""
            # A gateway that gives up in the middle leaves no size line.
            while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def answer(self):
        with self.server.lock:
            self.server.seen += 1
        body = self.body()
        headers = {}
        for name, value in self.headers.items():
            headers.setdefault(name.lower(), []).append(value)
        want = json.loads(self.headers.get("x-want", "{}"))
        reply = {"method": self.command, "uri": self.path, "headers": headers, "body": body.decode("latin-1")}
        text = want.get("body", json.dumps(reply)).encode()
        self.send_response(want.get("status", 200))
        fields = want.get("headers", [["Content-Type", "application/json"]])
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = answer


class Answer:
    """What the client got, and what the origin said that it saw."""

    def __init__(self, status, fields, body):
        self.status = status
        self.fields = fields
        self.body = body
        try:
            self.json = json.loads(body)
        except ValueError:
            self.json = None
        self.seen = self.json if isinstance(self.json, dict) and "uri" in self.json else None

    def header(self, name):
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        return values[0] if len(values) == 1 else values or None


class Gateway:
    """`seaway gateway run` on a configuration, on free loopback ports."""

    def __init__(self, config: dict, program: pathlib.Path, workers=2, options=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="plugins-"))
        self.port, self.https, self.status = free_port(), free_port(), free_port()
        self.path = self.folder / "kong.yml"
        self.write(config)
        self.log = open(self.folder / "output.log", "wb")
        self.process = subprocess.Popen(
            [program, "gateway", "run", "--config", self.path, "--http", f"127.0.0.1:{self.port}",
             "--https", f"127.0.0.1:{self.https}", "--status", f"127.0.0.1:{self.status}", "--workers", str(workers),
             "--access-log", "off", "--state-dir", self.folder / "state", *options],
            stdout=self.log, stderr=self.log, start_new_session=True)
        deadline = time.monotonic() + 20
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the gateway did not start:\n" + (self.folder / "output.log").read_text())
            time.sleep(0.02)

    def write(self, config: dict):
        # JSON is YAML.
        self.path.write_text(json.dumps(config))

    def reload(self, config: dict):
        """Puts another configuration in effect; returns when every worker shows it.

        A new connection lands on any of the workers, so one good answer is not enough.
        """
        marker = f"/__config_{time.monotonic_ns()}"
        config = dict(config, services=config["services"] + [{
            "name": "marker", "url": "http://127.0.0.1:1", "routes": [{"paths": [marker]}],
            "plugins": [{"name": "request-termination", "config": {"status_code": 299}}]}])
        self.write(config)
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 10
        in_a_row = 0
        while in_a_row < 64:
            in_a_row = in_a_row + 1 if self.request("GET", marker).status == 299 else 0
            if time.monotonic() > deadline:
                raise AssertionError("the new configuration is not in effect")

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.status}/status/ready", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def request(self, method, target, headers=(), body=None, chunked=False) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            names = {name.lower() for name, _ in headers}
            connection.putrequest(method, target, skip_host="host" in names, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            if isinstance(body, str):
                body = body.encode()
            if body is not None and chunked:
                connection.putheader("Transfer-Encoding", "chunked")
            elif body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders()
            if body is not None:
                try:
                    connection.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body)
                except (BrokenPipeError, ConnectionResetError):
                    pass
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()


def basic(name, password):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
