// A running `seaway gateway run` and what tests do to it.

import Bytes
import CLinux
import Testing

/// Paths of the real programs: they stand beside the test bundle.
enum Programs {
    static let directory: String = {
        var target = [CChar](repeating: 0, count: 4096)
        let n = unsafe readlink("/proc/self/exe", &target, target.count)
        let own = String(decoding: target[..<max(0, n)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // The bundle may run inside a helper of the toolchain: then the build directory is an argument.
        let candidates = [own] + CommandLine.arguments
        for path in candidates {
            let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
            if unsafe access(folder + "/seaway", X_OK) == 0 { return folder }
        }
        return ".build/debug"
    }()

    static var seaway: String { directory + "/seaway" }
    static var proxy: String { directory + "/seaway-proxy" }
    static var double: String { beside("double_proxy.py") }

    /// A script of this directory.
    static func beside(_ name: String) -> String {
        #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/") + "/" + name
    }
}

struct TestFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// Waits for `condition`, at most `seconds`; the condition is asked again and again, so nothing is
/// assumed about how long something takes.
func eventually(_ what: String, seconds: Double = 20, _ condition: () throws -> Bool) throws {
    let end = sys_monotonic_nanoseconds() + Int64(seconds * 1e9)
    while sys_monotonic_nanoseconds() < end {
        if try condition() { return }
        _ = sys_poll_many(0, 0, 2)
    }
    throw TestFailure("not in time: \(what)")
}

/// A program that was started, with its output in files.
final class Program {
    let pid: Int32
    let out: String
    let err: String
    private(set) var status: Int32 = -1

    init(_ arguments: [String], in directory: String, name: String) throws {
        out = directory + "/\(name).out"
        err = directory + "/\(name).err"
        // A shell redirects and is replaced: the process id is the program's.
        let line = arguments.map {
            "'" + $0.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
        }
        let script = "exec \(line.joined(separator: " ")) >'\(out)' 2>'\(err)'"
        let words = ["/bin/sh", "-c", script]
        var pointers: [UnsafeMutablePointer<CChar>?] = unsafe words.map { unsafe strdup($0) }
        unsafe pointers.append(nil)
        defer { while let pointer = unsafe pointers.popLast() { unsafe free(pointer) } }
        let null = unsafe sys_open("/dev/null", O_RDONLY | O_CLOEXEC, 0)
        defer { _ = sys_close(null) }
        pid = unsafe sys_spawn("/bin/sh", &pointers, null)
        if pid <= 0 { throw TestFailure("cannot start \(arguments)") }
    }

    deinit {
        if !hasEnded {
            _ = kill(pid, SIGKILL)
            var status: Int32 = 0
            _ = unsafe waitpid(pid, &status, 0)
        }
    }

    var hasEnded: Bool {
        if status < 0 { status = sys_reap(pid) }
        return status >= 0
    }

    /// Its exit code once it has ended; 128 + n when signal n ended it.
    func exitCode() throws -> Int32 {
        try eventually("the end of process \(pid)") { hasEnded }
        return status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F
    }

    func signal(_ number: Int32) { _ = kill(pid, number) }
    var talk: String { readText(err) }
}

func readText(_ path: String) -> String {
    let descriptor = unsafe sys_open(path, O_RDONLY | O_CLOEXEC, 0)
    guard descriptor >= 0 else { return "" }
    defer { _ = sys_close(descriptor) }
    let buffer = Buffer(capacity: 1 << 20)
    while buffer.appendFrom(limit: buffer.free, { Int(sys_read(descriptor, $0, $1)) }) > 0 { buffer.reserve(1 << 16) }
    return buffer.readable.string
}

func writeText(_ path: String, _ text: String) {
    let descriptor = unsafe sys_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    _ = Array(text.utf8).withBytes { sys_write(descriptor, $0.address, $0.count) }
    _ = sys_close(descriptor)
}

/// A gateway in a directory of its own. Ends with everything that it started.
final class GatewayUnderTest {
    let directory: String
    let proxy: String
    private(set) var supervisor: Program
    private var generation = 0
    private let arguments: [String]
    private var pids: Set<Int32> = []

    var state: String { directory + "/state" }
    var config: String { directory + "/config/kong.yml" }

    static let empty = "_format_version: \"3.0\"\n"

    /// - Parameter prepare: gets the directory, and may return another configuration file to use.
    init(
        _ extra: [String] = [], proxy: String = Programs.double, behaviour: String? = nil, config text: String = empty,
        prepare: (String) -> String? = { _ in nil }
    ) throws {
        var template = Array("/tmp/seaway-test-XXXXXX".utf8CString)
        _ = unsafe mkdtemp(&template)
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        self.proxy = proxy
        _ = unsafe mkdir(directory + "/config", 0o700)
        _ = unsafe mkdir(directory + "/state", 0o700)
        writeText(directory + "/config/kong.yml", text)
        if let behaviour { writeText(directory + "/state/double", behaviour) }
        let config = prepare(directory) ?? directory + "/config/kong.yml"
        arguments =
            [
                Programs.seaway, "gateway", "run", "--config", config, "--http", "127.0.0.1:0",
                "--https", "off", "--status", "127.0.0.1:0", "--state-dir", directory + "/state", "--proxy", proxy,
                "--workers", "2", "--drain-timeout", "10s",
            ] + extra.map { [directory] in $0.replacing("DIRECTORY", with: directory) }
        supervisor = try Program(arguments, in: directory, name: "supervisor-0")
    }

    /// Another supervisor on the same state, as after a crash of the first.
    func startSupervisor(_ extra: [String] = []) throws {
        generation += 1
        supervisor = try Program(arguments + extra, in: directory, name: "supervisor-\(generation)")
    }

    /// What `run` prints, once it serves.
    func banner() throws -> String {
        try eventually("the banner; so far: \(supervisor.talk)") {
            supervisor.talk.contains("Ctrl-C") || supervisor.hasEnded
        }
        return supervisor.talk
    }

    func port(of place: String = "http://127.0.0.1:") throws -> Int {
        let text = try banner()
        guard let range = text.firstRange(of: place) else { throw TestFailure("no port in: \(text)") }
        guard let port = Int(text[range.upperBound...].prefix { $0.isNumber }) else {
            throw TestFailure("no port in: \(text)")
        }
        return port
    }

    func waitFor(_ words: String, times: Int = 1) throws {
        try eventually("\"\(words)\" in: \(supervisor.talk)") { supervisor.talk.ranges(of: words).count >= times }
    }

    /// The process that serves, as the supervisor's story tells it.
    func servingProcess() throws -> Int32 {
        let text = try banner()
        var found: (at: String.Index, pid: Int32)?
        for words in ["proxy process ", "seaway: proxy "] {
            for range in text.ranges(of: words) {
                let rest = text[range.upperBound...]
                let digits = rest.prefix { $0.isNumber }
                let isServing =
                    words == "proxy process "
                    || [" serves", " replaces"].contains { rest.dropFirst(digits.count).hasPrefix($0) }
                guard isServing, let pid = Int32(digits), found.map({ range.lowerBound > $0.at }) ?? true else {
                    continue
                }
                found = (range.lowerBound, pid)
            }
        }
        return try #require(found?.pid)
    }

    /// One request; the double's answer: which process, which revision.
    func ask(_ port: Int) throws -> (pid: Int32, revision: Int) {
        let body = try Self.get(port)
        let parts = body.split(separator: " ").compactMap { Int($0.filter(\.isNumber)) }
        guard parts.count == 2 else { throw TestFailure("odd answer: \(body)") }
        pids.insert(Int32(clamping: parts[0]))
        return (Int32(clamping: parts[0]), parts[1])
    }

    /// One datagram; the double's answer, as above.
    func askDatagram(_ port: Int) throws -> (pid: Int32, revision: Int) {
        let socket = sys_socket(AF_INET, Int32(SOCK_DGRAM.rawValue))
        defer { _ = sys_close(socket) }
        var address = sockaddr_storage()
        let length = unsafe sys_make_address4(&address, 0x7F00_0001, UInt16(port))
        guard unsafe sys_connect(socket, &address, length) == 0 else { throw TestFailure("connect: \(sys_errno())") }
        _ = [UInt8(1)].withBytes { sys_send(socket, $0.address, $0.count) }
        var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        _ = unsafe poll(&entry, 1, 20_000)
        let buffer = Buffer(capacity: 64)
        let n = buffer.appendFrom(limit: 64) { Int(sys_recv(socket, $0, $1)) }
        let parts = buffer.readable.string.split(separator: " ").compactMap { Int($0.filter(\.isNumber)) }
        guard n > 0, parts.count == 2 else { throw TestFailure("no answer: \(sys_errno())") }
        return (Int32(clamping: parts[0]), parts[1])
    }

    /// The body of GET /, over a new connection; an error if it is refused, reset or empty.
    static func get(_ port: Int, path: String = "/") throws -> String {
        try Connection(port).get(path, close: true).body
    }

    deinit {
        supervisor.signal(SIGTERM)
        supervisor.signal(SIGTERM)
        _ = try? supervisor.exitCode()
        for pid in pids { _ = kill(pid, SIGKILL) }
        let remover = try? Program(["/bin/rm", "-rf", directory], in: "/tmp", name: "seaway-test-remove-\(getpid())")
        _ = try? remover?.exitCode()
    }
}

/// One client connection.
final class Connection {
    private let socket: Int32
    private let buffer = Buffer()

    init(_ port: Int) throws {
        socket = sys_socket(AF_INET, Int32(SOCK_STREAM.rawValue))
        var address = sockaddr_storage()
        let length = unsafe sys_make_address4(&address, 0x7F00_0001, UInt16(port))
        if unsafe sys_connect(socket, &address, length) != 0, sys_errno() != EINPROGRESS {
            throw TestFailure("connect: \(sys_errno())")
        }
        wait(POLLOUT)
        let error = sys_socket_error(socket)
        if error != 0 { throw TestFailure("refused: \(error)") }
    }

    deinit { _ = sys_close(socket) }

    private func wait(_ events: Int32) {
        var entry = pollfd(fd: socket, events: Int16(events), revents: 0)
        _ = unsafe poll(&entry, 1, 20_000)
    }

    /// One exchange; its answer must have a Content-Length. `isLast`: the server closes afterwards.
    func get(_ path: String, close: Bool) throws -> (body: String, isLast: Bool) {
        let answer = try exchange(
            "GET \(path) HTTP/1.1\r\nHost: localhost\r\n\(close ? "Connection: close\r\n" : "")\r\n")
        return (answer.body, answer.head.lowercased().contains("connection: close"))
    }

    /// Sends the bytes of a request; the whole answer.
    func exchange(_ request: String) throws -> (status: Int, head: String, body: String) {
        let request = Array(request.utf8)
        guard request.withBytes({ sys_send(socket, $0.address, $0.count) }) == request.count else {
            throw TestFailure("send: \(sys_errno())")
        }
        buffer.clear()
        while true {
            let text = buffer.readable.string
            if let end = text.firstRange(of: "\r\n\r\n") {
                let head = String(text[..<end.lowerBound])
                let body = text[end.upperBound...]
                let lower = head.lowercased()
                guard let field = lower.firstRange(of: "content-length: "),
                    let length = Int(lower[field.upperBound...].prefix { $0.isNumber }),
                    let status = Int(head.dropFirst(9).prefix(3))
                else { throw TestFailure("no length: \(text)") }
                if body.utf8.count >= length { return (status, head, String(body)) }
            }
            wait(POLLIN)
            buffer.reserve(4096)
            let n = buffer.appendFrom(limit: 4096) { Int(sys_recv(socket, $0, $1)) }
            if n == 0 { throw TestFailure("closed after \(buffer.count) bytes") }
            if n < 0 { throw TestFailure("reset: \(sys_errno())") }
        }
    }
}

/// Keeps asking from a thread of its own, over new connections or a kept one, and remembers what failed.
final class Load: @unchecked Sendable {  // The arrays are read after the thread has ended.
    private let port: Int
    private let keepsConnection: Bool
    private let stop = sys_eventfd()
    private let ended = sys_eventfd()
    private(set) var answers = 0
    private(set) var failures: [String] = []

    init(_ port: Int, keepsConnection: Bool = false) {
        self.port = port
        self.keepsConnection = keepsConnection
        var thread = pthread_t()
        let retained = unsafe Unmanaged.passRetained(self)
        _ = unsafe pthread_create(
            &thread, nil,
            { raw in
                if let raw = unsafe raw { unsafe Unmanaged<Load>.fromOpaque(raw).takeRetainedValue().work() }
                return nil
            }, retained.toOpaque())
        _ = pthread_detach(thread)
    }

    private func work() {
        var connection: Connection?
        while sys_eventfd_drain(stop) == 0 {
            do {
                let open = try connection ?? Connection(port)
                let (_, isLast) = try open.get("/", close: !keepsConnection)
                connection = isLast ? nil : open
                answers += 1
            } catch {
                connection = nil
                failures.append("\(error)")
            }
        }
        _ = sys_eventfd_signal(ended)
    }

    /// Ends the load; how many answers came, and what failed.
    func finish() -> (answers: Int, failures: [String]) {
        _ = sys_eventfd_signal(stop)
        var entry = pollfd(fd: ended, events: Int16(POLLIN), revents: 0)
        _ = unsafe poll(&entry, 1, 30_000)
        return (answers, failures)
    }
}
