// What the telemetry tests share.

import Bytes
import Foundation
import HTTP
import Telemetry

/// A directory of its own for one test, removed at the end.
final class Scratch {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("seaway-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    func path(_ name: String) -> String { url.appendingPathComponent(name).path }
    func read(_ name: String) throws -> Data { try Data(contentsOf: url.appendingPathComponent(name)) }
}

/// A header section from pairs of raw bytes.
func headers(_ fields: [(String, [UInt8])]) -> HeaderBlock {
    let block = HeaderBlock()
    block.reset(source: nil)
    for (name, value) in fields { name.withBytes { name in value.withBytes { block.add(name, $0) } } }
    return block
}

func headers(_ fields: [(String, String)]) -> HeaderBlock { headers(fields.map { ($0.0, Array($0.1.utf8)) }) }

/// Logs one record and gives back the line, without its end.
func line(
    _ format: AccessLog.Format, request: HeaderBlock? = nil, response: HeaderBlock? = nil,
    fill: (inout RequestRecord, (_ body: [UInt8]) -> Bytes) -> Void
) throws -> [UInt8] {
    let scratch = try Scratch()
    let log = try AccessLog(path: scratch.path("log"), format: format, lanes: 1)
    // Memory for the record's views, alive until the line is written.
    var held: [Buffer] = []
    var record = RequestRecord()
    fill(&record) { bytes in
        let buffer = Buffer(capacity: max(64, bytes.count))
        buffer.append(bytes)
        held.append(buffer)
        return buffer.readable
    }
    log.lanes[0].write(record, request: request, response: response)
    log.close()
    withExtendedLifetime(held) {}
    var data = [UInt8](try scratch.read("log"))
    precondition(data.popLast() == 0x0A)
    return data
}

/// The same for a stream session.
func streamLine(_ format: AccessLog.Format, _ record: StreamRecord) throws -> [UInt8] {
    let scratch = try Scratch()
    let log = try AccessLog(path: scratch.path("log"), format: format, lanes: 1)
    log.lanes[0].write(record)
    log.close()
    var data = [UInt8](try scratch.read("log"))
    precondition(data.popLast() == 0x0A)
    return data
}

/// The line as a JSON object, through a parser that is not ours.
func object(_ line: [UInt8]) throws -> [String: Any] {
    let value = try JSONSerialization.jsonObject(with: Data(line))
    guard let object = value as? [String: Any] else { throw NotAnObject() }
    return object
}

struct NotAnObject: Error {}

/// A small generator, so that a seed alone repeats a random test (SplitMix64).
struct Random {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func below(_ n: Int) -> Int { Int(next() % UInt64(n)) }
}

/// Runs a program on a file and gives back its exit status and everything it printed.
func run(_ program: String, _ arguments: [String], input: String) throws -> (status: Int32, output: String) {
    let scratch = try Scratch()
    try Data(input.utf8).write(to: scratch.url.appendingPathComponent("in"))
    try Data().write(to: scratch.url.appendingPathComponent("out"))
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [program] + arguments
    process.standardInput = FileHandle(forReadingAtPath: scratch.path("in"))
    let out = FileHandle(forWritingAtPath: scratch.path("out"))
    process.standardOutput = out
    process.standardError = out
    try process.run()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: try scratch.read("out"), as: UTF8.self))
}

/// Waits for a state that another thread reaches; false after ten seconds.
func eventually(_ condition: () -> Bool) -> Bool {
    let limit = Date(timeIntervalSinceNow: 10)
    while !condition() {
        if Date() > limit { return false }
        nap()
    }
    return true
}

/// Lets other threads run for a millisecond; nothing depends on it.
func nap() { usleep(1000) }

/// A named pipe, and its reading end opened without waiting.
func namedPipe(_ path: String) -> Int32 {
    guard unsafe mkfifo(path, 0o600) == 0 else { return -1 }
    return unsafe open(path, O_RDONLY | O_NONBLOCK)
}
