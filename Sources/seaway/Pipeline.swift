// From the bytes of a configuration file to a snapshot: the one place that joins reader and compiler.

import Bytes
import Model
import Snapshot

/// What a configuration file is read with.
struct PipelineInput: Sendable {
    var path: String
    var lenient: Bool
    var environment: [String: String]
    var settings: Settings
    var listeners: [Listener]
}

/// What became of a configuration file.
struct PipelineResult: Sendable {
    /// Nil when the file cannot be used: then `diagnostics` has at least one error.
    var snapshot: Snapshot?
    var diagnostics: [Diagnostic]
    /// The file's bytes, to show the lines that diagnostics speak of.
    var source: [UInt8]
}

enum Pipeline {
    /// Largest configuration file, in bytes.
    static let sizeLimit = 256 * 1024 * 1024

    /// Reads, decodes and compiles. A file that cannot be read is a diagnostic like any other.
    static func load(_ input: PipelineInput) -> PipelineResult {
        switch FileBytes.read(input.path, limit: sizeLimit) {
        case .failure(let refusal):
            let diagnostic = Diagnostic(
                code: "K001", file: input.path, entity: "file", message: refusal.message, remedy: refusal.remedy)
            return PipelineResult(diagnostics: [diagnostic], source: [])
        case .success(let bytes):
            return compile(bytes, input)
        }
    }

    // The reader and the compiler take this function's place when they land.
    private static func compile(_ bytes: [UInt8], _ input: PipelineInput) -> PipelineResult {
        guard !bytes.isEmpty else {
            let diagnostic = Diagnostic(
                code: "K002", file: input.path, line: 1, column: 1, entity: "file", message: "the file is empty",
                remedy: "write at least `_format_version: \"3.0\"`")
            return PipelineResult(diagnostics: [diagnostic], source: bytes)
        }
        var snapshot = Snapshot()
        snapshot.settings = input.settings
        snapshot.listeners = input.listeners
        return PipelineResult(snapshot: snapshot, diagnostics: [], source: bytes)
    }
}
