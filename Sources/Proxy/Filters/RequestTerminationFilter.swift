// request-termination: answers in place of the service.

import Bytes
import HTTP
import Snapshot

final class RequestTerminationFilter: FilterInstance, @unchecked Sendable {
    private let config: RequestTermination
    private let contentType: [UInt8]
    private let body: [UInt8]
    private let message: [UInt8]
    private let triggerHeader: FieldKey
    private let trigger: [UInt8]

    init(_ config: RequestTermination) {
        self.config = config
        contentType = HeaderText.clean(
            config.contentType.isEmpty ? "application/json; charset=utf-8" : config.contentType)
        body = Array(config.body.utf8)
        message =
            config.message.isEmpty ? Bytes(Self.standardMessage(config.statusCode)).array : Array(config.message.utf8)
        triggerHeader = FieldKey(config.trigger)
        trigger = Array(config.trigger.utf8)
    }

    override var name: StaticString { "request-termination" }
    override var needsRequestBody: Bool { config.echo }

    /// Kong's text for a status without a message; empty: no body at all.
    private static func standardMessage(_ status: Int) -> StaticString {
        switch status {
        case 401: "Unauthorized"
        case 404: "Not found"
        case 405: "Method not allowed"
        case 500: "An unexpected error occurred"
        case 502: "Bad Gateway"
        case 503: "Service unavailable"
        default: ""
        }
    }

    override func access(_ x: Exchange) -> FilterVerdict {
        guard trigger.isEmpty || isTriggered(x) else { return .next }
        if config.echo { return echo(x) }
        if !body.isEmpty {
            return contentType.withBytes { type in
                body.withBytes { x.reply(config.statusCode, contentType: type, body: $0) }
            }
        }
        if message.isEmpty {
            x.setReply(config.statusCode)
            return .reply
        }
        return message.withBytes { x.replyMessage(config.statusCode, $0) }
    }

    private func isTriggered(_ x: Exchange) -> Bool {
        if x.requestHeaders.index(of: triggerHeader) != nil { return true }
        guard let query = x.query else { return false }
        return trigger.withBytes { trigger in
            RawArguments(query).contains { PercentCoding.argument($0.name, equals: trigger) }
        }
    }

    // MARK: Echo

    private func echo(_ x: Exchange) -> FilterVerdict {
        x.setReply(config.statusCode)
        x.replyHeaders.add(.contentType, Bytes("application/json; charset=utf-8"))
        let out = x.replyBody
        out.append("{")
        if !message.isEmpty {
            out.append("\"message\":")
            message.withBytes { Self.string($0, to: out) }
            out.append(",")
        }
        out.append("\"request\":{\"scheme\":")
        Self.string(x.isSecure ? "https" : "http", to: out)
        out.append(",\"host\":")
        Self.string(HostSyntax.name(x.request.host), to: out)
        out.append(",\"port\":")
        out.append(decimal: HostSyntax.port(x.request.host) ?? (x.isSecure ? 443 : 80))
        out.append(",\"method\":")
        Self.string(x.request.methodBytes, to: out)
        out.append(",\"path\":")
        let target = x.request.target
        Self.string(target.prefix(target.firstIndex(of: 0x3F) ?? target.count), to: out)
        out.append(",\"headers\":")
        headers(x, to: out)
        out.append(",\"query\":")
        Self.arguments(x.query ?? .empty, to: out)
        requestBody(x, to: out)
        out.append("}")
        entities(x, to: out)
        out.append("}")
        return .reply
    }

    private static func string(_ text: Bytes, to out: Buffer) {
        out.append(0x22)
        JSONText.escape(text, to: out)
        out.append(0x22)
    }

    private static func string(_ text: StaticString, to out: Buffer) { string(Bytes(text), to: out) }

    private func headers(_ x: Exchange, to out: Buffer) {
        let headers = x.requestHeaders
        var fields: [(name: [UInt8], value: Bytes)] = []
        for index in 0..<headers.count where !headers.isRemoved(index) {
            fields.append((headers.name(index).array.map(ASCII.lower), headers.value(index)))
        }
        Self.object(fields, to: out)
    }

    private static func arguments(_ text: Bytes, to out: Buffer) {
        // The decoded bytes of all arguments stay in one buffer, which must not move while they are read.
        let decoded = Buffer(capacity: text.count + 16)
        var fields: [(name: [UInt8], value: Bytes)] = []
        // Kong reads a hundred too; merging names costs their square.
        for argument in RawArguments(text).prefix(100) {
            let start = decoded.end
            PercentCoding.decodeArgument(argument.name, to: decoded)
            let middle = decoded.end
            PercentCoding.decodeArgument(argument.value ?? .empty, to: decoded)
            fields.append(
                (
                    decoded.bytes(at: start, count: middle - start).array,
                    decoded.bytes(at: middle, count: decoded.end - middle)
                ))
        }
        object(fields, to: out)
    }

    /// An object of strings; a name that came several times gets an array.
    private static func object(_ fields: [(name: [UInt8], value: Bytes)], to out: Buffer) {
        out.append("{")
        var isFirst = true
        for (index, field) in fields.enumerated() {
            if fields[..<index].contains(where: { $0.name == field.name }) { continue }
            if !isFirst { out.append(",") }
            isFirst = false
            field.name.withBytes { string($0, to: out) }
            out.append(":")
            let values = fields[index...].filter { $0.name == field.name }
            if values.count > 1 { out.append("[") }
            for (number, value) in values.enumerated() {
                if number > 0 { out.append(",") }
                string(value.value, to: out)
            }
            if values.count > 1 { out.append("]") }
        }
        out.append("}")
    }

    private func requestBody(_ x: Exchange, to out: Buffer) {
        guard let body = x.requestBody?.readable, !body.isEmpty else { return }
        out.append(",\"raw_body\":")
        Self.string(body, to: out)
        switch BodyKind(x.requestHeaders.first(.contentType)) {
        case .json:
            var scanner = JSONScanner(body)
            guard let value = scanner.value(), scanner.isAtEnd else { return }
            out.append(",\"body\":")
            out.append(value)
        case .form:
            out.append(",\"body\":")
            Self.arguments(body, to: out)
        case .multipart, nil: return
        }
    }

    private func entities(_ x: Exchange, to out: Buffer) {
        let snapshot = x.running.snapshot
        if x.route >= 0 {
            let route = snapshot.routes[x.route]
            out.append(",\"matched_route\":")
            entity(route.id, route.name, to: out)
        }
        if x.service >= 0 {
            let service = snapshot.services[x.service]
            out.append(",\"matched_service\":")
            entity(service.id, service.name, to: out)
        }
    }

    private func entity(_ id: ID, _ name: String, to out: Buffer) {
        out.append("{\"id\":\"")
        id.write(to: out)
        out.append("\"")
        if !name.isEmpty {
            out.append(",\"name\":")
            name.withBytes { Self.string($0, to: out) }
        }
        out.append("}")
    }
}
