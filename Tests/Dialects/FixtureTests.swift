// Files as people have them: each loads whole, or is refused at the right lines.

import Bytes
import Dialects
import Foundation
import Model
import Testing

/// A fixture and what is to become of it: counts of what it declares, or its findings.
struct Fixture: Sendable, CustomTestStringConvertible {
    var name: String
    var lenient = false
    /// services, routes, upstreams, consumers, plugins; empty: the file is refused.
    var counts: [Int] = []
    /// Code, line, and `!` for warnings, `-` for things left out.
    var findings: [String] = []

    var testDescription: String { lenient ? "\(name) --lenient" : name }

    static let environment = [
        "DECK_NAME": "templated", "DECK_HOST": "env.internal", "DECK_PORT": "8088", "DECK_ENABLED": "1",
        "DECK_CERT": "line one\nline two\nline three", "KEY_PEM": "the key", "OTHER": "x",
    ]

    static func bytes(_ name: String) throws -> [UInt8] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures")
        return Array(try Data(contentsOf: folder.appendingPathComponent(name)))
    }

    static let all: [Fixture] = [
        Fixture(name: "supabase.yml", counts: [5, 5, 0, 3, 7]),
        Fixture(name: "supabase-lua.yml", findings: ["K144:13"]),
        Fixture(name: "supabase-lua.yml", lenient: true, counts: [1, 1, 0, 0, 1], findings: ["K144:13-"]),
        Fixture(name: "deck-dump.yml", counts: [1, 2, 1, 1, 2]),
        Fixture(name: "format-1.1.yml", counts: [2, 3, 0, 0, 2]),
        Fixture(name: "format-2.1.yml", counts: [1, 1, 0, 0, 0]),
        Fixture(name: "nested.yml", counts: [1, 1, 1, 1, 3]),
        Fixture(name: "flat.yml", counts: [1, 4, 1, 2, 3]),
        Fixture(name: "kong.json", counts: [1, 1, 0, 0, 1]),
        Fixture(name: "env.yml", counts: [1, 1, 0, 0, 0]),
        Fixture(
            name: "enterprise.yml",
            findings: ["K121:5", "K123:12", "K141:17", "K141:20", "K123:23", "K121:27", "K123:31"]),
        Fixture(
            name: "enterprise.yml", lenient: true, counts: [1, 1, 1, 0, 1],
            findings: ["K121:5-", "K123:12-", "K141:17-", "K141:20-", "K123:23-", "K121:27-", "K123:31-"]),
        Fixture(name: "broken-syntax.yml", findings: ["K001:4"]),
        Fixture(
            name: "broken-types.yml",
            findings: [
                "K103:3", "K103:4", "K101:5", "K103:6", "K103:7", "K101:8", "K103:11", "K103:12", "K104:12", "K103:12",
                "K103:12", "K103:13", "K103:13", "K101:14", "K105:16", "K105:18", "K105:20", "K105:22", "K103:23",
                "K102:25", "K105:28", "K105:29", "K105:31", "K103:31", "K103:33", "K105:35", "K103:37", "K103:38",
            ]),
        Fixture(
            name: "unknown-names.yml", findings: ["K120:2", "K100:5", "K100:9", "K140:12", "K140:13", "K100:16"]),
        Fixture(name: "unsupported-plugins.yml", findings: ["K142:6", "K146:8!", "K143:12", "K106:12!", "K106:12!"]),
        Fixture(name: "db-export.yml", counts: [1, 1, 0, 1, 0]),
        Fixture(name: "anchors.yml", counts: [2, 2, 0, 0, 2]),
        Fixture(name: "stream.yml", counts: [2, 2, 0, 0, 1]),
        Fixture(name: "transformers.yml", counts: [1, 1, 0, 0, 2]),
        Fixture(
            name: "broken-plugins.yml",
            findings: [
                "K105:10", "K105:12", "K105:14", "K103:14", "K104:16", "K103:16", "K103:19", "K144:19", "K105:21",
                "K105:21", "K103:23", "K131:25", "K145:29", "K131:30", "K130:33", "K105:34", "K100:34",
            ]),
    ]
}

@Test("a file loads whole or is refused at the right lines", arguments: Fixture.all)
func fixture(_ fixture: Fixture) throws {
    let (model, findings) = try Fixture.bytes(fixture.name).withBytes {
        KongFile.load($0, file: fixture.name, environment: Fixture.environment, lenient: fixture.lenient)
    }
    let told = findings.map { finding in
        let mark =
            switch finding.severity {
            case .error: ""
            case .warning: "!"
            case .omitted: "-"
            }
        return "\(finding.code):\(finding.line)\(mark)"
    }
    #expect(
        told == fixture.findings,
        "\(findings.map { "\($0.line):\($0.column) \($0.code) \($0.entity) [\($0.field)] \($0.message) -> \($0.remedy)" }.joined(separator: "\n"))"
    )
    let counts = model.map {
        [$0.services.count, $0.routes.count, $0.upstreams.count, $0.consumers.count, $0.plugins.count]
    }
    #expect((counts ?? []) == fixture.counts)
    for finding in findings {
        #expect(!finding.message.isEmpty && !finding.remedy.isEmpty && !finding.entity.isEmpty)
        #expect(finding.file == fixture.name)
    }
}
