// One request and its response, from the client's first byte to the log line.
//
// 1. begin        who is asking, which route answers            (Exchange+Begin)
// 2. filters      the route's chain, access phase                (Exchange+Filters)
// 3. forward      an endpoint, a connection, the upstream head   (Exchange+Forward)
// 4. request body to the upstream, with back pressure            (Exchange+RequestBody)
// 5. response     head and body to the client                    (Exchange+Response)
// 6. finish       counters, access log, the connection's next request (Exchange+Finish)

import Bytes
import Engine
import HTTP
import Snapshot
import Telemetry

/// The state of one exchange. Pooled by its worker; `reset` prepares it for the next request.
final class Exchange {
    let worker: Worker
    /// The configuration this request started with; it ends with it too.
    var running: RunningSnapshot
    var client: (any ClientSide)?
    var upstream: (any UpstreamSide)?
    var stage = Stage.idle
    /// Concluded: counted, logged and given back.
    var isOver = false

    enum Stage {
        case idle
        /// Reading the body that a filter or request buffering wants whole.
        case collecting
        /// Waiting for a connection or for the response's head.
        case forwarding
        /// The response's head went to the client.
        case responding
    }

    // MARK: Who is asking

    let request = RequestHead()
    /// The client after the real-ip rules.
    var clientAddress = IPAddress(v4: 0)
    var peer: SocketAddress?
    var localPort: UInt16 = 0
    var isClientTLS = false
    /// The connection's peer is in the trusted list.
    var isPeerTrusted = false
    /// 32 hexadecimal digits.
    let requestID = Buffer(capacity: 64)
    /// Monotonic and wall clock nanoseconds of the request's first byte.
    var startedAt: Int64 = 0
    var startedWall: Int64 = 0

    // MARK: Where it goes

    let match = MatchResult()
    /// Indices into the snapshot; -1: none.
    var route = -1
    var service = -1
    var chain: RunningChain?
    /// Path and query as the upstream will get them. Filters may rewrite it.
    let upstreamURI = Buffer(capacity: 1024)
    /// The method as the upstream will get it; empty: the client's.
    let upstreamMethod = Buffer(capacity: 64)
    /// The Host a filter asked for; empty: as the route and the cluster say.
    let upstreamHost = Buffer(capacity: 256)

    /// Notes whose exchange this is; kept when the connection goes before the log line is written.
    func belongs(to client: any ClientSide) {
        worker.metrics.count(.reading, -1)
        worker.metrics.count(.writing)
        self.client = client
        let transport = client.transport
        peer = transport.peer
        localPort = UInt16(clamping: transport.listener.port)
        isClientTLS = transport.isTLS
        if let tls = transport.tls, worker.lane != nil {
            record.tlsVersion = tls.version
            record.tlsCipher = tls.cipher
            if tls.hasPeerCertificate { record.tlsClientVerify = Bytes("SUCCESS") }
        }
        clientAddress = transport.peer.address
    }

    // MARK: Who it turned out to be

    /// Index into the snapshot's consumers; -1: nobody (or the anonymous consumer's index with `isAnonymous`).
    var consumer = -1
    /// The credential that proved it; nil for anonymous consumers.
    var credential: ID?
    /// The credential's public name: basic-auth's username, key-auth's id.
    var credentialName = ""
    var isAnonymous = false

    // MARK: Bodies

    /// The complete request body, when the chain or the route's buffering asked for it. Filters may
    /// replace its content; the length that is sent follows.
    var requestBody: Buffer?
    var requestBodyChanged = false
    /// What was sent of a streamed body, while little was: another attempt begins with it.
    var replay: Buffer?
    /// Nothing of a streamed body is lost.
    var isReplayable = true
    /// Bytes of a body of unknown length that a filter lets pass; more ends the exchange with 413.
    var bodyLimit = Int.max
    /// The complete response body, when a filter of the chain asked for it.
    var responseBody: Buffer?

    // MARK: The answer

    /// The upstream's response as it arrived; edits of its headers reach the client.
    let response = ResponseHead()
    /// Headers of a response of our own making.
    let replyHeaders = HeaderBlock()
    let replyBody = Buffer(capacity: 1024)
    var replyStatus = 0
    var isLocalReply = false
    /// Headers that filters add to whatever response goes out, in order (rate limits, cookies).
    let addedHeaders = HeaderBlock()

    /// The header section that goes to the client, for the response phase.
    var responseHeaders: HeaderBlock { isLocalReply ? replyHeaders : response.headers }
    var responseStatus: Int { isLocalReply ? replyStatus : response.status }

    // MARK: Progress of the exchange with the upstream

