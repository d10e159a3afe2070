// Control frames: whatever the pieces, the same messages; whatever the bytes, no trap.

import Bytes
import CLinux
import Snapshot
import Testing

private let sockets = [
    ListenSocket(role: .gateway, address: "127.0.0.1", port: 8000, worker: 0),
    ListenSocket(role: .gateway, address: "::1", port: 8443, tls: true, worker: 1),
    ListenSocket(role: .status, address: "127.0.0.1", port: 8007),
]

private let aJoin: Join = {
    var join = Join()
    join.revision = 3
    join.base = [1, 2, 3]
    join.controlPlanes = ["https://cp1:5678", "https://[::1]:5678"]
    join.token = "seaway1.x.00"
    join.labels = ["cloud=aws", "zone=eu"]
    join.name = "edge-1"
    join.fallback = "file:///var/lib/seaway.snapshot"
    return join
}()

private let frames: [ControlFrame] = [
    ControlFrame(
        .hello(Hello(pid: 42, version: "0.1.0", workers: 2, revision: 7, sockets: sockets)), descriptors: [3, 4, 5]),
    ControlFrame(.applied(revision: .max)),
    ControlFrame(.rejected(revision: 8, reason: "listener 0 has no certificate")),
    ControlFrame(.drained),
    ControlFrame(.listen(sockets), descriptors: [6, 7, 8]),
    ControlFrame(.listen([])),
    ControlFrame(.apply(revision: 9, snapshot: Array(repeating: 0xA5, count: 70_000))),
    ControlFrame(.apply(revision: 0, snapshot: [])),
    ControlFrame(.drain(timeout: 30_000, idle: 250)),
    ControlFrame(.reopenLogs),
    ControlFrame(.join(aJoin)),
    ControlFrame(.feed(FeedNews(.rejected, revision: 41, "route \"users\": no"))),
    ControlFrame(.command(.upgrade)),
    ControlFrame(.report(succeeded: false, text: "line 3: no")),
]

private func feed(_ decoder: inout ControlDecoder, _ bytes: [UInt8], _ descriptors: [Int32] = []) {
    bytes.withBytes { decoder.received($0, descriptors: descriptors) }
}

@Suite("Control frames")
struct ControlFrameTests {
    @Test("every message comes out as it went in", arguments: frames.indices)
    func roundTrip(index: Int) throws {
        let frame = frames[index]
        var decoder = ControlDecoder()
        feed(&decoder, frame.bytes, frame.descriptors)
        #expect(try decoder.next() == frame)
        #expect(try decoder.next() == nil)
        #expect(decoder.abandon().isEmpty)
    }

    @Test("frames cut into random pieces decode to the same messages, with their descriptors")
    func pieces() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SplitMix(state: seed)
        for round in 0..<50 {
            var decoder = ControlDecoder()
            var got: [ControlFrame] = []
            for frame in frames {
                var rest = frame.bytes[...]
                var descriptors = frame.descriptors
                while !rest.isEmpty {
                    let n = Int.random(in: 1...max(1, rest.count / 2), using: &random)
                    feed(&decoder, Array(rest.prefix(n)), descriptors)
                    descriptors = []
                    rest = rest.dropFirst(n)
                    if Bool.random(using: &random), let next = try decoder.next() { got.append(next) }
                }
            }
            while let next = try decoder.next() { got.append(next) }
            #expect(got == frames, "seed \(seed), round \(round)")
        }
    }

    @Test("a length at the limit is waited for and one more is refused")
    func lengthLimit() throws {
        var atLimit = ControlDecoder()
        feed(&atLimit, [0x10, 0, 0, 0, 0])
        #expect(ControlLimits.payload == 0x1000_0000)
        #expect(try atLimit.next() == nil)
        var over = ControlDecoder()
        feed(&over, [0x10, 0, 0, 1, 0])
        #expect(throws: ControlError.tooLong(0x1000_0001)) { try over.next() }
    }

    @Test("a frame whose descriptors did not come, or came for no reason, is refused")
    func descriptorCount() {
        var missing = ControlDecoder()
        feed(&missing, frames[0].bytes, [3, 4])
        #expect(throws: ControlError.badDescriptors) { try missing.next() }
        #expect(missing.abandon() == [3, 4])

        var unasked = ControlDecoder()
        var bytes = ControlFrame(.drained).bytes
        bytes[4] = 1
        feed(&unasked, bytes, [9])
        #expect(throws: ControlError.badDescriptors) { try unasked.next() }
        #expect(unasked.abandon() == [9])

        var flood = ControlDecoder()
        feed(&flood, [], Array(repeating: 5, count: 2 * ControlLimits.descriptors + 1))
        #expect(throws: ControlError.badDescriptors) { try flood.next() }
    }

    @Test("a message of a kind from a later version is passed over")
    func unknownKind() throws {
        var later = WireWriter()
        later.put(99, "hello")
        var bytes: [UInt8] = [0, 0, 0, UInt8(later.bytes.count), 0]
        bytes += later.bytes
        var decoder = ControlDecoder()
        feed(&decoder, bytes + ControlFrame(.drained).bytes)
        #expect(try decoder.next() == ControlFrame(.drained))
    }

    @Test("random and damaged bytes end in an error or a message, never in a trap")
    func damage() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SplitMix(state: seed)
        var refused = 0
        for _ in 0..<3000 {
            guard let frame = frames.randomElement(using: &random) else { return }
            var bytes = Array(frame.bytes.prefix(400))
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            bytes[0] = 0
            var decoder = ControlDecoder()
            feed(&decoder, bytes, frame.descriptors)
            do {
                while try decoder.next() != nil {}
            } catch {
                refused += 1
            }
        }
        #expect(refused > 100, "seed \(seed)")
    }
}

