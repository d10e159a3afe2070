// request-transformer: edits a request on its way to the upstream.
//
// 1. render    every template, before anything is changed: all see the request as it came
// 2. path      replace.uri
// 3. method    http_method
// 4. headers   remove, rename, replace, add, append
// 5. body      the same on JSON, form and multipart fields
// 6. query     the same on arguments

import Bytes
import HTTP
import Snapshot

final class RequestTransformerFilter: FilterInstance, @unchecked Sendable {
    private let method: [UInt8]
    private let isBodyless: Bool
    private let path: RunningTemplate
    private let headers: Edits
    private let query: Edits
    private let body: Edits

    /// One entry: a name and a value.
    struct Edit: Sendable {
        let name: [UInt8]
        let key: FieldKey
        let value: RunningTemplate

        init(_ pair: TemplatePair) {
            name = Array(pair.name.utf8)
            key = FieldKey(pair.name)
            value = RunningTemplate(pair.value)
        }
    }

    /// The five groups for one part of the request, in the order in which they work.
    struct Edits: Sendable {
        var remove: [FieldKey] = []
        var rename: [Edit] = []
        var replace: [Edit] = []
        var add: [Edit] = []
        var append: [Edit] = []

        var isEmpty: Bool { remove.isEmpty && rename.isEmpty && replace.isEmpty && add.isEmpty && append.isEmpty }

        init(_ config: RequestTransformer, _ names: [String], _ pairs: KeyPath<RequestEdits, [TemplatePair]>) {
            remove = names.map { FieldKey($0) }
            rename = config.rename[keyPath: pairs].map(Edit.init).filter { !$0.value.isEmpty }
            replace = config.replace[keyPath: pairs].map(Edit.init)
            add = config.add[keyPath: pairs].map(Edit.init)
            append = config.append[keyPath: pairs].map(Edit.init)
        }
    }

    init(_ config: RequestTransformer) {
        method = Array(config.httpMethod.utf8)
        isBodyless = ["GET", "HEAD", "TRACE"].contains(config.httpMethod)
        path = RunningTemplate(config.replaceURI)
        headers = Edits(config, config.remove.headers, \.headers)
        query = Edits(config, config.remove.querystring, \.querystring)
        body = Edits(config, config.remove.body, \.body)
    }

    override var name: StaticString { "request-transformer" }
    override var needsRequestBody: Bool { !body.isEmpty || isBodyless }

    override func access(_ x: Exchange) -> FilterVerdict {
        var values = RenderedValues(x)
        if !path.isEmpty { values.render(path) }
        values.render(headers)
        values.render(body)
        values.render(query)
        if !path.isEmpty, !setPath(x, values.next()) { return x.replyError(400, Bytes("Bad request")) }
        if !method.isEmpty { setMethod(x) }
        if !headers.isEmpty { editHeaders(x, &values) }
        if !body.isEmpty { editBody(x, &values) }
        if !query.isEmpty { editQuery(x, &values) }
        return .next
    }

    // MARK: 2. Path

    /// False for a path that leads elsewhere than it reads: a template may carry what a client sent
    /// past the router, so dot segments are refused in every spelling (T-18).
    private func setPath(_ x: Exchange, _ path: Bytes) -> Bool {
        guard path.count > 0, path[0] == 0x2F else { return false }
        let escaped = Buffer(capacity: path.count * 3 + 16)
        PathNormalizer.escape(path, to: escaped)
        guard !escaped.readable.contains(0x3F), !escaped.readable.contains(0x23) else { return false }
        var start = 1
        let text = escaped.readable
        while start <= text.count {
            let end = text.firstIndex(of: 0x2F, from: start) ?? text.count
            if Self.isDotSegment(text[start..<end]) { return false }
            start = end + 1
        }
        x.setUpstreamPath(text)
        return true
    }

    /// `.` or `..`, plain or encoded, with or without parameters.
    static func isDotSegment(_ segment: Bytes) -> Bool {
        var dots = 0
        var i = 0
        while i < segment.count, segment[i] != 0x3B {
            if segment[i] == 0x2E {
                i += 1
            } else if segment.dropFirst(i).prefix(3).equalsIgnoringCase("%2e") {
                i += 3
            } else {
                return false
            }
            dots += 1
        }
        return dots == 1 || dots == 2
    }

    // MARK: 3. Method

    /// A form goes into the query when the new method has no body. HEAD stays HEAD: what the upstream
    /// would send for another method has no place in the answer.
    private func setMethod(_ x: Exchange) {
        guard x.request.method != .head else { return }
        x.upstreamMethod.clear()
        x.upstreamMethod.append(method)
        guard isBodyless, let form = x.requestBody, BodyKind(x.requestHeaders.first(.contentType)) == .form else {
            return
        }
        var list = ArgumentList(x.upstreamQuery ?? .empty)
        list.append(contentsOf: ArgumentList(form.readable))
        writeQuery(x, list)
    }

    // MARK: 4. Headers

    private func editHeaders(_ x: Exchange, _ values: inout RenderedValues) {
        let block = x.requestHeaders
        for key in headers.remove where key.id != .host && !HeaderEdits.isProtected(key.id) { block.removeAll(key) }
        for edit in headers.rename {
            HeaderEdits.rename(edit.key, to: values.next(), in: block)
        }
        for edit in headers.replace {
            let value = values.next()
            if edit.key.id == .host {
                setHost(x, value)
            } else if block.index(of: edit.key) != nil {
                HeaderEdits.set(edit.key, value, in: block)
            }
        }
        for edit in headers.add {
            let value = values.next()
            if edit.key.id != .host, block.index(of: edit.key) == nil { HeaderEdits.add(edit.key, value, in: block) }
        }
        for edit in headers.append {
            let value = values.next()
            if edit.key.id != .host { HeaderEdits.add(edit.key, value, in: block) }
        }
    }

