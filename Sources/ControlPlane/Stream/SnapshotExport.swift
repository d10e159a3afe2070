// Files that gateways start from while no control plane answers: `--fallback`.

public import Authority
internal import Foundation
internal import Logging
internal import Snapshot
internal import Store
internal import Synchronization

/// Writes a signed configuration for gateways without labels, `default.seaway`, and one for each set of labels that
/// gateways have, after each revision and at most every other second. Files hold secrets: mode 0600, replaced whole.
public final class SnapshotExport: Sendable {
    private struct Written {
        /// By file name.
        var keys: [String: EditionKey] = [:]
    }

    private static let interval = Duration.seconds(2)
    /// Sets of labels that get a file.
    private static let filesMax = 256

    private let hub: GatewayHub
    private let authority: Authority
    private let directory: String
    private let clock: @Sendable () -> Int64
    private let written = Mutex(Written())
    private let logger = Logger(label: "seaway.export")

    public init(
        hub: GatewayHub, authority: Authority, directory: String,
        clock: @escaping @Sendable () -> Int64 = { Clock.now() }
    ) {
        self.hub = hub
        self.authority = authority
        self.directory = directory
        self.clock = clock
    }

    /// Writes until cancelled.
    public func run() async {
        while !Task.isCancelled {
            await write()
            try? await Task.sleep(for: Self.interval)
        }
    }

    /// Writes the files whose content is no longer what it should be.
    func write() async {
        let known = hub.gateways().filter { $0.record.revokedAt == 0 }.map(\.record.labels)
        var files: [(labels: [String: String], name: String)] = []
        for labels in Set(known) where !labels.isEmpty { files.append((labels, Self.fileName(labels))) }
        files.sort { $0.name < $1.name }
        files.insert(([:], "default.seaway"), at: 0)
        for (labels, name) in files.prefix(Self.filesMax) {
            guard let key = hub.target(labels), written.withLock({ $0.keys[name] != key }) else { continue }
            do {
                try FileManager.default.createDirectory(
                    atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
                let file = try await signed(key, labels)
                try PrivateFile.write(file.wire, to: directory + "/" + name)
                written.withLock { $0.keys[name] = key }
            } catch {
                logger.error(
                    "a configuration cannot be exported",
                    metadata: ["file": "\(directory)/\(name)", "error": "\(error)"])
            }
        }
    }

    private func signed(_ key: EditionKey, _ labels: [String: String]) async throws -> SignedSnapshot {
        var file = SignedSnapshot()
        file.payload = try await hub.editions.configuration(key).wire
        file.labels = labels.map { "\($0.key)=\($0.value)" }.sorted()
        file.createdAt = Int(clock() / 1000)
        file.certificates = authority.snapshotChain
        file.signature = try authority.sign(snapshot: file.signed)
        return file
    }

    /// `cloud=aws,zone=eu.seaway`; what does not belong into a file's name is percent-encoded.
    static func fileName(_ labels: [String: String]) -> String {
        let text = labels.map { "\($0.key)=\($0.value)" }.sorted().joined(separator: ",")
        let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=,:".utf8)
        let digits = Array("0123456789ABCDEF".utf8)
        var name: [UInt8] = []
        for byte in text.utf8 {
            if plain.contains(byte) {
                name.append(byte)
            } else {
                name += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        // File systems end at 255.
        if name.count > 200 { name = Array("labels-\(NameHash.hash(text))".utf8) }
        return String(decoding: name, as: UTF8.self) + ".seaway"
    }
}

/// FNV-1a, for names of files that would be too long.
private enum NameHash {
    static func hash(_ text: String) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return String(hash, radix: 16)
    }
}
