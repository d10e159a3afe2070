// Configurations as groups of gateways get them: compiled, compared and encoded once, however many ask.

internal import Compile
internal import Logging
internal import Model
internal import Snapshot

/// Why there is no message for a gateway.
enum EditionError: Error {
    /// The revision's model is no longer here.
    case unknownRevision
    /// The selection does not compile: the first error.
    case invalid(String)
}

/// Compiles and encodes on demand, one thing at a time, and keeps what is likely to be asked for again.
///
/// The compiler is given no settings and no listeners: those are each gateway's own.
actor Editions {
    /// A message for gateways, encoded.
    struct Message: Sendable {
        var bytes: [UInt8]
        var isFull: Bool
    }

    private struct Pair: Hashable {
        var from: EditionKey?
        var to: EditionKey
    }

    /// Snapshots kept for gateways that come back and for deltas; in use ones not counted.
    private static let snapshotsMax = 16
    /// Records in the kept snapshots together, so that many large ones do not fill the memory.
    private static let recordsMax = 500_000
    /// Below this, a gateway that comes back with an older revision is rather sent everything than that revision
    /// made again: bytes.
    private static let rebuildMin = 256 * 1024
    /// How far back a revision is made again.
    private static let rebuildReach: UInt64 = 1000

    private let source: any ConfigurationSource
    private let settings: Settings
    private let logger = Logger(label: "seaway.stream")
    private var models: [UInt64: GatewayModel] = [:]
    private var snapshots: [EditionKey: Snapshot] = [:]
    private var digests: [EditionKey: UInt64] = [:]
    private var failures: [EditionKey: String] = [:]
    private var messages: [Pair: Message] = [:]
    /// Oldest first.
    private var order: [EditionKey] = []

    init(source: any ConfigurationSource, expressions: Bool) {
        self.source = source
        var settings = Settings()
        settings.router = expressions ? .expressions : .traditionalCompatible
        self.settings = settings
    }

    // MARK: Revisions

    /// Takes a revision's model; all others but those of `keeping` go.
    func install(_ revision: UInt64, _ model: GatewayModel, keeping: Set<UInt64>) {
        models = models.filter { keeping.contains($0.key) }
        models[revision] = model
    }

    /// The model of `revision` and the label keys it chooses by, from here or from the source.
    func keys(of revision: UInt64) async throws -> Set<String> {
        LabelSelection.keys(in: try await model(revision))
    }

    private func model(_ revision: UInt64) async throws -> GatewayModel {
        if let model = models[revision] { return model }
        let model = try await source.model(at: revision)
        models[revision] = model
        return model
    }

    /// Forgets what nobody is likely to ask for: messages to editions that are not in use, and the oldest snapshots.
    func prune(inUse: Set<EditionKey>) {
        messages = messages.filter { inUse.contains($0.key.to) }
        failures = failures.filter { inUse.contains($0.key) }
        var idle = order.filter { !inUse.contains($0) }
        var records = snapshots.values.reduce(0) { $0 + $1.recordCount }
        while let oldest = idle.first, idle.count > Self.snapshotsMax || records > Self.recordsMax {
            records -= snapshots[oldest]?.recordCount ?? 0
            forget(oldest)
            idle.removeFirst()
        }
    }

    private func forget(_ key: EditionKey) {
        snapshots[key] = nil
        digests[key] = nil
        order.removeAll { $0 == key }
    }

    // MARK: What gateways are sent

    /// The message that brings a gateway from `base` to `key`; a full one if there is no base.
    func message(from base: EditionKey?, to key: EditionKey) async throws -> Message {
        let pair = Pair(from: base, to: key)
        if let message = messages[pair] { return message }
        let new = try await snapshot(key)
        var message = ControlPlaneMessage()
        if let base, let old = snapshots[base] {
            var delta = ControlPlaneMessage.Delta()
            delta.base = base.revision
            delta.revision = key.revision
            let change = SnapshotDelta(from: old, to: new)
            if !change.isEmpty(for: old) { delta.delta = change.wire }
            message.delta = delta
        } else {
            message.configuration = configuration(key, new)
        }
        let encoded = Message(bytes: message.wire, isFull: message.configuration != nil)
        messages[pair] = encoded
        return encoded
    }

    /// The edition that a gateway says it has; nil: it is sent everything.
    ///
    /// - Parameters:
    ///   - target: what it is to have.
    ///   - digest: of the tables it has.
    func base(_ revision: UInt64, digest: UInt64, labels: [String: String], target: EditionKey) async -> EditionKey? {
        guard revision != 0 else { return nil }
        for key in order.reversed() where key.revision == revision {
            if let snapshot = snapshots[key], self.digest(key, snapshot) == digest { return key }
        }
        guard revision < target.revision, target.revision - revision <= Self.rebuildReach,
            let full = try? await message(from: nil, to: target), full.bytes.count > Self.rebuildMin,
            let model = try? await source.model(at: revision)
        else { return nil }
        let selection = LabelSelection(labels, keys: LabelSelection.keys(in: model))
        let key = EditionKey(revision: revision, selection: selection)
        guard let snapshot = try? compile(model, key), self.digest(key, snapshot) == digest else {
            forget(key)
            return nil
        }
        return key
    }

    /// The configuration of `key` in full, for whoever is not on a stream.
    func configuration(_ key: EditionKey) async throws -> ControlPlaneMessage.Configuration {
        configuration(key, try await snapshot(key))
    }

    private func configuration(_ key: EditionKey, _ snapshot: Snapshot) -> ControlPlaneMessage.Configuration {
        var configuration = ControlPlaneMessage.Configuration()
        configuration.revision = key.revision
        configuration.snapshot = snapshot.wire
        configuration.digest = digest(key, snapshot)
        return configuration
    }

    // MARK: Making them

    private func snapshot(_ key: EditionKey) async throws -> Snapshot {
        if let snapshot = snapshots[key] { return snapshot }
        if let failure = failures[key] { throw EditionError.invalid(failure) }
        let model = try await model(key.revision)
        return try compile(model, key)
    }

    private func compile(_ model: GatewayModel, _ key: EditionKey) throws -> Snapshot {
        if let snapshot = snapshots[key] { return snapshot }
        let selected = GatewaySelection.select(model, labels: key.selection.labels)
        let (compiled, findings) = GatewayCompiler.compile(selected, settings: settings, listeners: [])
        if let error = findings.first(where: { $0.severity == .error }) {
            let text = "\(error.entity): \(error.message)"
            failures[key] = text
            logger.error(
                "a revision cannot be sent to gateways",
                metadata: ["revision": "\(key.revision)", "labels": "\(key.selection.labels)", "reason": "\(text)"])
            throw EditionError.invalid(text)
        }
        var snapshot = compiled
        snapshot.revision = key.revision
        snapshot.settings = Settings()
        snapshots[key] = snapshot
        order.append(key)
        return snapshot
    }

    private func digest(_ key: EditionKey, _ snapshot: Snapshot) -> UInt64 {
        if let digest = digests[key] { return digest }
        let digest = SnapshotDelta.digest(snapshot)
        digests[key] = digest
        return digest
    }
}

extension Snapshot {
    /// Records in all tables: a measure of its size.
    fileprivate var recordCount: Int {
        routes.count + services.count + clusters.count + certificates.count + consumers.count + keyCredentials.count
            + basicCredentials.count + filters.count + chains.count
    }
}
