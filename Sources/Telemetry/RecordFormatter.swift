// A finished request as one line: Kong's JSON object, or nginx's combined format.

internal import Bytes
internal import CLinux
internal import HTTP

/// One per lane. Keeps what lines share: the text of the current second, and scratch memory.
final class RecordFormatter {
    /// Fields and query arguments logged per message; the rest is left out.
    static let fieldsMax = 100
    /// Longest request target in the short form.
    private static let shortTarget = 2048

    private let format: AccessLog.Format
    let scratch = Buffer(capacity: 64)
    let clock = Buffer(capacity: 64)
    private var clockSecond = Int64.min
    private var marks: [UInt64] = []

    init(_ format: AccessLog.Format) { self.format = format }

    var isJSON: Bool {
        switch format {
        case .json: true
        case .combined: false
        }
    }

    func write(
        _ record: RequestRecord, request: HeaderBlock?, response: HeaderBlock?, into out: inout LineWriter
    ) {
        switch format {
        case .json: json(record, request: request, response: response, into: &out)
        case .combined: combined(record, request: request, into: &out)
        }
    }

    /// The same without headers and query, and with the target cut: always fits.
    func writeShort(_ record: RequestRecord, into out: inout LineWriter) {
        var short = record
        short.uri = record.uri.prefix(Self.shortTarget)
        short.upstreamURI = record.upstreamURI.prefix(Self.shortTarget)
        short.host = record.host.prefix(256)
        short.method = record.method.prefix(64)
        short.user = record.user.prefix(64)
        short.route = .empty
        short.service = .empty
        short.consumer = .empty
        write(short, request: nil, response: nil, into: &out)
    }

    // MARK: JSON

    private func json(
        _ record: RequestRecord, request: HeaderBlock?, response: HeaderBlock?, into out: inout LineWriter
    ) {
        out.append("{\"request\":{\"id\":\"")
        out.append(json: record.requestID)
        out.append("\",\"method\":\"")
        out.append(json: record.method)
        out.append("\",\"uri\":\"")
        out.append(json: record.uri)
        out.append(record.isTLS ? "\",\"url\":\"https://" : "\",\"url\":\"http://")
        out.append(jsonLower: record.host)
        out.append(0x3A)
        out.append(decimal: Int(record.localPort))
        out.append(json: record.uri)
        out.append("\",\"querystring\":")
        queryString(record.uri, into: &out)
        out.append(",\"headers\":")
        headers(request, into: &out)
        out.append(",\"size\":")
        out.append(decimal: record.requestBytes)
        if !record.tlsVersion.isEmpty { tls(record, into: &out) }
        out.append("},\"response\":{\"status\":")
        out.append(decimal: record.status)
        out.append(",\"headers\":")
        headers(response, into: &out)
        out.append(",\"size\":")
        out.append(decimal: record.responseBytes)
        out.append("},\"latencies\":{\"kong\":")
        out.append(decimal: record.kongLatency)
        out.append(",\"proxy\":")
        out.append(decimal: record.proxyLatency)
        out.append(",\"request\":")
        out.append(decimal: record.requestLatency)
        out.append(",\"receive\":")
        out.append(decimal: record.receiveLatency)
        out.append("},\"tries\":[")
        tries(record, into: &out)
        out.append("]")
        upstreamAndEntities(record, into: &out)
        out.append(",\"workspace_name\":\"default\",\"client_ip\":\"")
        out.append(record.client, scratch: scratch)
        out.append("\",\"started_at\":")
        out.append(decimal: Int(record.startedAt))
        out.append(record.isFromUpstream ? ",\"source\":\"upstream\"}" : ",\"source\":\"kong\"}")
    }

    private func tls(_ record: RequestRecord, into out: inout LineWriter) {
        tls(record.tlsVersion, record.tlsCipher, record.tlsClientVerify, into: &out)
    }

    func tls(_ version: Bytes, _ cipher: Bytes, _ clientVerify: Bytes, into out: inout LineWriter) {
        out.append(",\"tls\":{\"version\":\"")
        out.append(json: version)
        out.append("\",\"cipher\":\"")
        out.append(json: cipher)
        out.append("\",\"client_verify\":\"")
        out.append(json: clientVerify)
        out.append("\"}")
    }

