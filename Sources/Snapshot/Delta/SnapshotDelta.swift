// What changes between two configurations, small enough to send to every gateway at every change.

internal import Bytes

/// Why a delta cannot be applied.
public enum DeltaError: Error, Equatable {
    /// The bytes of a new record are none.
    case record(WireError)
    /// An edit leads past the end of its table.
    case range
    /// Two edits take the same record of the old table.
    case usedTwice
    /// A record refers to one that is gone or never was, or something other than a route was given a chain.
    case reference
    /// A table would have more than `SnapshotDelta.recordLimit` records.
    case tooLarge
}

extension DeltaError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .record(let error): "a new record cannot be read: \(error)"
        case .range: "an edit leads past the end of its table"
        case .usedTwice: "a record of the table before is used twice"
        case .reference: "a reference leads nowhere"
        case .tooLarge: "a table becomes larger than \(SnapshotDelta.recordLimit) records"
        }
    }
}

/// What turns the tables of one snapshot into those of another. Revision, settings and listeners are no part of
/// it: they belong to the gateway.
///
/// Tables refer to each other by index, so a record that comes or goes moves all references to those after it.
/// Both sides renumber them in the same way, table by table in the order below, so that only records that changed
/// in themselves are sent. A delta fits the snapshot it was made from, and no other: `digest` tells.
public struct SnapshotDelta: WireMessage, Sendable, Hashable {
    /// Most records a table may have, so that a delta cannot fill the memory.
    public static let recordLimit = 2_000_000

    /// A table that is not set stays as it is, its references renumbered.
    public var certificates: TableDelta?
    public var caCertificates: TableDelta?
    public var serverNames: TableDelta?
    public var clusters: TableDelta?
    public var services: TableDelta?
    public var consumers: TableDelta?
    public var keyCredentials: TableDelta?
    public var basicCredentials: TableDelta?
    public var filters: TableDelta?
    public var chains: TableDelta?
    public var routes: TableDelta?
    /// The new snapshot's, in full.
    public var globalChain = -1

    public init() {}

    /// - Parameters:
    ///   - old: what the gateway has.
    ///   - new: what it shall have; all its references lead somewhere.
    public init(from old: Snapshot, to new: Snapshot) {
        let seed = UInt64.random(in: 0 ... .max)
        var maps = IndexMaps()
        func table<Record: TableRecord>(_ path: KeyPath<Snapshot, [Record]>) -> (TableDelta?, IndexMap) {
            TableDiffer(from: old[keyPath: path], to: new[keyPath: path], maps: maps, seed: seed).run()
        }
        (certificates, maps.certificates) = table(\.certificates)
        (caCertificates, maps.caCertificates) = table(\.caCertificates)
        serverNames = table(\.serverNames).0
        (clusters, maps.clusters) = table(\.clusters)
        (services, maps.services) = table(\.services)
        (consumers, maps.consumers) = table(\.consumers)
        keyCredentials = table(\.keyCredentials).0
        basicCredentials = table(\.basicCredentials).0
        (filters, maps.filters) = table(\.filters)
        (chains, maps.chains) = table(\.chains)
        routes = table(\.routes).0
        globalChain = new.globalChain
    }

    /// - Parameter old: the snapshot that it was made from, or one with the same tables.
    /// - Returns: the new tables with the revision, settings and listeners of `old`.
    public func apply(to old: Snapshot) throws(DeltaError) -> Snapshot {
        var new = old
        // Where old records went, and what there is now.
        var maps = IndexMaps()
        var present = IndexMaps()
        func apply<Record: TableRecord>(
            _ delta: TableDelta?, _ table: [Record], _ result: inout [Record]
        ) throws(DeltaError) -> (IndexMap, IndexMap) {
            let map: IndexMap
            if let delta {
                (result, map) = try delta.apply(to: table, maps: maps, present: present)
            } else {
                if Record.moves(with: maps) {
                    result = Array(
                        try TableDelta.moved(table, 0..<table.count, TableEdit.chainAsItWas, maps, present))
                }
                map = IndexMap(identity: table.count)
            }
            return (map, IndexMap(identity: result.count))
        }
        (maps.certificates, present.certificates) = try apply(certificates, old.certificates, &new.certificates)
        (maps.caCertificates, present.caCertificates) = try apply(
            caCertificates, old.caCertificates, &new.caCertificates)
        _ = try apply(serverNames, old.serverNames, &new.serverNames)
        (maps.clusters, present.clusters) = try apply(clusters, old.clusters, &new.clusters)
        (maps.services, present.services) = try apply(services, old.services, &new.services)
        (maps.consumers, present.consumers) = try apply(consumers, old.consumers, &new.consumers)
        _ = try apply(keyCredentials, old.keyCredentials, &new.keyCredentials)
        _ = try apply(basicCredentials, old.basicCredentials, &new.basicCredentials)
        (maps.filters, present.filters) = try apply(filters, old.filters, &new.filters)
        (maps.chains, present.chains) = try apply(chains, old.chains, &new.chains)
        _ = try apply(routes, old.routes, &new.routes)
        new.globalChain = globalChain
        var chain = globalChain
        guard present.chains.renumber(&chain) else { throw .reference }
        return new
    }

    /// Nothing changes but perhaps the revision.
    ///
    /// - Parameter snapshot: the one that it is for.
    public func isEmpty(for snapshot: Snapshot) -> Bool {
        var nothing = SnapshotDelta()
        nothing.globalChain = snapshot.globalChain
        return self == nothing
    }

    /// A number for the tables of a snapshot: equal on both sides of a stream, they have the same tables. Not a
    /// defence against anybody.
    public static func digest(_ snapshot: Snapshot) -> UInt64 {
        var tables = snapshot
        tables.revision = 0
        tables.settings = Settings()
        tables.listeners = []
        return tables.wireHash(seed: 0)
    }

    public func encode(into out: inout WireWriter) {
        out.put(1, message: certificates)
        out.put(2, message: caCertificates)
        out.put(3, message: serverNames)
        out.put(4, message: clusters)
        out.put(5, message: services)
        out.put(6, message: consumers)
        out.put(7, message: keyCredentials)
        out.put(8, message: basicCredentials)
        out.put(9, message: filters)
        out.put(10, message: chains)
        out.put(11, message: routes)
        out.put(12, globalChain)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: certificates = try reader.message()
        case 2: caCertificates = try reader.message()
        case 3: serverNames = try reader.message()
        case 4: clusters = try reader.message()
        case 5: services = try reader.message()
        case 6: consumers = try reader.message()
        case 7: keyCredentials = try reader.message()
        case 8: basicCredentials = try reader.message()
        case 9: filters = try reader.message()
        case 10: chains = try reader.message()
        case 11: routes = try reader.message()
        case 12: globalChain = try reader.int()
        default: try reader.skip()
        }
    }
}
