// Server-sent events: what changes, as it does. Ends within a second of the author's right to see it.

import FoundationEssentials
import HTTPTypes
import Hummingbird
import Model
import NIOCore
import ServiceLifecycle
import Store

extension ResourceAPI {
    func watch(_ call: Call) throws -> Response {
        var types: Set<String>?
        if let text = call.text("types") {
            types = []
            for word in text.split(separator: ",").map(String.init) {
                guard ResourceType.named(word) != nil else {
                    let near = NearestWord.nearest(to: word, in: ResourceType.all.map(\.plural))
                    throw Problem.malformed(
                        "types: there is no type \(word.prefix(80))" + (near.map { "; did you mean \($0)?" } ?? ""))
                }
                types?.insert(word)
            }
        }
        // A browser that comes back says where it was.
        let last = HTTPField.Name("last-event-id").flatMap { call.request.headers[$0] }.flatMap { UInt64($0) }
        let since = last ?? call.number("since").map { UInt64($0) }
        let (identity, wanted) = (call.context.identity, types)
        let head = workspace.catalog.revision
        return Response(
            status: .ok,
            headers: [
                .contentType: "text/event-stream", .cacheControl: "no-store",
            ],
            body: ResponseBody { writer in
                var watcher = Watcher(api: self, identity: identity, types: wanted, at: min(since ?? head, head))
                try await watcher.run(since: since, &writer)
                try await writer.finish(nil)
            })
    }
}

/// One open event stream.
struct Watcher {
    private enum Signal: Sendable {
        case revision, tick, gateway(GatewayEvent)
    }

    /// How often the author's right is looked at again, and how many of those looks lie between heartbeats.
    private static let look: Int64 = 500_000_000
    private static let heartbeat = 20
    /// Revisions told one by one; a client that is further behind reads everything again.
    private static let behindMax: UInt64 = 1_000
    /// Changes of one revision told one by one.
    private static let changesMax = 1_000

    private let api: ResourceAPI
    private let identity: Identity
    private let types: Set<String>?
    private var author: Author
    /// Told so far.
    private var revision: UInt64

    init(api: ResourceAPI, identity: Identity, types: Set<String>?, at revision: UInt64) {
        self.api = api
        self.identity = identity
        self.types = types
        self.revision = revision
        author = identity.author
    }

    @concurrent mutating func run(since: UInt64?, _ writer: inout any ResponseBodyWriter) async throws {
        let (signals, continuation) = AsyncStream.makeStream(
            of: Signal.self, bufferingPolicy: .bufferingNewest(256))
        let sources = Self.sources(api, continuation)
        defer { for source in sources { source.cancel() } }
        try await send(": seaway\nretry: 1000\n\n", &writer)
        if let since, since > api.workspace.catalog.revision {
            // Of another history: nothing that the client knows can be relied on.
            try await event("resync", id: revision, .object(["revision": .number(revision)]), &writer)
        }
        var ticks = 0
        try await withGracefulShutdownHandler {
            for await signal in signals {
                switch signal {
                case .revision: try await catchUp(&writer)
                case .gateway(let event): try await tell(event, &writer)
                case .tick:
                    guard let author = await api.authenticator.current(identity) else { return }
                    self.author = author
                    ticks += 1
                    if ticks % Self.heartbeat == 0 { try await send(": still here\n\n", &writer) }
                }
            }
        } onGracefulShutdown: {
            continuation.finish()
        }
    }

    private static func sources(
        _ api: ResourceAPI, _ continuation: AsyncStream<Signal>.Continuation
    ) -> [Task<Void, Never>] {
        let (publications, events) = (api.workspace.publications(), api.gateways.events())
        return [
            Task { for await _ in publications { continuation.yield(.revision) } },
            Task { for await event in events { continuation.yield(.gateway(event)) } },
            Task {
                while !Task.isCancelled {
                    try? await Task.sleep(nanoseconds: UInt64(Self.look))
                    continuation.yield(.tick)
                }
            },
        ]
    }

    /// Everything between what was told and what is.
    @concurrent private mutating func catchUp(_ writer: inout any ResponseBodyWriter) async throws {
        let head = api.workspace.catalog.revision
        guard head > revision else { return }
        guard head - revision <= Self.behindMax else {
            revision = head
            return try await event("resync", id: head, .object(["revision": .number(head)]), &writer)
        }
        while revision < head {
            let number = revision + 1
            let changes = try await api.store.changes(of: number)
            guard changes.count <= Self.changesMax else {
                try await tell(number, &writer)
                try await event("resync", id: number, .object(["revision": .number(number)]), &writer)
                revision = number
                continue
            }
            for change in changes where types?.contains(change.key.type) ?? true {
                guard Differences.mayRead(change, author) else { continue }
                var value = Differences.value(change, for: author).setting("revision", .number(number))
                value = value.setting("version", .number(change.after?.version ?? 0))
                try await event("change", id: nil, value, &writer)
            }
            try await tell(number, &writer)
            revision = number
        }
    }

    /// The event with the id comes last: a client that was cut off before it gets the changes again.
    @concurrent private func tell(_ number: UInt64, _ writer: inout any ResponseBodyWriter) async throws {
        guard let stored = try await api.store.revision(number) else { return }
        let value = ResourceShape.value(stored).setting("revision", .number(number))
        try await event("revision", id: number, value, &writer)
    }

    @concurrent private func tell(_ signal: GatewayEvent, _ writer: inout any ResponseBodyWriter) async throws {
        switch signal {
        case .gateway(let id):
            guard author.mayEver(.read, type: "gateways") else { return }
            try await event("gateway", id: nil, .object(["id": .string(id.description)]), &writer)
        case .rollout(let id):
            guard author.mayEver(.read, type: "rollouts") else { return }
            try await event("rollout", id: nil, .object(["id": .string(id.description)]), &writer)
        }
    }

    // MARK: - Writing

    @concurrent private func event(
        _ kind: String, id: UInt64?, _ data: ConfigValue, _ writer: inout any ResponseBodyWriter
    ) async throws {
        var text = "event: \(kind)\n"
        if let id { text += "id: \(id)\n" }
        try await send(text + "data: " + String(decoding: data.json, as: UTF8.self) + "\n\n", &writer)
    }

    @concurrent private func send(_ text: String, _ writer: inout any ResponseBodyWriter) async throws {
        try await writer.write(ByteBuffer(string: text))
    }
}
