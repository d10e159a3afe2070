"""A control plane of the tests' own: started on free ports with a new SQLite file, asked over HTTP."""

import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class Answer:
    def __init__(self, response, body: bytes):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = body

    @property
    def json(self):
        return json.loads(self.body) if self.body else None


class ControlPlane:
    """`with ControlPlane(program) as plane: plane.get("/services")`"""

    def __init__(self, program: str, arguments=()):
        self.program = program
        self.arguments = list(arguments)
        self.folder = tempfile.TemporaryDirectory()
        self.lines: list[str] = []
        self.admin = None
        self.api = None

    def __enter__(self):
        data = pathlib.Path(self.folder.name) / "data"
        self.process = subprocess.Popen(
            [self.program, "control-plane", "run", "--data", str(data), "--admin", "127.0.0.1:0",
             "--api", "127.0.0.1:0", "--stream", "127.0.0.1:0", *self.arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "NO_COLOR": "1"})
        ready = threading.Event()
        threading.Thread(target=self.read, args=(ready,), daemon=True).start()
        if not ready.wait(60) or self.admin is None:
            self.__exit__()
            raise SystemExit("the control plane did not start:\n" + "".join(self.lines))
        self.token = (data / "admin-token").read_text().strip()
        return self

    def read(self, ready):
        for line in self.process.stdout:
            self.lines.append(line)
            if found := re.search(r"web UI on http://([^\s/]+)", line):
                self.api = found.group(1)
            if found := re.search(r"Admin API on http://([^\s/]+)", line):
                self.admin = found.group(1)
                ready.set()
        ready.set()

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()

    @property
    def url(self) -> str:
        return f"http://{self.admin}"

    def request(self, method, path, json_body=None, body=None, headers=None, token=True, to=None) -> Answer:
        """`json_body` is sent as JSON, `body` as it is. Header values may be lists: several fields. `to`: another
        address than the Admin API's."""
        connection = http.client.HTTPConnection(to or self.admin, timeout=60)
        try:
            fields = dict(headers or {})
            connection.putrequest(method, path, skip_host="Host" in fields, skip_accept_encoding=True)
            if token:
                fields.setdefault("Authorization", f"Bearer {self.token}")
            if json_body is not None:
                body = json.dumps(json_body).encode()
                fields.setdefault("Content-Type", "application/json")
            if isinstance(body, str):
                body = body.encode()
            if body is not None:
                fields.setdefault("Content-Length", str(len(body)))
            for name, value in fields.items():
                for one in value if isinstance(value, list) else [value]:
                    connection.putheader(name, one)
            connection.endheaders(body)
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def all(self, path) -> list:
        """Every entity of a collection, page after page."""
        found, after = [], path + ("&" if "?" in path else "?") + "size=7"
        while after:
            page = self.get(after).json
            found += page["data"]
            after = page["next"]
        return found

    def resident(self) -> int:
        """Bytes."""
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def wait(self, condition, seconds=10):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return True
            time.sleep(0.02)
        return False
