// Equality of what is written at two places of a document, so that equal configurations are read once.

import Bytes

extension Document {
    /// Adds what is written at `node` to a hash. Depth is bounded by `DocumentLimits.depth`.
    func combine(_ node: Int, into hasher: inout Hasher) {
        hasher.combine(nodes[node].kind.rawValue)
        switch nodes[node].kind {
        case .null, .bool, .int, .double, .string, .key:
            withText(node) { text in
                var hash: UInt64 = 0xCBF2_9CE4_8422_2325
                for i in 0..<text.count { hash = (hash ^ UInt64(text[i])) &* 0x100_0000_01B3 }
                hasher.combine(hash)
            }
        case .array:
            var element = firstElement(node)
            while element != Document.none {
                combine(element, into: &hasher)
                element = next(element)
            }
        case .record:
            var entry = firstEntry(node)
            while entry != Document.none {
                hasher.combine(symbol(entry))
                combine(value(entry), into: &hasher)
                entry = nextEntry(entry)
            }
        }
    }

    /// True when the same is written at both nodes, keys in the same order.
    func areEqual(_ a: Int, _ b: Int) -> Bool {
        if a == b { return true }
        guard nodes[a].kind == nodes[b].kind, nodes[a].count == nodes[b].count else { return false }
        switch nodes[a].kind {
        case .null, .bool, .int, .double, .string, .key:
            return withText(a) { first in withText(b) { second in first == second } }
        case .array:
            var (first, second) = (firstElement(a), firstElement(b))
            while first != Document.none, second != Document.none {
                guard areEqual(first, second) else { return false }
                (first, second) = (next(first), next(second))
            }
            return first == second
        case .record:
            var (first, second) = (firstEntry(a), firstEntry(b))
            while first != Document.none, second != Document.none {
                guard symbol(first) == symbol(second), areEqual(value(first), value(second)) else { return false }
                (first, second) = (nextEntry(first), nextEntry(second))
            }
            return first == second
        }
    }
}
