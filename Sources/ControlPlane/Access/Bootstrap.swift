// The first admin token of a fresh installation.

import Authority
import Foundation
import Glibc
import Model
public import Store

public enum Bootstrap {
    /// The name of the first token.
    public static let name = "bootstrap"

    /// Makes the first admin token when the store has no token that may administer, and writes it to `file`, which
    /// only its owner can read.
    ///
    /// - Parameter now: Unix milliseconds.
    /// - Returns: the token's text, to be printed once; nil when there was nothing to do.
    /// - Throws: `StoreError`, or what kept the file from being written; then there is no token either.
    public static func adminToken(_ store: any Store, file: String, now: Int64) async throws -> String? {
        let tokens = try await store.tokens()
        let hasAdmin = tokens.contains {
            $0.roles.contains("admin") && $0.revokedAt == 0 && ($0.expiresAt == 0 || $0.expiresAt > now)
        }
        guard !hasAdmin else { return nil }
        // The file first: a token that nobody can read would lock everybody out.
        let secret = TokenSecret.make()
        try write(secret.text + "\n", to: file)
        let record = TokenRecord(
            id: Identifier.random(), name: name, hash: secret.hash, roles: ["admin"], createdAt: now,
            createdBy: "system")
        do {
            try await store.add(record)
        } catch {
            try? FileManager.default.removeItem(atPath: file)
            // Another control plane that started at the same time was first.
            if case .duplicate = error { return nil }
            throw error
        }
        try await store.append([
            AuditRecord(
                time: now, actor: "system", address: "", action: "token.create", target: "tokens/\(name)",
                outcome: "allowed", detail: "first start: role admin")
        ])
        return secret.text
    }

    /// Readable by its owner only, from its first byte on; never through a link that somebody else put there.
    private static func write(_ text: String, to file: String) throws {
        _ = unsafe unlink(file)
        let descriptor = unsafe open(file, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw StoreError.failed("the admin token cannot be written to \(file): is its directory writable?")
        }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        try handle.write(contentsOf: Data(text.utf8))
        try handle.synchronize()
    }
}

extension Identifier {
    /// Version 4.
    static func random() -> Identifier {
        var generator = SystemRandomNumberGenerator()
        let high = UInt64.random(in: 0...UInt64.max, using: &generator)
        let low = UInt64.random(in: 0...UInt64.max, using: &generator)
        return Identifier(
            high: high & 0xFFFF_FFFF_FFFF_0FFF | 0x4000,
            low: low & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000)
    }
}
