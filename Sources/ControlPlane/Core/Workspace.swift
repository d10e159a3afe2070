// The one way to change anything: plan, check, commit, publish. Both APIs, the command line and the UI come here.
//
// 1. wait for one's turn   2. plan on the current catalog   3. check rights, references, the whole configuration
// 4. commit to the store; if somebody else was first, catch up and go back to 2   5. publish

public import Model
public import Store
internal import Compile
internal import Dialects
internal import Logging
internal import Snapshot
import Synchronization

public final class Workspace: Sendable {
    /// What a workspace is set up with.
    public struct Options: Sendable {
        /// What `{vault://env/…}` references read.
        public var environment: [String: String] = [:]
        /// Routes may be written as expressions.
        public var expressions = false
        /// Told how long changes take, step by step.
        public var tracer: Tracer?
        public init() {}
    }

    private struct State {
        var catalog = Catalog()
        var live: LiveModel
        var readers: [Int: AsyncStream<Publication>.Continuation] = [:]
        var lastReader = 0
    }

    private let store: any Store
    private let options: Options
    /// Unix milliseconds.
    private let clock: @Sendable () -> Int64
    private let state: Mutex<State>
    private let turns = Turns()
    private let logger: Logger

    /// Attempts while others commit in between.
    private static let attemptsMax = 20
    /// Changes that wait for their turn.
    private static let waitingMax = 1000

    public init(
        store: any Store, options: Options = Options(), clock: @escaping @Sendable () -> Int64 = { Clock.now() }
    ) {
        self.store = store
        self.options = options
        self.clock = clock
        logger = Logger(label: "seaway.workspace")
        state = Mutex(
            State(live: LiveModel(environment: options.environment, expressions: options.expressions)))
    }

    // MARK: Reading

    /// The newest state.
    public var catalog: Catalog { state.withLock { $0.catalog } }

    public var current: Publication {
        state.withLock { Publication(revision: $0.catalog.revision, catalog: $0.catalog, model: $0.live.model) }
    }

    /// The current publication, then every later one; a slow reader gets only the newest.
    public func publications() -> AsyncStream<Publication> {
        let (stream, continuation) = AsyncStream.makeStream(of: Publication.self, bufferingPolicy: .bufferingNewest(1))
        let number = state.withLock { state in
            state.lastReader += 1
            state.readers[state.lastReader] = continuation
            continuation.yield(
                Publication(
                    revision: state.catalog.revision, catalog: state.catalog, model: state.live.model))
            return state.lastReader
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { $0.readers[number] = nil }
        }
        return stream
    }

    /// The stored entity with this name, id or natural key: what readers of files resolve references by.
    public func known(_ kind: EntityKind, _ key: String) -> Identifier? { state.withLock { $0.live.known(kind, key) } }

    /// The state as it was at `revision`.
    public func catalog(at revision: UInt64) async throws(ChangeError) -> Catalog {
        var catalog = self.catalog
        guard revision != catalog.revision else { return catalog }
        let changes = try await stored { () throws(StoreError) in
            try await self.store.changes(from: catalog.revision, to: revision)
        }
        Self.take(changes, into: &catalog)
        catalog.revision = revision
        return catalog
    }

    /// The gateway model of a catalog that is not the current one.
    public func model(of catalog: Catalog) -> GatewayModel {
        var live = LiveModel(environment: options.environment, expressions: options.expressions)
        _ = live.apply(Self.everything(catalog))
        return live.model
    }

    // MARK: Following the store

    /// Reads everything. Call once, before anything else.
    public func start() async throws(StoreError) {
        let stored = try await store.state()
        var catalog = Catalog()
        for resource in stored.resources { Self.put(resource, into: &catalog) }
        catalog.settle()
        catalog.revision = stored.revision
        catalog.lastOrder = max(catalog.lastOrder, stored.lastOrder)
        var live = LiveModel(environment: options.environment, expressions: options.expressions)
        for finding in live.apply(Self.everything(catalog)) where finding.severity == .error {
            logger.error(
                "a stored resource cannot be used", metadata: ["finding": "\(finding.entity): \(finding.message)"])
        }
        state.withLock { state in
            state.catalog = catalog
            state.live = live
        }
    }

