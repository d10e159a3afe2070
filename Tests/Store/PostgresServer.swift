// A PostgreSQL of the tests' own: made, started and stopped here, on a socket in a directory of its own.

import Foundation
import Glibc
import Store
import Synchronization

/// One server. It ends with the test process, however that ends: its keeper waits for the end of its input.
final class PostgresServer: Sendable {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// For all tests that do not stop it.
    static let shared = Task { try PostgresServer() }

    let directory: URL
    let port: UInt16
    private let programs: String
    private let keeper = Mutex<(process: Process, input: Pipe)?>(nil)

    /// Makes a database cluster and starts a server on it.
    init() throws {
        programs = try Self.findPrograms()
        directory = FileManager.default.temporaryDirectory.appendingPathComponent(
            "seaway-pg-\(UUID().uuidString.prefix(8))")
        port = Self.freePort()
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
        // A test beside this one may have narrowed the process's umask for a moment.
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: directory.path)
        if geteuid() == 0 {
            guard let user = unsafe getpwnam(Self.user) else { throw Failure(description: "no user \(Self.user)") }
            guard unsafe chown(directory.path, user.pointee.pw_uid, user.pointee.pw_gid) == 0 else {
                throw Failure(description: "\(directory.path) cannot be given to \(Self.user)")
            }
        }
        try run(
            "\(programs)/initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--no-locale")
        try start()
    }

    deinit {
        stop()
        try? FileManager.default.removeItem(at: directory)
    }

    private var data: String { directory.appendingPathComponent("data").path }

    /// PostgreSQL refuses to run as root.
    private static let user = unsafe getpwnam("postgres") == nil ? "nobody" : "postgres"

    func start() throws {
        let hasKey = FileManager.default.fileExists(atPath: data + "/server.key")
        // Foundation takes a process for running while anything that it started has the descriptors it was given.
        let closing = #"for n in $(ls /proc/self/fd); do [ "$n" -gt 2 ] && eval "exec $n>&-"; done; exec "$@""#
        try run(
            "bash", "-c", closing, "start", "\(programs)/pg_ctl", "start", "-w", "-s", "-D", data, "-l",
            directory.appendingPathComponent("log").path,
            "-o",
            "-k \(directory.path) -c listen_addresses=127.0.0.1 -c port=\(port) -c max_connections=60 -c fsync=off"
                + (hasKey ? " -c ssl=on" : ""))
        let process = Process()
        let input = Pipe()
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments =
            ["-c", #"read -r word; "$@"; [ "$word" = keep ] || rm -rf "$PWD""#, "keeper"] + Self.asUser
            + ["\(programs)/pg_ctl", "stop", "-w", "-s", "-m", "fast", "-D", data]
        process.standardInput = input
        process.currentDirectoryURL = directory
        try process.run()
        keeper.withLock { $0 = (process, input) }
    }

    /// Connections are cut, transactions under way rolled back.
    func stop() {
        let running = keeper.withLock { keeper in
            defer { keeper = nil }
            return keeper
        }
        guard let running else { return }
        try? running.input.fileHandleForWriting.write(contentsOf: Data("keep\n".utf8))
        try? running.input.fileHandleForWriting.close()
        running.process.waitUntilExit()
    }

    /// A new, empty database; its address on the server's own socket.
    func makeDatabase() throws -> String {
        let name = "t" + UUID().uuidString.lowercased().filter { $0 != "-" }
        try sql("CREATE DATABASE \(name)", database: "postgres")
        return address(name)
    }

    func address(_ database: String) -> String {
        let path = directory.path.replacingOccurrences(of: "/", with: "%2F")
        return "postgres://postgres@\(path):\(port)/\(database)"
    }

    /// What `psql` prints for statements.
    @discardableResult
    func sql(_ statements: String, database: String) throws -> String {
        try run(
            "\(programs)/psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", directory.path, "-p", "\(port)",
            "-U", "postgres", "-d", database, "-c", statements)
    }

    /// Makes a key and a self-signed certificate for 127.0.0.1, and speaks TLS from the next start on.
    func makeCertificate() throws -> String {
        try run(
            "/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", "\(data)/server.key", "-out", "\(data)/server.crt", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=IP:127.0.0.1")
        return "\(data)/server.crt"
    }

    private static var asUser: [String] {
        geteuid() == 0 ? ["setpriv", "--reuid=\(user)", "--regid=\(user)", "--clear-groups"] : []
    }

    @discardableResult
    private func run(_ command: String...) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = Self.asUser + command
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        process.currentDirectoryURL = directory
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(description: "\(command.joined(separator: " ")): \(text)")
        }
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Debian keeps the server's programs off the path.
    private static func findPrograms() throws -> String {
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib/postgresql")) ?? []
        let places =
            versions.sorted { $0.localizedStandardCompare($1) == .orderedDescending }
            .map { "/usr/lib/postgresql/\($0)/bin" }
            + (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        guard let place = places.first(where: { FileManager.default.isExecutableFile(atPath: "\($0)/initdb") }) else {
            throw Failure(description: "There is no PostgreSQL here: run scripts/deps.sh all.")
        }
        return place
    }

    private static func freePort() -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = UInt16(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        return unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                _ = unsafe bind(descriptor, raw, length)
                _ = unsafe getsockname(descriptor, raw, &length)
            }
            return unsafe UInt16(bigEndian: pointer.pointee.sin_port)
        }
    }
}
