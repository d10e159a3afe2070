// Pages of a collection: size, offset, tags, and where the next one begins.

import Model
import Store

/// What a list's query asks for.
struct Paging: Sendable {
    static let defaultSize = 100
    static let sizeLimit = 1000

    /// All of them, or any of them.
    enum Tags: Sendable, Equatable {
        case none
        case all([String])
        case any([String])
    }

    var size = Paging.defaultSize
    /// The last id of the page before.
    var after: Identifier?
    var tags = Tags.none

    init(_ query: [String: String]) throws(AdminFault) {
        if let text = query["size"] {
            guard let number = Double(text), number.isFinite else {
                throw KongError.invalidSize.fault("size must be a number")
            }
            guard let size = Int(exactly: number), (1...Self.sizeLimit).contains(size) else {
                throw KongError.invalidSize.fault("size must be an integer between 1 and \(Self.sizeLimit)")
            }
            self.size = size
        }
        if let text = query["offset"] {
            guard let after = Self.identifier(text) else {
                throw KongError.invalidOffset.fault("'\(text)' is not a valid offset: bad base64 encoding")
            }
            self.after = after
        }
        if let text = query["tags"] { tags = try Self.tags(text) }
    }

    private static func tags(_ text: String) throws(AdminFault) -> Tags {
        let hasComma = text.contains(",")
        let hasSlash = text.contains("/")
        let names = text.split(whereSeparator: { $0 == "," || $0 == "/" }).map(String.init)
        guard !(hasComma && hasSlash), !names.isEmpty, !text.hasPrefix(","), !text.hasPrefix("/"),
            !text.contains(",,"), !text.contains("//"),
            text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F })
        else {
            throw KongError.invalidOption(
                "tags", "invalid filter syntax: separate tags by ',' (all of them) or by '/' (any of them)")
        }
        return hasSlash ? .any(names) : .all(names)
    }

    func accepts(_ tags: [String]) -> Bool {
        switch self.tags {
        case .none: true
        case .all(let wanted): wanted.allSatisfy(tags.contains)
        case .any(let wanted): wanted.contains(where: tags.contains)
        }
    }

    // MARK: Offsets

    /// The id of the last entity of a page, in base64url.
    static func offset(_ id: Identifier) -> String {
        var bytes: [UInt8] = []
        for shift in stride(from: 56, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: id.high >> UInt64(shift)))
        }
        for shift in stride(from: 56, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: id.low >> UInt64(shift)))
        }
        var text: [UInt8] = []
        var bits = 0
        var count = 0
        for byte in bytes {
            bits = bits << 8 | Int(byte)
            count += 8
            while count >= 6 {
                count -= 6
                text.append(alphabet[bits >> count & 63])
            }
            bits &= (1 << count) - 1
        }
        text.append(alphabet[bits << (6 - count) & 63])
        return String(decoding: text, as: UTF8.self)
    }

    private static func identifier(_ offset: String) -> Identifier? {
        guard offset.utf8.count == 22 else { return nil }
        var words: (UInt64, UInt64) = (0, 0)
        for (index, byte) in offset.utf8.enumerated() {
            guard let value = alphabet.firstIndex(of: byte) else { return nil }
            // The last character carries two bits only.
            let bits = index == 21 ? 2 : 6
            if bits == 2, value & 15 != 0 { return nil }
            for bit in 0..<bits {
                words.0 = words.0 << 1 | words.1 >> 63
                words.1 = words.1 << 1 | UInt64(value >> (5 - bit) & 1)
            }
        }
        return Identifier(high: words.0, low: words.1)
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    // MARK: Pages

    /// The page that begins behind `after`.
    /// - Parameter next: a number of resources, by id, from an id on.
    /// - Returns: its resources and the id that the next page begins behind; nil: this is the last.
    func page(
        _ next: (_ from: Identifier?, _ limit: Int) -> (resources: [Resource], next: Identifier?),
        where isShown: (Resource) -> Bool
    ) -> (page: [Resource], last: Identifier?) {
        var page: [Resource] = []
        var start = after
        while true {
            // One more than fits: the one that begins the page was on the page before, or tells that there is another.
            let part = next(start, size + 2)
            for resource in part.resources where resource.key.id != after && isShown(resource) {
                if page.count == size { return (page, page.last?.key.id) }
                page.append(resource)
            }
            guard let following = part.next else { return (page, nil) }
            start = following
        }
    }

    /// As above, of resources that stand by id.
    func page(_ resources: [Resource], where isShown: (Resource) -> Bool) -> (page: [Resource], last: Identifier?) {
        page(
            { start, _ in (start.map { start in resources.filter { $0.key.id >= start } } ?? resources, nil) },
            where: isShown)
    }
}
