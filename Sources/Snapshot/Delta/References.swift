// Every reference from one table of a snapshot to another, in one place: a new one belongs here.

/// Where each record of an old table stands in the new one.
struct IndexMap {
    /// The new index of each old one, or `gone`; nil: every record keeps its index.
    private var moved: [Int]?
    /// How many indices lead somewhere: records of the old table.
    private var count: Int

    static let gone = -1

    /// All of a table of `count` records stay where they are.
    init(identity count: Int = 0) { self.count = count }

    init(_ moved: [Int]) {
        count = moved.count
        self.moved = moved.indices.contains { moved[$0] != $0 } ? moved : nil
    }

    var isIdentity: Bool { moved == nil }

    /// Renumbers one reference; -1 stays.
    /// - Returns: false when it leads nowhere, now or then.
    func renumber(_ reference: inout Int) -> Bool {
        guard reference != -1 else { return true }
        guard reference >= 0, reference < count else { return false }
        guard let moved else { return true }
        reference = moved[reference]
        return reference != Self.gone
    }
}

/// A map for each table that others refer to, filled in the order of `SnapshotDelta`'s tables.
struct IndexMaps {
    var certificates = IndexMap()
    var caCertificates = IndexMap()
    var clusters = IndexMap()
    var services = IndexMap()
    var consumers = IndexMap()
    var filters = IndexMap()
    var chains = IndexMap()
}

/// A record of a snapshot's table.
protocol TableRecord: WireMessage {
    associatedtype Key: Hashable

    /// What stays when the record changes; nil: nothing does, its contents are its name.
    var tableKey: Key? { get }
    /// Renumbers its references.
    /// - Returns: false when one leads nowhere.
    mutating func renumber(_ maps: IndexMaps) -> Bool
    /// Whether `renumber` does anything with these maps.
    static func moves(with maps: IndexMaps) -> Bool
    /// The chain it refers to, of routes only.
    var tableChain: Int? { get set }
}

extension TableRecord {
    static func moves(with maps: IndexMaps) -> Bool { false }
    mutating func renumber(_ maps: IndexMaps) -> Bool { true }
    var tableChain: Int? {
        get { nil }
        set {}
    }
}

extension Certificate: TableRecord {
    var tableKey: ID? { id }
}

extension CACertificate: TableRecord {
    var tableKey: ID? { id }
}

extension ServerName: TableRecord {
    var tableKey: String? { name }
    static func moves(with maps: IndexMaps) -> Bool { !maps.certificates.isIdentity }
    mutating func renumber(_ maps: IndexMaps) -> Bool { maps.certificates.renumber(&certificate) }
}

extension Cluster: TableRecord {
    var tableKey: ID? { id }
    static func moves(with maps: IndexMaps) -> Bool { !maps.certificates.isIdentity }
    mutating func renumber(_ maps: IndexMaps) -> Bool { maps.certificates.renumber(&clientCertificate) }
}

extension Service: TableRecord {
    var tableKey: ID? { id }

    static func moves(with maps: IndexMaps) -> Bool {
        !(maps.clusters.isIdentity && maps.certificates.isIdentity && maps.caCertificates.isIdentity)
    }

    mutating func renumber(_ maps: IndexMaps) -> Bool {
        guard maps.clusters.renumber(&cluster), maps.certificates.renumber(&tls.clientCertificate) else { return false }
        for index in tls.caCertificates.indices {
            guard maps.caCertificates.renumber(&tls.caCertificates[index]) else { return false }
        }
        return true
    }
}

extension Consumer: TableRecord {
    var tableKey: ID? { id }
}

extension KeyCredential: TableRecord {
    var tableKey: ID? { id }
    static func moves(with maps: IndexMaps) -> Bool { !maps.consumers.isIdentity }
    mutating func renumber(_ maps: IndexMaps) -> Bool { maps.consumers.renumber(&consumer) }
}

extension BasicCredential: TableRecord {
    var tableKey: ID? { id }
    static func moves(with maps: IndexMaps) -> Bool { !maps.consumers.isIdentity }
    mutating func renumber(_ maps: IndexMaps) -> Bool { maps.consumers.renumber(&consumer) }
}

extension Filter: TableRecord {
    var tableKey: ID? { nil }
}

extension FilterChain: TableRecord {
    var tableKey: ID? { nil }

    static func moves(with maps: IndexMaps) -> Bool { !(maps.filters.isIdentity && maps.consumers.isIdentity) }

    mutating func renumber(_ maps: IndexMaps) -> Bool {
        for index in steps.indices {
            guard steps[index].renumber(maps) else { return false }
        }
        return true
    }
}

extension FilterStep {
    fileprivate mutating func renumber(_ maps: IndexMaps) -> Bool {
        guard maps.filters.renumber(&filter) else { return false }
        // Pairs of consumer and filter.
        for index in overrides.indices {
            let map = index.isMultiple(of: 2) ? maps.consumers : maps.filters
            guard map.renumber(&overrides[index]) else { return false }
        }
        return true
    }
}

extension Route: TableRecord {
    var tableKey: ID? { id }

    static func moves(with maps: IndexMaps) -> Bool { !(maps.services.isIdentity && maps.chains.isIdentity) }

    mutating func renumber(_ maps: IndexMaps) -> Bool {
        maps.services.renumber(&service) && maps.chains.renumber(&chain)
    }

    var tableChain: Int? {
        get { chain }
        set { if let newValue { chain = newValue } }
    }
}
