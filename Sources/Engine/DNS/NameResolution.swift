// Resolves one name: which questions to ask, in which order, and what the answers amount to.

public import Bytes

/// An address that a name stands for.
public struct ResolvedAddress: Equatable, Hashable, Sendable, Comparable {
    public var address: IPAddress
    /// From an SRV record; nil: the configured port.
    public var port: UInt16?
    /// From an SRV record, 1 or more; nil: the configured weight.
    public var weight: Int?
    /// The name an SRV record points to.
    public var recordName: String?

    public init(address: IPAddress, port: UInt16? = nil, weight: Int? = nil, recordName: String? = nil) {
        self.address = address
        self.port = port
        self.weight = weight
        self.recordName = recordName
    }

    public static func < (a: Self, b: Self) -> Bool {
        let (x, y) = (a.recordName ?? "", b.recordName ?? "")
        if x != y { return x < y }
        if a.port != b.port { return a.port ?? 0 < b.port ?? 0 }
        return a.address < b.address
    }
}

/// One question for a server.
struct DNSQuestion: Hashable, Sendable {
    var name: String
    var type: DNSType
}

/// How a question ended.
enum DNSOutcome: Sendable {
    case reply(DNSReply)
    /// No server answered in time.
    case timedOut
    /// A malformed answer, or no way to ask.
    case failed
}

/// A state machine: `question` until `result`. One question is outstanding at a time.
///
/// For each type of the order, the name is completed with each search domain (RFC 1535's caution:
/// as it stands first when it has enough dots). The first answer with records ends the search.
/// SRV records of the best priority are resolved further to addresses. A name that has no address
/// because it does not exist is not asked for another kind of address. What a server says about SRV
/// proves nothing about addresses: Docker's forwards that question to servers that do not know its
/// containers, or that cannot be reached.
struct NameResolution {
    enum Result: Equatable, Sendable {
        /// Sorted, never empty; seconds until the first record expires; the type that answered.
        case found([ResolvedAddress], ttl: UInt32, type: DNSType)
        case notFound
        /// A server failed or did not answer: not a statement about the name.
        case failed
    }

    private(set) var result: Result?
    private var steps: [DNSQuestion]
    private var step = 0
    private var missing: Set<String> = []
    private var sawFailure = false

    /// Set while an alias without addresses is followed by another question.
    private var alias: (name: String, depth: Int)?
    /// Set while the targets of SRV records are resolved.
    private var services: Services?

    private struct Services {
        var records: [(weight: UInt16, port: UInt16, target: String)]
        var targets: [String]
        var next = 0
        var type = DNSType.a
        var found: [String: [IPAddress]] = [:]
        var ttl: UInt32
    }

    static let aliasDepthMax = 8
    static let servicesMax = 64
    static let addressesMax = 256

    /// - Parameters:
    ///   - name: lower-case; a final dot keeps search domains away.
    ///   - last: the type that worked last time.
    init(name: String, configuration: DNSConfiguration, last: DNSType?) {
        var order = configuration.order
        if let last, let index = order.firstIndex(of: last) {
            order.remove(at: index)
            order.insert(last, at: 0)
        }
        let names = Self.candidates(name, configuration)
        steps = order.flatMap { type in names.map { DNSQuestion(name: $0, type: type) } }
        if steps.isEmpty { result = .notFound }
    }

    /// What to ask now; nil once there is a result.
    var question: DNSQuestion? {
        guard result == nil else { return nil }
        if let services {
            return DNSQuestion(name: alias?.name ?? services.targets[services.next], type: services.type)
        }
        guard step < steps.count else { return nil }
        return DNSQuestion(name: alias?.name ?? steps[step].name, type: steps[step].type)
    }

    /// The answer to `question`.
    mutating func answered(_ outcome: DNSOutcome) {
        guard let question else { return }
        if services != nil {
            answeredService(question, outcome)
        } else {
            answeredStep(question, outcome)
        }
    }

    /// Names to try for `name`, in order.
    static func candidates(_ name: String, _ configuration: DNSConfiguration) -> [String] {
        if name.hasSuffix(".") {
            let bare = String(name.dropLast())
            return isName(bare) ? [bare] : []
        }
        let completed = configuration.search.map { "\(name).\($0)" }
        let dots = name.utf8.count { $0 == 0x2E }
        let all = dots >= configuration.dotsMin ? [name] + completed : completed + [name]
        return all.filter(isName)
    }

    /// Labels of 1 to 63 printable bytes, at most 253 together.
    static func isName(_ name: String) -> Bool {
        guard !name.isEmpty, name.utf8.count <= 253 else { return false }
        return name.utf8.split(separator: 0x2E, omittingEmptySubsequences: false).allSatisfy { label in
            !label.isEmpty && label.count <= 63 && label.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        }
    }

    // MARK: Steps

    private mutating func answeredStep(_ question: DNSQuestion, _ outcome: DNSOutcome) {
        switch outcome {
        case .timedOut:
            // Every server has been asked several times: other questions of the type would wait as long.
            guard question.type == .srv, let next = steps[step...].firstIndex(where: { $0.type != .srv }) else {
                result = .failed
                return
            }
            sawFailure = true
            alias = nil
            step = next
        case .failed:
            sawFailure = true
            nextStep()
        case .reply(let reply) where reply.code == 0:
            switch follow(reply, question) {
            case .records(let records, let ttl): adopt(records, ttl: ttl, type: question.type)
            case .askAgain: return
            case .nothing: nextStep()
            }
        case .reply(let reply):
            if reply.code != 3 {
                sawFailure = true
            } else if question.type != .srv {
                missing.insert(steps[step].name)
            }
            nextStep()
        }
    }

