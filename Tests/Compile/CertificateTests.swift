// Certificates are checked before a proxy has to serve with them.

import Bytes
import Compile
import Dialects
import Foundation
import Model
import Snapshot
import Testing

/// Certificates made by the openssl program for one test run.
struct Certificates {
    let authority: String
    let certificate: String
    let key: String
    let otherKey: String

    init() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("seaway-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func make(_ name: String, _ isAuthority: Bool) throws -> (String, String) {
            let openssl = Process()
            openssl.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
            openssl.currentDirectoryURL = folder
            openssl.standardError = FileHandle.nullDevice
            openssl.arguments = [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-subj",
                "/CN=\(name)", "-keyout", "\(name).key", "-out", "\(name).pem", "-addext",
                "basicConstraints=critical,CA:\(isAuthority ? "TRUE" : "FALSE")",
            ]
            try openssl.run()
            openssl.waitUntilExit()
            let read = { try String(contentsOf: folder.appendingPathComponent($0), encoding: .utf8) }
            return (try read("\(name).pem"), try read("\(name).key"))
        }
        (authority, otherKey) = try make("authority", true)
        (certificate, key) = try make("server", false)
    }
}

private func yaml(_ text: String) -> String { text.split(separator: "\n").joined(separator: "\\n") }

private func findings(_ text: String) throws -> [Diagnostic] {
    let (model, findings) = Array(text.utf8).withBytes { KongFile.load($0, file: "kong.yml") }
    return GatewayCompiler.compile(
        try #require(model, "\(findings)"), settings: Settings(), listeners: [], file: "kong.yml"
    ).1
}

@Test("a certificate needs its own key, an authority CA:TRUE, both PEM")
func certificates() throws {
    let made = try Certificates()
    func certificate(_ chain: String, _ key: String) throws -> [String] {
        try findings(
            "_format_version: \"3.0\"\ncertificates:\n- cert: \"\(yaml(chain))\"\n  key: \"\(yaml(key))\"\n  snis: [{name: a.b}]"
        ).map { "\($0.code):\($0.line) \($0.field)" }
    }
    func authority(_ text: String) throws -> [String] {
        try findings("_format_version: \"3.0\"\nca_certificates:\n- cert: \"\(yaml(text))\"").map {
            "\($0.code):\($0.line)"
        }
    }
    #expect(try certificate(made.certificate, made.key) == [])
    #expect(try certificate(made.certificate, made.otherKey) == ["K150:3 key"])
    #expect(try certificate("nonsense", made.key) == ["K150:3 cert"])
    #expect(try certificate(made.certificate, "nonsense") == ["K150:3 key"])
    #expect(try authority(made.authority) == [])
    #expect(try authority(made.certificate) == ["K150:3"])
    #expect(try authority(made.authority + made.authority) == ["K150:3"])
    #expect(try authority("nonsense") == ["K150:3"])
}
