// Active checks: when probes are due, what they say, and real probes against real servers.

import Bytes
import CLinux
import Snapshot
import Testing

@testable import Engine
@testable import Proxy

@Suite struct ProbePlanTests {
    private func policy(healthy: Double, unhealthy: Double) -> HealthPolicy {
        var checks = HealthChecks()
        checks.activeHealthy.interval = healthy
        checks.activeUnhealthy.interval = unhealthy
        return HealthPolicy(checks)
    }

    private let cluster = ID(low: 1)

    @Test("an endpoint is probed at its state's interval, give or take a tenth")
    func intervals() {
        var plan = ProbePlan()
        plan.set(cluster, cells: [0, 1], policy: policy(healthy: 10, unhealthy: 2), concurrency: 10, now: 0)
        let isAvailable = { (cell: Int32) in cell == 0 }
        #expect(plan.due(now: Int64(1.7e9), isAvailable: isAvailable).isEmpty)
        #expect(plan.due(now: Int64(2.3e9), isAvailable: isAvailable).map(\.cell) == [1])
        // A running probe is not started again.
        #expect(plan.due(now: Int64(8e9), isAvailable: isAvailable).isEmpty)
        plan.finished(.init(cluster: cluster, cell: 1))
        #expect(plan.due(now: Int64(11.1e9), isAvailable: isAvailable).map(\.cell).sorted() == [0, 1])
    }

    @Test("an interval of 0 probes nothing in that state, and a plan without intervals is empty")
    func off() {
        var plan = ProbePlan()
        plan.set(cluster, cells: [0], policy: policy(healthy: 0, unhealthy: 1), concurrency: 10, now: 0)
        #expect(plan.due(now: 100 * second, isAvailable: { _ in true }).isEmpty)
        #expect(plan.due(now: 100 * second, isAvailable: { _ in false }).count == 1)
        plan.set(cluster, cells: [0], policy: policy(healthy: 0, unhealthy: 0), concurrency: 10, now: 0)
        #expect(plan.isEmpty)
        #expect(plan.runningCount == 0)
        #expect(plan.deadline(now: 0, isAvailable: { _ in true }) == .max)
    }

    @Test("no more than the cluster's concurrency run at once, and everyone gets a turn")
    func concurrency() {
        var plan = ProbePlan()
        plan.set(cluster, cells: Array(0..<7), policy: policy(healthy: 1, unhealthy: 1), concurrency: 3, now: 0)
        var seen: Set<Int32> = []
        for turn in 1...3 {
            let probes = plan.due(now: Int64(turn) * 2 * second, isAvailable: { _ in true })
            #expect(probes.count == 3)
            seen.formUnion(probes.map(\.cell))
            for probe in probes { plan.finished(probe) }
        }
        #expect(seen.count == 7)
    }

    @Test("a change of endpoints keeps the time of those that stay and forgets running ones that went")
    func change() {
        var plan = ProbePlan()
        let policy = policy(healthy: 1, unhealthy: 1)
        plan.set(cluster, cells: [0, 1], policy: policy, concurrency: 10, now: 0)
        #expect(plan.due(now: 2 * second, isAvailable: { _ in true }).count == 2)
        plan.set(cluster, cells: [1, 2], policy: policy, concurrency: 10, now: 2 * second)
        #expect(plan.runningCount == 1)
        plan.finished(.init(cluster: cluster, cell: 0))
        #expect(plan.runningCount == 1)
        plan.finished(.init(cluster: cluster, cell: 1))
        #expect(plan.runningCount == 0)
        #expect(plan.due(now: 4 * second, isAvailable: { _ in true }).map(\.cell).sorted() == [1, 2])
    }

    @Test("gRPC probes are not faked with something else: such a cluster has none")
    func grpc() {
        var checks = HealthChecks()
        checks.activeKind = .grpc
        checks.activeHealthy.interval = 1
        #expect(!HealthPolicy(checks).isOn)
    }
}

