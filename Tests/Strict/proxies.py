"""How to start each proxy under test before the recording origin: seaway, nginx, haproxy, envoy."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Proxy:
    """A proxy on one loopback port, sending everything to the origin with the client's Host."""

    name = ""
    # Seconds after which it gives up on a stalled request head or body; None where that cannot be set.
    stall_seconds = None
    # Port for TLS, where the adapter sets one up.
    https = None

    def __init__(self, origin_port: int):
        self.origin_port = origin_port
        self.port = free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="strict-"))
        self.process = None

    def command(self) -> list:
        raise NotImplementedError

    def start(self) -> None:
        log = open(self.folder / "output.log", "wb")
        self.process = subprocess.Popen(
            self.command(), cwd=self.folder, stdout=log, stderr=log, start_new_session=True
        )
        deadline = time.monotonic() + 15
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                text = (self.folder / "output.log").read_text(errors="replace")
                self.stop()
                raise SystemExit(f"{self.name} did not start:\n{text[-2000:]}")
            time.sleep(0.02)

    def ready(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=0.2).close()
            return True
        except OSError:
            return False

    def output(self) -> str:
        return (self.folder / "output.log").read_text(errors="replace")[-4000:]

    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(5)
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)


class Seaway(Proxy):
    name = "seaway"
    stall_seconds = 1
    buffering = "true"
    program = ROOT / ".build/release/seaway"

    def __init__(self, origin_port: int):
        super().__init__(origin_port)
        self.https, self.status = free_port(), free_port()

    def command(self) -> list:
        config = self.write("kong.yml", f"""
_format_version: "3.0"
services:
  - name: origin
    url: http://127.0.0.1:{self.origin_port}
    retries: 0
    routes:
      - name: all
        paths: [/]
        strip_path: false
        preserve_host: true
        request_buffering: {self.buffering}
        response_buffering: {self.buffering}
""")
        return [
            str(self.program), "gateway", "run", "--config", config, "--http", f"127.0.0.1:{self.port}",
            "--https", f"127.0.0.1:{self.https}", "--status", f"127.0.0.1:{self.status}", "--workers", "1",
            "--access-log", "off", "--state-dir", str(self.folder / "state"),
            "--head-timeout", "1s", "--body-timeout", "1s", "--tls-handshake-timeout", "1s",
        ]

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.status}/status/ready", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False


class SeawayStreaming(Seaway):
    """Bodies are passed on as they come: what turns out bad late has been begun upstream."""

    name = "seaway-streaming"
    buffering = "false"


class Nginx(Proxy):
    name = "nginx"
    stall_seconds = 1

    def command(self) -> list:
        config = self.write("nginx.conf", f"""
daemon off; worker_processes 1; pid {self.folder}/nginx.pid; error_log {self.folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {self.folder}/b; proxy_temp_path {self.folder}/p;
  fastcgi_temp_path {self.folder}/f; uwsgi_temp_path {self.folder}/u; scgi_temp_path {self.folder}/s;
  client_header_timeout 1s; client_body_timeout 1s; send_timeout 1s;
  proxy_max_temp_file_size 0;
  underscores_in_headers on;
  upstream origin {{ server 127.0.0.1:{self.origin_port} max_fails=0; keepalive 16; }}
  server {{
    listen 127.0.0.1:{self.port};
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $http_host; proxy_next_upstream off;
    }}
  }}
}}
""")
        return ["nginx", "-c", config, "-p", str(self.folder), "-e", str(self.folder / "error.log")]


class HAProxy(Proxy):
    name = "haproxy"
    stall_seconds = 1

    def command(self) -> list:
        config = self.write("haproxy.cfg", f"""
global
    nbthread 1
defaults
    mode http
    timeout connect 2s
    timeout client 1s
    timeout server 10s
    timeout http-request 1s
    timeout http-keep-alive 10s
    retries 0
frontend f
    bind 127.0.0.1:{self.port}
    option http-buffer-request
    default_backend b
backend b
    http-reuse always
    server s 127.0.0.1:{self.origin_port}
""")
        return ["haproxy", "-db", "-f", config]


class Envoy(Proxy):
    name = "envoy"

    def command(self) -> list:
        wheels = sorted((ROOT / "Benchmarks/.venv").glob("lib/python*/site-packages/envoy/_bin/envoy"))
        program = str(wheels[0]) if wheels else shutil.which("envoy") or "envoy"
        config = self.write("envoy.yaml", f"""
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {self.port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: s
          codec_type: HTTP1
          delayed_close_timeout: 0.02s
          route_config:
            virtual_hosts:
            - {{name: all, domains: ["*"], routes: [{{match: {{prefix: "/"}}, route: {{cluster: origin}}}}]}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: origin
    load_assignment:
      cluster_name: origin
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {self.origin_port}}}}}}}}}]}}]
""")
        return [program, "-c", config, "--concurrency", "1", "--use-dynamic-base-id", "-l", "warning"]


PROXIES = {p.name: p for p in (Seaway, SeawayStreaming, Nginx, HAProxy, Envoy)}
