// ip-restriction: client addresses that may or may not pass.

import Bytes
import Snapshot

final class IPRestrictionFilter: FilterInstance, @unchecked Sendable {
    private let allow: AddressSet
    private let deny: AddressSet
    private let status: Int
    private let message: [UInt8]

    init(_ config: IPRestriction) {
        allow = AddressSet(config.allow)
        deny = AddressSet(config.deny)
        status = config.status
        message = Array(config.message.utf8)
    }

    override var name: StaticString { "ip-restriction" }

    override func access(_ x: Exchange) -> FilterVerdict {
        admits(x.clientAddress) ? .next : refuse(x)
    }

    override func admits(_ client: IPAddress) -> Bool {
        !deny.contains(client) && (allow.isEmpty || allow.contains(client))
    }

    private func refuse(_ x: Exchange) -> FilterVerdict {
        if !message.isEmpty { return message.withBytes { x.replyError(status, $0) } }
        let text = x.worker.scratch
        text.clear()
        text.append("IP address not allowed: ")
        x.clientAddress.write(to: text)
        return x.replyError(status, text.readable)
    }
}

/// Addresses and prefixes; a look-up costs one probe for each distinct prefix length.
struct AddressSet: Sendable {
    private var prefixes: Set<Prefix> = []
    private var lengths: [(isIPv6: Bool, length: Int)] = []

    private struct Prefix: Hashable {
        var high: UInt64
        var low: UInt64
        var isIPv6: Bool
        var length: Int

        init(_ address: IPAddress, _ length: Int) {
            isIPv6 = address.isIPv6
            self.length = length
            if address.isIPv6 {
                high = address.high & Self.mask(min(length, 64))
                low = address.low & Self.mask(max(length - 64, 0))
            } else {
                high = 0
                low = address.low & Self.mask(length) >> 32
            }
        }

        /// The first `bits` of 64 set.
        private static func mask(_ bits: Int) -> UInt64 { bits == 0 ? 0 : ~0 << UInt64(64 - bits) }
    }

    /// Texts that are no address and no prefix are left out; Compile has refused them.
    init(_ texts: [String]) {
        for text in texts {
            guard let prefix = IPPrefix(text) else { continue }
            prefixes.insert(Prefix(prefix.address, prefix.length))
            if !lengths.contains(where: { $0 == (prefix.address.isIPv6, prefix.length) }) {
                lengths.append((prefix.address.isIPv6, prefix.length))
            }
        }
    }

    var isEmpty: Bool { prefixes.isEmpty }

    func contains(_ address: IPAddress) -> Bool {
        for entry in lengths where entry.isIPv6 == address.isIPv6 {
            if prefixes.contains(Prefix(address, entry.length)) { return true }
        }
        return false
    }
}
