"""A gateway under test: `seaway gateway run` with its files, ports and processes."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAMS = pathlib.Path(os.environ.get("SEAWAY_PROGRAMS", ROOT / ".build/release"))
SEAWAY = str(PROGRAMS / "seaway")


def eventually(what, condition, seconds=10.0):
    """Asks until the condition holds; its truthy value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not in time: {what() if callable(what) else what}")
        time.sleep(0.002)


def kong(services=(), **entities) -> dict:
    return {"_format_version": "3.0", "services": list(services), **entities}


def service(name, url, routes=None, **fields) -> dict:
    """A service with one route on /NAME, or the routes given."""
    routes = routes if routes is not None else [{"name": name, "paths": [f"/{name}"], "strip_path": False}]
    return {"name": name, "url": url, "routes": routes, **fields}


class Gateway:
    """Ends with everything that it started, also in the middle of a failed test."""

    def __init__(self, config, *flags, workers=1, http="127.0.0.1:0", https=False, status=True, prefix=(), source=None):
        https = "127.0.0.1:0" if https is True else https or "off"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="seaway-scenario-"))
        self.config = self.folder / "kong.yml"
        if config is not None:
            self.write(config)
        self.state = self.folder / "state"
        self.arguments = [
            *prefix, SEAWAY, "gateway", "run", *(source or ["--config", str(self.config)]), "--http", http,
            "--https", https, "--status", "127.0.0.1:0" if status else "off",
            "--workers", str(workers), "--state-dir", str(self.state), "--drain-timeout", "5s", *flags]
        self.generation = 0
        self.process = None
        self.port = self.https_port = self.status_port = 0
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()

    # Files

    def write(self, config) -> None:
        """Replaces the file at once, as editors and config maps do."""
        text = config if isinstance(config, str) else json.dumps(config)
        fresh = self.folder / ".kong.yml.new"
        fresh.write_text(text)
        os.replace(fresh, self.config)

    # Processes

    def start(self) -> None:
        self.generation += 1
        self.talk_path = self.folder / f"talk-{self.generation}"
        with open(self.talk_path, "wb") as talk, open(self.folder / "out", "ab") as out:
            self.process = subprocess.Popen(
                self.arguments, stdout=out, stderr=talk, stdin=subprocess.DEVNULL, cwd=self.folder, start_new_session=True)
        eventually(lambda: f"the banner; so far {self.talk!r}",
                   lambda: "Ctrl-C" in self.talk or self.process.poll() is not None, 20)
        text = self.talk
        if "Ctrl-C" not in text:
            raise AssertionError(f"the gateway did not start:\n{text}")
        self.port = self._port(r"  http  +http://127\.0\.0\.1:(\d+)", text)
        self.https_port = self._port(r"  https +https://127\.0\.0\.1:(\d+)", text)
        self.status_port = self._port(r"  status +http://127\.0\.0\.1:(\d+)", text)
        # Ports of the --stream listeners, in the order of the flags.
        self.stream_ports = [int(p) for p in re.findall(r"^  (?:tcp|tls|udp) +\w+://\S+?:(\d+)", text, re.MULTILINE)]

    @staticmethod
    def _port(pattern, text) -> int:
        found = re.search(pattern, text)
        return int(found[1]) if found else 0

    @property
    def talk(self) -> str:
        return self.talk_path.read_text(errors="replace")

    def wait_for(self, words, times=1, seconds=15.0) -> None:
        eventually(lambda: f"{words!r} × {times} in:\n{self.talk}", lambda: self.talk.count(words) >= times, seconds)

    def proxies(self) -> list:
        """The process ids of this gateway's proxies, however they are orphaned."""
        found = []
        for entry in os.scandir("/proc"):
            if not entry.name.isdigit():
                continue
            try:
                with open(f"/proc/{entry.name}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
                with open(f"/proc/{entry.name}/stat", "rb") as file:
                    state = file.read().rsplit(b") ", 1)[1][:1]
            except OSError:
                continue
            if words[0].endswith(b"seaway-proxy") and str(self.state).encode() in b" ".join(words) and state != b"Z":
                found.append(int(entry.name))
        return sorted(found)

    @property
    def proxy(self) -> int:
        return eventually("one proxy process", self.proxies)[-1]

    def descriptors(self, kind="socket") -> int:
        """Open descriptors of the proxy that are sockets (or `pipe`s)."""
        found = 0
        for entry in os.scandir(f"/proc/{self.proxy}/fd"):
            try:
                found += os.readlink(entry.path).startswith(kind + ":")
            except OSError:
                pass
        return found

    def resident(self) -> int:
        """Resident bytes of the proxy."""
        with open(f"/proc/{self.proxy}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1]) * 1024

    def signal(self, number) -> None:
        self.process.send_signal(number)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(1.5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        for pid in self.proxies():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if "KEEP" not in os.environ:
            shutil.rmtree(self.folder, ignore_errors=True)

    # Control and status

    def reload(self, config=None, expect=0) -> str:
        """Writes the file and asks for a reload; what the gateway said once it was in effect."""
        if config is not None:
            self.write(config)
        done = subprocess.run([SEAWAY, "gateway", "reload", "--state-dir", str(self.state)], capture_output=True,
                              text=True, timeout=20, check=False)
        if done.returncode != expect:
            raise AssertionError(f"reload ended with {done.returncode}: {done.stdout}{done.stderr}\n{self.talk}")
        return done.stdout + done.stderr

    def upgrade(self) -> str:
        done = subprocess.run([SEAWAY, "gateway", "upgrade", "--state-dir", str(self.state)], capture_output=True,
                              text=True, timeout=20, check=True)
        return done.stdout + done.stderr

    def status(self, path) -> tuple:
        """Status code and body of a page of the status listener."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.status_port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read().decode()

    def metric(self, name, **labels) -> float:
        """The sum of a metric's samples with these labels."""
        total = 0.0
        for line in self.status("/metrics")[1].splitlines():
            found = re.match(r"([a-zA-Z_:]+)(?:\{(.*)\})? (\S+)$", line)
            if found and found[1] == name:
                have = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[2] or ""))
                if all(have.get(k) == v for k, v in labels.items()):
                    total += float(found[3])
        return total


if os.environ.get("SCENARIO_PROXY") == "haproxy":
    from reference import Haproxy as Gateway  # noqa: F811
