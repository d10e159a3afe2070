// What a supervisor does for its proxy, seen from outside, with a stand-in proxy that can misbehave.

import CLinux
import Testing

@Suite("Supervisor", .serialized)
struct SupervisorTests {
    @Test("run says where it listens, what it serves, and that nobody else can reach it")
    func banner() throws {
        let gateway = try GatewayUnderTest()
        let text = try gateway.banner()
        #expect(text.contains(gateway.config))
        #expect(text.contains("http    http://127.0.0.1:"))
        #expect(text.contains("status  http://127.0.0.1:"))
        #expect(text.contains(gateway.state))
        #expect(text.contains("Not exposed beyond this host"))
        #expect(readText(gateway.supervisor.out) == "")
        #expect(try gateway.ask(gateway.port()).revision == 1)
    }

    @Test("a killed proxy is replaced in under a second, and a connection made meanwhile is served")
    func restart() throws {
        let gateway = try GatewayUnderTest()
        let port = try gateway.port()
        let first = try gateway.ask(port)
        let start = sys_monotonic_nanoseconds()
        _ = kill(first.pid, SIGKILL)
        let second = try gateway.ask(port)
        let milliseconds = (sys_monotonic_nanoseconds() - start) / 1_000_000
        #expect(second.pid != first.pid)
        #expect(second.revision == 1)
        #expect(milliseconds < 1000)
        #expect(gateway.supervisor.talk.contains("was killed by signal 9"))
    }

    @Test("a proxy outlives its supervisor, and the next supervisor takes it over")
    func adoption() throws {
        let gateway = try GatewayUnderTest()
        let port = try gateway.port()
        let proxy = try gateway.ask(port).pid
        gateway.supervisor.signal(SIGKILL)
        #expect(try gateway.supervisor.exitCode() == 128 + SIGKILL)
        #expect(try gateway.ask(port).pid == proxy)
        try gateway.startSupervisor()
        try gateway.waitFor("took over proxy \(proxy)")
        #expect(try gateway.port() == port)
        #expect(try gateway.ask(port).pid == proxy)
        // It is supervised from now on, although it is nobody's child here.
        _ = kill(proxy, SIGKILL)
        #expect(try gateway.ask(port).pid != proxy)
    }

    @Test("a supervisor that wants other workers and addresses replaces the proxy it finds", arguments: [1, 5])
    func adoptionElsewhere(workers: Int) throws {
        let gateway = try GatewayUnderTest()
        let port = try gateway.port()
        let proxy = try gateway.ask(port).pid
        gateway.supervisor.signal(SIGKILL)
        _ = try gateway.supervisor.exitCode()
        let load = Load(port)
        try gateway.startSupervisor(["--workers", "\(workers)", "--http", "[::1]:0"])
        try gateway.waitFor("replaces \(proxy)")
        try gateway.waitFor("proxy \(proxy) has finished")
        #expect(try gateway.port() == port)
        #expect(gateway.supervisor.talk.contains("http://[::1]:"))
        #expect(try gateway.ask(port).pid != proxy)
        // The old address is kept by the same sockets: nothing was lost.
        let (answers, failures) = load.finish()
        #expect(failures == [])
        #expect(answers > 0)
    }

    @Test("a second supervisor for the same state directory is refused")
    func oneSupervisor() throws {
        let gateway = try GatewayUnderTest()
        _ = try gateway.banner()
        let second = try Program(
            [
                Programs.seaway, "gateway", "run", "--config", gateway.config, "--http", "127.0.0.1:0", "--https",
                "off",
                "--status", "off", "--state-dir", gateway.state,
            ], in: gateway.directory, name: "second")
        #expect(try second.exitCode() == 1)
        #expect(second.talk.contains("another supervisor (process \(gateway.supervisor.pid))"))
    }

    @Test("an upgrade replaces the process and drops no request")
    func upgrade() throws {
        let gateway = try GatewayUnderTest()
        let port = try gateway.port()
        let load = Load(port)
        var proxy = try gateway.ask(port).pid
        for round in 1...10 {
            gateway.supervisor.signal(SIGUSR2)
            try gateway.waitFor("has finished", times: round)
            let next = try gateway.ask(port).pid
            #expect(next != proxy)
            proxy = next
        }
        let (answers, failures) = load.finish()
        #expect(failures == [])
        #expect(answers > 10)
    }

