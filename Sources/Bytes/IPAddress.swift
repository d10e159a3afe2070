// IP addresses and prefixes as values.

/// An IPv4 or IPv6 address. IPv4-mapped IPv6 addresses become IPv4, so that one client has one form.
public struct IPAddress: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// IPv4 addresses occupy the low 32 bits of `low`.
    public let high: UInt64
    public let low: UInt64
    public let isIPv6: Bool

    public init(v4 value: UInt32) {
        high = 0
        low = UInt64(value)
        isIPv6 = false
    }

    public init(v6High: UInt64, low: UInt64) {
        let mapped = v6High == 0 && low >> 32 == 0xFFFF
        high = v6High
        self.low = mapped ? low & 0xFFFF_FFFF : low
        isIPv6 = !mapped
    }

    /// Dotted decimal (four parts, no leading zeros) or IPv6 text (RFC 4291), without brackets,
    /// port or zone; nil for anything else.
    public init?(_ text: Bytes) {
        if text.contains(0x3A) {
            guard let value = Self.parseV6(text) else { return nil }
            self.init(v6High: value.0, low: value.1)
        } else {
            guard let value = Self.parseV4(text) else { return nil }
            self.init(v4: value)
        }
    }

    public init?(_ text: String) {
        guard let address = text.withBytes({ IPAddress($0) }) else { return nil }
        self = address
    }

    private static func parseV4(_ text: Bytes) -> UInt32? {
        var value: UInt32 = 0
        var part = 0
        var digits = 0
        var parts = 0
        for i in 0...text.count {
            let byte = i < text.count ? text[i] : 0x2E
            if byte == 0x2E {
                guard digits > 0, parts < 4 else { return nil }
                value = value << 8 | UInt32(part)
                parts += 1
                part = 0
                digits = 0
            } else {
                guard ASCII.isDigit(byte), digits < 3, !(digits > 0 && part == 0) else { return nil }
                part = part * 10 + Int(byte - 0x30)
                digits += 1
                guard part <= 255 else { return nil }
            }
        }
        return parts == 4 ? value : nil
    }

    private static func parseV6(_ text: Bytes) -> (UInt64, UInt64)? {
        var groups: [UInt16] = []
        var gap: Int?
        var i = 0
        guard text.count >= 2 else { return nil }
        if text[0] == 0x3A {
            guard text[1] == 0x3A else { return nil }
            gap = 0
            i = 2
        }
        while i < text.count {
            let rest = text.dropFirst(i)
            if groups.count <= 6, !rest.contains(0x3A), rest.contains(0x2E) {
                guard let tail = parseV4(rest) else { return nil }
                groups.append(UInt16(tail >> 16))
                groups.append(UInt16(tail & 0xFFFF))
                i = text.count
                break
            }
            var value: UInt16 = 0
            var digits = 0
            while i < text.count, let digit = ASCII.hex(text[i]) {
                guard digits < 4 else { return nil }
                value = value << 4 | UInt16(digit)
                digits += 1
                i += 1
            }
            guard digits > 0, groups.count < 8 else { return nil }
            groups.append(value)
            if i == text.count { break }
            guard text[i] == 0x3A else { return nil }
            i += 1
            if i < text.count, text[i] == 0x3A {
                guard gap == nil else { return nil }
                gap = groups.count
                i += 1
            } else if i == text.count {
                return nil
            }
        }
        if let gap {
            guard groups.count < 8 else { return nil }
            groups.insert(contentsOf: [UInt16](repeating: 0, count: 8 - groups.count), at: gap)
        }
        guard groups.count == 8 else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for n in 0..<4 {
            high = high << 16 | UInt64(groups[n])
            low = low << 16 | UInt64(groups[n + 4])
        }
        return (high, low)
    }

    public static func < (a: IPAddress, b: IPAddress) -> Bool {
        if a.isIPv6 != b.isIPv6 { return !a.isIPv6 }
        return a.high != b.high ? a.high < b.high : a.low < b.low
    }

    /// RFC 5952 text.
    public var description: String {
        let out = Buffer(capacity: 64)
        write(to: out)
        return out.readable.string
    }

    public func write(to out: Buffer) {
        if !isIPv6 {
            for shift in stride(from: UInt64(24), through: 0, by: -8) {
                out.append(decimal: Int(low >> shift & 255))
                if shift > 0 { out.append(0x2E) }
            }
            return
        }
        let group = { (n: Int) -> UInt64 in (n < 4 ? high : low) >> UInt64(48 - (n % 4) * 16) & 0xFFFF }
        var best = (start: -1, count: 1)
        var n = 0
        while n < 8 {
            var run = 0
            while n + run < 8, group(n + run) == 0 { run += 1 }
            if run > best.count { best = (n, run) }
            n += max(run, 1)
        }
        n = 0
        while n < 8 {
            if n == best.start {
                out.append("::")
                n += best.count
                continue
            }
            if n > 0, n != best.start + best.count || best.start < 0 { out.append(0x3A) }
            out.append(hex: group(n))
            n += 1
        }
    }
}

/// An address with a prefix length, or a single address.
public struct IPPrefix: Hashable, Sendable {
    public let address: IPAddress
    public let length: Int

    /// `address` or `address/length`; bits past the length are ignored. Nil for anything else.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = IPAddress(String(first)) else { return nil }
        let width = address.isIPv6 ? 128 : 32
        var length = width
        if parts.count == 2 {
            guard let value = parts[1].utf8.count <= 3 ? Int(parts[1]) : nil, parts[1].first != "+",
                (0...width).contains(value)
            else { return nil }
            length = value
        }
        self.address = address
        self.length = length
    }

    /// One address alone.
    public init(_ address: IPAddress) {
        self.address = address
        length = address.isIPv6 ? 128 : 32
    }

    public func contains(_ other: IPAddress) -> Bool {
        guard other.isIPv6 == address.isIPv6 else { return false }
        if !address.isIPv6 {
            return length == 0 || (address.low ^ other.low) >> UInt64(32 - length) == 0
        }
        let highBits = min(length, 64)
        let lowBits = length - highBits
        let highSame = highBits == 0 || (address.high ^ other.high) >> UInt64(64 - highBits) == 0
        let lowSame = lowBits == 0 || (address.low ^ other.low) >> UInt64(64 - lowBits) == 0
        return highSame && lowSame
    }
}