    var pick: Balancer.Pick?
    var cluster: WorkerCluster?
    var tried = Tried()
    var attempts = 0
    var hash: UInt32?
    var sentToUpstream = false
    var wasReused = false
    var record = RequestRecord()
    var requestBytes = 0
    var responseBytes = 0
    var responseBodyBytes = 0
    /// Monotonic nanoseconds.
    var forwardedAt: Int64 = 0
    var attemptStartedAt: Int64 = 0
    var headReceivedAt: Int64 = 0
    var requestBodyDone = true
    let requestTrailers = HeaderBlock()
    let responseTrailers = HeaderBlock()
    var keepsClient = true
    var interimCount = 0
    var sentContinue = false
    var responseEnded = false
    /// It answered and takes no more of the request.
    var upstreamStoppedReading = false

    /// The deadline that a gRPC call brought; made when the first one does.
    var callTimer: CallTimer {
        if let made = madeTimer { return made }
        let made = CallTimer()
        madeTimer = made
        return made
    }
    private var madeTimer: CallTimer?
    var isTimed = false

    init(worker: Worker, running: RunningSnapshot) {
        self.worker = worker
        self.running = running
    }

    deinit {
        guard let madeTimer else { return }
        worker.loop.cancelDeadline(madeTimer)
        madeTimer.exchange = nil
    }

    /// Its buffers are of the size that requests usually need, and worth keeping.
    var isSlim: Bool {
        upstreamURI.capacity <= 4096 && replyBody.capacity <= 16 * 1024 && match.capacity <= 4096
            && addedHeaders.capacity <= 4096 && replyHeaders.capacity <= 4096 && request.headers.capacity <= 4096
            && response.headers.capacity <= 4096 && requestTrailers.capacity <= 4096
            && responseTrailers.capacity <= 4096
    }

    /// Forgets the last request. Capacity stays.
    func reset(_ running: RunningSnapshot) {
        self.running = running
        client = nil
        upstream = nil
        peer = nil
        stage = .idle
        isOver = false
        request.clear()
        requestID.clear()
        route = -1
        service = -1
        chain = nil
        upstreamURI.clear()
        upstreamMethod.clear()
        upstreamHost.clear()
        consumer = -1
        credential = nil
        credentialName = ""
        isAnonymous = false
        requestBody = nil
        requestBodyChanged = false
        isReplayable = true
        bodyLimit = .max
        responseBody = nil
        response.clear()
        replyHeaders.reset(source: nil)
        replyBody.clear()
        replyStatus = 0
        isLocalReply = false
        addedHeaders.reset(source: nil)
        pick = nil
        cluster = nil
        tried.clear()
        attempts = 0
        hash = nil
        sentToUpstream = false
        record = RequestRecord()
        requestBytes = 0
        responseBytes = 0
        responseBodyBytes = 0
        forwardedAt = 0
        attemptStartedAt = 0
        headReceivedAt = 0
        requestBodyDone = true
        requestTrailers.reset(source: nil)
        responseTrailers.reset(source: nil)
        keepsClient = true
        interimCount = 0
        sentContinue = false
        responseEnded = false
        upstreamStoppedReading = false
    }
}

// MARK: What filters use

extension Exchange {
    /// The request's header section. Edits reach the upstream; hop-by-hop fields are dropped later.
    var requestHeaders: HeaderBlock { request.headers }

    /// The query as sent, without `?`; nil if there is none.
    var query: Bytes? {
        let target = request.target
        return target.firstIndex(of: 0x3F).map { target.dropFirst($0 + 1) }
    }

    /// The canonical path that routing used.
    var path: Bytes { match.path }

    /// The client's connection is TLS.
    var isSecure: Bool { isClientTLS }

    /// Replies with `body` as it is.
    func reply(_ status: Int, contentType: Bytes, body: Bytes) -> FilterVerdict {
        setReply(status)
        replyHeaders.add(.contentType, contentType)
        replyBody.append(body)
        return .reply
    }

    /// Replies `{"message": …}`, always JSON (Kong's `kong.response.exit` with a table).
    func replyMessage(_ status: Int, _ message: Bytes) -> FilterVerdict {
        setReply(status)
        if isGRPC {
            ErrorBody.setGRPC(ErrorBody.grpcStatus(status), message, self)
            return .reply
        }
        replyHeaders.add(.contentType, Bytes("application/json; charset=utf-8"))
        replyBody.append("{\"message\":\"")
        JSONText.escape(message, to: replyBody)
        replyBody.append("\"}")
        return .reply
    }

    /// Replies with an error in the format the client accepts, with the request id (Kong's
    /// `kong.response.error`).
    func replyError(_ status: Int, _ message: Bytes) -> FilterVerdict {
        setReply(status)
        ErrorBody.write(status: status, message: message, exchange: self)
        return .reply
    }

    /// Starts a reply of our own: drops what was set before. Headers may be added to `replyHeaders` after.
    func setReply(_ status: Int) {
        isLocalReply = true
        replyStatus = status
        replyHeaders.reset(source: nil)
        replyBody.clear()
    }
}