    private func setHost(_ x: Exchange, _ value: Bytes) {
        guard HostSyntax.isValid(value) else { return }
        x.upstreamHost.clear()
        x.upstreamHost.append(value)
    }

    // MARK: 5. Body

    private func editBody(_ x: Exchange, _ values: inout RenderedValues) {
        let type = x.requestHeaders.first(.contentType)
        let isEncoded = x.requestHeaders.contains(.contentEncoding)
        let text = x.requestBody?.readable ?? .empty
        guard let type, let kind = BodyKind(type), !isEncoded else { return values.skip(body) }
        switch kind {
        case .json:
            guard var document = text.isEmpty ? JSONDocument() : JSONDocument(text) else { return values.skip(body) }
            if edit(&document, hasBody: !text.isEmpty, &values) { x.setRequestBody(document.write) }
        case .form:
            var list = ArgumentList(text)
            if edit(&list, hasBody: !text.isEmpty, &values) { x.setRequestBody(list.write) }
        case .multipart:
            guard var parts = MultipartBody(text, contentType: type) else { return values.skip(body) }
            if edit(&parts, hasBody: !text.isEmpty, &values) { x.setRequestBody(parts.write) }
        }
    }

    /// True if anything changed. A body that is not there can only be added to.
    private func edit<Fields: EditableFields>(
        _ fields: inout Fields, hasBody: Bool, _ values: inout RenderedValues
    ) -> Bool {
        var isChanged = false
        for key in body.remove where fields.remove(key.text) { isChanged = true }
        for edit in body.rename where fields.rename(edit.name, to: values.next().array) { isChanged = true }
        for edit in body.replace {
            let value = values.next()
            guard fields.contains(edit.name) else { continue }
            fields.setText(edit.name, value)
            isChanged = true
        }
        for edit in body.add {
            let value = values.next()
            guard !fields.contains(edit.name) else { continue }
            fields.setText(edit.name, value)
            isChanged = true
        }
        for edit in body.append where fields.appendText(edit.name, values.next()) { isChanged = true }
        return isChanged
    }

    // MARK: 6. Query

    private func editQuery(_ x: Exchange, _ values: inout RenderedValues) {
        var list = ArgumentList(x.upstreamQuery ?? .empty)
        for key in query.remove { list.remove(key.text) }
        for edit in query.rename { _ = list.rename(edit.name, to: values.next().array) }
        for edit in query.replace {
            let value = values.next()
            if list.contains(edit.name) { list.set(edit.name, value) }
        }
        for edit in query.add {
            let value = values.next()
            if !list.contains(edit.name) { list.set(edit.name, value) }
        }
        for edit in query.append { list.append(edit.name, values.next()) }
        writeQuery(x, list)
    }

    private func writeQuery(_ x: Exchange, _ list: ArgumentList) {
        guard !x.upstreamURI.isEmpty else { return }
        let text = Buffer(capacity: 1024)
        list.write(to: text)
        x.setUpstreamQuery(text.readable)
    }
}

/// The values of a filter's templates for one request, made before anything is edited and taken in
/// the same order.
struct RenderedValues {
    private let x: Exchange
    private let text: Buffer
    private var ends: [Int] = []
    private var taken = 0

    init(_ x: Exchange) {
        self.x = x
        // Its own buffer: filters use the worker's scratch while they edit.
        text = Buffer(capacity: 512)
    }

    mutating func render(_ template: RunningTemplate) {
        template.render(x, to: text)
        ends.append(text.end)
    }

    mutating func render(_ edits: RequestTransformerFilter.Edits) {
        for group in [edits.rename, edits.replace, edits.add, edits.append] {
            for edit in group { render(edit.value) }
        }
    }

    mutating func next() -> Bytes {
        guard taken < ends.count else { return .empty }
        let start = taken > 0 ? ends[taken - 1] : 0
        taken += 1
        return text.bytes(at: start, count: ends[taken - 1] - start)
    }

    mutating func skip(_ edits: RequestTransformerFilter.Edits) {
        taken += edits.rename.count + edits.replace.count + edits.add.count + edits.append.count
    }
}

/// Named fields of a body, whatever its format.
protocol EditableFields {
    func contains(_ name: [UInt8]) -> Bool
    mutating func remove(_ name: [UInt8]) -> Bool
    mutating func rename(_ name: [UInt8], to new: [UInt8]) -> Bool
    mutating func setText(_ name: [UInt8], _ value: Bytes)
    /// False where the format cannot.
    mutating func appendText(_ name: [UInt8], _ value: Bytes) -> Bool
}

extension JSONDocument: EditableFields {
    mutating func setText(_ name: [UInt8], _ value: Bytes) { set(name, Self.string(of: value)) }
    mutating func appendText(_ name: [UInt8], _ value: Bytes) -> Bool {
        append(name, Self.string(of: value))
        return true
    }
}

extension ArgumentList: EditableFields {
    mutating func setText(_ name: [UInt8], _ value: Bytes) { set(name, value) }
    mutating func appendText(_ name: [UInt8], _ value: Bytes) -> Bool {
        append(name, value)
        return true
    }
}

/// Kong does not append to multipart bodies either.
extension MultipartBody: EditableFields {
    mutating func setText(_ name: [UInt8], _ value: Bytes) { set(name, value.array) }
    mutating func appendText(_ name: [UInt8], _ value: Bytes) -> Bool { false }
}
