"""What monitoring sees: Prometheus scrapes, promtool's judgement, traces of an apply."""

import http.server
import json
import shutil
import subprocess
import threading
import urllib.parse

from fleet import LOCAL, Fleet, Process, free_port, kong, wait_for


class Collector:
    """An OpenTelemetry collector's OTLP/HTTP receiver that keeps the spans."""

    def __init__(self):
        spans = self.spans = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for resource in body["resourceSpans"]:
                    for scope in resource["scopeSpans"]:
                        spans.extend(scope["spans"])
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((LOCAL, 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def test(program, check):
    assert shutil.which("prometheus") and shutil.which("promtool"), "Prometheus is not installed: make deps"
    with Fleet(program) as fleet:
        collector = fleet.own(Collector())
        upstream, plane = fleet.upstream(), fleet.plane(arguments=["--otlp", f"http://{LOCAL}:{collector.port}"])
        gateway = fleet.gateway("one", [plane.stream], plane.token("gateways", ["gateway"]))
        wait_for("the gateway has joined", lambda: plane.gateway("one")["state"] == "connected")
        plane.apply(kong(upstream.port, {"base": []}))
        gateway.serves("/base")
        traces(check, collector)
        text = plane.request("GET", "/metrics")[1]
        verdict = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        check("promtool finds the control plane's metrics clean", verdict.returncode == 0 and not verdict.stderr,
              verdict.stdout + verdict.stderr)
        for name in ("seaway_streams 1", "seaway_gateway_revision_lag{", "seaway_push_duration_seconds_count 1",
                     "seaway_store_duration_seconds_bucket{"):
            check(f"metrics have {name}", name in text, text[:400])
        scrape(fleet, plane, gateway, check)


def traces(check, collector):
    wait_for("spans", lambda: any(one["name"] == "gateway.apply" for one in collector.spans), 10)
    root = next(one for one in collector.spans if one["name"] == "change")
    below = {one["name"] for one in collector.spans if one.get("parentSpanId") == root["spanId"]}
    check("an apply is one trace, from the plan to the gateway",
          below >= {"plan", "validate", "commit", "publish", "gateway.apply"}, below)
    check("spans end after they begin",
          all(int(one["endTimeUnixNano"]) >= int(one["startTimeUnixNano"]) for one in collector.spans))


def scrape(fleet, plane, gateway, check):
    token = plane.token("prometheus", ["viewer"])
    port = free_port()
    config = fleet.folder / "prometheus.yml"
    config.write_text(f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: control-plane
    authorization: {{credentials: {token}}}
    static_configs: [{{targets: ["{LOCAL}:{plane.api}"]}}]
  - job_name: gateway
    static_configs: [{{targets: ["{LOCAL}:{gateway.status}"]}}]
""")
    fleet.own(Process("prometheus", [
        "prometheus", f"--config.file={config}", f"--storage.tsdb.path={fleet.folder / 'tsdb'}",
        f"--web.listen-address={LOCAL}:{port}"], fleet.folder))

    def ask(query):
        status, value = plane.request("GET", "/api/v1/query?query=" + urllib.parse.quote(query), port=port)
        return value["data"]["result"] if status == 200 else []

    ups = wait_for("both targets are up", lambda: (r := ask("up == 1")) and len(r) == 2 and r, 30, 0.2)
    check("Prometheus scrapes control plane and gateway", len(ups) == 2, ups)
    lag = wait_for("lag", lambda: ask("seaway_gateway_revision_lag"), 10, 0.2)
    check("no gateway lags", all(one["value"][1] == "0" for one in lag), lag)
