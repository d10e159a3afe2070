// What a consistent-hashing cluster hashes of a request, in Kong's form byte for byte.

import Bytes
import Snapshot

/// What the exchange lends for hashing. Nothing is asked for but what the cluster's settings need.
protocol HashInputs {
    /// Calls `body` with the consumer's id as text, else the credential's; not at all without one.
    func withConsumer(_ body: (Bytes) -> Void)
    /// The client's address after real-ip.
    var clientAddress: IPAddress { get }
    /// Calls `body` with each value of the header, in order. Names match in any case, `-` as `_`.
    func withHeader(_ name: Bytes, _ body: (Bytes) -> Void)
    /// Calls `body` with the first cookie of that name; not at all without one.
    func withCookie(_ name: Bytes, _ body: (Bytes) -> Void)
    /// The canonical path, without query.
    var path: Bytes { get }
    /// The query after `?`, as sent; empty without one.
    var queryBytes: Bytes { get }
    /// Calls `body` with the capture of the matched route; not at all without one.
    func withCapture(_ name: Bytes, _ body: (Bytes) -> Void)
}

/// A cluster's `hash_on` and `hash_fallback`, ready for use. One per balancer.
struct HashKey {
    private let primary: Input
    private let fallback: Input
    private let cookiePath: [UInt8]
    private let scratch = Buffer(capacity: 256)

    private struct Input {
        let source: HashSource
        let name: [UInt8]

        init(_ input: HashInput) {
            source = input.source
            name = Array(input.name.utf8)
        }
    }

    init(_ cluster: Cluster) {
        primary = Input(cluster.hashOn)
        fallback = Input(cluster.hashFallback)
        cookiePath = Array((cluster.hashCookiePath.isEmpty ? "/" : cluster.hashCookiePath).utf8)
    }

    /// Query arguments looked at, as Kong's lua_max_uri_args.
    static let argumentsMax = 100

    /// Whether there is anything to hash.
    var isOn: Bool { primary.source != .none }

    /// The hash for `Balancer.pick`; nil when there is no value or only an empty one, so that such
    /// requests take turns instead of all meeting at one endpoint.
    ///
    /// - Parameter newCookie: when the cluster hashes a cookie that the client did not send, receives
    ///   the value of a Set-Cookie header to add to the response (replacing one of the same name).
    func hash(_ request: some HashInputs, newCookie: Buffer) -> UInt32? {
        if let hash = hash(primary, request) { return hash }
        if primary.source == .cookie { return freshCookie(into: newCookie) }
        return hash(fallback, request)
    }

    private func hash(_ input: Input, _ request: some HashInputs) -> UInt32? {
        let scratch = scratch
        scratch.clear()
        switch input.source {
        case .none: return nil
        case .consumer: request.withConsumer { scratch.append($0) }
        case .ip: request.clientAddress.write(to: scratch)
        case .header:
            var count = 0
            input.name.withBytes { name in
                request.withHeader(name) { value in
                    if count > 0 { scratch.append(", ") }
                    scratch.append(value)
                    count += 1
                }
            }
        case .cookie: input.name.withBytes { name in request.withCookie(name) { scratch.append($0) } }
        case .path: HashKey.appendDecoded(request.path, to: scratch)
        case .queryArgument: appendArguments(named: input.name, of: request.queryBytes)
        case .uriCapture: input.name.withBytes { name in request.withCapture(name) { scratch.append($0) } }
        }
        return scratch.isEmpty ? nil : XXHash32.hash(scratch.readable)
    }

    /// A random UUID becomes the value, and `name=value; Path=…; SameSite=Lax; HttpOnly` the cookie.
    private func freshCookie(into out: Buffer) -> UInt32 {
        scratch.clear()
        HashKey.appendUUID(high: .random(in: .min ... .max), low: .random(in: .min ... .max), to: scratch)
        out.append(primary.name)
        out.append(0x3D)
        out.append(scratch.readable)
        out.append("; Path=")
        out.append(cookiePath)
        out.append("; SameSite=Lax; HttpOnly")
        return XXHash32.hash(scratch.readable)
    }

    /// RFC 9562 version 4.
    private static func appendUUID(high: UInt64, low: UInt64, to out: Buffer) {
        let high = high & ~0xF000 | 0x4000
        let low = low & ~(3 << 62) | 1 << 63
        out.append(hex: high >> 32, digits: 8)
        out.append(0x2D)
        out.append(hex: high >> 16 & 0xFFFF, digits: 4)
        out.append(0x2D)
        out.append(hex: high & 0xFFFF, digits: 4)
        out.append(0x2D)
        out.append(hex: low >> 48, digits: 4)
        out.append(0x2D)
        out.append(hex: low & 0xFFFF_FFFF_FFFF, digits: 12)
    }

    /// Kong hashes nginx's `$uri`: every %XX decoded, repeated slashes merged.
    private static func appendDecoded(_ path: Bytes, to out: Buffer) {
        var i = 0
        var last: UInt8 = 0
        while i < path.count {
            var byte = path[i]
            i += 1
            if byte == 0x25, i + 2 <= path.count, let high = ASCII.hex(path[i]), let low = ASCII.hex(path[i + 1]) {
                byte = high << 4 | low
                i += 2
            }
            if byte == 0x2F, last == 0x2F { continue }
            out.append(byte)
            last = byte
        }
    }

    /// All values of the argument, decoded, sorted as bytes and joined with commas. An argument
    /// without an equals sign counts as `true`, as in Kong.
    private func appendArguments(named name: [UInt8], of query: Bytes) {
        var values: [[UInt8]] = []
        var seen = 0
        var start = 0
        while start < query.count, seen < HashKey.argumentsMax {
            let end = query.firstIndex(of: 0x26, from: start) ?? query.count
            let argument = query[start..<end]
            start = end + 1
            guard !argument.isEmpty else { continue }
            seen += 1
            let equals = argument.firstIndex(of: 0x3D)
            guard HashKey.matches(argument.prefix(equals ?? argument.count), name) else { continue }
            guard let equals else {
                values.append(Array("true".utf8))
                continue
            }
            HashKey.appendUnescaped(argument.dropFirst(equals + 1), to: scratch)
            values.append(scratch.readable.array)
            scratch.clear()
        }
        if values.count > 1 { values.sort { $0.lexicographicallyPrecedes($1) } }
        for (index, value) in values.enumerated() {
            if index > 0 { scratch.append(0x2C) }
            scratch.append(value)
        }
    }

    /// Whether an argument's name, as sent, decodes to `name`.
    private static func matches(_ sent: Bytes, _ name: [UInt8]) -> Bool {
        var i = 0
        var at = 0
        while i < sent.count {
            guard at < name.count else { return false }
            let (byte, width) = unescaped(sent, at: i)
            guard byte == name[at] else { return false }
            at += 1
            i += width
        }
        return at == name.count
    }

    private static func appendUnescaped(_ text: Bytes, to out: Buffer) {
        var i = 0
        while i < text.count {
            let (byte, width) = unescaped(text, at: i)
            out.append(byte)
            i += width
        }
    }

    /// One byte of a form-encoded text: `+` is a space; a broken escape stands for itself.
    private static func unescaped(_ text: Bytes, at i: Int) -> (UInt8, Int) {
        if text[i] == 0x2B { return (0x20, 1) }
        if text[i] == 0x25, i + 2 < text.count, let high = ASCII.hex(text[i + 1]), let low = ASCII.hex(text[i + 2]) {
            return (high << 4 | low, 3)
        }
        return (text[i], 1)
    }
}