    private func upstreamAndEntities(_ record: RequestRecord, into out: inout LineWriter) {
        if !record.upstreamURI.isEmpty {
            out.append(",\"upstream_uri\":\"")
            out.append(json: record.upstreamURI)
            out.append(0x22)
        }
        if record.upstreamStatus != 0 {
            // Text, as Kong has it: nginx's variable is.
            out.append(",\"upstream_status\":\"")
            out.append(decimal: record.upstreamStatus)
            out.append(0x22)
        }
        if !record.route.isEmpty {
            out.append(",\"route\":")
            out.append(record.route)
        }
        if !record.service.isEmpty {
            out.append(",\"service\":")
            out.append(record.service)
        }
        if !record.consumer.isEmpty {
            out.append(",\"consumer\":")
            out.append(record.consumer)
        }
        if !record.credentialID.isEmpty {
            out.append(",\"authenticated_entity\":{\"id\":\"")
            out.append(json: record.credentialID)
            out.append("\"}")
        }
    }

    private func tries(_ record: RequestRecord, into out: inout LineWriter) {
        var i = 0
        while i < record.keptTries {
            attempt(record.attempt(i), isFirst: i == 0, into: &out)
            i += 1
        }
    }

    func attempt(_ attempt: UpstreamTry, isFirst: Bool, into out: inout LineWriter) {
        out.append(isFirst ? "{\"ip\":\"" : ",{\"ip\":\"")
        out.append(attempt.address, scratch: scratch)
        out.append("\",\"port\":")
        out.append(decimal: Int(attempt.port))
        out.append(",\"balancer_start\":")
        out.append(decimal: Int(attempt.balancerStart / 1_000_000))
        out.append(",\"balancer_start_ns\":")
        out.append(decimal: Int(attempt.balancerStart))
        out.append(",\"balancer_latency\":")
        out.append(decimal: Int(attempt.balancerLatency / 1_000_000))
        out.append(",\"balancer_latency_ns\":")
        out.append(decimal: Int(attempt.balancerLatency))
        switch attempt.state {
        case .none: break
        case .failed: out.append(",\"state\":\"failed\"")
        case .next: out.append(",\"state\":\"next\"")
        }
        if attempt.code != 0 {
            out.append(",\"code\":")
            out.append(decimal: Int(attempt.code))
        }
        out.append(0x7D)
    }

    // MARK: Headers

    /// Lower-case names; a name that came several times has an array. Credentials are redacted.
    ///
    /// One pass when no name repeats. Otherwise what the pass wrote is taken back, and each name
    /// looks for its twins.
    private func headers(_ block: HeaderBlock?, into out: inout LineWriter) {
        guard let block else { return out.append("{}") }
        let start = out.count
        if headersOnce(block, into: &out) || out.overflowed { return }
        out.truncate(to: start)
        headersMerged(block, into: &out)
    }

    /// False when a name may repeat.
    private func headersOnce(_ block: HeaderBlock, into out: inout LineWriter) -> Bool {
        var known: UInt64 = 0
        var others: (UInt64, UInt64) = (0, 0)
        let last = min(block.count, Self.fieldsMax)
        var separator: UInt8 = 0x7B
        var i = 0
        while i < last {
            defer { i += 1 }
            guard let field = block.field(i) else { continue }
            if field.id == .other {
                let hash = Self.mark(field.name) &* 0x9E37_79B9_7F4A_7C15
                let bits = (UInt64(1) << (hash >> 58), UInt64(1) << (hash >> 52 & 63))
                if others.0 & bits.0 != 0, others.1 & bits.1 != 0 { return false }
                others.0 |= bits.0
                others.1 |= bits.1
            } else {
                let bit = UInt64(1) << UInt64(field.id.rawValue & 63)
                if known & bit != 0 { return false }
                known |= bit
            }
            out.append(separator, 0x22)
            separator = 0x2C
            out.append(jsonLower: field.name)
            if field.id == .authorization || field.id == .proxyAuthorization {
                out.append("\":\"REDACTED\"")
            } else {
                out.append("\":\"")
                out.append(json: field.value)
                out.append(0x22)
            }
        }
        if separator == 0x7B { out.append(0x7B) }
        out.append(0x7D)
        return true
    }

