// The path that the upstream gets: the service's path joined with what is left of the request's.

public import Bytes

/// Joins paths as Kong does (`strip_path`, `path_handling`).
///
///     S  the service's path, `/` if it has none
///     U  the request's canonical path
///     P  U without the matched prefix, and without a leading `.` or `..` segment
public enum UpstreamURI {
    /// Appends the escaped upstream path to `out`. The query is the caller's to append.
    ///
    /// - Parameters:
    ///   - service: the service's path; empty means `/`.
    ///   - path: the canonical request path.
    ///   - prefix: bytes of `path` that the route's path matched; -1: the route has no paths.
    ///   - strip: the route's `strip_path`.
    ///   - handling: the route's `path_handling`.
    ///   - out: where the result goes.
    public static func join(
        service: Bytes, path: Bytes, prefix: Int, strip: Bool, handling: PathHandling, to out: Buffer
    ) {
        let base = service.isEmpty ? Bytes("/") : service
        let rest = strip ? remainder(path, prefix: prefix) : path.dropFirst(1)
        switch handling {
        case .v0: joinV0(base, path, rest, strip, out)
        case .v1: joinV1(base, rest, strip, out)
        }
    }

    /// Appends `?` and the query if the request target had a `?`, even with nothing behind it.
    public static func appendQuery(of target: Bytes, to out: Buffer) {
        if let mark = PathNormalizer.queryOffset(in: target) { out.append(target.dropFirst(mark)) }
    }

    /// What follows the matched prefix. A prefix may end inside a segment, so that the rest can
    /// start with dots that were none in the whole path (`/foo` of `/foo..`): they go.
    static func remainder(_ path: Bytes, prefix: Int) -> Bytes {
        let rest = path.dropFirst(prefix < 0 ? 1 : prefix)
        if rest == "." || rest == ".." { return .empty }
        if rest.starts(with: Bytes("./")) { return rest.dropFirst(2) }
        if rest.starts(with: Bytes("../")) { return rest.dropFirst(3) }
        return rest
    }

    private static func joinV0(_ base: Bytes, _ path: Bytes, _ rest: Bytes, _ strip: Bool, _ out: Buffer) {
        let slashEnds = base[base.count - 1] == 0x2F
        let pathSlashEnds = path.count > 0 && path[path.count - 1] == 0x2F
        let restSlashStarts = !rest.isEmpty && rest[0] == 0x2F
        if slashEnds {
            let bare = base.prefix(base.count - 1)
            if !strip {
                put(base, rest, out)
            } else if rest.isEmpty {
                put(base.count == 1 || pathSlashEnds ? base : bare, .empty, out)
            } else {
                put(restSlashStarts ? bare : base, rest, out)
            }
        } else if !strip {
            put(base, path == "/" ? .empty : path, out)
        } else if rest.isEmpty {
            put(base, pathSlashEnds && path.count > 1 ? Bytes("/") : .empty, out)
        } else {
            PathNormalizer.escape(base, to: out)
            if !restSlashStarts { out.append(0x2F) }
            PathNormalizer.escape(rest, to: out)
        }
    }

    private static func joinV1(_ base: Bytes, _ rest: Bytes, _ strip: Bool, _ out: Buffer) {
        let doubled = strip && !rest.isEmpty && rest[0] == 0x2F && base[base.count - 1] == 0x2F
        put(doubled ? base.prefix(base.count - 1) : base, rest, out)
    }

    private static func put(_ first: Bytes, _ second: Bytes, _ out: Buffer) {
        PathNormalizer.escape(first, to: out)
        PathNormalizer.escape(second, to: out)
    }
}
