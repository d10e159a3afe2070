"""What all proxies of the benchmarks have in common: one worker, core 0, access log to a file, kept upstream connections."""

import dataclasses
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VENV = ROOT / "Benchmarks/.venv"
PROXY_CORE, LOAD_CORE = "0", "1"
# What clients ask for by SNI, and the certificate's name.
NAME = "bench.example"

# The kinds of work: what clients speak, and what the upstream does.
KINDS = {
    "h1": "HTTP/1 in the clear and over TLS, to an HTTP/1 upstream",
    "h2": "HTTP/2 in the clear and over TLS, to an HTTP/1 upstream",
    "h2-h2": "HTTP/2, to an HTTP/2 upstream",
    "grpc": "gRPC, to a gRPC upstream",
    "websocket": "WebSocket over HTTP/1",
    "tcp": "TCP",
    "passthrough": "TLS that is not terminated, routed by its SNI",
}


@dataclasses.dataclass
class Site:
    """What proxies stand before, and by which certificate they are known. Ports are of 127.0.0.1."""

    h1: int
    h2: int
    stream: int
    cert: pathlib.Path
    key: pathlib.Path

    def upstream(self, kind: str) -> int:
        return {"h2-h2": self.h2, "grpc": self.h2, "websocket": self.stream, "tcp": self.stream,
                "passthrough": self.stream}.get(kind, self.h1)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Peer:
    """One proxy, started for one kind of work. `routes` paths /r0/ … are configured; 0 means one route for everything.

    `http`, `https`, `h2c` and `stream` are its ports. A proxy that takes HTTP/2 on its ordinary port has both on one.
    """

    name = ""
    # Whether HTTP/1 and HTTP/2 in the clear come in on one port.
    one_clear_port = False
    # Whether much data comes on few connections, for settings that would only cost where connections are short.
    bulk = False

    def __init__(self, folder: pathlib.Path, site: Site, kind: str = "h1", routes: int = 0):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.site, self.kind, self.routes = site, kind, routes
        self.cert, self.key, self.upstream = site.cert, site.key, site.upstream(kind)
        self.http, self.https, self.stream = free_port(), free_port(), free_port()
        self.h2c = self.http if self.one_clear_port else free_port()
        self.process = None
        self.load_seconds = 0.0

    @staticmethod
    def available() -> str:
        """Empty when it can run here, else what is missing."""
        return ""

    @classmethod
    def cannot(cls, kind: str) -> str:
        """Empty when it does this kind of work, else why not."""
        return ""

    def command(self) -> list:
        raise NotImplementedError

    @staticmethod
    def version() -> str:
        raise NotImplementedError

    @property
    def streams(self) -> bool:
        """Whether the work is below HTTP."""
        return self.kind in ("tcp", "passthrough")

    @property
    def speaks_h2(self) -> bool:
        return self.kind in ("h2", "h2-h2", "grpc")

    def start(self) -> None:
        log = open(self.folder / "output.log", "wb")
        command = ["taskset", "-c", PROXY_CORE] + self.command()
        began = time.monotonic()
        self.process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True)
        while not (self.answers_stream() if self.streams else self.answers_http()):
            if self.process.poll() is not None or time.monotonic() - began > 60:
                text = (self.folder / "output.log").read_text(errors="replace")
                self.stop()
                raise RuntimeError(f"{self.name} did not start: {text[-1500:]}")
            time.sleep(0.01)
        self.load_seconds = time.monotonic() - began

    def answers_http(self) -> bool:
        path = "/r0/x" if self.routes else "/"
        # The WebSocket upstream answers nothing else: whatever the proxy itself says will do.
        anything = self.kind in ("websocket", "grpc")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=20) as answer:
                return anything or answer.status == 200
        except urllib.error.HTTPError as error:
            # A plugin that wants credentials, or refuses everybody, is up too.
            return anything or error.code in (401, 403)
        except (OSError, ValueError):
            return False

    def answers_stream(self) -> bool:
        """One exchange with the upstream, as the load tool makes it."""
        message = b"E" + b"." * 63
        try:
            with socket.create_connection(("127.0.0.1", self.stream), timeout=2) as sock:
                sock.sendall((client_hello() if self.kind == "passthrough" else b"") + message)
                back = b""
                while len(back) < len(message) and (more := sock.recv(64)):
                    back += more
                return back == message
        except OSError:
            return False

    def measured(self) -> list:
        """The processes that proxy: their CPU and memory count."""
        return [self.process.pid]

    def cpu_ns(self) -> int:
        total = 0
        for pid in self.measured():
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                try:
                    total += int((task / "schedstat").read_text().split()[0])
                except FileNotFoundError:
                    continue
        return total

    def rss_bytes(self) -> int:
        total = 0
        for pid in self.measured():
            found = re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())
            total += int(found.group(1)) * 1024
        return total

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(5)

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)


def client_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    try:
        context.wrap_bio(incoming, outgoing, server_hostname=NAME).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def children(pid: int) -> list:
    found = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(p) for p in found]


def command_name(pid: int) -> str:
    return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