@Suite struct ProbeMessageTests {
    @Test("a request has Host, the configured headers and Connection: close")
    func request() {
        let out = Buffer(capacity: 64)
        ProbeMessage.request(
            path: "/status?x=1", host: Array("api.test".utf8),
            headers: [
                HeaderRule(name: "x-probe", values: ["a", "b"]), HeaderRule(name: "User-Agent", values: ["me"]),
            ], into: out)
        #expect(
            out.readable.string
                == "GET /status?x=1 HTTP/1.1\r\nHost: api.test\r\nx-probe: a\r\nx-probe: b\r\nUser-Agent: me\r\nConnection: close\r\n\r\n"
        )
    }

    @Test("nothing in a configuration can add a line")
    func injection() {
        let out = Buffer(capacity: 64)
        ProbeMessage.request(
            path: "/a\r\nX: y", host: Array("h".utf8),
            headers: [HeaderRule(name: "bad name", values: ["a"]), HeaderRule(name: "x", values: ["a\r\nY: z"])],
            into: out)
        #expect(
            out.readable.string == "GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: seaway-probe\r\nConnection: close\r\n\r\n")
    }

    @Test(
        "the status of an answer",
        arguments: [
            ("HTTP/1.1 200 OK\r\n", 200), ("HTTP/1.0 503\r\n", 503), ("HTTP/1.1  404 Not Found\n", 404),
            ("HTTP/1.1 200 OK", nil),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n", 204),
            ("HTTP/1.1 103 Early\r\nLink: x\r\n", nil),
            ("HTTP/1.1 101 Switching\r\n", 101), ("SSH-2.0-OpenSSH\r\n", 0), ("HTTP/1.1 2000 x\r\n", 0),
            ("HTTP/1.1 99 x\r\n", 0),
            ("HTTP/x.1 200 OK\r\n", 0), ("\r\n", 0), ("", nil), ("HTTP/1.1 abc\r\n", 0),
        ] as [(String, Int?)])
    func status(_ answer: String, _ expected: Int?) {
        #expect(answer.withBytes { ProbeMessage.status($0, isComplete: false) } == expected)
        if expected == nil { #expect(answer.withBytes { ProbeMessage.status($0, isComplete: true) } == 0) }
    }

    @Test("an endless answer without a status ends")
    func endless() {
        let junk = [UInt8](repeating: 0x41, count: ProbeMessage.answerMax)
        #expect(junk.withBytes { ProbeMessage.status($0, isComplete: false) } == 0)
    }
}

/// A TCP server on the test's loop that answers every connection with `answer` (nil: says nothing).
private final class ProbeServer: EventHandler {
    var answer: String?
    var tls: TLSServer?
    private(set) var requests: [String] = []
    let address: SocketAddress
    private let loop: EventLoop
    private var connections: [Connection] = []

    init(_ loop: EventLoop, answer: String?) throws {
        self.loop = loop
        self.answer = answer
        let socket = try Socket.listen(SocketAddress(IPAddress(v4: 0x7F00_0001), port: 0))
        address = try #require(Socket.localAddress(socket))
        super.init()
        try #require(loop.add(self, descriptor: socket, events: .readable, edgeTriggered: false))
    }

    func stop() {
        loop.close(self)
        for connection in connections { connection.closeStream() }
        connections = []
    }

    override func ready(_ events: Readiness) {
        while let (socket, _) = Socket.accept(descriptor) {
            let connection = Connection(loop: loop, buffers: BufferPool(limit: 4))
            connection.server = self
            connections.append(connection)
            _ = connection.attach(socket)
            connection.tls = tls?.session(socket)
        }
    }

    private final class Connection: StreamConnection {
        weak var server: ProbeServer?
        let input = Buffer(capacity: 1024)

        override func ready(_ events: Readiness) {
            super.ready(events)
            if let tls, !tls.isEstablished {
                guard tls.handshake() == .bytes(0) else { return }
            }
            while mayRead, case .bytes = receive(into: input, limit: 4096) {}
            guard let server, input.readable.ends(with: Bytes("\r\n\r\n")) else { return }
            server.requests.append(input.readable.string)
            input.clear()
            guard let answer = server.answer else { return }
            _ = answer.withBytes { send($0) }
            finishSending()
        }
    }
}

@Suite struct ProberTests {
    private struct Site {
        let loop = EventLoop()
        let board = HealthBoard(capacity: 16)
        var cluster = Cluster()
        let prober: Prober
        let resolver: Resolver
        let directory: ClusterDirectory

