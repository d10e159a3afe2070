// response-transformer: edits a response on its way to the client, whoever made it.

import Bytes
import HTTP
import Snapshot

final class ResponseTransformerFilter: FilterInstance, @unchecked Sendable {
    private let removedHeaders: [FieldKey]
    private let headers: Groups
    private let removedMembers: [[UInt8]]
    private let members: Groups
    private let editsBody: Bool

    private struct Edit: Sendable {
        let name: [UInt8]
        let key: FieldKey
        let value: [UInt8]
        /// The value as JSON of its type; nil if it is none of that type.
        let json: [UInt8]?

        init(_ pair: TypedPair) {
            name = Array(pair.name.utf8)
            key = FieldKey(pair.name)
            value = Array(pair.value.utf8)
            switch pair.type {
            case .string: json = value.withBytes(JSONDocument.string(of:))
            case .number: json = value.withBytes(JSONDocument.number(of:))
            case .boolean: json = Array((pair.value == "true" ? "true" : "false").utf8)
            }
        }
    }

    private struct Groups: Sendable {
        let rename: [Edit]
        let replace: [Edit]
        let add: [Edit]
        let append: [Edit]

        /// Entries without a value do nothing.
        init(_ config: ResponseTransformer, _ pairs: KeyPath<ResponseEdits, [TypedPair]>) {
            let edits = { (group: ResponseEdits) in group[keyPath: pairs].map(Edit.init).filter { !$0.value.isEmpty } }
            rename = edits(config.rename)
            replace = edits(config.replace)
            add = edits(config.add)
            append = edits(config.append)
        }

        var isEmpty: Bool { rename.isEmpty && replace.isEmpty && add.isEmpty && append.isEmpty }
    }

    init(_ config: ResponseTransformer) {
        removedHeaders = config.remove.headers.map { name in FieldKey(String(name.prefix { $0 != ":" })) }
        headers = Groups(config, \.headers)
        removedMembers = config.remove.json.map { Array($0.utf8) }
        members = Groups(config, \.json)
        editsBody = !removedMembers.isEmpty || !members.isEmpty
    }

    override var name: StaticString { "response-transformer" }
    override var hasAccessPhase: Bool { false }
    override var hasResponsePhase: Bool { true }
    override var needsResponseBody: Bool { editsBody }

    override func response(_ x: Exchange) {
        let block = x.responseHeaders
        for key in removedHeaders where !HeaderEdits.isProtected(key.id) { block.removeAll(key) }
        for edit in headers.rename { edit.value.withBytes { HeaderEdits.rename(edit.key, to: $0, in: block) } }
        for edit in headers.replace where block.index(of: edit.key) != nil {
            edit.value.withBytes { HeaderEdits.set(edit.key, $0, in: block) }
        }
        for edit in headers.add where block.index(of: edit.key) == nil {
            edit.value.withBytes { HeaderEdits.add(edit.key, $0, in: block) }
        }
        for edit in headers.append { edit.value.withBytes { HeaderEdits.add(edit.key, $0, in: block) } }
        // The body of a reply of our own is complete already.
        if x.isLocalReply { edit(x.replyBody, block) }
    }

    override func responseBody(_ x: Exchange) {
        if let body = x.responseBody { edit(body, x.responseHeaders) }
    }

    /// Bodies that are no JSON object, or that are compressed, stay as they are.
    private func edit(_ body: Buffer, _ block: HeaderBlock) {
        guard editsBody, !block.contains(.contentEncoding), BodyKind(block.first(.contentType)) == .json,
            var document = JSONDocument(body.readable)
        else { return }
        for name in removedMembers { document.remove(name) }
        for edit in members.rename { _ = document.rename(edit.name, to: edit.value) }
        for edit in members.replace {
            if let json = edit.json, document.contains(edit.name) { document.set(edit.name, json) }
        }
        for edit in members.add {
            if let json = edit.json, !document.contains(edit.name) { document.set(edit.name, json) }
        }
        for edit in members.append { if let json = edit.json { document.append(edit.name, json) } }
        body.clear()
        document.write(to: body)
    }
}
