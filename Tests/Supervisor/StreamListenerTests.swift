// Listeners of stream routes: how they are asked for, and that their sockets outlive every proxy.

import Bytes
import CLinux
import Explain
import Snapshot
import Testing

@testable import seaway

@Suite("Stream listeners", .serialized)
struct StreamListenerTests {
    @Test(
        "options stand behind the address",
        arguments: [
            ("9000", "tcp 127.0.0.1:9000"), ("*:9000,tls", "tls 0.0.0.0:9000"), ("[::1]:0,udp", "udp [::1]:0"),
            ("9000,proxy_protocol,tls", "tls 127.0.0.1:9000 proxied"),
            ("9000,proxy_protocol", "tcp 127.0.0.1:9000 proxied"),
        ])
    func options(text: String, meaning: String) throws {
        let listener = try PlannedListener.stream(text)
        #expect(
            "\(listener.scheme) \(listener.place)\(listener.proxyProtocol ? " proxied" : "")" == meaning)
        #expect(listener.kind == .stream)
    }

    @Test(
        "what makes no listener is refused with what to write instead",
        arguments: [
            ("9000,ssl", "write tls"), ("9000,", "known: tls, udp and proxy_protocol"), ("9000,TLS", "is no option"),
            ("9000,tcp", "leave tcp out"), ("9000,tls,udp", "exclude each other"),
            ("9000,udp,proxy_protocol", "exclude each other"), ("off", "leave --stream out"), ("x:1", "is no address"),
            ("", "is no address"), (",tls", "is no address"),
        ])
    func refusals(text: String, advice: String) {
        #expect {
            try PlannedListener.stream(text)
        } throws: { error in
            "\(error)".contains(advice)
        }
    }

    @Test("HTTP listeners take proxy_protocol and nothing else")
    func http() throws {
        #expect(try PlannedListener.http("*:80,proxy_protocol").proxyProtocol)
        #expect(try PlannedListener.https("443,proxy_protocol").tls)
        #expect(try PlannedListener.https("off").place == .off)
        #expect(throws: (any Error).self) { try PlannedListener.http("80,tls") }
        #expect(throws: (any Error).self) { try PlannedListener.https("80,udp") }
    }

    @Test(
        "ends of a connection are understood in every usual form",
        arguments: [
            ("10.0.0.1:80", "10.0.0.1:80"), ("10.0.0.1", "10.0.0.1"), ("[::1]:80", "[::1]:80"), ("::1", "::1"),
            (":80", "port 80"), ("80", "port 80"), ("0.0.0.0:80", "0.0.0.0:80"), ("localhost:80", "127.0.0.1:80"),
            ("*:80", nil), ("x", nil), ("10.0.0.1:", nil), ("10.0.0.1:70000", nil), ("0", nil), ("", nil),
            ("[::1]", nil),
        ])
    func ends(text: String, meaning: String?) {
        #expect(StreamPlace(argument: text)?.text == meaning)
    }

    @Test("sockets of streams and datagrams serve through reloads, upgrades and deaths, on the same ports")
    func sockets() throws {
        let gateway = try GatewayUnderTest(["--stream", "127.0.0.1:0", "--stream", "127.0.0.1:0,udp"])
        let tcp = try gateway.port(of: "tcp     tcp://127.0.0.1:")
        let udp = try gateway.port(of: "udp     udp://127.0.0.1:")
        let first = try gateway.ask(tcp).pid
        #expect(try gateway.askDatagram(udp).pid == first)
        writeText(gateway.config, GatewayUnderTest.empty + "services: [{name: s, url: \"http://127.0.0.1\"}]\n")
        gateway.supervisor.signal(SIGHUP)
        try gateway.waitFor("revision 2 is in effect")
        #expect(try gateway.askDatagram(udp) == (first, 2))
        gateway.supervisor.signal(SIGUSR2)
        try gateway.waitFor("proxy \(first) has finished")
        let second = try gateway.askDatagram(udp).pid
        #expect(second != first)
        #expect(try gateway.ask(tcp).pid == second)
        _ = kill(second, SIGKILL)
        let third = try gateway.ask(tcp).pid
        #expect(third != second)
        #expect(try gateway.askDatagram(udp).pid == third)
    }

    @Test("the next supervisor takes the sockets over, and each port stays with its transport")
    func adoption() throws {
        let gateway = try GatewayUnderTest(["--stream", "127.0.0.1:0", "--stream", "127.0.0.1:0,udp"])
        let tcp = try gateway.port(of: "tcp     tcp://127.0.0.1:")
        let udp = try gateway.port(of: "udp     udp://127.0.0.1:")
        let proxy = try gateway.ask(tcp).pid
        gateway.supervisor.signal(SIGKILL)
        _ = try gateway.supervisor.exitCode()
        try gateway.startSupervisor()
        try gateway.waitFor("took over proxy \(proxy)")
        #expect(try gateway.port(of: "tcp     tcp://127.0.0.1:") == tcp)
        #expect(try gateway.askDatagram(udp).pid == proxy)
        // The snapshot names the ports, each with its own transport.
        try eventually("the snapshot") {
            let listeners = try gateway.storedSnapshot().listeners
            return listeners.contains { $0.port == tcp && !$0.udp && $0.kind == .stream }
                && listeners.contains { $0.port == udp && $0.udp && $0.kind == .stream }
        }
    }

    @Test("the listeners of the snapshot say what they are for")
    func snapshot() throws {
        let gateway = try GatewayUnderTest([
            "--stream", "127.0.0.1:0,tls,proxy_protocol", "--stream", "127.0.0.1:0,udp", "--trusted-ips", "127.0.0.1",
        ])
        let tls = try gateway.port(of: "tls     tls://127.0.0.1:")
        let udp = try gateway.port(of: "udp     udp://127.0.0.1:")
        try eventually("the stored snapshot") { readText(gateway.state + "/snapshot") != "" }
        let listeners = try gateway.storedSnapshot().listeners
        #expect(listeners.map(\.kind) == [.http, .stream, .stream])
        #expect(listeners.map(\.port) == [try gateway.port(), tls, udp])
        #expect(listeners.map(\.tls) == [false, true, false])
        #expect(listeners.map(\.udp) == [false, false, true])
        #expect(listeners.map(\.proxyProtocol) == [false, true, false])
    }

    @Test("a UDP port in use is refused as UDP, a TCP port of the same number is not in its way")
    func udpInUse() throws {
        let gateway = try GatewayUnderTest(["--stream", "127.0.0.1:0,udp"])
        let udp = try gateway.port(of: "udp     udp://127.0.0.1:")
        let second = try Program(
            [
                Programs.seaway, "gateway", "run", "--config", gateway.config, "--http", "off", "--https", "off",
                "--stream", "127.0.0.1:\(udp),udp", "--status", "off", "--state-dir", gateway.directory + "/other",
                "--proxy", Programs.double,
            ], in: gateway.directory, name: "second")
        #expect(try second.exitCode() == 1)
        #expect(second.talk.contains("cannot listen on 127.0.0.1:\(udp) (UDP): Address already in use"))
        #expect(second.talk.contains("ss -lunp"))
        #expect(second.talk.contains("--stream"))
    }

    @Test("stream listeners without routes, and routes without listeners, are said at the start")
    func advice() throws {
        let gateway = try GatewayUnderTest(
            ["--stream", "127.0.0.1:0,udp"],
            config: """
                _format_version: "3.0"
                services:
                - url: tcp://127.0.0.1:1
                  routes:
                  - {name: db, protocols: [tcp], destinations: [{port: 5432}]}

                """)
        let text = try gateway.banner()
        #expect(text.contains("no listener serves it"))
        #expect(text.contains("--stream '*:5432'"))
        #expect(text.contains("drops every datagram: no route is of udp"))
    }

    @Test(
        "flags that contradict each other are refused before anything starts",
        arguments: [
            (["--stream", "9000,proxy_protocol"], "--trusted-ips"),
            (["--http", "9000", "--stream", "9000"], "asked for by two"),
            (["--http", "off", "--https", "off"], "nothing to listen on"),
        ])
    func usage(arguments: [String], advice: String) throws {
        let program = try Program(
            [Programs.seaway, "gateway", "run", "--config", "/nonexistent.yml"] + arguments, in: "/tmp",
            name: "seaway-usage-\(getpid())")
        #expect(try program.exitCode() == 2)
        #expect(program.talk.contains(advice))
    }
}

extension GatewayUnderTest {
    /// What the supervisor keeps for a proxy that nobody answers.
    func storedSnapshot() throws -> Snapshot {
        let descriptor = unsafe sys_open(state + "/snapshot", O_RDONLY | O_CLOEXEC, 0)
        defer { _ = sys_close(descriptor) }
        let buffer = Buffer(capacity: 1 << 20)
        _ = buffer.appendFrom(limit: 1 << 20) { Int(sys_read(descriptor, $0, $1)) }
        return try Snapshot(wire: buffer.readable)
    }
}