        init(_ ports: [UInt16], _ adjust: (inout Cluster) -> Void = { _ in }) {
            cluster.id = ID(low: 9)
            cluster.health.activeHealthy.interval = 0.1
            cluster.health.activeHealthy.successes = 1
            cluster.health.activeHealthy.statuses = [200]
            cluster.health.activeUnhealthy.interval = 0.1
            cluster.health.activeUnhealthy.statuses = [500]
            cluster.health.activeUnhealthy.httpFailures = 1
            cluster.health.activeUnhealthy.tcpFailures = 1
            cluster.health.activeUnhealthy.timeouts = 1
            cluster.health.activeTimeout = 0.2
            cluster.health.activePath = "/up"
            for port in ports {
                var target = Target()
                target.host = "127.0.0.1"
                target.port = Int(port)
                cluster.targets.append(target)
            }
            adjust(&cluster)
            prober = Prober(loop: loop, board: board)
            resolver = Resolver(DNSConfiguration(), loop: loop)
            directory = ClusterDirectory(resolver: resolver, board: board, prober: prober)
            var snapshot = Snapshot()
            snapshot.revision = 1
            snapshot.clusters = [cluster]
            _ = directory.adopt(snapshot, now: loop.nowNanoseconds)
        }

        func isAvailable(_ index: Int) -> Bool { board.state(directory.lists[0].endpoints[index].cell).isAvailable }
    }

    @Test("an endpoint that fails its probes goes down, and comes back when it answers well")
    func downAndUp() throws {
        let loop = EventLoop()
        _ = loop
        var site = Site([])
        let server = try ProbeServer(site.loop, answer: "HTTP/1.1 500 no\r\n\r\n")
        defer { server.stop() }
        var target = Target()
        target.host = "127.0.0.1"
        target.port = Int(server.address.port)
        site.cluster.targets = [target]
        var snapshot = Snapshot()
        snapshot.clusters = [site.cluster]
        _ = site.directory.adopt(snapshot, now: site.loop.nowNanoseconds)
        #expect(site.isAvailable(0))
        #expect(site.loop.run { !site.isAvailable(0) })
        #expect(server.requests.first?.hasPrefix("GET /up HTTP/1.1\r\nHost: 127.0.0.1\r\n") == true)
        server.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        #expect(site.loop.run { site.isAvailable(0) })
    }

    @Test("silence is a timeout, and a closed port a connection failure")
    func silenceAndRefusal() throws {
        let loop = EventLoop()
        let gone = try ProbeServer(loop, answer: nil)
        let closedPort = gone.address.port
        gone.stop()
        loop.turn(limit: 0)
        let site = Site([closedPort])
        #expect(site.loop.run { !site.isAvailable(0) })
        #expect(site.board.state(site.directory.lists[0].endpoints[0].cell).tcpFailures == 1)

        var silent = Site([])
        let server = try ProbeServer(silent.loop, answer: nil)
        defer { server.stop() }
        var target = Target()
        target.host = "127.0.0.1"
        target.port = Int(server.address.port)
        silent.cluster.targets = [target]
        var snapshot = Snapshot()
        snapshot.clusters = [silent.cluster]
        _ = silent.directory.adopt(snapshot, now: silent.loop.nowNanoseconds)
        #expect(silent.loop.run { !silent.isAvailable(0) })
        #expect(silent.board.state(silent.directory.lists[0].endpoints[0].cell).timeouts == 1)
    }

    @Test("an https probe checks the server's certificate unless told not to", arguments: [true, false])
    func https(_ verify: Bool) throws {
        var site = Site([])
        let server = try ProbeServer(site.loop, answer: "HTTP/1.1 200 OK\r\n\r\n")
        defer { server.stop() }
        server.tls = try TLSServer(
            identities: [], names: [], clientAuthorities: "", tickets: TicketKeys(), failed: { _, _ in })
        var target = Target()
        target.host = "127.0.0.1"
        target.port = Int(server.address.port)
        site.cluster.targets = [target]
        site.cluster.health.activeKind = .https
        site.cluster.health.activeVerifyCertificate = verify
        site.cluster.health.activeTimeout = 5
        var snapshot = Snapshot()
        snapshot.clusters = [site.cluster]
        _ = site.directory.adopt(snapshot, now: site.loop.nowNanoseconds)
        if verify {
            #expect(site.loop.run { !site.isAvailable(0) })
            #expect(server.requests.isEmpty)
        } else {
            #expect(site.loop.run { server.requests.count >= 2 })
            #expect(site.isAvailable(0))
        }
    }

