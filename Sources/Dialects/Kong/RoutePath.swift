// Paths of routes: Kong's normal form, and the step from formats 1.1 and 2.1 to 3.0.

import Bytes

/// Normalisation and migration of path strings at load time. (The proxy normalises request paths with
/// its own code, in Snapshot/Routing.)
enum RoutePath {
    /// `! * ' ( ) ; : @ & = + $ , / ? % # [ ]`: their escapes stay.
    private static func isReserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "!"), UInt8(ascii: "*"), UInt8(ascii: "'"), UInt8(ascii: "("), UInt8(ascii: ")"),
            UInt8(ascii: ";"), UInt8(ascii: ":"), UInt8(ascii: "@"), UInt8(ascii: "&"), UInt8(ascii: "="),
            UInt8(ascii: "+"), UInt8(ascii: "$"), UInt8(ascii: ","), UInt8(ascii: "/"), UInt8(ascii: "?"),
            UInt8(ascii: "%"), UInt8(ascii: "#"), UInt8(ascii: "["), UInt8(ascii: "]"):
            true
        default: false
        }
    }

    /// True when `path` is its own normal form without a closer look: no escape, no dot, no `//`.
    static func isPlainlyNormal(_ path: Bytes) -> Bool {
        var previous: UInt8 = 0
        for i in 0..<path.count {
            let byte = path[i]
            if byte == UInt8(ascii: "%") { return false }
            if previous == UInt8(ascii: "/"), byte == UInt8(ascii: "/") || byte == UInt8(ascii: ".") { return false }
            previous = byte
        }
        return true
    }

    /// True for a plain path with characters that nobody means literally: `* { } [ ] \ | ^`, or a segment `:name`.
    static func looksLikePattern(_ path: Bytes) -> Bool {
        guard path.count > 0, path[0] == UInt8(ascii: "/") else { return false }
        var previous: UInt8 = 0
        for i in 0..<path.count {
            switch path[i] {
            case UInt8(ascii: "*"), UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: "["), UInt8(ascii: "]"),
                UInt8(ascii: "\\"), UInt8(ascii: "|"), UInt8(ascii: "^"):
                return true
            case UInt8(ascii: ":") where previous == UInt8(ascii: "/"): return true
            default: previous = path[i]
            }
        }
        return false
    }

    /// Escapes of unreserved bytes decoded, dot segments removed, repeated slashes merged.
    static func normalized(_ path: [UInt8]) -> [UInt8] {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(path.count)
        var at = 0
        while at < path.count {
            if path[at] == UInt8(ascii: "%"), at + 2 < path.count, let high = ASCII.hex(path[at + 1]),
                let low = ASCII.hex(path[at + 2])
            {
                let value = high << 4 | low
                if isReserved(value) {
                    decoded += [path[at], ASCII.upper(path[at + 1]), ASCII.upper(path[at + 2])]
                } else {
                    decoded.append(value)
                }
                at += 3
            } else {
                decoded.append(path[at])
                at += 1
            }
        }
        return withoutDotSegments(decoded)
    }

    private static func withoutDotSegments(_ path: [UInt8]) -> [UInt8] {
        guard path.first == UInt8(ascii: "/") else { return path }
        var kept: [ArraySlice<UInt8>] = []
        let segments = path.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        for (index, segment) in segments.enumerated() {
            let isLast = index == segments.count - 1
            let isDot = segment.elementsEqual([UInt8(ascii: ".")])
            let isDotDot = segment.elementsEqual([UInt8(ascii: "."), UInt8(ascii: ".")])
            if isDotDot, !kept.isEmpty { kept.removeLast() }
            if isDot || isDotDot || segment.isEmpty {
                if isLast { kept.append([]) }
            } else {
                kept.append(segment)
            }
        }
        var out: [UInt8] = []
        for segment in kept {
            out.append(UInt8(ascii: "/"))
            out += segment
        }
        return out.isEmpty ? [UInt8(ascii: "/")] : out
    }

    /// The 3.0 form of a path of format 1.1 or 2.1, where any unusual character made it a regex.
    static func migrated(_ path: [UInt8]) -> [UInt8] {
        let isPlain = path.allSatisfy {
            ASCII.isUnreserved($0) || $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "%")
        }
        if isPlain { return normalized(path) }
        return [UInt8(ascii: "~")] + decodedRegex(path)
    }

    /// Escapes decoded once, since 3.0 no longer decodes a regex; what would become a
    /// metacharacter is escaped.
    private static func decodedRegex(_ pattern: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        var at = 0
        while at < pattern.count {
            if pattern[at] == UInt8(ascii: "%"), at + 2 < pattern.count, let high = ASCII.hex(pattern[at + 1]),
                let low = ASCII.hex(pattern[at + 2])
            {
                let value = high << 4 | low
                if isReserved(value) {
                    out += [pattern[at], ASCII.upper(pattern[at + 1]), ASCII.upper(pattern[at + 2])]
                } else {
                    if ".^-{}\\|".utf8.contains(value) { out.append(UInt8(ascii: "\\")) }
                    out.append(value)
                }
                at += 3
            } else {
                out.append(pattern[at])
                at += 1
            }
        }
        return out
    }
}
