"""A control plane of the tests' own: gRPC by h2 over TLS, protobuf by hand, and every bad habit on demand."""

import hashlib
import pathlib
import queue
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
import uuid

import packages  # noqa: F401, before h2
import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from certs import Authority


# Protobuf

def varint(value) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value) -> bytes:
    return varint(field << 3) + varint(value)


def signed(field, value) -> bytes:
    return number(field, value << 1 if value >= 0 else (-value << 1) - 1)


def data(field, value) -> bytes:
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def fields(message) -> dict:
    """Field number → list of values: integers, or bytes."""
    found, at = {}, 0

    def read():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        tag = read()
        if tag & 7 == 0:
            value = read()
        elif tag & 7 == 2:
            count = read()
            value, at = message[at:at + count], at + count
        else:
            raise ValueError(f"wire type {tag & 7}")
        found.setdefault(tag >> 3, []).append(value)
    return found


def zigzag(value) -> int:
    return value >> 1 ^ -(value & 1)


# Snapshots

def snapshot(services) -> bytes:
    """Tables for `[(path prefix, origin's port)]`: a service, a cluster and a route for each."""
    out = bytearray()
    for index, (path, port) in enumerate(services):
        name = path.strip("/") or "root"
        def key(kind): return uuid.uuid5(uuid.NAMESPACE_URL, f"{kind} {name}").bytes
        out += data(4, data(1, key("route")) + data(2, name) + signed(3, index) + data(7, path) + number(13, 0))
        out += data(5, data(1, key("service")) + data(2, name) + signed(4, index) + data(5, "127.0.0.1") + signed(6, port))
        target = data(1, key("target")) + data(2, "127.0.0.1") + signed(3, port)
        out += data(6, data(1, key("cluster")) + data(2, name) + number(3, 1) + data(11, target))
    return bytes(out)


def broken(path) -> bytes:
    """Tables that no gateway can use: a route to a service that is not there."""
    return data(4, data(1, uuid.uuid4().bytes) + data(2, "lost") + signed(3, 7) + data(7, path))


def configuration(revision, tables) -> bytes:
    return data(1, number(1, revision) + data(2, tables))


def delta(base, revision, edits=b"") -> bytes:
    return data(2, number(1, base) + number(2, revision) + data(3, edits))


def farewell(reason, revoked=False) -> bytes:
    return data(3, data(1, reason) + number(2, int(revoked)))


# The authority

class GatewayAuthority(Authority):
    """Signs gateways' requests, control planes' certificates and snapshots."""

    def __init__(self):
        super().__init__("Seaway authority")
        der = ssl.PEM_cert_to_DER_cert(self.certificate.read_text())
        self.digest = hashlib.sha256(der).hexdigest()
        self.pair = self.issue("control plane", "DNS:seaway-control-plane", "URI:spiffe://seaway/control-plane")

    def token(self, secret="secret") -> str:
        return f"seaway1.{secret}.{self.digest}\n"

    def sign_request(self, request, gateway, seconds) -> str:
        """A certificate for the request, the authority's behind it; its life begins now."""
        self.serial += 1
        stem = f"g{self.serial}"
        (self.folder / f"{stem}.csr").write_text(request)
        (self.folder / f"{stem}.ext").write_text(
            f"basicConstraints=critical,CA:FALSE\nextendedKeyUsage=clientAuth\nsubjectAltName=URI:spiffe://seaway/gateway/{gateway}\n")
        self._run("req", "-in", f"{stem}.csr", "-noout", "-verify")
        self._run("x509", "-req", "-in", f"{stem}.csr", "-days", "1", "-extfile", f"{stem}.ext", "-out", f"{stem}.pem",
                  "-CA", str(self.certificate), "-CAkey", str(self.key), "-CAcreateserial")
        return (self.folder / f"{stem}.pem").read_text() + self.certificate.read_text()

    def signed_snapshot(self, revision, tables, labels=(), usage="codeSigning") -> bytes:
        """What `--fallback` leads to."""
        stem = f"signer-{usage}"
        if not (self.folder / f"{stem}.pem").exists():
            self._run("genpkey", "-algorithm", "ed25519", "-out", f"{stem}.key")
            self._run("req", "-new", "-key", f"{stem}.key", "-subj", "/CN=signer", "-out", f"{stem}.csr")
            (self.folder / f"{stem}.ext").write_text(
                f"basicConstraints=critical,CA:FALSE\nextendedKeyUsage={usage}\n"
                "subjectAltName=URI:spiffe://seaway/snapshots\n")
            self._run("x509", "-req", "-in", f"{stem}.csr", "-days", "30", "-extfile", f"{stem}.ext", "-out", f"{stem}.pem",
                      "-CA", str(self.certificate), "-CAkey", str(self.key), "-CAcreateserial")
        payload = number(1, revision) + data(2, tables)
        parts = [data(1, payload), b"".join(data(3, label) for label in labels), signed(4, int(time.time()))]
        covered = b"seaway signed snapshot 1\n" + parts[0] + data(2, b"") + parts[1] + parts[2] + data(5, b"")
        (self.folder / "covered").write_bytes(covered)
        self._run("pkeyutl", "-sign", "-rawin", "-inkey", f"{stem}.key", "-in", "covered", "-out", "signature")
        signature = (self.folder / "signature").read_bytes()
        chain = (self.folder / f"{stem}.pem").read_text() + self.certificate.read_text()
        return parts[0] + data(2, signature) + parts[1] + parts[2] + data(5, chain)