    @Test(
        "a tcp probe only connects, and an https probe of a plain server fails its handshake",
        arguments: [(ProbeKind.tcp, true), (.https, false)])
    func kinds(_ kind: ProbeKind, _ works: Bool) throws {
        let site = Site([1]) { $0.health.activeKind = kind }
        #expect(site.loop.run { !site.isAvailable(0) })
        let server = try ProbeServer(site.loop, answer: "HTTP/1.1 400 plain\r\n\r\n")
        defer { server.stop() }
        var cluster = site.cluster
        cluster.targets[0].port = Int(server.address.port)
        var snapshot = Snapshot()
        snapshot.clusters = [cluster]
        _ = site.directory.adopt(snapshot, now: site.loop.nowNanoseconds)
        #expect(site.isAvailable(0))
        if works {
            let later = site.loop.now + 500
            #expect(site.loop.run { site.loop.now > later })
            #expect(site.isAvailable(0))
        } else {
            #expect(site.loop.run { !site.isAvailable(0) })
        }
    }
}

@Suite struct ClusterDirectoryTests {
    private func cluster(_ id: UInt64, _ targets: [(String, Int, Int)], _ adjust: (inout Cluster) -> Void = { _ in })
        -> Cluster
    {
        var cluster = Cluster()
        cluster.id = ID(low: id)
        cluster.health.passiveUnhealthy.tcpFailures = 1
        for (host, port, weight) in targets {
            var target = Target()
            (target.host, target.port, target.weight) = (host, port, weight)
            cluster.targets.append(target)
        }
        adjust(&cluster)
        return cluster
    }

    private func snapshot(_ revision: UInt64, _ clusters: [Cluster]) -> Snapshot {
        var snapshot = Snapshot()
        snapshot.revision = revision
        snapshot.clusters = clusters
        return snapshot
    }

