#!/usr/bin/env python3
"""A small HTTP service for the quickstart: `service.py catalog 9101` or `service.py orders 9102`.

It answers JSON and shows what reached it, so that one sees what the gateway adds and takes away.
"""

import http.server
import json
import sys

BOOKS = [
    {"id": 1, "title": "The Soul of a New Machine", "price": "12.50"},
    {"id": 2, "title": "A Philosophy of Software Design", "price": "24.00"},
    {"id": 3, "title": "Seamanship in Small Boats", "price": "18.90"},
]
# Headers worth showing a newcomer; the rest would hide them.
SHOWN = ("host", "via", "apikey", "x-request-id", "x-consumer-username", "x-forwarded-for", "x-forwarded-path")


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    name = "catalog"

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(min(length, 1 << 20))
        body = {
            "service": self.name,
            "path": self.path,
            "seen_headers": {name: self.headers[name] for name in SHOWN if self.headers[name] is not None},
        }
        if self.name == "catalog":
            body["books"] = BOOKS
        else:
            body["order"] = {"book": 3, "quantity": 1, "state": "at sea"}
        data = (json.dumps(body, indent=2) + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, format: str, *arguments: object) -> None:
        """The gateway keeps the access log."""


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True


def main() -> int:
    if len(sys.argv) != 3 or not sys.argv[2].isdigit():
        print("usage: service.py NAME PORT", file=sys.stderr)
        return 2
    Service.name = sys.argv[1]
    try:
        server = Server(("127.0.0.1", int(sys.argv[2])), Service)
    except OSError as error:
        print(f"{sys.argv[1]}: cannot listen on 127.0.0.1:{sys.argv[2]}: {error.strerror}", file=sys.stderr)
        return 1
    try:
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