    /// Takes in what other control planes commit, until cancelled.
    public func follow() async {
        let events = store.events()
        // What was committed between `start` and now told nobody here.
        await takeIn()
        for await event in events {
            switch event {
            case .revision(let number) where number <= catalog.revision: continue
            case .tokensChanged, .gatewayChanged: continue
            case .revision, .resync: await takeIn()
            }
        }
    }

    private func takeIn() async {
        do throws(ChangeError) {
            try await turns.take { () async throws(ChangeError) in try await self.catchUp() }
        } catch {
            logger.warning("cannot follow the store", metadata: ["error": "\(error)"])
        }
    }

    /// Only while having the turn.
    private func catchUp() async throws(ChangeError) {
        let known = catalog.revision
        let progress = try await stored { () throws(StoreError) in try await self.store.progress(since: known) }
        guard progress.revision != known else { return }
        var (catalog, live) = state.withLock { ($0.catalog, $0.live) }
        Self.take(progress.changes, into: &catalog)
        catalog.revision = progress.revision
        catalog.lastOrder = max(catalog.lastOrder, progress.lastOrder)
        _ = live.apply(progress.changes.compactMap { Self.entityChange($0) })
        publish(catalog, live)
    }

    // MARK: Changing

    /// Makes one revision of what `plan` returns, or none of it.
    ///
    /// - Parameters:
    ///   - plan: sees the newest catalog; called again when somebody else commits in between.
    ///   - dryRun: checks everything and stores nothing.
    public func change(
        by author: Author, message: String = "", dryRun: Bool = false,
        plan: @escaping @Sendable (Catalog) throws(ChangeError) -> [Edit]
    ) async throws(ChangeError) -> ChangeResult {
        let span = options.tracer?.begin(
            "change", in: TraceContext.current,
            [("seaway.actor", .string(author.name)), ("seaway.source", .string(author.source))])
        // Whoever would wait behind so many is told to come back instead.
        guard turns.waiting < Self.waitingMax else { throw .contention }
        do throws(ChangeError) {
            let result = try await turns.take { () async throws(ChangeError) in
                for _ in 0..<Self.attemptsMax {
                    if let result = try await self.attempt(author, message, dryRun, span, plan) { return result }
                    try await self.catchUp()
                }
                throw .contention
            }
            if let span {
                options.tracer?.end(
                    span,
                    [
                        ("seaway.revision", .int(Int(clamping: result.revision))),
                        ("seaway.changes", .int(result.changes.count)),
                    ])
            }
            return result
        } catch {
            if let span { options.tracer?.end(span, error: "\(error)") }
            throw error
        }
    }

    /// Makes everything as it was at `revision`, as a new revision.
    public func rollback(
        to revision: UInt64, by author: Author, message: String = "", dryRun: Bool = false
    ) async throws(ChangeError) -> ChangeResult {
        let head = catalog.revision
        guard revision > 0, revision <= head else { throw .notFound(type: "revisions", name: String(revision)) }
        let past = try await catalog(at: revision)
        return try await change(by: author, message: message, dryRun: dryRun) { catalog throws(ChangeError) in
            var edits: [Edit] = []
            for type in ResourceType.all {
                for old in catalog.all(type.plural) where past.resource(old.key) == nil {
                    edits.append(.delete(old.key))
                }
                for wanted in past.all(type.plural) where catalog.resource(wanted.key)?.spec != wanted.spec {
                    guard let spec = try? ConfigValue(json: wanted.spec) else { continue }
                    var draft = Draft(key: wanted.key, spec: spec)
                    draft.order = wanted.order
                    edits.append(.put(draft))
                }
            }
            return edits
        }
    }