    @Test("the upgrade command waits for the outcome; a proxy that does not start changes nothing")
    func upgradeCommand() throws {
        let gateway = try GatewayUnderTest()
        let port = try gateway.port()
        let proxy = try gateway.ask(port).pid
        let command = [Programs.seaway, "gateway", "upgrade", "--state-dir", gateway.state]
        let first = try Program(command, in: gateway.directory, name: "upgrade-1")
        #expect(try first.exitCode() == 0)
        #expect(readText(first.out).contains("replaces \(proxy)"))
        let next = try gateway.ask(port).pid
        #expect(next != proxy)
        writeText(gateway.state + "/double", "crash-at-start")
        let second = try Program(command, in: gateway.directory, name: "upgrade-2")
        #expect(try second.exitCode() == 1)
        #expect(second.talk.contains("exit code 7 before it served; the old one goes on"))
        #expect(try gateway.ask(port).pid == next)
    }

    @Test("commands for a directory where no gateway runs end with exit code 4")
    func nobody() throws {
        for command in ["upgrade", "reload"] {
            let program = try Program(
                [Programs.seaway, "gateway", command, "--state-dir", "/tmp/seaway-nobody-\(getpid())"], in: "/tmp",
                name: "seaway-nobody-\(getpid())")
            #expect(try program.exitCode() == 4)
            #expect(program.talk.contains("no gateway answers"))
        }
    }

    @Test("SIGUSR1 reaches the proxy as an order to reopen its logs")
    func reopen() throws {
        let gateway = try GatewayUnderTest()
        let proxy = try gateway.ask(gateway.port()).pid
        gateway.supervisor.signal(SIGUSR1)
        try eventually("the reopened logs") { readText(gateway.state + "/reopened") == "\(proxy)\n" }
    }

    @Test("SIGTERM lets the proxy finish and ends with 0; nobody listens afterwards")
    func stop() throws {
        let gateway = try GatewayUnderTest()
        let port = try gateway.port()
        let proxy = try gateway.ask(port).pid
        gateway.supervisor.signal(SIGTERM)
        #expect(try gateway.supervisor.exitCode() == 0)
        #expect(kill(proxy, 0) != 0)
        #expect(throws: TestFailure.self) { try gateway.ask(port) }
    }

    @Test("a second SIGTERM ends a proxy that is still busy")
    func stopAtOnce() throws {
        let gateway = try GatewayUnderTest(behaviour: "slow-drain")
        let proxy = try gateway.ask(gateway.port()).pid
        gateway.supervisor.signal(SIGTERM)
        try gateway.waitFor("stopping")
        #expect(kill(proxy, 0) == 0)
        gateway.supervisor.signal(SIGTERM)
        #expect(try gateway.supervisor.exitCode() == 0)
        try eventually("the end of the proxy") { kill(proxy, 0) != 0 }
    }

    @Test("a proxy that never starts is given up with exit code 1")
    func neverStarts() throws {
        let gateway = try GatewayUnderTest(behaviour: "crash-at-start")
        #expect(try gateway.supervisor.exitCode() == 1)
        #expect(gateway.supervisor.talk.contains("the proxy does not start"))
    }

    @Test("a missing seaway-proxy is said by name")
    func missingProxy() throws {
        let gateway = try GatewayUnderTest(proxy: "/nonexistent/seaway-proxy")
        #expect(try gateway.supervisor.exitCode() == 1)
        #expect(gateway.supervisor.talk.contains("cannot start /nonexistent/seaway-proxy"))
    }

    @Test("an address in use is refused with the flag that changes it, although it could be shared")
    func addressInUse() throws {
        let gateway = try GatewayUnderTest()
        let port = try gateway.port()
        let second = try Program(
            [
                Programs.seaway, "gateway", "run", "--config", gateway.config, "--http", "127.0.0.1:\(port)", "--https",
                "off",
                "--status", "off", "--state-dir", gateway.directory + "/other", "--proxy", Programs.double,
            ],
            in: gateway.directory, name: "second")
        #expect(try second.exitCode() == 1)
        #expect(second.talk.contains("cannot listen on 127.0.0.1:\(port): Address already in use"))
        #expect(second.talk.contains("--http"))
    }

    @Test("the state directory and all in it are for their owner only")
    func privacy() throws {
        let gateway = try GatewayUnderTest()
        _ = try gateway.banner()
        try eventually("the stored snapshot") { readText(gateway.state + "/snapshot") != "" }
        for name in ["control.sock", "snapshot", "sockets", "supervisor.lock", "proxies.lock"] {
            var info = sys_file()
            #expect(unsafe sys_file_at(gateway.state + "/" + name, 0, &info) == 0)
            #expect(info.mode & 0o777 == 0o600, "\(name)")
        }
    }

    @Test("a state directory that others can write to is refused")
    func openDirectory() throws {
        let program = try Program(
            [Programs.seaway, "gateway", "run", "--config", #filePath, "--state-dir", "/tmp"], in: "/tmp",
            name: "seaway-open-\(getpid())")
        #expect(try program.exitCode() == 1)
        #expect(program.talk.contains("can be written by other users"))
    }
}
