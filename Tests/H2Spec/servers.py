"""Servers to run the cases against: each serves HTTP/2 in clear and over TLS, before an HTTP/1.1 origin."""

import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(1, str(pathlib.Path(__file__).resolve().parent.parent / "Scenario"))
from certs import Authority  # noqa: E402
from gateway import Gateway, kong  # noqa: E402
from wire import Origin, read_body, reply  # noqa: E402


def page(stream, head):
    """Five octets or more, which the flow control cases need; HEAD gets none."""
    read_body(stream, head)
    out = reply(200, "anchor")
    return out.removesuffix(b"anchor") if head.method == "HEAD" else out


def origin() -> Origin:
    upstream = Origin()
    upstream.on("/", page)
    return upstream


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Server:
    """`plain` and `tls` are ports on 127.0.0.1."""

    name = ""

    def __init__(self, origin_port, *flags):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="seaway-h2spec-"))
        self.authority = Authority()
        self.certificate, self.key = self.authority.issue("127.0.0.1", "IP:127.0.0.1", "DNS:localhost")
        self.origin_port, self.flags, self.process = origin_port, flags, None
        self.plain, self.tls = free_port(), free_port()

    def __enter__(self):
        with open(self.folder / "output.log", "wb") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        until = time.monotonic() + 10
        for port in (self.plain, self.tls):
            while not self.answers(port):
                if self.process.poll() is not None or time.monotonic() > until:
                    text = (self.folder / "output.log").read_text(errors="replace")[-2000:]
                    self.__exit__()
                    raise SystemExit(f"{self.name} did not start:\n{text}")
                time.sleep(0.02)
        return self

    def __exit__(self, *error):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(3)
        self.authority.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def pids(self) -> list:
        """The processes that must still be there after the cases."""
        if self.process.poll() is not None:
            return []
        first = self.process.pid
        children = pathlib.Path(f"/proc/{first}/task/{first}/children").read_text(encoding="ascii").split()
        return [first, *map(int, children)]

    @staticmethod
    def answers(port) -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.5).close()
            return True
        except OSError:
            return False

    def write(self, name, text) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def command(self) -> list:
        raise NotImplementedError


class Seaway(Server):
    name = "seaway"

    def __enter__(self):
        everything = {"name": "all", "paths": ["/"], "strip_path": False}
        pair = {"cert": self.certificate.read_text(), "key": self.key.read_text(), "snis": [{"name": "localhost"}]}
        self.gateway = Gateway(
            kong([{"name": "origin", "url": f"http://127.0.0.1:{self.origin_port}", "routes": [everything]}],
                 certificates=[pair]), "--access-log", "off", *self.flags, https=True)
        self.plain, self.tls = self.gateway.port, self.gateway.https_port
        return self

    def __exit__(self, *error):
        self.gateway.stop()
        self.authority.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def pids(self) -> list:
        return self.gateway.proxies()


class Nginx(Server):
    name = "nginx"

    def command(self) -> list:
        here = self.folder
        config = self.write("nginx.conf", f"""
daemon off; worker_processes 1; pid {here}/nginx.pid; error_log {here}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {here}/b; proxy_temp_path {here}/p;
  fastcgi_temp_path {here}/f; uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;
  server {{
    listen 127.0.0.1:{self.plain} http2;
    listen 127.0.0.1:{self.tls} ssl http2;
    ssl_certificate {self.certificate}; ssl_certificate_key {self.key};
    location / {{ proxy_pass http://127.0.0.1:{self.origin_port}; proxy_http_version 1.1; }}
  }}
}}
""")
        return ["nginx", "-c", config, "-p", str(here), "-e", str(here / "error.log")]


class HAProxy(Server):
    name = "haproxy"

    def command(self) -> list:
        pair = self.write("pair.pem", self.certificate.read_text() + self.key.read_text())
        config = self.write("haproxy.cfg", f"""
global
    nbthread 1
defaults
    mode http
    timeout connect 2s
    timeout client 10s
    timeout server 10s
frontend f
    bind 127.0.0.1:{self.plain}
    bind 127.0.0.1:{self.tls} ssl crt {pair} alpn h2,http/1.1
    default_backend b
backend b
    server s 127.0.0.1:{self.origin_port}
""")
        return ["haproxy", "-db", "-f", config]


class Nghttpx(Server):
    name = "nghttpx"

    def command(self) -> list:
        return ["nghttpx", "--conf=/dev/null", f"--frontend=127.0.0.1,{self.plain};no-tls",
                f"--frontend=127.0.0.1,{self.tls}", f"--backend=127.0.0.1,{self.origin_port}", "--workers=1",
                "--no-ocsp", "--log-level=ERROR", "--accesslog-file=/dev/null", str(self.key), str(self.certificate)]


SERVERS = {s.name: s for s in (Seaway, Nginx, HAProxy, Nghttpx)}