    /// Nil: somebody else committed first.
    private func attempt(
        _ author: Author, _ message: String, _ dryRun: Bool, _ span: Tracer.Span?,
        _ plan: (Catalog) throws(ChangeError) -> [Edit]
    ) async throws(ChangeError) -> ChangeResult? {
        let (base, live) = state.withLock { ($0.catalog, $0.live) }
        let now = clock()
        let planned = try step("plan", in: span) { () throws(ChangeError) in
            try ChangePlan(try plan(base), onto: base, by: author, now: Int(now / 1000))
        }
        var (catalog, next) = (planned.catalog, live)
        let warnings = try step("validate", in: span) { () throws(ChangeError) in
            try Self.validate(planned.changes, in: &next, expressions: options.expressions)
        }
        guard !planned.changes.isEmpty, !dryRun else {
            return ChangeResult(revision: base.revision, changes: planned.changes, warnings: warnings)
        }
        let commit = Commit(
            changes: planned.changes, actor: author.name, message: message, source: author.source, time: now,
            audit: AuditTrail.records(planned.changes, author, message, now))
        let revision: Revision
        let committing = span.flatMap { options.tracer?.begin("commit", in: $0.context) }
        do throws(StoreError) {
            revision = try await store.commit(commit, onto: base.revision)
        } catch {
            if let committing { options.tracer?.end(committing, error: "\(error)") }
            if case .conflict = error { return nil }
            throw .store(error)
        }
        if let committing { options.tracer?.end(committing) }
        if let span { options.tracer?.remember(revision.number, span.context) }
        let changes = planned.changes.map { change in
            var change = change
            change.after?.version = revision.number
            return change
        }
        step("publish", in: span) {
            for change in changes { if let after = change.after { Self.put(after, into: &catalog) } }
            catalog.settle()
            catalog.revision = revision.number
            publish(catalog, next)
        }
        return ChangeResult(revision: revision.number, changes: changes, warnings: warnings)
    }

    /// Runs one step of a change as a span of its own.
    private func step<R, E: Error>(_ name: String, in span: Tracer.Span?, _ body: () throws(E) -> R) throws(E) -> R {
        guard let span, let tracer = options.tracer else { return try body() }
        let own = tracer.begin(name, in: span.context)
        do throws(E) {
            let result = try body()
            tracer.end(own)
            return result
        } catch {
            tracer.end(own, error: "\(error)")
            throw error
        }
    }

    /// Puts the changes into the model; throws if the configuration would not be valid.
    private static func validate(
        _ changes: [Change], in live: inout LiveModel, expressions: Bool
    ) throws(ChangeError) -> [Diagnostic] {
        let entities = changes.compactMap { entityChange($0) }
        guard !entities.isEmpty else { return [] }
        var findings = live.apply(entities)
        if !findings.contains(where: { $0.severity == .error }) {
            var settings = Settings()
            settings.router = expressions ? .expressions : .traditionalCompatible
            findings += GatewayCompiler.compile(live.model, settings: settings, listeners: []).1
        }
        guard findings.contains(where: { $0.severity == .error }) else { return findings }
        throw .invalid(findings)
    }

    private func publish(_ catalog: Catalog, _ live: LiveModel) {
        state.withLock { state in
            state.catalog = catalog
            state.live = live
            let publication = Publication(revision: catalog.revision, catalog: catalog, model: live.model)
            for reader in state.readers.values { reader.yield(publication) }
        }
    }

    // MARK: Helpers

    private func stored<R: Sendable>(
        _ body: () async throws(StoreError) -> R
    ) async throws(ChangeError) -> R {
        do throws(StoreError) { return try await body() } catch { throw .store(error) }
    }

    private static func take(_ changes: [Change], into catalog: inout Catalog) {
        for change in changes {
            if let after = change.after { put(after, into: &catalog) } else { catalog.remove(change.key) }
        }
        catalog.settle()
    }

    private static func put(_ resource: Resource, into catalog: inout Catalog) {
        guard let type = ResourceType.named(resource.key.type) else { return }
        let spec = (try? ConfigValue(json: resource.spec)) ?? .null
        catalog.put(Catalog.Row(resource: resource, facts: SpecFacts(spec, of: type)))
    }

    private static func everything(_ catalog: Catalog) -> [EntityChange] {
        ResourceType.all.flatMap { type in
            type.entity == nil
                ? [] : catalog.all(type.plural).compactMap { entityChange(Change(key: $0.key, before: nil, after: $0)) }
        }
    }

    private static func entityChange(_ change: Change) -> EntityChange? {
        guard let kind = EntityKind(rawValue: change.key.type) else { return nil }
        guard let after = change.after else { return .remove(kind, change.key.id) }
        return .put(kind, change.key.id, order: after.order, spec: after.spec)
    }
}
