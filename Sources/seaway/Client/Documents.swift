// What `-f` names: a file, a directory of files, or standard input, as one text that the API reads.

import FoundationEssentials

/// Files one after another, with a way back from a line of the whole to a file and its line.
struct Documents {
    private(set) var text: [UInt8] = []
    private var parts: [(file: String, firstLine: Int)] = []
    private var lines = 0
    private var sources: [String: [UInt8]] = [:]

    static let sizeMax = 256 << 20
    static let filesMax = 10_000

    /// - Parameter name: a path, or `-`.
    init(_ names: [String]) throws {
        for name in names {
            if name == "-" {
                try add("/dev/stdin", shown: "standard input")
            } else if let files = try Self.files(in: name) {
                guard !files.isEmpty else { throw Failure("\(name) has no .yml, .yaml or .json files") }
                for file in files { try add(file, shown: file) }
            } else {
                try add(name, shown: name)
            }
        }
    }

    private mutating func add(_ path: String, shown: String) throws {
        switch FileBytes.read(path, limit: Self.sizeMax) {
        case .failure(let refusal): throw Failure("\(shown): \(refusal.message)")
        case .success(let bytes):
            if !parts.isEmpty { append(Array("---\n".utf8)) }
            parts.append((shown, lines + 1))
            sources[shown] = bytes
            append(bytes)
            if bytes.last != UInt8(ascii: "\n") { append([UInt8(ascii: "\n")]) }
        }
    }

    private mutating func append(_ bytes: [UInt8]) {
        text += bytes
        lines += bytes.count { $0 == UInt8(ascii: "\n") }
    }

    /// Where a line of `text` stands.
    func place(_ line: Int) -> (file: String, line: Int) {
        guard line > 0, let part = parts.last(where: { $0.firstLine <= line }) else {
            return (parts.first?.file ?? "", 0)
        }
        return (part.file, line - part.firstLine + 1)
    }

    func source(_ file: String) -> [UInt8] { sources[file] ?? [] }

    /// The configuration files of a directory, sorted; nil if it is none.
    private static func files(in path: String) throws -> [String]? {
        var isDirectory = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), isDirectory else { return nil }
        let all: [String]
        do { all = try FileManager.default.contentsOfDirectory(atPath: path) } catch {
            throw Failure("cannot list \(path): \(error)")
        }
        let names = all.filter { name in
            !name.hasPrefix(".") && [".yml", ".yaml", ".json"].contains { name.hasSuffix($0) }
        }
        guard names.count <= filesMax else { throw Failure("\(path) has more than \(filesMax) files") }
        return names.sorted().map { path.hasSuffix("/") ? path + $0 : path + "/" + $0 }
    }
}
