// Whether a snapshot from a file may be believed.

import Bytes
import Engine
import Snapshot

/// Why a signed snapshot is not served.
struct SignedSnapshotFault: Error {
    var description: String
}

enum SignedConfiguration {
    /// Checks bytes that may be anything.
    ///
    /// - Parameters:
    ///   - authority: SHA-256 of the certificate of the authority that the join token names.
    ///   - labels: this gateway's; a snapshot for others may leave out what it needs, or hold secrets that it must
    ///     not have.
    static func read(
        _ bytes: [UInt8], authority: [UInt8], labels: [String]
    ) throws(SignedSnapshotFault) -> FeedVersion {
        let file: SignedSnapshot
        do throws(WireError) {
            file = try bytes.withBytes { (bytes) throws(WireError) in try SignedSnapshot(wire: bytes) }
        } catch {
            throw SignedSnapshotFault(description: "it is no signed snapshot: \(error)")
        }
        guard let signer = PinnedAuthority(digest: authority).signer(chain: file.certificates) else {
            throw SignedSnapshotFault(
                description: "its certificates do not lead to the authority that the join token names")
        }
        guard signer.verifies(file.signature, of: file.signed) else {
            throw SignedSnapshotFault(description: "its signature is not its content's: it was damaged or changed")
        }
        guard file.labels.isEmpty || file.labels == labels else {
            throw SignedSnapshotFault(
                description: "it is for gateways with the labels \(file.labels.joined(separator: ","))")
        }
        do throws(WireError) {
            let configuration = try file.configuration()
            let tables = try configuration.snapshot.withBytes { (bytes) throws(WireError) in try Snapshot(wire: bytes) }
            return FeedVersion(revision: configuration.revision, tables: FeedTables.bare(tables))
        } catch {
            throw SignedSnapshotFault(description: "its content is damaged: \(error)")
        }
    }
}
