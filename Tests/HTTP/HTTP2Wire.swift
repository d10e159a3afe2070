// HTTP/2 as text for tests: frames written by hand, and a connection whose events and frames become lines.

import Bytes

@testable import HTTP

/// Frames as bytes, right or wrong as the test wants them.
enum Wire {
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    /// `:method: GET`, `:scheme: http`, `:path: /` from the static table.
    static let request: [UInt8] = [0x82, 0x86, 0x84]
    /// `:status: 200`.
    static let response: [UInt8] = [0x88]
    /// `:status: 100`, a literal with the name of index 8.
    static let interim: [UInt8] = [0x08, 0x03, 0x31, 0x30, 0x30]
    /// `x: y`, a literal.
    static let trailer: [UInt8] = [0x00, 0x01, 0x78, 0x01, 0x79]

    static func frame(_ type: UInt8, _ id: UInt32, flags: UInt8 = 0, _ payload: [UInt8] = []) -> [UInt8] {
        let count = payload.count
        return [UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255), type, flags] + big(id) + payload
    }

    static func big(_ value: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> UInt32($0)) }
    }

    static func data(_ id: UInt32, _ text: String, end: Bool = false) -> [UInt8] {
        frame(0, id, flags: end ? 1 : 0, Array(text.utf8))
    }

    static func data(_ id: UInt32, count: Int, end: Bool = false) -> [UInt8] {
        frame(0, id, flags: end ? 1 : 0, [UInt8](repeating: 0x61, count: count))
    }

    static func padded(_ id: UInt32, _ text: String, pad: Int, end: Bool = false) -> [UInt8] {
        let padding = [UInt8](repeating: 0, count: pad)
        return frame(0, id, flags: 8 | (end ? 1 : 0), [UInt8(pad)] + Array(text.utf8) + padding)
    }

    static func headers(
        _ id: UInt32, _ block: [UInt8] = Wire.request, end: Bool = false, complete: Bool = true
    ) -> [UInt8] {
        frame(1, id, flags: (end ? 1 : 0) | (complete ? 4 : 0), block)
    }

    static func continuation(_ id: UInt32, _ block: [UInt8], complete: Bool) -> [UInt8] {
        frame(9, id, flags: complete ? 4 : 0, block)
    }

    static func priority(_ id: UInt32, on dependency: UInt32) -> [UInt8] { frame(2, id, big(dependency) + [15]) }
    static func reset(_ id: UInt32, _ code: UInt32 = 8) -> [UInt8] { frame(3, id, big(code)) }
    static func ping(_ last: UInt8 = 0, ack: Bool = false) -> [UInt8] {
        frame(6, 0, flags: ack ? 1 : 0, [0, 0, 0, 0, 0, 0, 0, last])
    }
    static func goAway(_ last: UInt32, _ code: UInt32 = 0) -> [UInt8] { frame(7, 0, big(last) + big(code)) }
    static func window(_ id: UInt32, _ increment: UInt32) -> [UInt8] { frame(8, id, big(increment)) }

    static func settings(_ values: (UInt16, UInt32)...) -> [UInt8] {
        frame(4, 0, values.flatMap { [UInt8($0.0 >> 8), UInt8($0.0 & 255)] + big($0.1) })
    }

    static let acknowledgement = frame(4, 0, flags: 1)

    /// Each frame of `output` as a line, and the bytes gone.
    static func lines(_ output: Buffer) -> [String] {
        var lines: [String] = []
        if output.readable.starts(with: "PRI ") { output.consume(preface.count) }
        while output.count >= 9 {
            let bytes = output.readable
            let frame = HTTP2Frame(bytes)
            precondition(bytes.count >= 9 + frame.count, "half a frame was written")
            lines.append(line(frame, bytes[9..<9 + frame.count]))
            output.consume(9 + frame.count)
        }
        precondition(output.isEmpty, "half a frame's head was written")
        output.clear()
        return lines
    }

    private static func line(_ frame: HTTP2Frame, _ payload: Bytes) -> String {
        let end = frame.flags & 1 != 0 ? " end" : ""
        let more = frame.flags & 4 == 0 ? " more" : ""
        switch frame.type {
        case 0: return "> DATA \(frame.id) \(short(payload))\(end)"
        case 1: return "> HEADERS \(frame.id) \(hex(payload))\(end)\(more)"
        case 3: return "> RST_STREAM \(frame.id) \(name(payload.big32(0)))"
        case 4: return frame.flags & 1 != 0 ? "> SETTINGS ack" : "> SETTINGS \(hex(payload))"
        case 6: return "> PING\(frame.flags & 1 != 0 ? " ack" : "") \(payload[7])"
        case 7:
            let debug = payload.dropFirst(8)
            return "> GOAWAY \(payload.big32(0)) \(name(payload.big32(4)))\(debug.isEmpty ? "" : " " + debug.string)"
        case 8: return "> WINDOW_UPDATE \(frame.id) \(payload.big32(0))"
        case 9: return "> CONTINUATION \(frame.id) \(hex(payload))\(more)"
        default: return "> \(frame.type) \(frame.id)"
        }
    }

    static func short(_ bytes: Bytes) -> String { bytes.count > 16 ? "\(bytes.count) bytes" : "'\(bytes.string)'" }

    private static func hex(_ bytes: Bytes) -> String {
        if bytes.count > 64 { return "\(bytes.count) bytes" }
        return bytes.array.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    static func name(_ code: UInt32) -> String {
        let names = [
            "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
            "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
            "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
        ]
        return Int(code) < names.count ? names[Int(code)] : "\(code)"
    }
}