    private func headersMerged(_ block: HeaderBlock, into out: inout LineWriter) {
        let last = min(block.count, Self.fieldsMax)
        noteMarks(block, last)
        var separator: UInt8 = 0x7B
        var i = 0
        while i < last {
            defer { i += 1 }
            guard let field = block.field(i), !isLaterTwin(block, i) else { continue }
            out.append(separator, 0x22)
            separator = 0x2C
            out.append(jsonLower: field.name)
            if field.id == .authorization || field.id == .proxyAuthorization {
                out.append("\":\"REDACTED\"")
            } else if let twin = twin(block, of: i, from: i + 1, last) {
                values(block, i, twin, last, into: &out)
            } else {
                out.append("\":\"")
                out.append(json: field.value)
                out.append(0x22)
            }
        }
        if separator == 0x7B { out.append(0x7B) }
        out.append(0x7D)
    }

    private func values(
        _ block: HeaderBlock, _ index: Int, _ second: Int, _ last: Int, into out: inout LineWriter
    ) {
        out.append("\":[\"")
        out.append(json: block.value(index))
        var next: Int? = second
        while let at = next {
            out.append("\",\"")
            out.append(json: block.value(at))
            next = twin(block, of: index, from: at + 1, last)
        }
        out.append("\"]")
    }

    /// A number that equal names share, and different names rarely.
    @inline(__always)
    private static func mark(_ name: Bytes) -> UInt64 {
        let n = name.count
        if n == 0 { return 1 << 8 }
        let first = UInt64(ASCII.lower(name[0]))
        let middle = UInt64(ASCII.lower(name[n / 2]))
        let end = UInt64(ASCII.lower(name[n - 1]))
        return 1 << 8 | first << 16 | middle << 24 | end << 32 | UInt64(n) << 40
    }

    /// Fills `marks`; 0 stands for a removed field.
    private func noteMarks(_ block: HeaderBlock, _ last: Int) {
        marks.removeAll(keepingCapacity: true)
        for i in 0..<last {
            guard let field = block.field(i) else {
                marks.append(0)
                continue
            }
            marks.append(field.id == .other ? Self.mark(field.name) : UInt64(field.id.rawValue) | 0x200)
        }
    }

    private func areTwins(_ block: HeaderBlock, _ a: Int, _ b: Int) -> Bool {
        guard marks[a] == marks[b] else { return false }
        return block.id(a) != .other || block.name(a).equalsIgnoringCase(block.name(b))
    }

    private func isLaterTwin(_ block: HeaderBlock, _ index: Int) -> Bool {
        var i = 0
        while i < index {
            if areTwins(block, i, index) { return true }
            i += 1
        }
        return false
    }

    private func twin(_ block: HeaderBlock, of index: Int, from start: Int, _ last: Int) -> Int? {
        var i = start
        while i < last {
            if areTwins(block, index, i) { return i }
            i += 1
        }
        return nil
    }

    // MARK: Query

    /// The arguments of the target's query, decoded: `{"a":"1","b":["x","y"],"flag":true}`.
    private func queryString(_ uri: Bytes, into out: inout LineWriter) {
        guard let mark = uri.firstIndex(of: 0x3F), mark + 1 < uri.count else { return out.append("{}") }
        let arguments = QueryArguments(uri.dropFirst(mark + 1), limit: Self.fieldsMax)
        out.append(0x7B)
        var first = true
        for (index, argument) in arguments.list.enumerated() where !arguments.isRepeated(index) {
            out.append(first ? "\"" : ",\"")
            first = false
            argument.name.withBytes { out.append(json: $0) }
            out.append("\":")
            let others = arguments.later(index)
            if others.isEmpty {
                value(argument, into: &out)
            } else {
                out.append(0x5B)
                value(argument, into: &out)
                for other in others {
                    out.append(0x2C)
                    value(arguments.list[other], into: &out)
                }
                out.append(0x5D)
            }
        }
        out.append(0x7D)
    }

    private func value(_ argument: QueryArguments.Argument, into out: inout LineWriter) {
        guard let value = argument.value else { return out.append("true") }
        out.append(0x22)
        value.withBytes { out.append(json: $0) }
        out.append(0x22)
    }

