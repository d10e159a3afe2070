"""Clients and origins that speak HTTP/2. The `h2` package judges every frame that the gateway sends them."""

import collections
import select
import socket
import ssl
import threading
import time

import packages  # noqa: F401, before h2
import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
from hyperframe.frame import GoAwayFrame, RstStreamFrame

from wire import Ended

CODES = h2.settings.SettingCodes
CANCEL, NO_ERROR = h2.errors.ErrorCodes.CANCEL, h2.errors.ErrorCodes.NO_ERROR
REFUSED_STREAM, PROTOCOL_ERROR = h2.errors.ErrorCodes.REFUSED_STREAM, h2.errors.ErrorCodes.PROTOCOL_ERROR


def trusting(protocols=("h2",)):
    """A client's TLS context that takes any certificate."""
    context = ssl._create_unverified_context()
    context.set_alpn_protocols(list(protocols))
    return context


def serving(pair, protocols=("h2",)):
    """A server's TLS context for a certificate and key of `certs.Authority`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, pair))
    context.set_alpn_protocols(list(protocols))
    return context


def connect(port, context=None, name="www.example", receive_buffer=None):
    """A connected socket, over TLS when there is a context."""
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(10)
    sock.connect(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(sock, server_hostname=name) if context else sock


def receive(sock):
    """What is there; empty at the end; None when TLS kept what came for itself."""
    sock.settimeout(0)
    try:
        return sock.recv(65536)
    except (ssl.SSLWantReadError, BlockingIOError):
        return None
    finally:
        sock.settimeout(10)


class Connection(h2.connection.H2Connection):
    """Frames may come after a GOAWAY, which the package takes for the end (RFC 9113 section 6.8).

    A limit of streams holds from its acknowledgement on, not before.
    """

    limit = None

    def initiate_connection(self):
        super().initiate_connection()
        if self.limit:
            self.local_settings._settings[CODES.MAX_CONCURRENT_STREAMS] = collections.deque([1 << 30])

    def _local_settings_acked(self):
        if self.limit:
            self.local_settings._settings[CODES.MAX_CONCURRENT_STREAMS] = collections.deque([self.limit])
        return super()._local_settings_acked()

    def _receive_goaway_frame(self, frame):
        event = h2.events.ConnectionTerminated()
        event.error_code, event.last_stream_id = frame.error_code, frame.last_stream_id
        event.additional_data = frame.additional_data
        return [], [event]


def machine(client, settings, checked=True, limit=None):
    """The package's state machine. Unchecked, it sends what no peer should."""
    if limit:
        settings = {**settings, CODES.MAX_CONCURRENT_STREAMS: limit}
    config = h2.config.H2Configuration(
        client_side=client, header_encoding="latin-1", validate_outbound_headers=checked, normalize_outbound_headers=checked)
    made = Connection(config)
    made.local_settings = h2.settings.Settings(client=client, initial_values={**dict(made.local_settings), **settings})
    made.limit = limit
    made.max_inbound_frame_size = made.local_settings.max_frame_size
    return made


class Reply:
    """A response as it came. Also what became of its stream."""

    def __init__(self, number):
        self.stream = number
        self.status, self.fields, self.interim, self.trailers = 0, [], [], []
        self.parts, self.size, self.ended, self.code = [], 0, False, None
        self.stopped = False  # Reset after a whole response: the rest of the request is not wanted.

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    @property
    def over(self) -> bool:
        return self.ended or self.code is not None

    def all(self, name) -> list:
        return [v for n, v in self.fields if n == name.lower()]

    def get(self, name, default=None):
        found = self.all(name)
        return found[0] if found else default

    def __repr__(self):
        return (f"<{self.status} {self.fields} {self.size} bytes, trailers {self.trailers}, "
                f"{'ended' if self.ended else f'code {self.code}'}>")


