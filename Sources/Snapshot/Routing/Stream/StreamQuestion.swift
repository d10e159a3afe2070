// What a stream connection or session is routed by.

public import Bytes

/// How a client's bytes arrive.
public enum StreamTransport: UInt8, Sendable {
    case tcp
    /// TLS that the gateway ends, or may pass on: a listener with `tls`.
    case tls
    case udp
}

/// One connection, or one session of datagrams. The views must outlive the call.
public struct StreamQuestion {
    /// The listener's: `tls` if it ends TLS, else `tcp` or `udp`.
    public var transport: StreamTransport
    /// The client, by a PROXY protocol header if there was one.
    public var source: IPAddress
    public var sourcePort: UInt16
    /// What the client connected to, by a PROXY protocol header if there was one.
    public var destination: IPAddress
    public var destinationPort: UInt16
    /// The server name of the client's hello, in any case; empty if there is none.
    public var serverName: Bytes
    /// A client's hello was read and TLS has not been ended: tls_passthrough routes may take it.
    public var isPassthrough: Bool

    public init(
        transport: StreamTransport, source: IPAddress, sourcePort: UInt16, destination: IPAddress,
        destinationPort: UInt16, serverName: Bytes = .empty, isPassthrough: Bool = false
    ) {
        self.transport = transport
        self.source = source
        self.sourcePort = sourcePort
        self.destination = destination
        self.destinationPort = destinationPort
        self.serverName = serverName
        self.isPassthrough = isPassthrough
    }
}
