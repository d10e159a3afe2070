// Which origins a cors filter allows.

import Bytes
import CPCRE2

/// The configured origins, compiled. One plain origin is always answered with; several are compared.
struct OriginRule: Sendable {
    enum Verdict {
        /// `*`.
        case any
        /// This origin, as the client named it.
        case value(Bytes)
        /// The one configured origin, whatever was asked.
        case fixed
        case refused
    }

    private enum Entry: Sendable {
        case plain([UInt8])
        case pattern(OriginPattern, hostOnly: Bool)
    }

    private let entries: [Entry]
    private let isOpen: Bool
    /// `*` among others: any origin is allowed, but only if there is one.
    private let hasAny: Bool
    let fixed: [UInt8]

    init(_ origins: [String]) {
        isOpen = origins.isEmpty || origins == ["*"]
        hasAny = origins.contains("*")
        fixed = origins.count == 1 && Self.isPlain(origins[0]) ? HeaderText.clean(origins[0]) : []
        entries = origins.compactMap { origin in
            if Self.isPlain(origin) {
                let out = Buffer(capacity: 256)
                return origin.withBytes { .plain(Self.normalise($0, to: out).origin.array) }
            }
            return OriginPattern(origin).map { .pattern($0, hostOnly: !origin.contains(":")) }
        }
    }

    /// Letters, digits and `.:/-`: no regular expression.
    private static func isPlain(_ text: String) -> Bool {
        text.utf8.allSatisfy {
            ASCII.isAlpha($0) || ASCII.isDigit($0) || $0 == 0x2E || $0 == 0x3A || $0 == 0x2F || $0 == 0x2D
        }
    }

    /// What to answer to `origin`; `varies` says that the answer depends on it.
    /// - Parameter normalised: memory for the origin without its default port.
    func answer(to origin: Bytes?, normalised: Buffer) -> (verdict: Verdict, varies: Bool) {
        if isOpen { return (.any, false) }
        if !fixed.isEmpty { return (.fixed, true) }
        guard let origin else { return (.refused, true) }
        if hasAny { return (.any, true) }
        normalised.clear()
        let (own, host) = Self.normalise(origin, to: normalised)
        for entry in entries {
            switch entry {
            case .plain(let plain): if plain.withBytes({ $0 == own }) { return (.value(own), true) }
            case .pattern(let pattern, let hostOnly):
                if pattern.matches(hostOnly ? host : own) { return (.value(own), true) }
            }
        }
        return (.refused, true)
    }

    /// `scheme://host[:port]` without a default port and without what follows; its host. Text that is
    /// no such thing stays as it is.
    static func normalise(_ text: Bytes, to out: Buffer) -> (origin: Bytes, host: Bytes) {
        guard let colon = text.firstIndex(of: 0x3A), text.dropFirst(colon).starts(with: "://") else {
            return (text, text)
        }
        let scheme = text.prefix(colon)
        let rest = text.dropFirst(colon + 3)
        let authority = rest.prefix(rest.firstIndex(of: 0x2F) ?? rest.count)
        guard !authority.isEmpty else { return (text, text) }
        let close = authority.lastIndex(of: 0x5D) ?? 0
        let port = authority.lastIndex(of: 0x3A).flatMap { $0 > close ? $0 : nil }
        let host = authority.prefix(port ?? authority.count)
        let start = out.end
        out.append(scheme)
        out.append("://")
        let hostStart = out.end
        out.append(host)
        let hostEnd = out.end
        if let port {
            let number = authority.dropFirst(port + 1)
            let isDefault = scheme == "http" && number == "80" || scheme == "https" && number == "443"
            if !isDefault { out.append(authority.dropFirst(port)) }
        }
        return (
            out.bytes(at: start, count: out.end - start), out.bytes(at: hostStart, count: hostEnd - hostStart)
        )
    }
}

/// A regular expression for origins, anchored at both ends. It matches bytes, so an origin need not be UTF-8.
/// What needs too many steps does not match: the origin is not allowed.
@safe
final class OriginPattern: @unchecked Sendable {  // Compiled code and limits are only read once made.
    private let code: OpaquePointer
    private let limits: OpaquePointer
    /// Steps of one match.
    private static let matchLimit: UInt32 = 100_000
    /// Kilobytes that one match may take where there is no native code.
    private static let heapLimit: UInt32 = 1024

    /// nil for text that is no regular expression; Compile has refused it.
    init?(_ text: String) {
        var body = Array(text.utf8)
        if body.last != 0x24 { body.append(0x24) }
        if body.first == 0x5E { body.removeFirst() }
        let options = UInt32(PCRE2_ANCHORED) | UInt32(PCRE2_DOLLAR_ENDONLY) | UInt32(PCRE2_NEVER_BACKSLASH_C)
        var error: Int32 = 0
        var offset = 0
        let compiled = unsafe body.withBytes { text in
            unsafe pcre2_compile_8(UnsafePointer(bitPattern: text.address), text.count, options, &error, &offset, nil)
        }
        guard let compiled = unsafe compiled, let limits = unsafe pcre2_match_context_create_8(nil) else { return nil }
        _ = unsafe pcre2_jit_compile_8(compiled, UInt32(PCRE2_JIT_COMPLETE))
        _ = unsafe pcre2_set_match_limit_8(limits, Self.matchLimit)
        _ = unsafe pcre2_set_heap_limit_8(limits, Self.heapLimit)
        unsafe code = compiled
        unsafe self.limits = limits
    }

    deinit {
        unsafe pcre2_code_free_8(code)
        unsafe pcre2_match_context_free_8(limits)
    }

    func matches(_ text: Bytes) -> Bool {
        guard let data = unsafe pcre2_match_data_create_8(1, nil) else { return false }
        defer { unsafe pcre2_match_data_free_8(data) }
        let result = unsafe pcre2_match_8(
            code, UnsafePointer(bitPattern: text.address), text.count, 0, 0, data, limits)
        return result >= 0
    }
}
