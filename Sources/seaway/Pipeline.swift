// From the bytes of a configuration file to a snapshot: the one place that joins reader and compiler.

import Bytes
import Compile
import Dialects
import Model
import Snapshot

/// What a configuration file is read with.
struct PipelineInput: Sendable {
    var path: String
    var lenient: Bool
    var environment: [String: String]
    var settings: Settings
    var listeners: [Listener]
    /// The listeners are those that the snapshot is going to be served on.
    var isServed = true
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
                code: "K009", file: input.path, entity: "file", message: refusal.message, remedy: refusal.remedy)
            return PipelineResult(diagnostics: [diagnostic], source: [])
        case .success(let bytes):
            return compile(bytes, input)
        }
    }

    private static func compile(_ bytes: [UInt8], _ input: PipelineInput) -> PipelineResult {
        let (model, findings) = bytes.withBytes {
            KongFile.load(
                $0, file: input.path, environment: input.environment, lenient: input.lenient,
                expressions: input.settings.router == .expressions)
        }
        guard let model else { return PipelineResult(diagnostics: findings, source: bytes) }
        var (snapshot, more) = GatewayCompiler.compile(
            model, settings: input.settings, listeners: input.listeners, file: input.path)
        if input.isServed { more += GatewayCompiler.listenerFindings(snapshot, file: input.path) }
        let all = (findings + more).sorted { ($0.line, $0.column) < ($1.line, $1.column) }
        let isUsable = !more.contains { $0.severity == .error }
        return PipelineResult(snapshot: isUsable ? snapshot : nil, diagnostics: all, source: bytes)
    }
}
