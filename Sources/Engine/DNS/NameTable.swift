// The names that clusters use: when each is asked for, and what it stood for last.

import Bytes

/// What a name stands for at the moment.
public enum NameAnswer: Equatable, Sendable {
    /// No answer yet.
    case pending
    /// The last good answer, possibly older than its TTL: it stays until there is a better one.
    case addresses([ResolvedAddress])
    /// The name has never resolved, and the last attempt says why not.
    case unknown(NameFailure)
}

public enum NameFailure: Equatable, Sendable {
    /// The name does not exist or has no addresses.
    case notFound
    /// The servers failed or did not answer.
    case noAnswer
    /// Not a host name, or one name too many.
    case refused
}

/// Pure: fed time and answers, gives questions. Milliseconds are monotonic.
struct NameTable {
    /// A question to send; `token` comes back with its answer.
    struct Query: Equatable, Sendable {
        var token: UInt64
        var question: DNSQuestion
    }

    private struct Entry {
        var users = 1
        var answer = NameAnswer.pending
        var lastType: DNSType?
        var due: Int64
        var failures = 0
        var resolution: NameResolution?
    }

    private var configuration: DNSConfiguration
    private var entries: [String: Entry] = [:]
    /// Which name each outstanding question is for.
    private var outstanding: [UInt64: String] = [:]
    private var tokens: UInt64 = 0
    private var changed: [String] = []
    /// When some entry is due; may be early, never late.
    private var nextDue = Int64.max

    static let namesMax = 10_000
    /// Names resolved at the same time; others wait their turn.
    static let concurrencyMax = 64
    /// TTLs are kept within these bounds: 0 would ask without end.
    static let ttlMinMilliseconds: Int64 = 1_000
    static let ttlMaxMilliseconds: Int64 = 3_600_000
    /// After "no such name" (Kong's dns_not_found_ttl).
    static let notFoundMilliseconds: Int64 = 30_000
    /// After an error (Kong's dns_error_ttl), doubling up to `errorMaxMilliseconds`.
    static let errorMilliseconds: Int64 = 1_000
    static let errorMaxMilliseconds: Int64 = 30_000

    init(_ configuration: DNSConfiguration) { self.configuration = configuration }

    // MARK: Names

    /// Starts resolving `name` (lower-case), or counts one more user of it.
    mutating func watch(_ name: String, now: Int64) {
        if entries[name] != nil {
            entries[name]?.users += 1
            return
        }
        if let address = literalOrHost(name) {
            entries[name] = Entry(answer: .addresses([ResolvedAddress(address: address)]), due: .max)
        } else if entries.count >= Self.namesMax || NameResolution.candidates(name, configuration).isEmpty {
            entries[name] = entries.count < Self.namesMax * 2 ? Entry(answer: .unknown(.refused), due: .max) : nil
        } else {
            entries[name] = Entry(due: now)
            nextDue = min(nextDue, now)
        }
    }

    /// Ends one use; the last one forgets the name.
    mutating func unwatch(_ name: String) {
        guard let entry = entries[name] else { return }
        if entry.users > 1 { entries[name]?.users -= 1 } else { entries[name] = nil }
    }

    func answer(_ name: String) -> NameAnswer { entries[name]?.answer ?? .unknown(.refused) }

    /// Whether every name has been answered once, well or badly.
    var isSettled: Bool { !entries.values.contains { $0.answer == .pending } }

    /// Names whose answer changed since the last call.
    mutating func drainChanges() -> [String] {
        defer { changed = [] }
        return changed
    }

    /// New settings: everything is asked for again; old answers stay until then.
    mutating func reconfigure(_ configuration: DNSConfiguration, now: Int64) {
        self.configuration = configuration
        outstanding = [:]
        for name in entries.keys.sorted() {
            entries[name]?.resolution = nil
            if let address = literalOrHost(name) {
                entries[name]?.due = .max
                update(name, .addresses([ResolvedAddress(address: address)]))
            } else if entries[name]?.answer != .unknown(.refused) {
                entries[name]?.due = now
            }
        }
        nextDue = now
    }

    // MARK: Time and answers

    /// When `start` has something to do next.
    var deadline: Int64 { outstanding.count < Self.concurrencyMax ? nextDue : .max }

    /// Questions to send now.
    mutating func start(now: Int64) -> [Query] {
        guard now >= nextDue else { return [] }
        var queries: [Query] = []
        nextDue = .max
        // Sorted: the same inputs give the same questions.
        for name in entries.filter({ $0.value.due <= now && $0.value.resolution == nil }).keys.sorted() {
            guard outstanding.count < Self.concurrencyMax, let last = entries[name] else {
                nextDue = now
                return queries
            }
            let resolution = NameResolution(name: name, configuration: configuration, last: last.lastType)
            entries[name]?.resolution = resolution
            if let question = resolution.question { queries.append(ask(question, for: name)) }
        }
        for entry in entries.values where entry.resolution == nil { nextDue = min(nextDue, entry.due) }
        return queries
    }

    /// An answer; nil, or the next question for the same name.
    mutating func answered(_ token: UInt64, _ outcome: DNSOutcome, now: Int64) -> Query? {
        guard let name = outstanding.removeValue(forKey: token), var resolution = entries[name]?.resolution else {
            return nil
        }
        resolution.answered(outcome)
        entries[name]?.resolution = resolution
        if let question = resolution.question { return ask(question, for: name) }
        entries[name]?.resolution = nil
        conclude(name, resolution.result ?? .failed, now: now)
        return nil
    }

    private mutating func ask(_ question: DNSQuestion, for name: String) -> Query {
        tokens += 1
        outstanding[tokens] = name
        return Query(token: tokens, question: question)
    }

    private mutating func conclude(_ name: String, _ result: NameResolution.Result, now: Int64) {
        guard let entry = entries[name] else { return }
        let wait: Int64
        switch result {
        case .found(let addresses, let ttl, let type):
            wait = min(max(Int64(ttl) * 1000, Self.ttlMinMilliseconds), Self.ttlMaxMilliseconds)
            entries[name]?.failures = 0
            entries[name]?.lastType = type
            update(name, .addresses(addresses))
        case .notFound:
            wait = Self.notFoundMilliseconds
            fail(name, entry, .notFound)
        case .failed:
            wait = min(Self.errorMilliseconds << Int64(min(entry.failures, 10)), Self.errorMaxMilliseconds)
            fail(name, entry, .noAnswer)
        }
        entries[name]?.due = now + wait
        nextDue = min(nextDue, now + wait)
    }

    /// A failure never takes addresses away.
    private mutating func fail(_ name: String, _ entry: Entry, _ failure: NameFailure) {
        entries[name]?.failures = entry.failures + 1
        if case .addresses = entry.answer { return }
        update(name, .unknown(failure))
    }

    private mutating func update(_ name: String, _ answer: NameAnswer) {
        guard entries[name]?.answer != answer else { return }
        entries[name]?.answer = answer
        changed.append(name)
    }

    /// Addresses that need no question: literals (IPv6 with or without brackets), the hosts file,
    /// and `localhost` with everything below it (RFC 6761 section 6.3).
    private func literalOrHost(_ name: String) -> IPAddress? {
        if let address = IPAddress(name) { return address }
        if name.hasPrefix("["), name.hasSuffix("]") { return IPAddress(String(name.dropFirst().dropLast())) }
        let bare = name.hasSuffix(".") ? String(name.dropLast()) : name
        if let address = configuration.hosts.lookup(bare) { return address }
        return bare.hasSuffix(".localhost") ? IPAddress(v4: 0x7F00_0001) : nil
    }
}
