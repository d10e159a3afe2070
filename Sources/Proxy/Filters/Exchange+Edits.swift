// Edits of the request that several filters make.

import Bytes
import HTTP

/// How a request body's fields can be read.
enum BodyKind {
    case json, form, multipart

    /// By `Content-Type`; nil for all others.
    init?(_ contentType: Bytes?) {
        guard let contentType else { return nil }
        let type = contentType.prefix(contentType.firstIndex(of: 0x3B) ?? contentType.count).trimmed()
        if type.equalsIgnoringCase("application/json") {
            self = .json
        } else if type.equalsIgnoringCase("application/x-www-form-urlencoded") {
            self = .form
        } else if type.equalsIgnoringCase("multipart/form-data") {
            self = .multipart
        } else {
            return nil
        }
    }
}

extension Exchange {
    /// The query that the upstream will get, without `?`.
    var upstreamQuery: Bytes? {
        guard !upstreamURI.isEmpty else { return query }
        let uri = upstreamURI.readable
        return uri.firstIndex(of: 0x3F).map { uri.dropFirst($0 + 1) }
    }

    /// Replaces the query; an empty one goes with its `?`.
    func setUpstreamQuery(_ query: Bytes) {
        let uri = upstreamURI.readable
        if let mark = uri.firstIndex(of: 0x3F) { upstreamURI.truncate(to: upstreamURI.start + mark) }
        guard !query.isEmpty else { return }
        upstreamURI.append(0x3F)
        upstreamURI.append(query)
    }

    /// Replaces the path; the query stays.
    func setUpstreamPath(_ path: Bytes) {
        let query = upstreamQuery?.array
        upstreamURI.clear()
        upstreamURI.append(path)
        guard let query else { return }
        upstreamURI.append(0x3F)
        upstreamURI.append(query)
    }

    /// Replaces the body; its length is sent accordingly.
    func setRequestBody(_ write: (Buffer) -> Void) {
        let made = Buffer(capacity: 4096)
        write(made)
        let body = requestBody ?? worker.buffers.take()
        body.clear()
        body.append(made.readable)
        requestBody = body
        requestBodyChanged = true
    }
}
