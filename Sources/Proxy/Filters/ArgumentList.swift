// The arguments of a query or a form, to be edited by name; what is not edited stays as it was sent.

import Bytes

struct ArgumentList {
    private struct Item {
        /// Decoded.
        var name: [UInt8]
        /// As sent, `=` and value included.
        var text: [UInt8]
    }

    private var items: [Item] = []

    static let itemsMax = 10_000

    init(_ text: Bytes) {
        let name = Buffer(capacity: 256)
        for argument in RawArguments(text) {
            guard items.count < Self.itemsMax else { return }
            name.clear()
            PercentCoding.decodeArgument(argument.name, to: name)
            items.append(Item(name: name.readable.array, text: argument.text.array))
        }
    }

    var isEmpty: Bool { items.isEmpty }

    func write(to out: Buffer) {
        for (index, item) in items.enumerated() {
            if index > 0 { out.append(0x26) }
            out.append(item.text)
        }
    }

    func contains(_ name: [UInt8]) -> Bool { items.contains { $0.name == name } }

    @discardableResult
    mutating func remove(_ name: [UInt8]) -> Bool {
        let before = items.count
        items.removeAll { $0.name == name }
        return items.count < before
    }

    /// Every argument of that name gets the new one; arguments that had it go.
    mutating func rename(_ name: [UInt8], to new: [UInt8]) -> Bool {
        guard contains(name) else { return false }
        guard name != new else { return true }
        items.removeAll { $0.name == new }
        let key = Buffer(capacity: new.count * 3 + 8)
        new.withBytes { PercentCoding.encode($0, to: key) }
        for index in items.indices where items[index].name == name {
            let value = items[index].text.firstIndex(of: 0x3D).map { items[index].text[$0...] } ?? []
            items[index] = Item(name: new, text: key.readable.array + value)
        }
        return true
    }

    /// Replaces all arguments of that name by one, where the first was; adds it if there was none.
    mutating func set(_ name: [UInt8], _ value: Bytes) {
        guard let first = items.firstIndex(where: { $0.name == name }) else { return append(name, value) }
        items[first] = Self.item(name, value)
        items = items.enumerated().filter { $0.offset == first || $0.element.name != name }.map(\.element)
    }

    /// Adds one at the end.
    mutating func append(_ name: [UInt8], _ value: Bytes) { items.append(Self.item(name, value)) }

    /// Adds those of another list at the end.
    mutating func append(contentsOf other: ArgumentList) { items += other.items }

    private static func item(_ name: [UInt8], _ value: Bytes) -> Item {
        let out = Buffer(capacity: (name.count + value.count) * 3 + 8)
        name.withBytes { PercentCoding.encode($0, to: out) }
        out.append(0x3D)
        PercentCoding.encode(value, to: out)
        return Item(name: name, text: out.readable.array)
    }
}