# The server

class Stream:
    """One gateway's stream, as the control plane has it."""

    def __init__(self, connection, number_):
        self.connection, self.id = connection, number_
        self.hello = None
        self.messages = queue.Queue()
        self.reports = []
        self.ended = threading.Event()

    def send(self, message) -> None:
        self.connection.send(self.id, struct.pack(">BI", 0, len(message)) + message)

    def finish(self, code=0, text="") -> None:
        self.connection.trailers(self.id, code, text)

    def next(self, seconds=10):
        """The next acknowledgement: ("applied", revision) or ("rejected", revision, entity, reason, needs full)."""
        return self.messages.get(timeout=seconds)


class Connection:
    def __init__(self, plane, sock):
        self.plane, self.sock = plane, sock
        self.lock = threading.RLock()
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.methods, self.bodies, self.streams, self.waiting = {}, {}, {}, {}
        self.frozen = threading.Event()
        self.certificate = sock.getpeercert(binary_form=True)

    def run(self):
        try:
            with self.lock:
                self.h2.initiate_connection()
                self.flush()
            while True:
                got = self.sock.recv(65536)
                if not got:
                    break
                if self.frozen.is_set():
                    # A partition: nothing is heard and nothing is said, but nobody is told.
                    self.plane.closing.wait()
                    break
                with self.lock:
                    for event in self.h2.receive_data(got):
                        self.take(event)
                    self.flush()
        except (OSError, h2.exceptions.ProtocolError, ValueError):
            pass
        for stream in self.streams.values():
            stream.ended.set()
        self.close()

    def flush(self):
        out = self.h2.data_to_send()
        if out:
            self.sock.sendall(out)

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def take(self, event):
        if isinstance(event, h2.events.RequestReceived):
            self.methods[event.stream_id] = dict(event.headers)[":path"].rsplit("/", 1)[1]
            self.bodies[event.stream_id] = b""
            if self.methods[event.stream_id] == "Stream":
                if self.plane.refuse_stream:
                    return self.trailers(event.stream_id, *self.plane.refuse_stream)
                self.streams[event.stream_id] = Stream(self, event.stream_id)
                self.head(event.stream_id)
        elif isinstance(event, h2.events.DataReceived):
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            body = self.bodies.get(event.stream_id, b"") + event.data
            while len(body) >= 5 and len(body) >= 5 + struct.unpack(">I", body[1:5])[0]:
                count = struct.unpack(">I", body[1:5])[0]
                self.message(event.stream_id, body[5:5 + count])
                body = body[5 + count:]
            self.bodies[event.stream_id] = body
        elif isinstance(event, h2.events.WindowUpdated):
            for stream in list(self.waiting):
                self.push(stream)
        elif isinstance(event, h2.events.StreamReset) and event.stream_id in self.streams:
            self.streams[event.stream_id].ended.set()

    def message(self, stream, message):
        if self.methods[stream] in ("Join", "Renew"):
            return self.plane.asked(self, stream, self.methods[stream], fields(message))
        if stream not in self.streams:
            return
        found, known = fields(message), self.streams[stream]
        if 1 in found:
            known.hello = fields(found[1][0])
            self.plane.opened(known)
        if 2 in found:
            known.messages.put(("applied", fields(found[2][0])[1][0]))
        if 3 in found:
            it = fields(found[3][0])
            known.messages.put(("rejected", it[1][0], it[2][0].decode(), it[3][0].decode(), bool(it[4][0])))
        if 4 in found:
            known.reports.append(fields(found[4][0]))

    # Answers

    def head(self, stream):
        self.h2.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])

    def send(self, stream, body):
        with self.lock:
            self.waiting[stream] = self.waiting.get(stream, b"") + body
            self.push(stream)

    def push(self, stream):
        while self.waiting.get(stream):
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if room <= 0:
                break
            self.h2.send_data(stream, self.waiting[stream][:room])
            self.waiting[stream] = self.waiting[stream][room:]
        if not self.waiting.get(stream):
            self.waiting.pop(stream, None)
        self.flush()

    def trailers(self, stream, code, text=""):
        with self.lock:
            last = [("grpc-status", str(code)), ("grpc-message", text)]
            if self.h2.streams[stream].state_machine.headers_sent:
                self.h2.send_headers(stream, last, end_stream=True)
            else:
                self.h2.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc"), *last], end_stream=True)
            self.flush()


