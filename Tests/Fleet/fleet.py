"""Control planes, gateways, a database and load, as processes of the tests' own on free ports of 127.0.0.1."""

import contextlib
import http.client
import http.server
import json
import os
import pathlib
import pwd
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LOCAL = "127.0.0.1"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind((LOCAL, 0))
        return sock.getsockname()[1]


def wait_for(what: str, holds, seconds: float = 20, pause: float = 0.02):
    """The first true value of `holds`; how long it took is for the caller to measure."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError, KeyError):
            if value := holds():
                return value
        time.sleep(pause)
    raise AssertionError(f"{what}: not within {seconds} s")


class Process:
    """A program of ours or a real component; its output goes to a file that failures show."""

    def __init__(self, name: str, command: list, folder: pathlib.Path, **more):
        self.name, self.log = name, folder / f"{name}.log"
        self.command, self.more = [str(part) for part in command], more
        self.start()

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env={**os.environ, "NO_COLOR": "1"}, **self.more)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, seconds: float = 40):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


class Postgres(Process):
    def __init__(self, folder: pathlib.Path):
        binaries = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
        assert binaries, "PostgreSQL is not installed: make deps"
        self.bin, self.port, self.data = binaries[-1], free_port(), folder / "data"
        folder.mkdir(parents=True)
        self.become = {}
        if os.getuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            for above in folder.parents:
                if above == pathlib.Path(tempfile.gettempdir()):
                    break
                above.chmod(0o755)
            self.become = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        subprocess.run([self.bin / "initdb", "-D", self.data, "-U", "seaway", "-A", "trust"], check=True,
                       capture_output=True, cwd=folder, **self.become)
        super().__init__("postgres", [self.bin / "postgres", "-D", self.data, "-k", folder, "-h", LOCAL, "-p", self.port],
                         folder, cwd=folder, **self.become)
        self.ready()
        subprocess.run([self.bin / "createdb", "-h", LOCAL, "-p", str(self.port), "-U", "seaway", "fleet"], check=True)
        self.url = f"postgres://seaway@{LOCAL}:{self.port}/fleet"

    def ready(self):
        command = [self.bin / "pg_isready", "-h", LOCAL, "-p", str(self.port)]
        wait_for("PostgreSQL", lambda: subprocess.run(command, capture_output=True).returncode == 0)

    def stop(self, seconds: float = 40):
        # SIGINT is its fast shutdown: clients are cut.
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(seconds)

    def restart(self):
        self.start()
        self.ready()


class Plane(Process):
    """A control plane. Its ports stay the same when it is started again."""

    def __init__(self, fleet, name: str, store: str = "", arguments=()):
        self.fleet, self.folder = fleet, fleet.folder / name
        self.folder.mkdir(parents=True)
        self.admin, self.api, self.stream = free_port(), free_port(), free_port()
        command = [fleet.program, "control-plane", "run", "--data", self.folder / "data",
                   "--admin", f"{LOCAL}:{self.admin}", "--api", f"{LOCAL}:{self.api}",
                   "--stream", f"{LOCAL}:{self.stream}", *arguments]
        super().__init__(name, command + (["--store", store] if store else []), self.folder)
        self.ready()
        path = self.folder / "data/admin-token"
        if path.exists():
            fleet.token = path.read_text().strip()

    def ready(self, seconds: float = 60):
        wait_for(f"{self.name} answers\n{self.tail()}", lambda: self.request("GET", "/healthz")[0] == 200, seconds)

    def request(self, method, path, body=None, kind="application/json", port=None, timeout=30):
        connection = http.client.HTTPConnection(LOCAL, port or self.api, timeout=timeout)
        try:
            content = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
            fields = {"Content-Type": kind} if content is not None else {}
            if getattr(self.fleet, "token", None):
                fields["Authorization"] = f"Bearer {self.fleet.token}"
            connection.request(method, path, content, fields)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text[:1] in (b"{", b"[") else text.decode()
        finally:
            connection.close()

    def get(self, path):
        status, value = self.request("GET", path)
        assert status == 200, (path, status, value)
        return value

    def apply(self, text: str, query: str = "") -> dict:
        status, value = self.request("POST", "/v1/apply" + query, text.encode(), "application/yaml")
        assert status == 200, (status, value)
        return value

    def token(self, name: str, roles, **more) -> str:
        status, value = self.request("POST", "/v1/tokens", {"name": name, "roles": roles, **more})
        assert status in (200, 201), (status, value)
        return value["token"]

    def gateway(self, name: str) -> dict:
        return next((one for one in self.get("/v1/gateways")["items"] if one["name"] == name), {})


class Gateway(Process):
    def __init__(self, fleet, name: str, planes: list[int], token: str, arguments=()):
        self.folder = fleet.folder / f"gateway-{name}"
        self.folder.mkdir(parents=True)
        (self.folder / "token").write_text(token)
        self.http, self.status = free_port(), free_port()
        super().__init__(name, [
            fleet.program, "gateway", "run", "--name", name, "--token-file", self.folder / "token",
            "--control-plane", ",".join(f"https://{LOCAL}:{port}" for port in planes),
            "--http", f"{LOCAL}:{self.http}", "--https", "off", "--status", f"{LOCAL}:{self.status}",
            "--workers", "1", "--state-dir", self.folder / "state", *arguments], self.folder)

    def ask(self, path: str, timeout: float = 5) -> int:
        connection = http.client.HTTPConnection(LOCAL, self.http, timeout=timeout)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def serves(self, path: str, status: int = 200, seconds: float = 20) -> float:
        """Seconds until `path` is answered with `status`."""
        start = time.monotonic()
        wait_for(f"{self.name} answers {path} with {status}\n{self.tail()}", lambda: self.ask(path) == status, seconds, 0.01)
        return time.monotonic() - start


class Load:
    """Requests on kept connections until stopped; every answer that is not 200 is a failure."""

    def __init__(self, gateway: Gateway, path: str, connections: int = 4):
        self.gateway, self.path = gateway, path
        self.done, self.failures, self.stopping = 0, [], False
        self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(connections)]
        for thread in self.threads:
            thread.start()

    def work(self):
        connection = http.client.HTTPConnection(LOCAL, self.gateway.http, timeout=10)
        while not self.stopping:
            try:
                connection.request("GET", self.path)
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    self.failures.append(answer.status)
                self.done += 1
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
            time.sleep(0.002)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopping = True
        for thread in self.threads:
            thread.join(15)


class Upstream:
    """Answers every request with 200 and its path."""

    def __init__(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # A head and a body in two segments would wait for each other.
            wbufsize = -1

            def do_GET(self):
                body = self.path.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((LOCAL, 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Cable:
    """A TCP relay that can be cut and mended: the network between a gateway and its control plane."""

    def __init__(self, target: int):
        self.target, self.is_cut, self.pairs = target, False, []
        self.listener = socket.create_server((LOCAL, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            if self.is_cut:
                near.close()
                continue
            try:
                far = socket.create_connection((LOCAL, self.target))
            except OSError:
                near.close()
                continue
            self.pairs.append((near, far))
            threading.Thread(target=self.carry, args=(near, far), daemon=True).start()

    @staticmethod
    def carry(near, far):
        with contextlib.suppress(OSError):
            while True:
                for end in select.select([near, far], [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        raise OSError
                    (far if end is near else near).sendall(data)
        for end in (near, far):
            end.close()

    def cut(self):
        self.is_cut = True
        for pair in self.pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self.pairs = []

    def mend(self):
        self.is_cut = False

    def close(self):
        self.listener.close()
        self.cut()


class Fleet(contextlib.ExitStack):
    """Everything a test starts, stopped at its end in the opposite order."""

    def __init__(self, program: str):
        super().__init__()
        self.program, self.token = program, None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fleet-"))
        self.callback(shutil.rmtree, self.folder, ignore_errors=True)

    def own(self, thing):
        self.callback(thing.close if hasattr(thing, "close") else thing.stop)
        return thing

    def postgres(self) -> Postgres:
        return self.own(Postgres(self.folder / "postgres"))

    def plane(self, name: str = "cp", store: str = "", arguments=()) -> Plane:
        return self.own(Plane(self, name, store, arguments))

    def gateway(self, name: str, planes, token: str, arguments=()) -> Gateway:
        return self.own(Gateway(self, name, planes, token, arguments))

    def upstream(self) -> Upstream:
        return self.own(Upstream())

    def cable(self, target: int) -> Cable:
        return self.own(Cable(target))


def kong(upstream: int, routes: dict[str, list[str]]) -> str:
    """A kong.yml with one service: route name to its tags; each route's path is its name."""
    entries = [{"name": name, "paths": [f"/{name}"], "strip_path": False, "tags": tags} for name, tags in routes.items()]
    return json.dumps({"_format_version": "3.0", "services": [
        {"name": "up", "url": f"http://{LOCAL}:{upstream}", "routes": entries}]})