    // MARK: Combined

    /// `client - user [time] "request" status body "referer" "agent" kong_request_id: "id"`
    private func combined(_ record: RequestRecord, request: HeaderBlock?, into out: inout LineWriter) {
        out.append(record.client, scratch: scratch)
        out.append(" - ")
        out.append(combined: record.user)
        out.append(" [")
        tick(record.startedAt + Int64(max(0, record.requestLatency)))
        out.append(clock.readable)
        out.append("] \"")
        if !record.method.isEmpty {
            out.append(combined: record.method)
            out.append(0x20)
            out.append(combined: record.uri)
            switch record.version {
            case 10: out.append(" HTTP/1.0")
            case 20: out.append(" HTTP/2.0")
            default: out.append(" HTTP/1.1")
            }
        }
        out.append("\" ")
        out.append(decimal: record.status)
        out.append(0x20)
        out.append(decimal: record.responseBodyBytes)
        out.append(" \"")
        out.append(combined: request?.first(.referer) ?? .empty)
        out.append("\" \"")
        out.append(combined: request?.first(.userAgent) ?? .empty)
        out.append("\" kong_request_id: \"")
        out.append(combined: record.requestID)
        out.append(0x22)
    }

    /// Brings `clock` to `10/Oct/2026:13:55:36 +0200`, local time; once a second.
    func tick(_ milliseconds: Int64) {
        let second = milliseconds / 1000
        if second == clockSecond { return }
        clockSecond = second
        let time = sys_local_time(second)
        let offset = time.offset
        clock.clear()
        pad(Int(time.day))
        clock.append(0x2F)
        let months = Bytes("JanFebMarAprMayJunJulAugSepOctNovDec")
        let month = Int(time.month) * 3
        clock.append(months.dropFirst(month).prefix(3))
        clock.append(0x2F)
        clock.append(decimal: Int(time.year))
        for part in [time.hour, time.minute, time.second] {
            clock.append(0x3A)
            pad(Int(part))
        }
        clock.append(offset < 0 ? " -" : " +")
        pad(abs(offset) / 3600)
        pad(abs(offset) / 60 % 60)
    }

    private func pad(_ value: Int) {
        if value < 10 { clock.append(0x30) }
        clock.append(decimal: value)
    }
}

/// The decoded arguments of a query. Only requests that have a query pay for it.
struct QueryArguments {
    struct Argument {
        var name: [UInt8]
        /// Nil: the name stood without `=`.
        var value: [UInt8]?
    }

    private(set) var list: [Argument] = []
    /// Index of the first argument with the same name, by index.
    private var firsts: [Int] = []

    init(_ query: Bytes, limit: Int) {
        var places: [[UInt8]: Int] = [:]
        var rest = query
        while !rest.isEmpty, list.count < limit {
            let end = rest.firstIndex(of: 0x26) ?? rest.count
            let part = rest.prefix(end)
            rest = rest.dropFirst(end + 1)
            let equals = part.firstIndex(of: 0x3D)
            let name = Self.decode(part.prefix(equals ?? part.count))
            if name.isEmpty { continue }
            firsts.append(places[name] ?? list.count)
            if places[name] == nil { places[name] = list.count }
            list.append(Argument(name: name, value: equals.map { Self.decode(part.dropFirst($0 + 1)) }))
        }
    }

    func isRepeated(_ index: Int) -> Bool { firsts[index] != index }

    /// Later arguments of the same name.
    func later(_ index: Int) -> [Int] {
        (index + 1..<max(index + 1, list.count)).filter { firsts[$0] == index }
    }

    /// `+` is a space; `%HH` a byte; a bad escape stands for itself.
    private static func decode(_ text: Bytes) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(text.count)
        var i = 0
        while i < text.count {
            let byte = text[i]
            if byte == 0x25, i + 2 < text.count, let high = ASCII.hex(text[i + 1]), let low = ASCII.hex(text[i + 2]) {
                out.append(high << 4 | low)
                i += 3
            } else {
                out.append(byte == 0x2B ? 0x20 : byte)
                i += 1
            }
        }
        return out
    }
}
