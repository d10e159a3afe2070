// Names of hosts in the form that they are compared in.

internal import Bytes

/// Lower case, and without the dot that may end a full name: it stands for the root of the DNS (RFC 1034
/// section 3.1, RFC 3986 section 3.2.2), so `a.example.` is the host `a.example`.
enum HostName {
    /// `name` without one final dot; `.` stays.
    static func trimmed(_ name: Bytes) -> Bytes {
        name.count > 1 && name[name.count - 1] == 0x2E ? name.prefix(name.count - 1) : name
    }

    /// A name, a pattern with `*`, or the end of one, as a route's author wrote it.
    static func canonical(_ text: String) -> [UInt8] {
        var name = text.utf8.map { ASCII.lower($0) }
        if name.count > 1, name.last == 0x2E { name.removeLast() }
        return name
    }

    /// What a predicate on a host compares with, which may be no more than a part of a name: only where
    /// it is the end can a final dot be the root's.
    static func literal(_ text: String, _ comparison: RouteExpression.Comparison) -> [UInt8] {
        switch comparison {
        case .equal, .notEqual, .suffix: canonical(text)
        case .prefix, .contains, .regex, .greater, .greaterOrEqual, .less, .lessOrEqual, .isIn, .notIn:
            text.utf8.map { ASCII.lower($0) }
        }
    }
}