@Suite("Control sockets")
struct ControlLinkTests {
    /// Both ends of a socket in a directory of their own, whose name is longer than sun_path allows.
    private func pair() throws -> (ControlLink, ControlLink, String) {
        let directory =
            "/tmp/seaway-control-\(getpid())-\(UInt32.random(in: 0 ... .max))" + String(repeating: "x", count: 90)
        #expect(unsafe mkdir(directory, 0o700) == 0)
        let path = directory + "/control.sock"
        let listener = try ControlSocket.listen(at: path)
        let client = try ControlSocket.connect(to: path)
        var address = sockaddr_storage()
        let accepted = unsafe sys_accept(listener, &address)
        #expect(accepted >= 0)
        _ = sys_close(listener)
        return (client, ControlLink(owning: accepted), directory)
    }

    private func remove(_ directory: String) {
        _ = unsafe unlink(directory + "/control.sock")
        _ = unsafe rmdir(directory)
    }

    private func wait(_ link: ControlLink, _ events: Int32) {
        var entry = pollfd(fd: link.descriptor, events: Int16(events), revents: 0)
        _ = unsafe poll(&entry, 1, 5000)
    }

    @Test("a descriptor that travels in a frame is the same open file at the other end")
    func descriptors() throws {
        let (client, server, directory) = try pair()
        defer { remove(directory) }
        #expect(server.peer.pid == Int(getpid()))
        #expect(server.peer.user == getuid())
        let event = sys_eventfd()
        defer { _ = sys_close(event) }
        client.send(.reopenLogs)
        client.send(.listen([ListenSocket(role: .status, address: "::1", port: 1)]), descriptors: [event])
        wait(server, POLLIN)
        let got = try server.receive()
        #expect(got.map(\.message) == [.reopenLogs, .listen([ListenSocket(role: .status, address: "::1", port: 1)])])
        let passed = try #require(got.last?.descriptors.first)
        _ = sys_eventfd_signal(passed)
        #expect(sys_eventfd_drain(event) == 1)
        _ = sys_close(passed)
    }

    @Test("a snapshot larger than the socket's buffers arrives whole, and a close is told")
    func large() throws {
        let (client, server, directory) = try pair()
        defer { remove(directory) }
        var snapshot = [UInt8](repeating: 0, count: 3_000_000)
        for index in snapshot.indices { snapshot[index] = UInt8(truncatingIfNeeded: index &* 31) }
        client.send(.apply(revision: 3, snapshot: snapshot))
        #expect(client.wantsWrite)
        var got: [ControlFrame] = []
        for _ in 0..<100_000 where got.isEmpty {
            got = try server.receive()
            client.flush()
        }
        #expect(got == [ControlFrame(.apply(revision: 3, snapshot: snapshot))])
        #expect(!client.wantsWrite)
        client.send(.drained)
        client.close()
        wait(server, POLLIN)
        #expect(try server.receive() == [ControlFrame(.drained)])
        #expect(throws: ControlError.closed(0)) { try server.receive() }
    }

    @Test("the socket can be reached by its owner only")
    func mode() throws {
        let (_, _, directory) = try pair()
        defer { remove(directory) }
        var info = stat()
        #expect(unsafe lstat(directory + "/control.sock", &info) == 0)
        #expect(info.st_mode & 0o777 == 0o600)
    }
}

/// A small generator whose state is its seed.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
