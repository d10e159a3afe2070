// What comes on the stream, step by step into effect, and where else a configuration may come from.

import Engine
import HTTP
import Snapshot
import Telemetry

extension ConfigurationFeed {
    func take(_ message: ControlPlaneMessage) {
        if let farewell = message.farewell { return take(farewell) }
        if let step = tables.take(message, now: loop.nowNanoseconds) { perform(step) }
    }

    private func take(_ farewell: ControlPlaneMessage.Farewell) {
        if farewell.isRevoked { return refused(farewell.reason, pause: Self.refusedPause) }
        disconnected(farewell.reason.isEmpty ? "it said farewell" : farewell.reason)
    }

    func perform(_ step: FeedStep) {
        switch step {
        case .adopt(let version): adopt(version)
        case .applied(let revision, let microseconds): applied(revision, microseconds)
        case .rejected(let rejected): reject(rejected)
        }
    }

    private func adopt(_ version: FeedVersion) {
        guard files.deaths(of: version.revision) < FeedFiles.deathsMax else {
            return refuse(
                entity: "", reason: "the proxy's process ended \(FeedFiles.deathsMax) times while it put it in effect")
        }
        files.beginAttempt(version.revision)
        begun = version.revision
        do throws(SnapshotRefusal) {
            try owner.put(version.tables)
        } catch {
            files.endAttempt(version.revision)
            refuse(entity: error.entity, reason: error.description)
        }
    }

    private func refuse(entity: String, reason: String) {
        for step in tables.refused(entity: entity, reason: reason) { perform(step) }
    }

    /// The tables given to the owner are in effect on every worker.
    func adopted() {
        guard let version = tables.adopting else { return }
        files.endAttempt(begun ?? version.revision)
        begun = nil
        let steps = tables.adopted(now: loop.nowNanoseconds)
        if let effective = tables.effective { files.store(effective) }
        for step in steps { perform(step) }
    }

    private func applied(_ revision: UInt64, _ microseconds: Int) {
        facts.revision = revision
        facts.effectiveAt = Int(loop.wallNanoseconds / 1_000_000)
        fallbackAt = .max
        owner.tell(FeedNews(.effective, revision: revision, Self.took(revision, microseconds)))
        guard let connection, let stream else { return }
        var message = GatewayMessage()
        message.applied = GatewayApplied()
        message.applied?.revision = revision
        message.applied?.workers = workers
        message.applied?.microseconds = microseconds
        connection.send(message.wire, on: stream)
    }

    private static func took(_ revision: UInt64, _ microseconds: Int) -> String {
        "revision \(revision) of the control plane is in effect after \(microseconds / 1000).\(microseconds / 100 % 10) ms"
    }

    private func reject(_ rejected: GatewayRejected) {
        facts.rejected += 1
        let about = rejected.entity.isEmpty ? "" : "\(rejected.entity): "
        owner.tell(
            FeedNews(
                .rejected, revision: rejected.revision,
                "revision \(rejected.revision) of the control plane cannot be used: \(about)\(rejected.reason)"))
        guard let connection, let stream else { return }
        var message = GatewayMessage()
        message.rejected = rejected
        connection.send(message.wire, on: stream)
    }

    // MARK: Elsewhere

    /// Nothing is stored and nobody answers: a signed snapshot may be within reach.
    func lookElsewhere() {
        fallbackAt = loop.now + Self.fallbackEvery
        guard !join.fallback.isEmpty, fallback == nil else { return }
        if join.fallback.hasPrefix("file://") {
            let path = String(join.fallback.dropFirst("file://".count))
            guard let bytes = StateFile.read(path) else { return noFallback("it cannot be read") }
            return found(bytes)
        }
        let fetch = FallbackFetch(join.fallback, loop: loop, buffers: buffers, resolver: resolver) {
            [unowned self] outcome in
            self.fallback = nil
            switch outcome {
            case .success(let bytes): self.found(bytes)
            case .failure(let fault): self.noFallback(fault.description)
            }
        }
        fallback = fetch
        fetch.start()
    }

    private func found(_ bytes: [UInt8]) {
        guard let authority = token?.authority ?? identity?.pinned else {
            return noFallback("no join token says whom to believe")
        }
        do throws(SignedSnapshotFault) {
            let version = try SignedConfiguration.read(bytes, authority: authority, labels: join.labels)
            guard let step = tables.begin(with: version, now: loop.nowNanoseconds) else { return }
            owner.tell(
                FeedNews(
                    .trouble, "no control plane answers: taking revision \(version.revision) from \(join.fallback)"))
            perform(step)
        } catch {
            noFallback(error.description)
        }
    }

    private func noFallback(_ reason: String) {
        owner.tell(FeedNews(.trouble, "--fallback \(join.fallback) is of no use: \(reason)"))
        // A file does not mend itself as fast as a network does.
        fallbackAt = loop.now + Self.refusedPause / 2
    }
}

/// The kernel's words for an errno.
func errorText(_ number: Int32) -> String { SystemError.text(number) }
