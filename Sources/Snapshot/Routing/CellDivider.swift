// Chooses what the rules of a large cell are told apart by.

internal import Bytes

/// Counts how often each condition occurs in a cell, then gives each rule the rarest of its own:
/// the fewer rules share a bucket, the fewer are tried.
struct CellDivider {
    /// Cells up to this size are scanned.
    static let smallCell: UInt32 = 8
    /// Alternatives of one condition that are worth a bucket each.
    static let alternativeLimit = 64

    /// A condition that one look-up decides.
    struct Key {
        var kind: Dimension.Kind
        var parameter: UInt32
        var text: [UInt8]
        /// Stands for the key when counting: two keys with the same one only make a poorer choice.
        let digest: UInt64

        init(kind: Dimension.Kind, parameter: UInt32, text: [UInt8]) {
            self.kind = kind
            self.parameter = parameter
            self.text = text
            digest = text.withBytes { PrefixHash.of($0, Dimension.context(0, kind, Int(parameter)), seed: 0) }
        }

        func isSame(as other: Key) -> Bool {
            kind == other.kind && parameter == other.parameter && text == other.text
        }
    }

    private var counts: [UInt64: Int] = [:]

    mutating func count(_ groups: [[Key]]) {
        for group in groups where group.count <= Self.alternativeLimit {
            for key in group { counts[key.digest, default: 0] += 1 }
        }
    }

    /// The alternatives to find the rule by; empty if nothing tells it from the others.
    func choose(_ groups: [[Key]], of all: Int) -> [Key] {
        var best: [Key] = []
        var least = all
        for group in groups where !group.isEmpty && group.count <= Self.alternativeLimit {
            let shared = group.reduce(0) { max($0, counts[$1.digest] ?? 0) }
            // A server name is weighed double: without TLS its bucket is of no use.
            let weight = group[0].kind.isServerName ? min(2 * shared, all - 1) : shared
            if weight < least {
                least = weight
                best = group
            }
        }
        // The same value twice would be the same bucket twice.
        var distinct: [Key] = []
        for key in best where !distinct.contains(where: { $0.isSame(as: key) }) { distinct.append(key) }
        return distinct
    }
}

extension Dimension.Kind {
    var isServerName: Bool {
        switch self {
        case .serverName, .serverNameSuffix, .serverNamePrefix: true
        case .method, .header, .segment: false
        }
    }

    init(serverName kind: NameKind) {
        switch kind {
        case .exact, .any: self = .serverName
        case .suffix: self = .serverNameSuffix
        case .prefix: self = .serverNamePrefix
        }
    }
}
