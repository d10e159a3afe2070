"""The programs that people have: curl and wrk in front, nginx behind, over HTTP and HTTPS."""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from gateway import Gateway, eventually, kong, service
from wire import Client


@unittest.skipUnless(shutil.which("nginx"), "needs nginx")
class Programs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="seaway-nginx-"))
        cls.folder.chmod(0o755)
        (cls.folder / "www").mkdir()
        cls.data = os.urandom(10_000_000)
        (cls.folder / "www/large").write_bytes(cls.data)
        (cls.folder / "www/text.txt").write_text("words " * 50_000)
        (cls.folder / "www/small").write_text("hello")
        for path in [cls.folder / "www", *(cls.folder / "www").iterdir()]:
            path.chmod(0o755)
        import socket
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            cls.port = sock.getsockname()[1]
        f = cls.folder
        (f / "nginx.conf").write_text(f"""
daemon off; master_process off; worker_processes 1; pid {f}/pid; error_log {f}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off; types {{ text/plain txt; }} default_type application/octet-stream;
  client_body_temp_path {f}/b; proxy_temp_path {f}/p; fastcgi_temp_path {f}/f; uwsgi_temp_path {f}/u; scgi_temp_path {f}/s;
  gzip on; gzip_proxied any; gzip_types text/plain; client_max_body_size 100m;
  server {{
    listen 127.0.0.1:{cls.port}; root {f}/www; keepalive_requests 100000;
    location = /refuse {{ client_max_body_size 1k; proxy_pass http://127.0.0.1:9; }}
    location = /put {{ proxy_pass http://127.0.0.1:{cls.port}/small; proxy_method GET; proxy_pass_request_body off; proxy_set_header Content-Length ""; }}
  }}
}}
""")
        cls.nginx = subprocess.Popen(["nginx", "-c", str(f / "nginx.conf"), "-p", str(f), "-e", str(f / "error.log")])
        eventually("nginx", cls.listens)
        route = {"name": "all", "paths": ["/"], "strip_path": False}
        cls.gateway = Gateway(kong([service("nginx", f"http://127.0.0.1:{cls.port}", [route])]), https=True)

    @classmethod
    def listens(cls):
        try:
            Client(cls.port).close()
            return True
        except OSError:
            return False

    @classmethod
    def tearDownClass(cls):
        cls.gateway.stop()
        cls.nginx.terminate()
        cls.nginx.wait(5)
        shutil.rmtree(cls.folder, ignore_errors=True)

    def curl(self, path, *flags, tls=False):
        origin = f"https://127.0.0.1:{self.gateway.https_port}" if tls else f"http://127.0.0.1:{self.gateway.port}"
        done = subprocess.run(["curl", "-sSk", "--max-time", "20", *flags, *(origin + p for p in path.split())],
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout

    def test_a_download_arrives_unchanged(self):
        for tls in (False, True):
            for flags in ((), ("--http1.0",), ("-H", "Connection: close")):
                body = self.curl("/large", *flags, tls=tls)
                self.assertEqual(hashlib.sha1(body).digest(), hashlib.sha1(self.data).digest(), f"{flags} {tls}")

    def test_ranges_and_conditions_pass(self):
        self.assertEqual(self.curl("/large", "-r", "100-199"), self.data[100:200])
        head = self.curl("/small", "-I").decode()
        etag = re.search(r"(?i)etag: (\S+)", head)[1]
        self.assertIn("Content-Length: 5", head)
        self.assertEqual(self.curl("/small", "-H", f"If-None-Match: {etag}", "-w", "%{http_code}"), b"304")

    def test_compressed_chunked_answers_pass(self):
        self.assertEqual(self.curl("/text.txt", "--compressed").decode(), "words " * 50_000)
        self.assertIn(b"gzip", self.curl("/text.txt", "--compressed", "-o", "/dev/null", "-D", "-"))

    def test_uploads_with_and_without_expectation_pass(self):
        file = str(self.folder / "www/large")
        for flags in (("-T", file), ("-T", file, "-H", "Transfer-Encoding: chunked"), ("--data-binary", f"@{file}"),
                      ("--data-binary", f"@{file}", "-H", "Expect:")):
            for tls in (False, True):
                self.assertEqual(self.curl("/put", *flags, tls=tls), b"hello", f"{flags} {tls}")

    def test_a_refused_upload_is_413(self):
        file = str(self.folder / "www/large")
        for _ in range(5):
            self.assertEqual(self.curl("/refuse", "--data-binary", f"@{file}", "-o", "/dev/null", "-w", "%{http_code}"), b"413")

    def test_one_connection_serves_many(self):
        count = self.curl(" ".join(["/small"] * 20), *["-o", "/dev/null"] * 0, "-w", " %{num_connects}").decode()
        self.assertEqual(sum(map(int, re.findall(r" (\d)", count))), 1)

    def test_wrk_sees_no_error(self):
        for tls in (False, True):
            for flags in ((), ("-H", "Connection: close")):
                origin = f"https://127.0.0.1:{self.gateway.https_port}" if tls else f"http://127.0.0.1:{self.gateway.port}"
                text = subprocess.run(["wrk", "-t1", "-c32", "-d1", *flags, origin + "/small"], capture_output=True, text=True,
                                      check=True).stdout
                self.assertNotIn("Non-2xx", text)
                # wrk counts the end of a connection that it asked to be closed as a read error.
                self.assertNotRegex(text, r"Socket errors: connect [1-9]|write [1-9]|timeout [1-9]")
                if not flags:
                    self.assertNotIn("Socket errors", text)
