// Limits and times of the gateways' listener.

/// How the stream to gateways is set up. All times are seconds.
public struct StreamOptions: Sendable {
    /// Gateways that may be connected at once.
    public var streamsMax = 10_000
    /// The largest message taken from a gateway, in bytes: a report of 10,000 targets has 700 KB.
    public var messageBytesMax = 4 << 20
    /// Failed attempts to join from one address in a minute.
    public var failedJoinsPerMinute = 20
    /// From the opening of a stream to its `hello`.
    public var helloTimeout = 10
    /// Silence after which a gateway is pinged, and how long its answer may take.
    public var pingInterval = 10
    public var pingTimeout = 8
    /// How long a gateway's certificate lasts.
    public var certificateLifetime = 86_400
    /// How long the listener's own lasts; a new one is taken at half of it.
    public var serverCertificateLifetime = 90 * 86_400
    /// Routes may be written as expressions.
    public var expressions = false
    /// What this control plane is called in records of gateways.
    public var controlPlane = ""

    /// Told of every gateway that put a revision in effect: its name, the revision, when that was published and now,
    /// both Unix milliseconds.
    public var onApplied: (@Sendable (String, UInt64, Int64, Int64) -> Void)?

    public init() {}
}