    @Test("names become endpoints when they resolve, and the new list says for which snapshot and cluster")
    func names() throws {
        let loop = EventLoop()
        let server = try NameServer(loop)
        defer { server.stop() }
        server.answers = [
            "api.test/1": .a("10.0.0.1", "10.0.0.2"),
            "svc.test/33": .records([(nil, 33, 60, Wire.service(1, 7, 9000, "node.test"))]),
            "node.test/1": .a("10.0.0.3"),
        ]
        var configuration = DNSConfiguration()
        configuration.servers = [server.address]
        let resolver = Resolver(configuration, loop: loop)
        let directory = ClusterDirectory(resolver: resolver, board: HealthBoard(capacity: 64), prober: nil)
        var updates: [ClusterDirectory.Update] = []
        directory.publish = { updates.append($0) }
        let lists = directory.adopt(
            snapshot(
                4,
                [
                    cluster(1, [("10.9.9.9", 80, 100)]),
                    cluster(
                        2, [("API.test", 80, 50), ("svc.test", 81, 100), ("svc.test", 82, 0), ("gone.test", 80, 1)]
                    ) {
                        $0.algorithm = .consistentHashing
                    },
                    cluster(3, [("gone.test", 80, 1)]) { $0.isUpstream = false },
                ]), now: 0)
        #expect(lists.map(\.endpoints.count) == [1, 0, 0])
        #expect(lists.map(\.state) == [.resolved, .resolved, .unresolved])
        try #require(loop.run { directory.isSettled && !updates.isEmpty })
        let list = directory.lists[1]
        #expect(
            list.endpoints.map { "\($0.address):\($0.port)" } == [
                "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:9000", "10.0.0.3:9000",
            ])
        #expect(list.endpoints.map(\.weight) == [50, 50, 7, 0])
        #expect(list.endpoints.map(\.ringName) == ["10.0.0.1", "10.0.0.2", "node.test", "node.test"])
        #expect(
            list.endpoints.map { String(decoding: $0.authority, as: UTF8.self) } == [
                "API.test", "API.test", "svc.test:9000", "svc.test:9000",
            ])
        #expect(list.targetCount == 4)
        #expect(list.ring != nil)
        #expect(updates.allSatisfy { $0.revision == 4 && $0.cluster == 1 })
        #expect(directory.lists[2].state == .unresolved)
    }

    @Test("a reload keeps answers and health; what is gone is let go")
    func reload() throws {
        let loop = EventLoop()
        let server = try NameServer(loop)
        server.answers = ["api.test/1": .a("10.0.0.1")]
        var configuration = DNSConfiguration()
        configuration.servers = [server.address]
        configuration.timeoutMilliseconds = 100
        let board = HealthBoard(capacity: 64)
        let directory = ClusterDirectory(resolver: Resolver(configuration, loop: loop), board: board, prober: nil)
        _ = directory.adopt(snapshot(1, [cluster(1, [("api.test", 80, 1)])]), now: 0)
        try #require(loop.run { !directory.lists[0].endpoints.isEmpty })
        server.stop()
        let cell = directory.lists[0].endpoints[0].cell
        #expect(cell >= 0)
        board.report(
            .connectionFailed, cell: cell, from: .passive, limits: HealthPolicy(cluster(1, []).health).passive, now: 0)
        let lists = directory.adopt(
            snapshot(2, [cluster(5, []), cluster(1, [("api.test", 80, 1), ("10.0.0.2", 80, 1)])]), now: 0)
        #expect(lists[1].endpoints.map(\.address.description) == ["10.0.0.1", "10.0.0.2"])
        #expect(lists[1].endpoints[0].cell == cell)
        #expect(!board.state(cell).isAvailable)
        // Once nobody has it and the grace period is over, its health is forgotten.
        _ = directory.adopt(snapshot(3, []), now: second)
        board.collect(now: 400 * second)
        let key = HealthKey(cluster: ID(low: 1), address: IPAddress(v4: 0x0A00_0001), port: 80, targetName: "api.test")
        #expect(board.state(key) == nil)
    }

    @Test("a reload that does not touch a cluster keeps its very list, and with it ring and turns")
    func untouched() {
        let loop = EventLoop()
        let board = HealthBoard(capacity: 64)
        let directory = ClusterDirectory(resolver: Resolver(DNSConfiguration(), loop: loop), board: board)
        let one = cluster(1, [("10.0.0.1", 80, 1), ("10.0.0.2", 80, 1)]) { $0.algorithm = .consistentHashing }
        let two = cluster(2, [("10.0.0.3", 80, 1)])
        let first = directory.adopt(snapshot(1, [one, two]), now: 0)
        let balancer = Balancer(cluster: one, list: first[0], board: board, worker: 0, now: 0)
        var changed = two
        changed.targets[0].weight = 9
        let second = directory.adopt(snapshot(2, [changed, one]), now: 0)
        #expect(second[1] === first[0])
        #expect(second[0] !== first[1])
        #expect(second[0].endpoints.map(\.weight) == [9])
        #expect(second[0].endpoints[0].cell == first[1].endpoints[0].cell)
        guard case .endpoint(let before) = balancer.pick(hash: 7, excluding: Tried(), now: 0) else {
            Issue.record("nothing picked")
            return
        }
        balancer.update(cluster: one, list: second[1], now: 0)
        guard case .endpoint(let after) = balancer.pick(hash: 7, excluding: Tried(), now: 0) else {
            Issue.record("nothing picked")
            return
        }
        #expect(before.serial == after.serial)
        // Settings alone also take effect: without health checks the cells go.
        var plain = one
        plain.health = HealthChecks()
        #expect(directory.adopt(snapshot(3, [plain]), now: 0)[0].endpoints.allSatisfy { $0.cell == -1 })
    }

    @Test(
        "hosts: the target's name, the SRV name with use_srv_name, the upstream's own, ports where they are not usual")
    func hosts() {
        func endpoint(_ port: UInt16, record: String? = nil, host: String = "", useSRV: Bool = false) -> Endpoint {
            Endpoint(
                address: IPAddress(v4: 1), port: port, weight: 1, target: 0, targetName: "svc.test", targetPort: 80,
                recordName: record, hostHeader: host, useSRVName: useSRV)
        }
        func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
        #expect(text(endpoint(80).authority) == "svc.test")
        #expect(text(endpoint(80).secureAuthority) == "svc.test:80")
        #expect(text(endpoint(443).secureAuthority) == "svc.test")
        #expect(text(endpoint(8080, record: "n.test").authority) == "svc.test:8080")
        #expect(text(endpoint(8080, record: "n.test", useSRV: true).authority) == "n.test:8080")
        #expect(text(endpoint(8080, record: "n.test", host: "own.test", useSRV: true).authority) == "own.test:8080")
        #expect(Endpoint.literal(IPAddress(v6High: 0, low: 1)) == "[::1]")
    }
}
