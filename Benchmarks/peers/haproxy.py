"""HAProxy: Debian's package."""

import re
import shutil
import subprocess

from .base import NAME, Peer


class HAProxy(Peer):
    name = "haproxy"

    @staticmethod
    def available() -> str:
        return "" if shutil.which("haproxy") else "haproxy is not installed (make deps)"

    @staticmethod
    def version() -> str:
        text = subprocess.run(["haproxy", "-v"], capture_output=True, text=True).stdout
        return re.search(r"version (\S+)", text).group(1)

    def command(self) -> list:
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
    {"tune.pipesize 1048576" if self.bulk else ""}
defaults
    log global
    option dontlognull
    timeout connect 5s
    timeout client 300s
    timeout server 300s
    timeout tunnel 300s
    timeout http-keep-alive 300s
{self.stream_sections() if self.streams else self.http_sections()}
""")
        return ["haproxy", "-db", "-f", config]

    def http_sections(self) -> str:
        pem = self.folder / "site.pem"
        pem.write_text(self.cert.read_text() + self.key.read_text())
        if self.routes:
            table = self.write("routes.map", "".join(f"/r{n}/ up\n" for n in range(self.routes)))
            rules = f"use_backend %[path,map_beg({table})]"
        else:
            rules = "default_backend up"
        alpn = " alpn h2,http/1.1" if self.speaks_h2 else ""
        clear = f"bind 127.0.0.1:{self.h2c} proto h2 backlog 4096" if self.speaks_h2 else ""
        upstream = " proto h2" if self.kind in ("h2-h2", "grpc") else ""
        return f"""
frontend f
    mode http
    option httplog
    option forwardfor
    bind 127.0.0.1:{self.http} backlog 4096
    bind 127.0.0.1:{self.https} ssl crt {pem}{alpn} backlog 4096
    {clear}
    unique-id-format %[uuid()]
    unique-id-header X-Request-Id
    {rules}
backend up
    mode http
    http-reuse always
    server s 127.0.0.1:{self.upstream}{upstream} pool-max-conn 2048
"""

    def stream_sections(self) -> str:
        rules = "default_backend up"
        if self.kind == "passthrough":
            rules = f"""tcp-request inspect-delay 5s
    tcp-request content accept if {{ req_ssl_hello_type 1 }}
    use_backend up if {{ req_ssl_sni -i {NAME} }}"""
        # What splice-auto thinks worth splicing is less than what is: for bulk data every byte goes that way.
        splice = "option splice-request\n    option splice-response" if self.bulk else "option splice-auto"
        return f"""
frontend f
    mode tcp
    option tcplog
    {splice}
    bind 127.0.0.1:{self.stream} backlog 4096
    {rules}
backend up
    mode tcp
    {splice}
    server s 127.0.0.1:{self.upstream}
"""
