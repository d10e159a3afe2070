// Whole files, read with a limit and written so that a crash leaves the old or the new one.

import Bytes
import CLinux

enum FileBytes {
    struct Refusal: Error {
        var message: String
        var remedy: String
    }

    /// The file's bytes; `-` reads standard input.
    static func read(_ path: String, limit: Int) -> Result<[UInt8], Refusal> {
        let descriptor = path == "-" ? dup(0) : unsafe sys_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard descriptor >= 0 else {
            return .failure(
                Refusal(
                    message: "cannot open \(path): \(errorText(sys_errno()))",
                    remedy: "check the path and its permissions"))
        }
        defer { _ = sys_close(descriptor) }
        let buffer = Buffer(capacity: 256 * 1024)
        while true {
            buffer.reserve(64 * 1024)
            let n = buffer.appendFrom(limit: buffer.free) { Int(sys_read(descriptor, $0, $1)) }
            if n < 0, sys_errno() == EINTR { continue }
            if n < 0 {
                return .failure(
                    Refusal(message: "cannot read \(path): \(errorText(sys_errno()))", remedy: "give a regular file"))
            }
            guard buffer.count <= limit else {
                return .failure(
                    Refusal(message: "\(path) is larger than \(limit) bytes", remedy: "split it into several gateways"))
            }
            if n == 0 { return .success(buffer.readable.array) }
        }
    }

    /// Replaces the file at `path`: written beside it, synced, renamed; mode 0600.
    static func replace(_ path: String, with bytes: [UInt8]) -> Int32 {
        let beside = path + ".new"
        let descriptor = unsafe sys_open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { return sys_errno() }
        var error = write(bytes, to: descriptor)
        if error == 0, fsync(descriptor) != 0 { error = sys_errno() }
        _ = sys_close(descriptor)
        if error == 0, unsafe rename(beside, path) != 0 { error = sys_errno() }
        if error != 0 { _ = unsafe unlink(beside) }
        guard error == 0, let slash = path.lastIndex(of: "/") else { return error }
        let directory = unsafe sys_open(String(path[...slash]), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        if directory >= 0 {
            _ = fsync(directory)
            _ = sys_close(directory)
        }
        return 0
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Int32 {
        bytes.withBytes { all in
            var rest = all
            while !rest.isEmpty {
                let n = Int(sys_write(descriptor, rest.address, rest.count))
                if n < 0, sys_errno() == EINTR { continue }
                guard n > 0 else { return n < 0 ? sys_errno() : EIO }
                rest = rest.dropFirst(n)
            }
            return 0
        }
    }
}

/// What the system calls error `number`.
func errorText(_ number: Int32) -> String {
    guard let text = unsafe strerror(number) else { return "error \(number)" }
    return unsafe String(cString: text)
}

/// `path` from the root, without looking at links.
func absolute(_ path: String) -> String {
    guard !path.hasPrefix("/") else { return path }
    return currentDirectory() + "/" + path
}

func currentDirectory() -> String {
    guard let text = unsafe getcwd(nil, 0) else { return "/" }
    defer { unsafe free(text) }
    return unsafe String(cString: text)
}

/// Where a symbolic link leads; nil if `path` is none.
func readLink(_ path: String) -> String? {
    var target = [CChar](repeating: 0, count: 4096)
    let n = unsafe readlink(path, &target, target.count)
    guard n > 0, n <= target.count else { return nil }
    return String(decoding: target[..<n].map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// The process's environment, as it was at the start.
enum Environment {
    static func value(_ name: String) -> String? {
        guard let text = unsafe getenv(name) else { return nil }
        return unsafe String(cString: text)
    }

    static func value(_ name: String, default other: String) -> String { value(name) ?? other }

    /// All variables. The first of two with one name counts, as for `getenv`.
    static var all: [String: String] {
        var variables: [String: String] = [:]
        var index = 0
        while let entry = unsafe sys_environment(index) {
            let text = unsafe String(cString: entry)
            let name = text.prefix { $0 != "=" }
            if name.utf8.count < text.utf8.count, variables[String(name)] == nil {
                variables[String(name)] = String(text.dropFirst(name.count + 1))
            }
            index += 1
        }
        return variables
    }
}
