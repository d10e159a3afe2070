// What a proxy runs from: listener -> route -> cluster -> endpoints, with secrets and filters.

/// One complete configuration of a proxy. Its references are indices into its own arrays; `-1`
/// means none. Compile makes it, the wire carries it, Proxy runs it, Explain walks it.
public struct Snapshot: WireMessage, Sendable {
    /// Counts up with every configuration that was put in effect.
    public var revision: UInt64 = 0
    public var settings = Settings()
    public var listeners: [Listener] = []
    public var routes: [Route] = []
    public var services: [Service] = []
    public var clusters: [Cluster] = []
    public var certificates: [Certificate] = []
    public var serverNames: [ServerName] = []
    public var caCertificates: [CACertificate] = []
    public var consumers: [Consumer] = []
    public var keyCredentials: [KeyCredential] = []
    public var basicCredentials: [BasicCredential] = []
    /// Each distinct filter configuration once.
    public var filters: [Filter] = []
    /// Chains by index; `Route.chain` and `globalChain` point here.
    public var chains: [FilterChain] = []
    /// The chain for requests that match no route (global plugins), or -1.
    public var globalChain = -1

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, revision)
        out.put(2, message: settings)
        out.put(3, messages: listeners)
        out.put(4, messages: routes)
        out.put(5, messages: services)
        out.put(6, messages: clusters)
        out.put(7, messages: certificates)
        out.put(8, messages: serverNames)
        out.put(9, messages: caCertificates)
        out.put(10, messages: consumers)
        out.put(11, messages: keyCredentials)
        out.put(12, messages: basicCredentials)
        out.put(13, messages: filters)
        out.put(14, messages: chains)
        out.put(15, globalChain)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: revision = try reader.unsigned()
        case 2: settings = try reader.message()
        case 3: listeners.append(try reader.message())
        case 4: routes.append(try reader.message())
        case 5: services.append(try reader.message())
        case 6: clusters.append(try reader.message())
        case 7: certificates.append(try reader.message())
        case 8: serverNames.append(try reader.message())
        case 9: caCertificates.append(try reader.message())
        case 10: consumers.append(try reader.message())
        case 11: keyCredentials.append(try reader.message())
        case 12: basicCredentials.append(try reader.message())
        case 13: filters.append(try reader.message())
        case 14: chains.append(try reader.message())
        case 15: globalChain = try reader.int()
        default: try reader.skip()
        }
    }
}
