// The way from a worker's lane to the file.

import Foundation
import Telemetry
import Testing

@Suite struct AccessLogTests {
    private func text(_ n: Int, _ writer: inout LineWriter) {
        writer.append("line ")
        writer.append(decimal: n)
    }

    @Test("lanes under load: what is in the file and what was dropped is all that was produced, in order")
    func concurrentLoad() throws {
        let scratch = try Scratch()
        // Lanes of 4 KiB: full again and again.
        let log = try AccessLog(path: scratch.path("log"), format: .json, lanes: 4, laneBytes: 4096)
        let perLane = 50_000
        DispatchQueue.concurrentPerform(iterations: 4) { lane in
            for n in 0..<perLane {
                log.lanes[lane].append { writer in
                    writer.append(decimal: lane)
                    writer.append(0x20)
                    writer.append(decimal: n)
                    // Lengths that put line ends everywhere around the ring's end.
                    for _ in 0..<(n % 23) { writer.append(0x78) }
                }
                if n % 512 == 0 { nap() }  // Lets the writer run; the result holds without.
            }
        }
        log.close()
        var lines = 0
        var last = [Int](repeating: -1, count: 4)
        for line in String(decoding: try scratch.read("log"), as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: " ")
            let lane = try #require(Int(parts[0]))
            let digits = parts[1].prefix { $0.isNumber }
            let n = try #require(Int(digits))
            #expect(parts[1].count - digits.count == n % 23, "a torn line: \(line)")
            #expect(n > last[lane], "out of order")
            last[lane] = n
            lines += 1
        }
        let counts = log.counts
        #expect(counts.written == lines)
        #expect(counts.written + counts.full == 4 * perLane)
        #expect(counts.full > 0 && counts.written > 1000, "\(counts)")
        #expect(counts.failed == 0 && counts.tooLong == 0)
    }

    @Test("a lane that nobody empties drops and counts; the worker never waits")
    func blockedOutput() throws {
        let scratch = try Scratch()
        let fifo = scratch.path("fifo")
        let reader = namedPipe(fifo)
        #expect(reader >= 0)
        defer { close(reader) }
        let log = try AccessLog(path: fifo, format: .json, lanes: 1, laneBytes: 4096)
        for n in 0..<200_000 { log.lanes[0].append { text(n, &$0) } }
        log.close(timeoutMilliseconds: 50)
        let counts = log.counts
        #expect(counts.full > 0 && counts.failed > 0)
        #expect(counts.written + counts.dropped == 200_000)
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let n = unsafe read(reader, &bytes, bytes.count)
        let lines = bytes[0..<max(0, n)].split(separator: 0x0A, omittingEmptySubsequences: false)
        #expect(lines.count - 1 == counts.written, "whole lines in the pipe")
    }

    @Test("a line that waits reaches the file without another one pushing it")
    func idleLine() throws {
        let scratch = try Scratch()
        let log = try AccessLog(path: scratch.path("log"), format: .json, lanes: 2)
        defer { log.close() }
        for round in 1...20 {
            log.lanes[round & 1].append { text(round, &$0) }
            #expect(eventually { ((try? scratch.read("log"))?.filter { $0 == 0x0A }.count ?? 0) == round })
        }
    }

    @Test("after a rename and reopen, new lines go to the new file and none is lost")
    func reopen() throws {
        let scratch = try Scratch()
        let log = try AccessLog(path: scratch.path("log"), format: .json, lanes: 1)
        for n in 0..<100 { log.lanes[0].append { text(n, &$0) } }
        #expect(eventually { log.isDrained })
        try FileManager.default.moveItem(atPath: scratch.path("log"), toPath: scratch.path("log.1"))
        for n in 100..<150 { log.lanes[0].append { text(n, &$0) } }
        #expect(eventually { log.isDrained })
        log.reopen()
        #expect(eventually { log.counts.reopened == 1 })
        for n in 150..<200 { log.lanes[0].append { text(n, &$0) } }
        log.close()
        let before = String(decoding: try scratch.read("log.1"), as: UTF8.self)
        let after = String(decoding: try scratch.read("log"), as: UTF8.self)
        #expect(before == (0..<150).map { "line \($0)\n" }.joined())
        #expect(after == (150..<200).map { "line \($0)\n" }.joined())
        let mode = try FileManager.default.attributesOfItem(atPath: scratch.path("log"))[.posixPermissions] as? Int
        #expect(mode == 0o640 & ~Int(currentMask()))
    }

    private func currentMask() -> mode_t {
        let mask = umask(0)
        umask(mask)
        return mask
    }

    @Test("a reopening that fails keeps the old file and says so")
    func reopenFails() throws {
        let scratch = try Scratch()
        try FileManager.default.createDirectory(atPath: scratch.path("logs"), withIntermediateDirectories: true)
        let log = try AccessLog(path: scratch.path("logs/log"), format: .json, lanes: 1)
        try FileManager.default.moveItem(atPath: scratch.path("logs"), toPath: scratch.path("moved"))
        log.reopen()
        #expect(eventually { log.counts.reopenFailed == 1 })
        log.lanes[0].append { text(1, &$0) }
        log.close()
        #expect(try scratch.read("moved/log") == Data("line 1\n".utf8))
        #expect(log.lastErrorText == "No such file or directory")
    }

    @Test("a full disk loses lines, counts them, and nothing else happens")
    func diskFull() throws {
        let log = try AccessLog(path: "/dev/full", format: .json, lanes: 1)
        for n in 0..<1000 { log.lanes[0].append { text(n, &$0) } }
        log.close()
        #expect(log.counts.failed == 1000 && log.counts.written == 0)
        #expect(log.lastErrorText == "No space left on device")
    }

    @Test("a closed pipe loses lines, counts them, and sends no signal")
    func closedPipe() throws {
        let scratch = try Scratch()
        let fifo = scratch.path("fifo")
        let reader = namedPipe(fifo)
        #expect(reader >= 0)
        let log = try AccessLog(path: fifo, format: .json, lanes: 1)
        log.lanes[0].append { text(0, &$0) }
        #expect(eventually { log.isDrained })
        close(reader)
        for n in 1..<10 { log.lanes[0].append { text(n, &$0) } }
        log.close()
        #expect(log.counts.written == 1 && log.counts.failed == 9)
        #expect(log.lastErrorText == "Broken pipe")
    }

    @Test("a file that cannot be opened is an error that names it")
    func cannotOpen() throws {
        let error = #expect(throws: AccessLogError.self) {
            try AccessLog(path: "/nonexistent/dir/log", format: .json, lanes: 1)
        }
        #expect(error?.description.contains("/nonexistent/dir/log: No such file or directory") == true)
    }

    @Test("a line of a quarter of the lane is taken, one byte more is not")
    func longestLine() throws {
        let scratch = try Scratch()
        let log = try AccessLog(path: scratch.path("log"), format: .json, lanes: 1, laneBytes: 4096)
        func append(_ n: Int) -> AccessLog.Lane.Outcome {
            log.lanes[0].append { writer in for _ in 0..<n { writer.append(0x61) } }
        }
        #expect(append(1023) == .accepted)
        #expect(append(1024) == .tooLong)
        log.close()
        #expect(try scratch.read("log").count == 1024)
    }

    @Test("closing twice is harmless")
    func closeTwice() throws {
        let scratch = try Scratch()
        let log = try AccessLog(path: scratch.path("log"), format: .json, lanes: 1)
        log.lanes[0].append { text(7, &$0) }
        log.close()
        log.close()
        #expect(try scratch.read("log") == Data("line 7\n".utf8))
    }
}
