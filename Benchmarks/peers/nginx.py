"""nginx: Debian's package, and its stream module for what is below HTTP."""

import pathlib
import shutil
import subprocess

from .base import NAME, Peer, children

# Where Debian has streams as a module; other packages have them built in.
STREAM_MODULE = pathlib.Path("/usr/lib/nginx/modules/ngx_stream_module.so")


class Nginx(Peer):
    name = "nginx"

    @staticmethod
    def available() -> str:
        return "" if shutil.which("nginx") else "nginx is not installed (make deps)"

    @staticmethod
    def version() -> str:
        return subprocess.run(["nginx", "-v"], capture_output=True, text=True).stderr.strip().split("/")[-1]

    @classmethod
    def cannot(cls, kind: str) -> str:
        if kind == "h2-h2":
            return "speaks HTTP/2 to gRPC upstreams only"
        if kind in ("tcp", "passthrough") and not STREAM_MODULE.exists() and not cls.streams_built_in():
            return "its stream module is not installed (make deps)"
        return ""

    @staticmethod
    def streams_built_in() -> bool:
        text = subprocess.run(["nginx", "-V"], capture_output=True, text=True).stderr
        return "--with-stream" in text.split()

    def command(self) -> list:
        config = self.write("nginx.conf", f"""
{f"load_module {STREAM_MODULE};" if self.streams and not self.streams_built_in() else ""}
daemon off; worker_processes 1; pid {self.folder}/nginx.pid; error_log {self.folder}/error.log crit;
worker_rlimit_nofile 65536;
events {{ worker_connections 12000; }}
{self.stream_block() if self.streams else self.http_block()}
""")
        return ["nginx", "-c", config, "-p", str(self.folder), "-e", str(self.folder / "error.log")]

    def locations(self) -> str:
        if self.routes:
            return "".join(
                f"location ^~ /r{n}/ {{ proxy_pass http://up; }}\n" for n in range(self.routes)
            ) + "location / { return 404; }"
        if self.kind == "grpc":
            return "location / { grpc_pass grpc://up; }"
        if self.kind == "websocket":
            return """location / { proxy_pass http://up; proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade"; proxy_read_timeout 300s; }"""
        return "location / { proxy_pass http://up; }"

    def http_block(self) -> str:
        h2 = " http2" if self.speaks_h2 else ""
        clear = f"listen 127.0.0.1:{self.h2c} http2 backlog=4096;" if self.speaks_h2 else ""
        return f"""
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
  grpc_set_header X-Forwarded-For $proxy_add_x_forwarded_for; grpc_set_header X-Request-Id $request_id;
  proxy_max_temp_file_size 0; proxy_buffers 16 64k; proxy_busy_buffers_size 128k; proxy_buffer_size 8k;
  server {{
    listen 127.0.0.1:{self.http} backlog=4096;
    listen 127.0.0.1:{self.https} ssl{h2} backlog=4096;
    {clear}
    {self.locations()}
  }}
}}
"""

    def stream_block(self) -> str:
        table, server = "", "proxy_pass up;"
        if self.kind == "passthrough":
            table = f"map $ssl_preread_server_name $backend {{ {NAME} up; }}"
            server = "ssl_preread on; proxy_pass $backend;"
        return f"""
stream {{
  log_format session '$remote_addr [$time_local] $protocol $status $bytes_sent $bytes_received $session_time';
  access_log {self.folder}/access.log session buffer=64k flush=1s;
  {table}
  upstream up {{ server 127.0.0.1:{self.upstream}; }}
  proxy_timeout 300s; proxy_half_close on; proxy_buffer_size {"256k" if self.bulk else "16k"}; tcp_nodelay on;
  server {{ listen 127.0.0.1:{self.stream} backlog=4096; {server} }}
}}
"""

    def measured(self) -> list:
        return children(self.process.pid)