class ControlPlane:
    """Listens, signs, and hands each stream to the test through `streams`."""

    def __init__(self, authority, port=0, lifetime=86400):
        self.authority, self.lifetime = authority, lifetime
        self.streams = queue.Queue()
        self.joins, self.renewals, self.gateways = [], [], []
        self.refuse_join = self.refuse_stream = None
        # What a stream without a known revision is sent at once.
        self.first = None
        self.connections = []
        self.closing = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate, key = self.authority.pair
        chain = self.authority.folder / "chain.pem"
        if not chain.exists():
            chain.write_text(certificate.read_text() + self.authority.certificate.read_text())
        context.load_cert_chain(chain, key)
        context.set_alpn_protocols(["h2"])
        # Python's ssl cannot ask for a certificate and take any: the self-signed ones of gateways that join are not
        # asked for, those that came from here must be shown.
        if self.gateways:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.authority.certificate)
        return context

    def accept(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(raw,), daemon=True).start()

    def serve(self, raw):
        try:
            raw.settimeout(10)
            sock = self.context().wrap_socket(raw, server_side=True)
            sock.settimeout(None)
        except OSError:
            return raw.close()
        connection = Connection(self, sock)
        self.connections.append(connection)
        connection.run()

    def asked(self, connection, stream, method, message):
        (self.joins if method == "Join" else self.renewals).append(message)
        if method == "Join" and self.refuse_join:
            return connection.trailers(stream, *self.refuse_join)
        if method == "Join":
            gateway = uuid.uuid4()
            self.gateways.append(gateway)
            request = message[2][0].decode()
        else:
            gateway = self.gateways[-1]
            request = message[1][0].decode()
        chain = self.authority.sign_request(request, gateway, self.lifetime)
        now = int(time.time())
        answer = (data(1, gateway.bytes) + data(2, chain) + data(3, self.authority.certificate.read_text())
                  + signed(4, now) + signed(5, now + self.lifetime))
        connection.head(stream)
        connection.send(stream, struct.pack(">BI", 0, len(answer)) + answer)
        connection.trailers(stream, 0)

    def opened(self, stream):
        if self.first is not None and stream.hello.get(4, [0])[0] == 0:
            stream.send(configuration(*self.first))
        self.streams.put(stream)

    def stream(self, seconds=15) -> Stream:
        return self.streams.get(timeout=seconds)

    def freeze(self):
        for connection in self.connections:
            connection.frozen.set()

    def close(self):
        """Gone at once, as by kill -9."""
        self.closing.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for connection in self.connections:
            connection.close()
