// Templates at run time: parts of the request put into text.

import Bytes
import HTTP
import Snapshot

/// A template with its names prepared for look-ups.
struct RunningTemplate: Sendable {
    private enum Part: Sendable {
        case literal([UInt8])
        /// By its name, or with `-` for `_`.
        case header(FieldKey, alias: FieldKey?)
        case query([UInt8])
        case group(Int)
        case namedGroup([UInt8])
    }

    private let parts: [Part]

    init(_ template: Template) {
        parts = template.parts.map { part in
            let name = String(decoding: part.text, as: UTF8.self)
            switch part.kind {
            case .literal: return .literal(part.text)
            case .header:
                let alias = name.contains("_") ? FieldKey(String(name.map { $0 == "_" ? "-" : $0 })) : nil
                return .header(FieldKey(name), alias: alias)
            case .query: return .query(part.text)
            case .capture:
                return part.text.withBytes { $0.decimal() }.map { .group($0) } ?? .namedGroup(part.text)
            }
        }
    }

    var isEmpty: Bool { parts.isEmpty }

    /// The value if it is the same for every request.
    var constant: [UInt8]? {
        guard parts.count <= 1 else { return nil }
        guard let first = parts.first else { return [] }
        if case .literal(let text) = first { return text }
        return nil
    }

    /// Appends the value for this request; what the request does not have is empty.
    func render(_ x: Exchange, to out: Buffer) {
        for part in parts {
            switch part {
            case .literal(let text): out.append(text)
            case .header(let key, let alias):
                if let value = x.requestHeaders.first(key) ?? alias.flatMap({ x.requestHeaders.first($0) }) {
                    out.append(value)
                }
            case .query(let name): Self.query(x, name, to: out)
            case .group(let number): if let text = x.match.capture(number) { out.append(text) }
            case .namedGroup(let name):
                if let text = name.withBytes({ x.running.table.capture(named: $0, of: x.match) }) { out.append(text) }
            }
        }
    }

    /// The first value of an argument, decoded; `true` for one without a value, as Lua prints it.
    private static func query(_ x: Exchange, _ name: [UInt8], to out: Buffer) {
        guard let query = x.upstreamQuery else { return }
        name.withBytes { name in
            for argument in RawArguments(query) where PercentCoding.argument(argument.name, equals: name) {
                if let value = argument.value {
                    PercentCoding.decodeArgument(value, to: out)
                } else {
                    out.append("true")
                }
                return
            }
        }
    }
}
