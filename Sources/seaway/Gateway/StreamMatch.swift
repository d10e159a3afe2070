// What `gateway match` is told of a connection or of datagrams.

import ArgumentParser
import Bytes
import Explain
import Snapshot

/// The two ends of a connection, in flags.
struct EndOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Who connects: address:port, either alone, or [ipv6]:port.", valueName: "address:port"),
        transform: { try StreamPlace.parse($0) })
    var src = StreamPlace()

    @Option(
        help: ArgumentHelp("What the client connects to.", valueName: "address:port"),
        transform: { try StreamPlace.parse($0) })
    var dst = StreamPlace()

    /// Flags of requests and of connections do not mix.
    func check(with request: RequestOptions, router: RouterFlavour) throws {
        guard let transport = request.transport else {
            if router != .expressions, src != StreamPlace() || dst != StreamPlace() {
                throw ValidationError(
                    """
                    --src and --dst are for --scheme tcp, tls or udp: HTTP routes look at addresses only with \
                    --router expressions. The port that a client connects to is --port.
                    """)
            }
            if let port = request.port, let other = dst.port, port != Int(other) {
                throw ValidationError("--port \(port) and the port of --dst are not the same: leave one out.")
            }
            return
        }
        let foreign = [
            ("--path", request.path != nil), ("--host", !request.host.isEmpty), ("--method", request.method != "GET"),
            ("--header", !request.header.isEmpty),
        ]
        if let (flag, _) = foreign.first(where: \.1) {
            throw ValidationError(
                "\(flag) is for requests: --scheme \(transport) has none. Its flags are --src, --dst and --sni.")
        }
        if request.port != nil {
            throw ValidationError("--port is for requests: with --scheme \(transport), write --dst address:port.")
        }
        if transport == .udp, !request.sni.isEmpty {
            throw ValidationError("--sni is for --scheme tls, or tcp with a TLS client: udp has no server name.")
        }
    }

    /// What of the two ends a request shows to its routes.
    func describe(_ question: inout MatchQuestion) {
        question.source = src.address
        question.sourcePort = Int(src.port ?? 0)
        question.destination = dst.address
        if question.port == 0 { question.port = Int(dst.port ?? 0) }
    }

    /// Nil: a request is asked for.
    func question(with request: RequestOptions) throws -> StreamMatchQuestion? {
        guard let transport = request.transport else { return nil }
        var question = StreamMatchQuestion()
        question.transport = transport
        question.source = src
        question.destination = dst
        question.serverName = request.sni
        return question
    }
}

extension StreamTransport {
    init?(scheme: String) {
        switch scheme.lowercased() {
        case "tcp": self = .tcp
        case "tls": self = .tls
        case "udp": self = .udp
        default: return nil
        }
    }
}

extension StreamPlace {
    /// `address:port`, `address`, `[ipv6]:port`, `ipv6`, `:port` or `port`.
    init?(argument: String) {
        self.init()
        if let address = IPAddress(argument) {
            self.address = address
            return
        }
        let colon = argument.lastIndex(of: ":")
        let digits = colon.map { argument[argument.index(after: $0)...] } ?? argument[...]
        guard let number = decimal(digits), let port = UInt16(exactly: number), port > 0 else { return nil }
        self.port = port
        guard let colon, colon > argument.startIndex else { return }
        guard let place = ListenAddress(argument: argument), place.address != "0.0.0.0" || argument.hasPrefix("0")
        else {
            return nil
        }
        address = IPAddress(place.address)
    }

    static func parse(_ text: String) throws -> StreamPlace {
        guard let place = StreamPlace(argument: text) else {
            throw ValidationError("write address:port, such as 10.0.0.1:5432 or [2001:db8::1]:5432.")
        }
        return place
    }
}