    private mutating func nextStep() {
        alias = nil
        repeat { step += 1 } while step < steps.count && missing.contains(steps[step].name)
        if step >= steps.count { result = sawFailure ? .failed : .notFound }
    }

    private mutating func adopt(_ records: [DNSData], ttl: UInt32, type: DNSType) {
        alias = nil
        guard type == .srv else {
            let addresses = Self.addresses(records)
            guard !addresses.isEmpty else { return nextStep() }
            result = .found(addresses.sorted().map { ResolvedAddress(address: $0) }, ttl: ttl, type: type)
            return
        }
        var best = UInt16.max
        var chosen: [(weight: UInt16, port: UInt16, target: String)] = []
        for case .service(let priority, let weight, let port, let target) in records where !target.isEmpty {
            if priority < best { chosen = [] }
            if priority <= best {
                best = priority
                chosen.append((weight, port, target))
            }
        }
        chosen = Array(chosen.prefix(Self.servicesMax))
        // An SRV record that points to "." says that there is no such service.
        guard !chosen.isEmpty else { return nextStep() }
        var targets: [String] = []
        for record in chosen where !targets.contains(record.target) { targets.append(record.target) }
        services = Services(records: chosen, targets: targets, ttl: ttl)
    }

    // MARK: SRV targets

    private mutating func answeredService(_ question: DNSQuestion, _ outcome: DNSOutcome) {
        guard var services else { return }
        let target = services.targets[services.next]
        var addresses: [IPAddress] = []
        var exists = true
        switch outcome {
        case .timedOut:
            result = .failed
            return
        case .failed: sawFailure = true
        case .reply(let reply) where reply.code == 0:
            switch follow(reply, question) {
            case .records(let records, let ttl):
                addresses = Self.addresses(records)
                services.ttl = min(services.ttl, ttl)
            case .askAgain: return
            case .nothing: break
            }
        case .reply(let reply): if reply.code == 3 { exists = false } else { sawFailure = true }
        }
        alias = nil
        if addresses.isEmpty, exists, services.type == .a {
            services.type = .aaaa
            self.services = services
            return
        }
        services.found[target] = addresses
        services.next += 1
        services.type = .a
        self.services = services
        if services.next == services.targets.count { finish(services) }
    }

    private mutating func finish(_ services: Services) {
        let counts = services.records.map { services.found[$0.target]?.count ?? 0 }.filter { $0 > 0 }
        guard !counts.isEmpty else {
            self.services = nil
            return nextStep()
        }
        // A record's weight is shared by the addresses of its target; scaled so that shares stay whole.
        var scale = counts.reduce(1) { Self.leastCommonMultiple($0, $1) }
        if scale > 64 { scale = 1 }
        var all: [ResolvedAddress] = []
        for record in services.records {
            let addresses = services.found[record.target] ?? []
            for address in addresses {
                let weight = max(Int(record.weight), 1) * scale / addresses.count
                all.append(
                    .init(
                        address: address, port: record.port == 0 ? nil : record.port, weight: max(weight, 1),
                        recordName: record.target))
            }
        }
        result = .found(Array(all.sorted().prefix(Self.addressesMax)), ttl: services.ttl, type: .srv)
    }

    // MARK: Replies

    private enum Followed {
        case records([DNSData], UInt32)
        case askAgain
        case nothing
    }

    /// The records of the question's type at the end of its chain of aliases. When the chain leads
    /// out of the reply, the next question is for its end.
    private mutating func follow(_ reply: DNSReply, _ question: DNSQuestion) -> Followed {
        var name = question.name
        var ttl = UInt32.max
        var depth = alias?.depth ?? 0
        while depth <= Self.aliasDepthMax {
            let records = reply.records.filter { $0.name == name && $0.type == question.type }
            if !records.isEmpty {
                for record in records { ttl = min(ttl, record.ttl) }
                return .records(records.map(\.data), ttl)
            }
            guard let link = reply.records.first(where: { $0.name == name && $0.type == .cname }),
                case .alias(let target) = link.data
            else { break }
            ttl = min(ttl, link.ttl)
            name = target
            depth += 1
        }
        guard name != question.name, depth <= Self.aliasDepthMax, Self.isName(name) else { return .nothing }
        alias = (name, depth)
        return .askAgain
    }

    private static func addresses(_ records: [DNSData]) -> [IPAddress] {
        var all: [IPAddress] = []
        for case .address(let address) in records where all.count < addressesMax && !all.contains(address) {
            all.append(address)
        }
        return all
    }

    private static func leastCommonMultiple(_ a: Int, _ b: Int) -> Int {
        var (x, y) = (a, b)
        while y != 0 { (x, y) = (y, x % y) }
        let product = (a / max(x, 1)).multipliedReportingOverflow(by: b)
        return product.overflow ? Int.max : product.partialValue
    }
}
