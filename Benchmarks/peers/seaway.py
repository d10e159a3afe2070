"""Seaway: what `make release` built."""

import subprocess

from .base import NAME, ROOT, Peer, children, command_name, free_port


class Seaway(Peer):
    """`plugins` are written into the kong.yml; metrics and the access log are on unless a case says otherwise."""

    name = "seaway"
    one_clear_port = True
    program = ROOT / ".build/release/seaway"
    plugins = ""
    consumers = ""
    log = True
    metrics = True

    @staticmethod
    def available() -> str:
        return "" if Seaway.program.exists() else f"{Seaway.program} is not built (make release)"

    @staticmethod
    def version() -> str:
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
        return commit.strip() or "?"

    def route_list(self) -> str:
        if self.kind == "tcp":
            return f"      - {{name: all, protocols: [tcp], destinations: [{{port: {self.stream}}}]}}\n"
        if self.kind == "passthrough":
            return f"      - {{name: all, protocols: [tls_passthrough], snis: [{NAME}]}}\n"
        if self.routes:
            return "".join(f"      - {{name: r{n}, paths: [/r{n}/], strip_path: false}}\n" for n in range(self.routes))
        protocols = ", protocols: [grpc, grpcs]" if self.kind == "grpc" else ""
        strip = "" if self.kind == "grpc" else ", strip_path: false"
        return f"      - {{name: all, paths: [/]{protocols}{strip}}}\n"

    def document(self) -> str:
        cert = "".join("      " + line + "\n" for line in self.cert.read_text().splitlines())
        key = "".join("      " + line + "\n" for line in self.key.read_text().splitlines())
        metrics = """
  - name: prometheus
    config: {status_code_metrics: true, latency_metrics: true, bandwidth_metrics: true}
""" if self.metrics else ""
        plugins = f"plugins:\n{metrics}{self.plugins}" if metrics or self.plugins else ""
        scheme = {"grpc": "grpc", "tcp": "tcp", "passthrough": "tcp"}.get(self.kind, "http")
        tags = "    tags: [seaway.upstream-protocol=h2]\n" if self.kind == "h2-h2" else ""
        return f"""_format_version: "3.0"
services:
  - name: up
    url: {scheme}://127.0.0.1:{self.upstream}
{tags}    routes:
{self.route_list()}
certificates:
  - cert: |
{cert}
    key: |
{key}
    snis: [{{name: {NAME}}}]
{self.consumers}
{plugins}
"""

    def command(self) -> list:
        self.status = free_port()
        if self.streams:
            listeners = ["--http", "off", "--https", "off", "--stream", f"127.0.0.1:{self.stream}"]
        else:
            listeners = ["--http", f"127.0.0.1:{self.http}", "--https", f"127.0.0.1:{self.https}"]
        return [
            str(self.program), "gateway", "run", "--config", self.write("kong.yml", self.document()), *listeners,
            "--status", f"127.0.0.1:{self.status}", "--workers", "1",
            "--keep-alive-requests", "0", "--upstream-keep-alive-requests", "0", "--idle-timeout", "300s",
            "--access-log", str(self.folder / "access.log") if self.log else "off", "--state-dir", str(self.folder / "state"),
        ]

    def measured(self) -> list:
        found = [p for p in children(self.process.pid) if command_name(p) == "seaway-proxy"]
        if not found:
            raise RuntimeError("seaway has no seaway-proxy child")
        return found
