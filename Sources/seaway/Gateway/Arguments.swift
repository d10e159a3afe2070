// Argument types: addresses, times and sizes as people write them.

public import ArgumentParser
import Bytes
public import Snapshot

/// Where to listen: `ADDRESS:PORT`, `[IPV6]:PORT`, `PORT` (on 127.0.0.1), `*:PORT`, or `off`.
struct ListenAddress: ExpressibleByArgument, Hashable, Sendable, CustomStringConvertible {
    /// IPv4 or IPv6 text without brackets; empty: nowhere.
    var address: String
    /// 0: any free port.
    var port: Int

    static let off = ListenAddress(address: "", port: 0)

    init(address: String, port: Int) {
        self.address = address
        self.port = port
    }

    init?(argument: String) {
        if argument == "off" {
            self = .off
            return
        }
        let colon = argument.lastIndex(of: ":")
        let digits = colon.map { argument[argument.index(after: $0)...] } ?? argument[...]
        guard let port = decimal(digits), port <= 65535 else { return nil }
        var host = colon.map { argument[..<$0] } ?? "localhost"
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard host.contains(":") else { return nil }
        } else if host.contains(":") {
            return nil
        }
        switch host {
        case "localhost": self.init(address: "127.0.0.1", port: port)
        case "", "*": self.init(address: "0.0.0.0", port: port)
        default:
            guard let address = IPAddress(String(host)) else { return nil }
            self.init(address: address.description, port: port)
        }
    }

    var isLoopback: Bool { address.hasPrefix("127.") || address == "::1" }

    var description: String {
        if self == .off { return "off" }
        return address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
    }

    var defaultValueDescription: String { description }
}

/// A length of time: `500ms`, `30s`, `5m`, `1h`, or a plain number of seconds; at most a day.
struct TimeLimit: ExpressibleByArgument, Hashable, Sendable, CustomStringConvertible {
    var milliseconds: Int

    init(milliseconds: Int) { self.milliseconds = milliseconds }

    init?(argument: String) {
        let units: [(suffix: String, factor: Int)] = [
            ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("", 1000),
        ]
        guard let unit = units.first(where: { argument.hasSuffix($0.suffix) }),
            let value = decimal(argument.dropLast(unit.suffix.count)), value <= 86_400_000
        else { return nil }
        guard value * unit.factor <= 86_400_000 else { return nil }
        milliseconds = value * unit.factor
    }

    var description: String {
        milliseconds % 1000 == 0 ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
    }

    var defaultValueDescription: String { description }
}

/// A number of bytes: `16384`, `16k`, `10m`, `1g` (powers of 1024).
struct ByteCount: ExpressibleByArgument, Hashable, Sendable, CustomStringConvertible {
    var bytes: Int

    init(bytes: Int) { self.bytes = bytes }

    init?(argument: String) {
        let units: [(suffix: String, shift: Int)] = [("k", 10), ("m", 20), ("g", 30), ("", 0)]
        let text = argument.lowercased()
        guard let unit = units.first(where: { text.hasSuffix($0.suffix) }),
            let value = decimal(text.dropLast(unit.suffix.count)), value <= 1 << 40
        else { return nil }
        bytes = value << unit.shift
    }

    var description: String {
        for (suffix, shift) in [("g", 30), ("m", 20), ("k", 10)] where bytes > 0 && bytes % (1 << shift) == 0 {
            return "\(bytes >> shift)\(suffix)"
        }
        return "\(bytes)"
    }

    var defaultValueDescription: String { description }
}

extension HeaderStyle: ExpressibleByArgument {
    public init?(argument: String) {
        switch argument {
        case "kong": self = .kong
        case "seaway": self = .seaway
        case "off": self = .off
        default: return nil
        }
    }

    public static var allValueStrings: [String] { ["kong", "seaway", "off"] }
    public var defaultValueDescription: String { Self.allValueStrings[rawValue] }
}

extension AccessLogFormat: ExpressibleByArgument {
    public init?(argument: String) {
        switch argument {
        case "json": self = .json
        case "combined": self = .combined
        default: return nil
        }
    }

    public static var allValueStrings: [String] { ["json", "combined"] }
    public var defaultValueDescription: String { Self.allValueStrings[rawValue] }
}

/// Kong's names for the flavours of its router.
enum RouterChoice: String, ExpressibleByArgument, CaseIterable {
    case traditionalCompatible = "traditional_compatible"
    case expressions
    /// Known, and refused with advice.
    case traditional

    static var allValueStrings: [String] { [traditionalCompatible.rawValue, expressions.rawValue] }

    var flavour: RouterFlavour { self == .expressions ? .expressions : .traditionalCompatible }
}

/// How a command prints its data.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case text
    case json
}

/// Decimal digits and nothing else, at most 15 of them.
func decimal(_ text: some StringProtocol) -> Int? {
    guard (1...15).contains(text.utf8.count), text.utf8.allSatisfy(ASCII.isDigit) else { return nil }
    return Int(text)
}
