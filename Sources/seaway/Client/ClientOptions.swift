// Where the control plane is and who asks: flags, then the environment, then `seaway login`, then this directory.

import ArgumentParser
import CLinux
import Model

struct ClientOptions: ParsableArguments {
    @Option(
        name: .customLong("api"),
        help: ArgumentHelp(
            "The control plane's API.",
            discussion: "Default: $SEAWAY_API, else what `seaway login` stored, else http://127.0.0.1:5681.",
            valueName: "url"))
    var api: String?

    @Option(
        name: .customLong("token-file"),
        help: ArgumentHelp(
            "File with the token.",
            discussion: "Default: $SEAWAY_TOKEN, else what `seaway login` stored, else ./data/admin-token.",
            valueName: "file"))
    var tokenFile: String?

    func client() throws -> APIClient {
        let stored = Login.stored()
        let url = api ?? Environment.value("SEAWAY_API") ?? stored?.api ?? "http://127.0.0.1:5681"
        guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
            throw ValidationError("--api is a URL such as http://127.0.0.1:5681, not \"\(url)\".")
        }
        return APIClient(base: url.hasSuffix("/") ? String(url.dropLast()) : url, token: try token(url, stored))
    }

    private func token(_ url: String, _ stored: Login.Stored?) throws -> String? {
        if let tokenFile {
            switch FileBytes.read(tokenFile, limit: 4096) {
            case .success(let bytes): return Self.trimmed(bytes)
            case .failure(let refusal): throw Failure("--token-file: \(refusal.message)")
            }
        }
        if let token = Environment.value("SEAWAY_TOKEN") { return token }
        // A token is told to nobody but the control plane it was given for.
        if let stored, stored.api == url { return stored.token }
        if case .success(let bytes) = FileBytes.read("data/admin-token", limit: 4096) { return Self.trimmed(bytes) }
        return nil
    }

    static func trimmed(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.filter { $0 > 0x20 && $0 < 0x7F }, as: UTF8.self)
    }
}

/// How data is printed.
enum ShownAs: String, ExpressibleByArgument, CaseIterable {
    case table, json, yaml
}