/// A session whose owner takes every stream, and writes down what happens: events as they are, frames with `> `.
final class Peer {
    let session: HTTP2Session
    let input = Buffer()
    let output = Buffer()
    private(set) var log: [String] = []
    private(set) var streams: [UInt32: HTTP2Stream] = [:]
    /// What the owner says of a new stream's body.
    var expectedLength: Int?
    /// Consumes at once what comes.
    var consumes = false
    /// Refuses every stream with this.
    var refuses: HTTP2Code?
    /// Leaves the output to fill up.
    var isDeaf = false

    init(_ role: HTTP2Role = .server, _ limits: HTTP2Limits? = nil, handshake: Bool = true) {
        session = HTTP2Session(
            role: role, limits: limits ?? (role == .server ? .server : .client), output: output)
        guard handshake else { return }
        session.start()
        if role == .server { feed(Wire.preface) }
        feed(Wire.settings())
        feed(Wire.acknowledgement)
        log = []
    }

    func feed(_ bytes: [UInt8]) {
        input.append(bytes)
        run()
    }

    /// Takes events until there are no more; true while the connection lives.
    @discardableResult
    func run() -> Bool {
        while true {
            let event = session.next(input)
            write(event)
            switch event {
            case .needsBytes, .failed:
                flush()
                input.compact()
                return session.fault == nil
            case .opened(let id, let end): answer(id, end)
            case .data(let stream, let bytes, _):
                if consumes { session.consumed(stream, bytes.count) }
            case .headers, .reset, .window, .settings, .goAway: break
            }
        }
    }

    private func answer(_ id: UInt32, _ end: Bool) {
        if let refuses { return session.refuse(id, refuses) }
        let stream = HTTP2Stream()
        stream.prepare()
        stream.expectedLength = expectedLength
        streams[id] = stream
        session.accept(stream, id, end: end)
    }

    private func write(_ event: HTTP2Event) {
        switch event {
        case .needsBytes: break
        case .opened(let id, let end): log.append("opened \(id)\(end ? " end" : "")")
        case .headers(let stream, let end): log.append("headers \(stream.id)\(end ? " end" : "")")
        case .data(let stream, let bytes, let end):
            log.append("data \(stream.id) \(Wire.short(bytes))\(end ? " end" : "")")
        case .reset(let stream, let code): log.append("reset \(stream.id) \(Wire.name(code.rawValue))")
        case .window(let stream): log.append("window \(stream.map { "\($0.id)" } ?? "*")")
        case .settings: log.append("settings")
        case .goAway(let last, let code): log.append("goaway \(last) \(Wire.name(code.rawValue))")
        case .failed(let code, let reason): log.append("failed \(Wire.name(code.rawValue)) \(reason)")
        }
    }

    /// What happened since the last look.
    func taken() -> [String] {
        flush()
        defer { log = [] }
        return log
    }

    /// Sends what is in the output.
    func flush() {
        if !isDeaf { log += Wire.lines(output) }
    }

    // MARK: What an owner does

    func respond(_ id: UInt32, _ body: String? = nil, end: Bool = true) {
        guard let stream = streams[id] else { return }
        head(stream, Wire.response, end: end && body == nil)
        if let body { _ = send(id, body, end: end) }
    }

    func head(_ stream: HTTP2Stream, _ block: [UInt8], end: Bool) {
        session.beginHeaders()
        output.append(block)
        session.endHeaders(stream, end: end)
    }

    func send(_ id: UInt32, _ body: String, end: Bool) -> Int {
        guard let stream = streams[id] else { return 0 }
        return Array(body.utf8).withBytes { session.send(stream, $0, end: end) }
    }

    /// Client: opens a stream and sends a request's head.
    @discardableResult
    func request(end: Bool = false, head: Bool = true) -> HTTP2Stream? {
        let stream = HTTP2Stream()
        stream.prepare()
        stream.expectedLength = expectedLength
        guard session.open(stream) else { return nil }
        streams[stream.id] = stream
        if head { self.head(stream, Wire.request, end: end) }
        return stream
    }
}
