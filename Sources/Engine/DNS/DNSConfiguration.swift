// Where to ask, how to complete short names, and what the hosts file answers.

import Bytes

/// Settings of name resolution: resolv.conf's, or the operator's own.
public struct DNSConfiguration: Equatable, Sendable {
    /// Servers, asked in order. Empty: 127.0.0.1, port 53.
    public var servers: [SocketAddress] = []
    /// Domains appended to names with fewer than `dotsMin` dots.
    public var search: [String] = []
    /// resolv.conf's `ndots`, 0 to 15; default 1.
    public var dotsMin = 1
    /// Milliseconds before a server is asked again, doubling each time; 100 to 30,000, default 1000.
    public var timeoutMilliseconds = 1000
    /// How often each server is asked, 1 to 5; default 2 (the resolver itself asks again later).
    public var tries = 2
    /// Which records are asked for, in order; the type that worked last comes first.
    public var order: [DNSType] = [.srv, .a, .aaaa]
    public var hosts = HostsFile()

    public static let serversMax = 8
    public static let searchMax = 6

    public init() {}

    /// From the text of resolv.conf(5). Lines that are not understood are skipped, as in libc.
    public init(resolvConf text: String) {
        for line in text.split(whereSeparator: \.isNewline) {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            guard let keyword = words.first else { continue }
            switch keyword {
            case "nameserver":
                guard words.count > 1, servers.count < Self.serversMax, let address = IPAddress(String(words[1]))
                else { continue }
                servers.append(SocketAddress(address, port: 53))
            case "search", "domain":
                let domains = words.dropFirst().map { $0.lowercased() }
                search = domains.map { $0.hasSuffix(".") ? String($0.dropLast()) : $0 }.filter { !$0.isEmpty }
                search = Array(search.prefix(Self.searchMax))
            case "options":
                for option in words.dropFirst() { apply(option) }
            default: continue
            }
        }
    }

    private mutating func apply(_ option: Substring) {
        let parts = option.split(separator: ":", maxSplits: 1)
        guard parts.count == 2, let value = Int(parts[1]) else { return }
        switch parts[0] {
        case "ndots": dotsMin = min(max(value, 0), 15)
        case "timeout": timeoutMilliseconds = min(max(value, 1), 30) * 1000
        case "attempts": tries = min(max(value, 1), 5)
        default: break
        }
    }

    /// `HOST:PORT`, `HOST`, `[v6]:PORT` or a bare IPv6 address; nil for anything else.
    public static func server(_ text: String) -> SocketAddress? {
        if let address = IPAddress(text) { return SocketAddress(address, port: 53) }
        guard let colon = text.lastIndex(of: ":") else { return bracketed(text).map { SocketAddress($0, port: 53) } }
        let host = String(text[..<colon])
        let digits = text[text.index(after: colon)...]
        if let address = bracketed(text) { return SocketAddress(address, port: 53) }
        guard digits.utf8.allSatisfy(ASCII.isDigit), let port = UInt16(digits), port > 0,
            let address = bracketed(host) ?? (host.contains(":") ? nil : IPAddress(host))
        else { return nil }
        return SocketAddress(address, port: port)
    }

    private static func bracketed(_ text: String) -> IPAddress? {
        guard text.hasPrefix("["), text.hasSuffix("]") else { return nil }
        return IPAddress(String(text.dropFirst().dropLast()))
    }
}

/// The names of /etc/hosts, read when the configuration is made.
public struct HostsFile: Equatable, Sendable {
    private var addresses: [String: [IPAddress]] = [:]

    /// Names past this are ignored.
    public static let namesMax = 10_000

    /// Only `localhost`.
    public init() { self.init("") }

    /// From the text of hosts(5). The first address of each family wins; `localhost` always exists.
    public init(_ text: String) {
        for line in text.split(whereSeparator: \.isNewline) {
            let content = line.prefix { $0 != "#" }
            let words = content.split(whereSeparator: { $0 == " " || $0 == "\t" })
            guard let first = words.first, let address = IPAddress(String(first)) else { continue }
            for word in words.dropFirst() { insert(word.lowercased(), address) }
        }
        insert("localhost", IPAddress(v4: 0x7F00_0001))
    }

    private mutating func insert(_ name: String, _ address: IPAddress) {
        var known = addresses[name] ?? []
        guard !known.contains(where: { $0.isIPv6 == address.isIPv6 }) else { return }
        guard !known.isEmpty || addresses.count < Self.namesMax else { return }
        known.append(address)
        addresses[name] = known
    }

    /// The IPv4 address of a name if it has one, else its IPv6 address.
    func lookup(_ name: String) -> IPAddress? {
        guard let known = addresses[name] else { return nil }
        return known.first { !$0.isIPv6 } ?? known.first
    }
}
