"""A control plane of the tests' own, and a client of its Resource API that does what the UI should have done."""

import contextlib
import http.client
import json
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class Api:
    """The Resource API with a token. Answers (status, headers, value); values of JSON decoded."""

    def __init__(self, base: str, token: str):
        self.base, self.token = base, token

    def ask(self, method: str, path: str, body=None, kind="application/json", **headers):
        where = urllib.parse.urlsplit(self.base)
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=60)
        data = None
        if body is not None:
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            headers["Content-Type"] = kind
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        with contextlib.closing(connection):
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            text = answer.read()
            fields = {name.lower(): value for name, value in answer.getheaders()}
        value = json.loads(text) if "json" in fields.get("content-type", "") else text
        return answer.status, fields, value

    def get(self, path: str):
        status, _, value = self.ask("GET", path)
        assert status == 200, f"GET {path}: {status} {value}"
        return value

    def make(self, type: str, **spec):
        status, _, value = self.ask("POST", f"/v1/{type}", {"spec": spec})
        assert status == 201, f"POST {type} {spec}: {status} {value}"
        return value

    def apply(self, text: str):
        status, _, value = self.ask("POST", "/v1/apply", text, kind="application/yaml")
        assert status == 200, f"apply: {status} {value}"
        return value

    def all(self, type: str) -> list:
        found, after = [], None
        while True:
            page = self.get(f"/v1/{type}?limit=1000" + (f"&after={after}" if after else ""))
            found += page["items"]
            after = page["next"]
            if not after:
                return found

    def named(self, type: str, name: str):
        return next((one for one in self.all(type) if one["name"] == name), None)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class ControlPlane:
    """`seaway control-plane run` with a data directory of its own."""

    def __init__(self, program: str):
        self.data = tempfile.mkdtemp(prefix="seaway-ui-")
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        self.log = open(f"{self.data}/log", "w+b")
        self.process = subprocess.Popen(
            [program, "control-plane", "run", "--data", self.data, "--api", f"127.0.0.1:{port}",
             "--admin", f"127.0.0.1:{free_port()}", "--stream", f"127.0.0.1:{free_port()}"],
            stdout=self.log, stderr=subprocess.STDOUT)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the control plane ended:\n{self.said()}")
            with contextlib.suppress(OSError):
                if Api(self.base, "").ask("GET", "/healthz")[0] == 200:
                    break
            time.sleep(0.05)
        else:
            raise RuntimeError(f"the control plane does not answer:\n{self.said()}")
        self.token = pathlib.Path(self.data, "admin-token").read_text().strip()

    def said(self) -> str:
        self.log.flush()
        return pathlib.Path(self.data, "log").read_text(errors="replace")[-4000:]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.data, ignore_errors=True)


def programs() -> str:
    for kind in ("release", "debug"):
        found = ROOT / ".build" / kind / "seaway"
        if found.exists():
            return str(found)
    raise SystemExit("no seaway in .build: run make release")


def certificate(folder: str, name: str) -> tuple[str, str]:
    """A self-signed certificate for a name, and its key, PEM."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "20",
         "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", f"{folder}/k.pem", "-out", f"{folder}/c.pem"],
        check=True, capture_output=True)
    return pathlib.Path(folder, "c.pem").read_text(), pathlib.Path(folder, "k.pem").read_text()
