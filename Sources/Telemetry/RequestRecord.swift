// What an exchange tells the access log about one finished request.

public import Bytes

/// One attempt at reaching an upstream.
public struct UpstreamTry: Sendable {
    /// What ended an attempt that another one followed, or that failed.
    public enum State: UInt8, Sendable {
        /// The attempt gave the response.
        case none
        /// Connecting, writing or reading failed (Kong: `failed`).
        case failed
        /// A response came, and the next target was tried nevertheless (Kong: `next`).
        case next
    }

    public var address = IPAddress(v4: 0)
    public var port: UInt16 = 0
    public var state = State.none
    /// The status that stands for the failure (502, 504 …); 0: none.
    public var code: UInt16 = 0
    /// Realtime nanoseconds at which choosing a target began.
    public var balancerStart: Int64 = 0
    /// Nanoseconds that choosing a target took.
    public var balancerLatency: Int64 = 0

    public init() {}
}

/// One finished request. Views point into buffers and tables that outlive the call that logs it.
///
/// Latencies are milliseconds; -1 stands for "did not happen".
public struct RequestRecord {
    /// Attempts that are logged; later ones are left out.
    public static let triesMax = 8

    /// Realtime milliseconds at which the first byte of the request was read.
    public var startedAt: Int64 = 0
    public var method = Bytes.empty
    /// The request target as received, query included.
    public var uri = Bytes.empty
    /// 10, 11 or 20.
    public var version: UInt8 = 11
    /// The request's host without port, for `url`.
    public var host = Bytes.empty
    public var isTLS = false
    /// The port the client connected to.
    public var localPort: UInt16 = 0
    /// The client after the real-ip rules.
    public var client = IPAddress(v4: 0)
    public var clientPort: UInt16 = 0
    /// The user of basic authentication, decoded; empty: none. Combined format only.
    public var user = Bytes.empty
    public var status: Int = 0
    /// Bytes of the request, head and body.
    public var requestBytes = 0
    /// Bytes of the response, head and body; and of its body alone.
    public var responseBytes = 0
    public var responseBodyBytes = 0
    /// The status the upstream gave; 0: none.
    public var upstreamStatus = 0
    /// The target sent upstream; empty: not proxied.
    public var upstreamURI = Bytes.empty
    /// The response came from the upstream rather than from the proxy itself.
    public var isFromUpstream = false

    public var kongLatency = 0
    public var proxyLatency = -1
    public var requestLatency = 0
    public var receiveLatency = 0

    /// JSON objects from `LogEntities`; empty: none.
    public var route = Bytes.empty
    public var service = Bytes.empty
    public var consumer = Bytes.empty
    /// Id of the credential that authenticated the request; empty: none.
    public var credentialID = Bytes.empty
    /// 32 hexadecimal digits.
    public var requestID = Bytes.empty
    /// `TLSv1.3` and the like; empty: plain text.
    public var tlsVersion = Bytes.empty
    public var tlsCipher = Bytes.empty
    /// `NONE`, `SUCCESS` or `FAILED:reason`.
    public var tlsClientVerify = Bytes("NONE")

    public private(set) var tryCount = 0
    private var tries: [8 of UpstreamTry] = .init(repeating: UpstreamTry())

    public init() {}

    /// Adds an attempt; attempts past `triesMax` only count.
    public mutating func add(_ attempt: UpstreamTry) {
        if tryCount < Self.triesMax { tries[tryCount] = attempt }
        tryCount += 1
    }

    /// Changes the attempt added last (its outcome becomes known later).
    public mutating func updateLastTry(_ change: (inout UpstreamTry) -> Void) {
        guard tryCount > 0, tryCount <= Self.triesMax else { return }
        change(&tries[tryCount - 1])
    }

    /// Attempts that are kept.
    public var keptTries: Int { min(tryCount, Self.triesMax) }

    public func attempt(_ index: Int) -> UpstreamTry { tries[index] }
}
