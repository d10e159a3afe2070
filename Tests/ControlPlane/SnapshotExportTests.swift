// Signed configurations in files.

import Authority
import Bytes
import Crypto
import Foundation
import Model
import Snapshot
import SwiftASN1
import Testing
import X509

@testable import ControlPlane

@Suite(.serialized) struct SnapshotExportTests {
    @Test("each set of labels gets a signed file of its own, for its owner's eyes only")
    func files() async throws {
        try await StreamFixture.with { fixture in
            let directory = FileManager.default.temporaryDirectory.path + "/export-\(Identifier.random())"
            defer { try? FileManager.default.removeItem(atPath: directory) }
            fixture.source.publish(1, .services(3, tags: ["service-0": ["seaway.gateways.zone=eu"]]))
            _ = try await fixture.joined(labels: ["zone=eu"])
            try await until { fixture.hub.target([:]) != nil }
            let export = SnapshotExport(hub: fixture.hub, authority: fixture.authority, directory: directory)
            await export.write()
            let plain = try read(directory + "/default.seaway")
            let labelled = try read(directory + "/zone=eu.seaway")
            #expect(try tables(plain).routes.count == 2)
            #expect(try tables(labelled).routes.count == 3)
            #expect(labelled.labels == ["zone=eu"])
            for file in [plain, labelled] {
                let chain = try PEMDocument.parseMultiple(pemString: file.certificates).map {
                    try Certificate(pemDocument: $0)
                }
                let key = try #require(Curve25519.Signing.PublicKey(chain[0].publicKey))
                #expect(key.isValidSignature(Data(file.signature), for: Data(file.signed)))
            }
            let facts = try FileManager.default.attributesOfItem(atPath: directory + "/default.seaway")
            #expect((facts[.posixPermissions] as? NSNumber)?.intValue == 0o600)
        }
    }

    @Test("names of files hold whatever labels hold")
    func names() {
        #expect(SnapshotExport.fileName(["zone": "eu", "cloud": "aws"]) == "cloud=aws,zone=eu.seaway")
        #expect(SnapshotExport.fileName(["path": "../x"]) == "path=%2E%2E%2Fx.seaway")
        let long = SnapshotExport.fileName(["a": String(repeating: "b", count: 300)])
        #expect(long.utf8.count < 60 && long.hasPrefix("labels-"))
    }

    private func read(_ path: String) throws -> SignedSnapshot {
        let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        return try bytes.withBytes { (view) throws(WireError) in try SignedSnapshot(wire: view) }
    }

    private func tables(_ file: SignedSnapshot) throws -> Snapshot {
        try file.configuration().snapshot.withBytes { (view) throws(WireError) in try Snapshot(wire: view) }
    }
}
