// Requests and connections as lines of JSON, for `gateway match --requests`.

import Bytes
import CLinux
import Explain
import FoundationEssentials
import Snapshot

/// Why a line is no request.
struct RequestLineError: Error {
    var message: String
}

/// A request as a line of JSON.
struct RequestLine: Decodable {
    var method: String?
    var host: String?
    var path: String?
    var scheme: String?
    var sni: String?
    var headers: [String: [String]]?
    var src: String?
    var dst: String?

    private enum CodingKeys: String, CodingKey, CaseIterable { case method, host, path, scheme, sni, headers, src, dst }

    /// Any key: to find those that mean nothing.
    private struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws {
        let known = CodingKeys.allCases.map(\.rawValue)
        for key in try decoder.container(keyedBy: Key.self).allKeys where !known.contains(key.stringValue) {
            throw RequestLineError(
                message: "\(key.stringValue): unknown field; there are \(known.joined(separator: ", "))")
        }
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        method = try fields.decodeIfPresent(String.self, forKey: .method)
        host = try fields.decodeIfPresent(String.self, forKey: .host)
        path = try fields.decodeIfPresent(String.self, forKey: .path)
        scheme = try fields.decodeIfPresent(String.self, forKey: .scheme)
        sni = try fields.decodeIfPresent(String.self, forKey: .sni)
        headers = try fields.decodeIfPresent([String: [String]].self, forKey: .headers)
        src = try fields.decodeIfPresent(String.self, forKey: .src)
        dst = try fields.decodeIfPresent(String.self, forKey: .dst)
    }

    enum Subject {
        case request(MatchQuestion)
        case stream(StreamMatchQuestion)
    }

    static func question(_ line: [UInt8]) throws(RequestLineError) -> Subject {
        let request: RequestLine
        do {
            request = try JSONDecoder().decode(RequestLine.self, from: Data(line))
        } catch DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context) {
            throw RequestLineError(
                message: "\(context.codingPath.map(\.stringValue).joined(separator: ".")): \(context.debugDescription)")
        } catch let error as RequestLineError {
            throw error
        } catch {
            throw RequestLineError(message: "not a JSON object")
        }
        if let transport = request.scheme.flatMap({ StreamTransport(scheme: $0) }) {
            return .stream(try request.stream(transport))
        }
        return .request(try request.request())
    }

    private func stream(_ transport: StreamTransport) throws(RequestLineError) -> StreamMatchQuestion {
        let foreign = [("path", path), ("host", host), ("method", method)].first { $0.1 != nil }?.0
        if let name = foreign ?? headers.map({ _ in "headers" }) {
            throw RequestLineError(message: "\(name): a connection of \(transport) has none")
        }
        if transport == .udp, sni != nil { throw RequestLineError(message: "sni: udp has none") }
        var question = StreamMatchQuestion()
        question.transport = transport
        question.source = try Self.place("src", src)
        question.destination = try Self.place("dst", dst)
        question.serverName = sni ?? ""
        return question
    }

    private static func place(_ name: String, _ text: String?) throws(RequestLineError) -> StreamPlace {
        guard let text else { return StreamPlace() }
        guard let place = StreamPlace(argument: text) else {
            throw RequestLineError(message: "\(name): \(text) is no address:port")
        }
        return place
    }

    private func request() throws(RequestLineError) -> MatchQuestion {
        guard let path else { throw RequestLineError(message: "path is missing") }
        var question = MatchQuestion()
        question.method = method ?? "GET"
        question.host = host ?? ""
        question.path = path
        question.scheme = scheme ?? "http"
        question.serverName = sni ?? ""
        let source = try Self.place("src", src)
        let destination = try Self.place("dst", dst)
        question.source = source.address
        question.sourcePort = Int(source.port ?? 0)
        question.destination = destination.address
        question.port = Int(destination.port ?? 0)
        for (name, values) in (headers ?? [:]).sorted(by: { $0.key < $1.key }) {
            for value in values { question.headers.append((name, value)) }
        }
        question.completeCall()
        return question
    }
}

/// Reads a descriptor's lines as they come.
struct LineReader {
    /// Bytes in one line.
    static let limit = 1 << 20
    private let descriptor: Int32
    private var pending: [UInt8] = []
    private var isAtEnd = false
    private(set) var isTooLong = false

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// The lines of the next piece of input, without their ends; nil at the end.
    mutating func next() -> [[UInt8]]? {
        while !isAtEnd {
            let room = Buffer(capacity: 64 * 1024)
            let n = room.appendFrom(limit: 64 * 1024) { Int(sys_read(descriptor, $0, $1)) }
            if n < 0, sys_errno() == EINTR { continue }
            if n > 0 { pending += room.readable.array } else { isAtEnd = true }
            var lines = pending.split(separator: 0x0A, omittingEmptySubsequences: false).map(Array.init)
            pending = isAtEnd ? [] : lines.removeLast()
            if pending.count > Self.limit {
                isTooLong = true
                isAtEnd = true
            }
            if !lines.isEmpty { return lines }
        }
        return nil
    }
}

extension MatchQuestion {
    /// Whoever asks about grpc means a call, which says so in its content type.
    mutating func completeCall() {
        guard ["grpc", "grpcs"].contains(scheme.lowercased()),
            !headers.contains(where: { $0.0.lowercased() == "content-type" })
        else { return }
        headers.append(("content-type", "application/grpc"))
    }
}
