"""HAProxy in the gateway's place: shows that a test asks for what another careful proxy does too.

    SCENARIO_PROXY=haproxy Tests/Scenario/run.py http2 grpc websocket

Services, path prefixes, protocols and timeouts of a kong.yml are all it knows. Tests of Kong's own answers,
of reloads and of metrics fail with it, and so do those where HAProxy decides otherwise.
"""

import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time

from certs import Authority


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Haproxy:
    """Has as much of `Gateway` as tests of protocols need."""

    def __init__(self, config, *flags, workers=1, https=False, status=True):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="seaway-reference-"))
        self.port, self.https_port = free_port(), free_port()
        authority = Authority()
        certificate, key = authority.issue("www.example")
        pair = config.get("certificates", [{"cert": certificate.read_text(), "key": key.read_text()}])[0]
        (self.folder / "both.pem").write_text(pair["cert"] + pair["key"])
        authority.close()
        (self.folder / "haproxy.cfg").write_text(self.text(config))
        self.out = open(self.folder / "out", "wb")
        self.process = subprocess.Popen(["haproxy", "-db", "-f", "haproxy.cfg"], cwd=self.folder, stdout=self.out, stderr=self.out)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError((self.folder / "out").read_text())

    def text(self, config) -> str:
        front = ["global", "  nbthread 1", "defaults", "  mode http", "  timeout connect 5s", "  timeout client 60s",
                 "  timeout server 60s", "  http-reuse always", "frontend front", f"  bind 127.0.0.1:{self.port}",
                 f"  bind 127.0.0.1:{self.https_port} ssl crt both.pem alpn h2,http/1.1"]
        back = []
        prefixes = []
        for service in config["services"]:
            scheme, host, port = re.match(r"(\w+)://([^:/]+)(?::(\d+))?", service["url"]).groups()
            over_tls = scheme in ("https", "grpcs")
            h2 = scheme.startswith("grpc") or "seaway.upstream-protocol=h2" in service.get("tags", ())
            options = (" ssl verify none" if over_tls else "") + ((" alpn h2" if over_tls else " proto h2") if h2 else "")
            servers = [f"{host}:{port}"] if port else [
                t["target"] for u in config["upstreams"] if u["name"] == host for t in u["targets"]]
            back += [f"backend {service['name']}", f"  timeout server {service.get('read_timeout', 60000)}",
                     f"  timeout tunnel {service.get('read_timeout', 60000)}"]
            back += [f"  server s{n} {address}{options}" for n, address in enumerate(servers)]
            prefixes += [(path, service["name"]) for route in service["routes"] for path in route.get("paths", ["/"])]
        for path, name in sorted(prefixes, key=lambda p: -len(p[0])):
            front.append(f"  use_backend {name} if {{ path_beg {path} }}")
        return "\n".join(front + back) + "\n"

    @property
    def proxy(self) -> int:
        return self.process.pid

    def resident(self) -> int:
        with open(f"/proc/{self.proxy}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1]) * 1024

    def stop(self):
        self.process.kill()
        self.process.wait(5)
        self.out.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()