class H2Client:
    """A connection to the gateway. Nothing is read but while the test waits for something.

    What arrives is acknowledged at once, except on the streams in `held`.
    """

    def __init__(self, port, context=None, settings=None, checked=True, receive_buffer=None, name="www.example", window=0):
        self.port, self.secure = port, context is not None
        self.socket = connect(port, context, name, receive_buffer)
        if context and self.socket.selected_alpn_protocol() != "h2":
            raise Ended(f"ALPN chose {self.socket.selected_alpn_protocol()}")
        self.machine = machine(True, settings or {}, checked)
        self.replies, self.held, self.unacknowledged = {}, set(), {}
        self.last = self.error = None  # Of a GOAWAY.
        self.goaways, self.pongs, self.closed, self.peer_settings = [], [], False, {}
        self.machine.initiate_connection()
        if window:
            self.machine.increment_flow_control_window(window)
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        self.socket.close()

    # Out

    def flush(self):
        data = self.machine.data_to_send()
        if data and not self.closed:
            try:
                self.socket.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                self.closed = True

    def raw(self, data):
        self.socket.sendall(data)

    def headers(self, target="/", method="GET", host="example.com", headers=(), scheme=None):
        scheme = scheme or ("https" if self.secure else "http")
        return [(":method", method), (":scheme", scheme), (":path", target), (":authority", host), *headers]

    def start(self, target="/", method="GET", host="example.com", headers=(), end=True, fields=None) -> Reply:
        """Opens a stream with these fields, all of them when `fields` is given."""
        number = self.machine.get_next_available_stream_id()
        reply = self.replies[number] = Reply(number)
        self.machine.send_headers(number, fields or self.headers(target, method, host, headers), end_stream=end)
        self.flush()
        return reply

    def send(self, reply, data=b"", end=False, seconds=10.0):
        """Sends a body as the windows allow; no more of it once the stream is over."""
        view, deadline = memoryview(data), time.monotonic() + seconds
        self.pump(0)
        while len(view):
            if reply.stopped or reply.code is not None:
                return
            room = min(self.machine.local_flow_control_window(reply.stream), self.machine.max_outbound_frame_size, len(view))
            if room > 0:
                self.machine.send_data(reply.stream, bytes(view[:room]))
                view = view[room:]
                self.flush()
                self.pump(0)
            elif self.closed or not self.pump(deadline - time.monotonic()):
                raise Ended(f"{len(view)} of {len(data)} bytes were not taken: {reply}")
        if end and not reply.stopped and reply.code is None:
            self.machine.end_stream(reply.stream)
            self.flush()

    def trailers(self, reply, fields):
        if reply.stopped or reply.code is not None:
            return
        self.machine.send_headers(reply.stream, fields, end_stream=True)
        self.flush()

    def cancel(self, reply, code=CANCEL):
        self.machine.reset_stream(reply.stream, code)
        self.flush()

    def release(self, reply):
        """Acknowledges what was held back, and no longer holds."""
        self.held.discard(reply.stream)
        count = self.unacknowledged.pop(reply.stream, 0)
        if count:
            self._acknowledge(reply.stream, count)
            self.flush()

    # In

    def pump(self, seconds=0.0) -> bool:
        """Reads once. False when nothing came in this time, or at the end."""
        pending = isinstance(self.socket, ssl.SSLSocket) and self.socket.pending()
        if not pending and not select.select([self.socket], [], [], max(0, seconds))[0]:
            return False
        try:
            data = receive(self.socket)
        except OSError:
            data = b""
        if data is None:
            return True
        if not data:
            self.closed = True
            return False
        for event in self.machine.receive_data(data):
            self._take(event)
        self.flush()
        return True

    def wait(self, condition, what="", seconds=10.0):
        """Reads until the condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0 or self.closed:
                state = "the connection ended" if self.closed else f"not in {seconds} s"
                raise Ended(f"{state}: {what}; GOAWAY {self.error}, {list(self.replies.values())[-3:]}")
            self.pump(min(left, 0.25))

    def finish(self, *replies, seconds=10.0):
        """Waits for the ends of these streams, all when none is named; the first of them."""
        replies = replies or tuple(self.replies.values())
        self.wait(lambda: all(r.over for r in replies), f"the end of {[r.stream for r in replies if not r.over]}", seconds)
        return replies[0]

    def ask(self, target="/", method="GET", host="example.com", headers=(), body=None, trailers=None, seconds=10.0) -> Reply:
        """One request and its whole response."""
        reply = self.start(target, method, host, headers, end=body is None and not trailers)
        if body is not None or trailers:
            self.send(reply, body or b"", end=not trailers)
        if trailers:
            self.trailers(reply, trailers)
        return self.finish(reply, seconds=seconds)

    def ended(self, seconds=5.0) -> bool:
        """Whether the gateway ends the connection."""
        deadline = time.monotonic() + seconds
        while not self.closed and time.monotonic() < deadline:
            self.pump(0.05)
        return self.closed

    def _acknowledge(self, number, count):
        try:
            self.machine.acknowledge_received_data(count, number)
        except h2.exceptions.ProtocolError:
            pass  # The stream is over; the connection's window was acknowledged.

    def _take(self, event):
        reply = self.replies.get(getattr(event, "stream_id", None))
        match event:
            case h2.events.ResponseReceived():
                reply.fields = [(n, v) for n, v in event.headers if not n.startswith(":")]
                reply.status = int(dict(event.headers)[":status"])
            case h2.events.InformationalResponseReceived():
                reply.interim.append((int(dict(event.headers)[":status"]), [f for f in event.headers if f[0] != ":status"]))
            case h2.events.DataReceived():
                reply.parts.append(event.data)
                reply.size += len(event.data)
                if reply.stream in self.held:
                    have = self.unacknowledged.get(reply.stream, 0)
                    self.unacknowledged[reply.stream] = have + event.flow_controlled_length
                elif event.flow_controlled_length:
                    self._acknowledge(reply.stream, event.flow_controlled_length)
            case h2.events.TrailersReceived():
                reply.trailers = list(event.headers)
            case h2.events.StreamEnded():
                reply.ended = True
            case h2.events.StreamReset():
                reply.stopped = True
                if not reply.ended:
                    reply.code = event.error_code
            case h2.events.ConnectionTerminated():
                self.last, self.error = event.last_stream_id, event.error_code
                self.goaways.append((event.last_stream_id, event.error_code))
            case h2.events.PingAckReceived():
                self.pongs.append(event.ping_data)
            case h2.events.RemoteSettingsChanged():
                self.peer_settings |= {int(k): v.new_value for k, v in event.changed_settings.items()}


def h2ask(port, target="/", method="GET", context=None, **more) -> Reply:
    """One request on a connection of its own."""
    with H2Client(port, context) as client:
        return client.ask(target, method, **more)


class Work:
    """A request at an `H2Origin`, and the way to answer it. Each has a thread."""

    def __init__(self, link, number, fields):
        self.link, self.number, self.fields = link, number, fields
        self.pseudo = {n: v for n, v in fields if n.startswith(":")}
        self.method, self.target = self.pseudo.get(":method", ""), self.pseudo.get(":path", "")
        self.data, self.received, self.consumed, self.sent = bytearray(), 0, 0, 0
        self.unacknowledged = 0
        self.trailers, self.ended, self.code = [], False, None
        self.cancelled = threading.Event()
        self.connection = link.number

    def all(self, name) -> list:
        return [v for n, v in self.fields if n == name.lower()]

    def get(self, name, default=None):
        found = self.all(name)
        return found[0] if found else default

    # Reading

    def more(self) -> bytes:
        """The next bytes of the body, acknowledged now; empty at its end."""
        with self.link.changed:
            while not self.data and not self.ended:
                self._live()
                self.link.changed.wait(10)
            found = bytes(self.data)
            self.data.clear()
            self.consumed += len(found)
            if self.unacknowledged:
                self.link.acknowledge(self.number, self.unacknowledged)
                self.unacknowledged = 0
        return found

    @property
    def body(self) -> bytes:
        parts = []
        while part := self.more():
            parts.append(part)
        return b"".join(parts)

    # Answering

    def interim(self, status, headers=()):
        self._headers([(":status", str(status)), *headers])

    def head(self, status=200, headers=(), end=False):
        self._headers([(":status", str(status)), *headers], end)

    def send(self, data, end=False):
        """Sends as far as the windows allow, then waits for them. Raises when nobody wants it any more."""
        view = memoryview(data)
        with self.link.changed:
            while len(view):
                self._live()
                machine = self.link.machine
                room = min(machine.local_flow_control_window(self.number), machine.max_outbound_frame_size, len(view))
                if room <= 0:
                    self.link.changed.wait(10)
                    continue
                machine.send_data(self.number, bytes(view[:room]))
                view = view[room:]
                self.sent += room
                self.link.flush()
            if end:
                self._live()
                self.link.machine.end_stream(self.number)
                self.link.flush()

    def respond(self, status=200, body=b"ok", headers=(), trailers=()):
        body = body if isinstance(body, bytes) else body.encode()
        self.head(status, headers, end=not body and not trailers)
        self.send(body, end=bool(body) and not trailers)
        if trailers:
            self._headers(trailers, end=True)

    def end(self, trailers=()):
        if trailers:
            self._headers(trailers, end=True)
        else:
            self.send(b"", end=True)

    def reset(self, code=CANCEL):
        """Also after the response ended, when the package would not."""
        with self.link.changed:
            self.code = code
            self.link.raw(RstStreamFrame(self.number, error_code=int(code)).serialize())

    def _headers(self, fields, end=False):
        with self.link.changed:
            self._live()
            self.link.machine.send_headers(self.number, fields, end_stream=end)
            self.link.flush()

    def _live(self):
        if self.code is not None or self.link.closed:
            raise Ended(f"stream {self.number} was given up: {self.code}")


class Link:
    """A connection of an `H2Origin`."""

    def __init__(self, origin, sock, number):
        self.origin, self.socket, self.number = origin, sock, number
        self.changed = threading.Condition(threading.RLock())
        self.machine = machine(False, origin.settings, origin.checked, origin.limit)
        self.works, self.closed, self.most, self.last, self.told = {}, False, 0, None, origin.limit is None
        self.goaways = []

    def run(self):
        with self.changed:
            self.machine.initiate_connection()
            if self.origin.window:
                self.machine.increment_flow_control_window(self.origin.window)
            self.flush()
        try:
            while data := self._read():
                with self.changed:
                    for event in self.machine.receive_data(data):
                        self._take(event)
                    self.flush()
                    self.changed.notify_all()
        except h2.exceptions.ProtocolError as fault:
            # The gateway broke a rule: tests look at `faults`.
            self.origin.faults.append(f"{type(fault).__name__}: {fault}")
            self.flush()
        except (OSError, ValueError):
            pass  # Also a socket that somebody closed while it was waited for.
        with self.changed:
            self.closed = True
            for work in self.works.values():
                work.cancelled.set()
            self.changed.notify_all()
        self.socket.close()

    def _read(self):
        """Waits without the lock; TLS wants reading and writing one after the other."""
        while True:
            if not (self.origin.context and self.socket.pending()):
                select.select([self.socket], [], [])
            with self.changed:
                if (data := receive(self.socket)) is not None:
                    return data

    def flush(self):
        self.raw(self.machine.data_to_send())

    def raw(self, data):
        if data:
            try:
                self.socket.sendall(data)
            except OSError:
                self.closed = True

    def acknowledge(self, number, count):
        try:
            self.machine.acknowledge_received_data(count, number)
        except h2.exceptions.ProtocolError:
            pass
        self.flush()

    def live(self) -> int:
        """Requests that were taken and not ended."""
        streams = (self.machine.streams.get(number) for number in self.works)
        return sum(stream is not None and stream.open for stream in streams)

    def go_away(self, last=None, code=NO_ERROR):
        """Says GOAWAY without ending anything; later streams are not looked at."""
        with self.changed:
            self.last = self.machine.highest_inbound_stream_id if last is None else last
            self.raw(GoAwayFrame(0, last_stream_id=self.last, error_code=int(code)).serialize())

    def _take(self, event):
        work = self.works.get(getattr(event, "stream_id", None))
        match event:
            case h2.events.RequestReceived():
                if self.last is not None and event.stream_id > self.last:
                    return
                if not self.told and self.live() >= self.origin.limit:
                    # The peer could not know yet. Once it does, the package calls it a fault.
                    self.origin.refused += 1
                    self.machine.reset_stream(event.stream_id, REFUSED_STREAM)
                    return
                work = self.works[event.stream_id] = Work(self, event.stream_id, list(event.headers))
                self.most = max(self.most, self.machine.open_inbound_streams)
                self.origin.begin(work)
            case h2.events.DataReceived():
                if work is None:
                    self.acknowledge(event.stream_id, event.flow_controlled_length)
                    return
                work.data += event.data
                work.received += len(event.data)
                work.unacknowledged += event.flow_controlled_length
            case h2.events.TrailersReceived():
                work.trailers = list(event.headers)
            case h2.events.SettingsAcknowledged():
                self.told = True
            case h2.events.StreamEnded():
                if work:
                    work.ended = True
            case h2.events.StreamReset():
                if work:
                    work.code = event.error_code
                    work.cancelled.set()
            case h2.events.ConnectionTerminated():
                self.goaways.append((event.last_stream_id, event.error_code))


class H2Origin:
    """An HTTP/2 upstream on 127.0.0.1, by prior knowledge or over TLS.

    `on` gives a path its script, which is called with the `Work`. Paths without one read the body and answer
    the origin's name. What a gateway did wrong stands in `faults`. With a `limit` of streams, those over it are
    refused as long as a gateway cannot know of it.
    """

    def __init__(self, context=None, name="h2", settings=None, window=0, checked=True, port=0, limit=None):
        self.limit, self.refused = limit, 0
        self.name, self.context, self.settings, self.window, self.checked = name, context, settings or {}, window, checked
        self.scripts, self.requests, self.links, self.faults = {}, [], [], []
        self.lock = threading.Lock()
        self.listen(port)

    def listen(self, port=0):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", port))
        self.listener.listen(512)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        return len(self.links)

    @property
    def open(self) -> list:
        return [link for link in list(self.links) if not link.closed]

    def on(self, path, script):
        self.scripts[path] = script

    def seen(self, path="") -> list:
        with self.lock:
            return [w for w in self.requests if w.target.startswith(path)]

    def clear(self):
        with self.lock:
            self.requests, self.faults = [], []
            self.links = [link for link in self.links if not link.closed]

    def begin(self, work):
        with self.lock:
            self.requests.append(work)
        threading.Thread(target=self._answer, args=(work,), daemon=True).start()

    def _answer(self, work):
        try:
            script = self.scripts.get(work.target.split("?")[0])
            if script is not None:
                script(work)
            else:
                work.body  # noqa: B018, read to its end
                work.respond(200, self.name)
        except (Ended, OSError, h2.exceptions.ProtocolError):
            pass

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(10)
            if self.context:
                sock = self.context.wrap_socket(sock, server_side=True)
                if sock.selected_alpn_protocol() != "h2":
                    self.faults.append(f"ALPN chose {sock.selected_alpn_protocol()}")
                    sock.close()
                    return
        except OSError:
            sock.close()
            return
        with self.lock:
            link = Link(self, sock, len(self.links) + 1)
            self.links.append(link)
        link.run()

    def hang_up(self):
        for link in self.open:
            try:
                link.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.hang_up()

