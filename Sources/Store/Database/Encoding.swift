// How identifiers, labels and lists stand in columns.

internal import Foundation
internal import Model

extension Identifier {
    /// 16 bytes, most significant first.
    var bytes: [UInt8] {
        (0..<16).map { UInt8(truncatingIfNeeded: ($0 < 8 ? high : low) >> UInt64(56 - ($0 & 7) * 8)) }
    }

    init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        var (high, low) = (0 as UInt64, 0 as UInt64)
        for byte in bytes {
            high = high << 8 | low >> 56
            low = low << 8 | UInt64(byte)
        }
        self.init(high: high, low: low)
    }

    /// Version 4.
    static func random() -> Identifier {
        Identifier(
            high: UInt64.random(in: .min ... .max) & 0xFFFF_FFFF_FFFF_0FFF | 0x4000,
            low: UInt64.random(in: .min ... .max) & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000)
    }
}

extension SQLValue {
    /// A JSON object with its keys in order.
    static func labels(_ labels: [String: String]) throws(StoreError) -> SQLValue {
        labels.isEmpty ? .text("{}") : .text(try encoded(labels))
    }

    /// A JSON array.
    static func list(_ list: [String]) throws(StoreError) -> SQLValue {
        .text(try encoded(list))
    }

    private static func encoded(_ value: some Encodable) throws(StoreError) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(value) else { throw .failed("Labels that cannot be written as JSON.") }
        return String(decoding: data, as: UTF8.self)
    }
}

extension SQLRow {
    func labels(_ column: Int) throws(StoreError) -> [String: String] {
        let text = try text(column)
        return text == "{}" ? [:] : try decoded(text)
    }

    func list(_ column: Int) throws(StoreError) -> [String] {
        try decoded(try text(column))
    }

    private func decoded<T: Decodable>(_ text: String) throws(StoreError) -> T {
        guard let value = try? JSONDecoder().decode(T.self, from: Data(text.utf8)) else {
            throw .failed("The database holds labels that are not JSON: \(text.prefix(80))")
        }
        return value
    }
}

/// Labels as read from many rows: most of them say the same.
struct LabelReader {
    private var known: [String: [String: String]] = [:]

    mutating func labels(_ row: any SQLRow, _ column: Int) throws(StoreError) -> [String: String] {
        let text = try row.text(column)
        if text == "{}" { return [:] }
        if let labels = known[text] { return labels }
        let labels = try row.labels(column)
        if known.count < 4096 { known[text] = labels }
        return labels
    }
}
