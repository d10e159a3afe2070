// key-auth: a key in a header, a query argument or a body field.

import Bytes
import Engine
import HTTP
import Snapshot

final class KeyAuthFilter: FilterInstance, @unchecked Sendable {
    private let config: KeyAuth
    private let names: [KeyName]
    private let anonymous: Anonymous
    private let credentials: CredentialIndex
    private let challenge: [UInt8]

    /// A name under which a key may stand.
    private struct KeyName: Sendable {
        let text: [UInt8]
        let header: FieldKey
        /// With `-` for `_`, as Kong finds headers too; nil if that is the same.
        let alias: FieldKey?

        init(_ name: String) {
            text = Array(name.utf8)
            header = FieldKey(name)
            alias = name.contains("_") ? FieldKey(String(name.map { $0 == "_" ? "-" : $0 })) : nil
        }
    }

    init(_ config: KeyAuth, _ credentials: CredentialIndex) {
        self.config = config
        self.credentials = credentials
        names = config.keyNames.map(KeyName.init)
        anonymous = Anonymous(config.anonymous, in: credentials)
        challenge = Challenge.text("Key", realm: config.realm)
    }

    override var name: StaticString { "key-auth" }
    override var needsRequestBody: Bool { config.keyInBody }

    override func access(_ x: Exchange) -> FilterVerdict {
        if !config.runOnPreflight, x.request.method == .options { return .next }
        // With a stand-in, several authentication filters are alternatives; one has said yes already.
        if anonymous.isConfigured, x.credential != nil { return .next }
        let failure: StaticString
        switch findKey(x) {
        case .none: failure = "No API key found in request"
        case .several: failure = "Duplicate API key found"
        case .one(let key):
            let now = Int(x.worker.loop.wallNanoseconds / 1_000_000_000)
            if let owner = credentials.owner(ofKey: key, now: now) {
                admit(x, owner)
                return .next
            }
            failure = "Unauthorized"
        }
        return anonymous.admit(x, credentials) ?? Challenge.refuse(x, Bytes(failure), challenge)
    }

    private func admit(_ x: Exchange, _ owner: CredentialIndex.KeyOwner) {
        x.consumer = owner.consumer
        x.credential = owner.id
        x.credentialName = ""
        x.isAnonymous = false
        let text = x.worker.scratch
        text.clear()
        owner.id.write(to: text)
        IdentityHeaders.set(x, owner.consumer, credentials, identifier: text.readable)
    }

    // MARK: Finding the key

    /// The first name that has a value decides; within it the header goes before the query, and that
    /// before the body. The key that comes back lies in the request or in the worker's scratch buffer.
    private func findKey(_ x: Exchange) -> RawArguments.Found {
        for name in names {
            var found = config.keyInHeader ? inHeader(x, name) : .none
            if case .none = found, config.keyInQuery { found = inQuery(x, name) }
            if case .none = found, config.keyInBody { found = inBody(x, name) }
            switch found {
            case .none: continue
            case .several: return .several
            case .one(let key):
                guard config.hideCredentials else { return key.isEmpty ? .none : found }
                let text = x.worker.scratch
                let isOurs = key.address == text.readable.address
                if !isOurs {
                    text.clear()
                    text.append(key)
                }
                let kept = text.readable
                hide(x, name)
                return kept.isEmpty ? .none : .one(kept)
            }
        }
        return .none
    }

    private func inHeader(_ x: Exchange, _ name: KeyName) -> RawArguments.Found {
        let headers = x.requestHeaders
        for key in [name.header, name.alias] {
            guard let key, let index = headers.index(of: key) else { continue }
            return headers.index(of: key, from: index + 1) == nil ? .one(headers.value(index)) : .several
        }
        return .none
    }

    private func inQuery(_ x: Exchange, _ name: KeyName) -> RawArguments.Found {
        guard let query = x.query else { return .none }
        let found = name.text.withBytes { RawArguments(query).find($0) }
        guard case .one(let raw) = found else { return found }
        return .one(decoded(raw, x))
    }

    private func decoded(_ raw: Bytes, _ x: Exchange) -> Bytes {
        let text = x.worker.scratch
        text.clear()
        PercentCoding.decodeArgument(raw, to: text)
        return text.readable
    }

    private func inBody(_ x: Exchange, _ name: KeyName) -> RawArguments.Found {
        guard let body = x.requestBody, let type = x.requestHeaders.first(.contentType) else { return .none }
        let values: [[UInt8]]
        switch BodyKind(type) {
        case .form:
            let found = name.text.withBytes { RawArguments(body.readable).find($0) }
            guard case .one(let raw) = found else { return found }
            return .one(decoded(raw, x))
        case .json:
            guard let document = JSONDocument(body.readable), let kind = document.kind(name.text) else { return .none }
            if kind == .array || kind == .object { return .several }
            values = document.string(name.text).map { [$0] } ?? []
        case .multipart: values = MultipartBody(body.readable, contentType: type)?.values(name.text) ?? []
        case nil: return .none
        }
        guard let value = values.first else { return .none }
        guard values.count == 1 else { return .several }
        let text = x.worker.scratch
        text.clear()
        text.append(value)
        return .one(text.readable)
    }

    // MARK: Hiding it

    /// Takes the name out of header, query and body. The scratch buffer holds the key and is only added to.
    private func hide(_ x: Exchange, _ name: KeyName) {
        x.requestHeaders.removeAll(name.header)
        if let alias = name.alias { x.requestHeaders.removeAll(alias) }
        if let query = x.upstreamQuery, !x.upstreamURI.isEmpty {
            let rest = Buffer(capacity: query.count + 16)
            if name.text.withBytes({ RawArguments(query).write(without: $0, to: rest) }) {
                x.setUpstreamQuery(rest.readable)
            }
        }
        guard config.keyInBody, let body = x.requestBody, let type = x.requestHeaders.first(.contentType) else {
            return
        }
        switch BodyKind(type) {
        case .form:
            var list = ArgumentList(body.readable)
            if list.remove(name.text) { x.setRequestBody(list.write) }
        case .json:
            guard var document = JSONDocument(body.readable) else { return }
            if document.remove(name.text) { x.setRequestBody(document.write) }
        case .multipart:
            guard var parts = MultipartBody(body.readable, contentType: type) else { return }
            if parts.remove(name.text) { x.setRequestBody(parts.write) }
        case nil: return
        }
    }
}
