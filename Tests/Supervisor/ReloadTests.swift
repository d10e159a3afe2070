// Changed configurations: when they take effect, and when they must not.

import Bytes
import CLinux
import Testing

/// A configuration whose only route is `/vN`, which answers 503 (it has no service) instead of 404.
private func version(_ n: Int) -> String {
    "_format_version: \"3.0\"\nroutes:\n- name: r\n  paths: [\"/v\(n)\"]\n"
}

private let broken = "_format_version: \"3.0\"\nroutes:\n- name: r\n  paths: [\"/x\"]\n  colour: blue\n"

private func serves(_ port: Int, _ n: Int) throws -> Bool {
    try !GatewayUnderTest.get(port, path: "/v\(n)").contains("no Route matched")
}

/// Resident memory in KB.
private func residentMemory(_ pid: Int32) throws -> Int {
    let text = readText("/proc/\(pid)/status")
    guard let range = text.firstRange(of: "VmRSS:"),
        let value = Int(text[range.upperBound...].drop { !$0.isNumber }.prefix { $0.isNumber })
    else { throw TestFailure("no memory of \(pid)") }
    return value
}

@Suite("Reload", .serialized)
struct ReloadTests {
    enum Way: CaseIterable {
        case writtenInPlace, renamedOver, linkSwapped
    }

    @Test("with --watch a change is in effect within 20 ms of the write, however it is made", arguments: Way.allCases)
    func watch(way: Way) throws {
        let gateway = try GatewayUnderTest(
            ["--watch"], proxy: Programs.proxy, config: version(1),
            prepare: { directory in
                guard way == .linkSwapped else { return nil }
                // As Kubernetes mounts a config map: the file is a link through `..data`, which is swapped.
                _ = unsafe mkdir(directory + "/config/..one", 0o700)
                writeText(directory + "/config/..one/gateway.yml", version(1))
                _ = unsafe symlink("..one", directory + "/config/..data")
                _ = unsafe symlink("..data/gateway.yml", directory + "/config/gateway.yml")
                return directory + "/config/gateway.yml"
            })
        let port = try gateway.port()
        let folder = gateway.directory + "/config"
        var milliseconds: [Double] = []
        for n in 2...21 {
            switch way {
            case .writtenInPlace: break
            case .renamedOver: writeText(folder + "/.kong.yml.swp", version(n))
            case .linkSwapped:
                _ = unsafe mkdir(folder + "/..\(n)", 0o700)
                writeText(folder + "/..\(n)/gateway.yml", version(n))
                _ = unsafe symlink("..\(n)", folder + "/..next")
            }
            let start = sys_monotonic_nanoseconds()
            switch way {
            case .writtenInPlace: writeText(gateway.config, version(n))
            case .renamedOver: #expect(unsafe rename(folder + "/.kong.yml.swp", gateway.config) == 0)
            case .linkSwapped: #expect(unsafe rename(folder + "/..next", folder + "/..data") == 0)
            }
            try eventually("version \(n): \(gateway.supervisor.talk)") { try serves(port, n) }
            milliseconds.append(Double(sys_monotonic_nanoseconds() - start) / 1e6)
            #expect(try !serves(port, n - 1))
        }
        let median = milliseconds.sorted()[milliseconds.count / 2]
        #expect(median < 20, "\(milliseconds)")
    }

    @Test("SIGHUP reads the file again; the same content is not sent again")
    func hangup() throws {
        let gateway = try GatewayUnderTest(proxy: Programs.proxy, config: version(1))
        let port = try gateway.port()
        writeText(gateway.config, version(2))
        #expect(try serves(port, 1))
        gateway.supervisor.signal(SIGHUP)
        try gateway.waitFor("revision 2 is in effect")
        #expect(try serves(port, 2))
        let reload = try Program(
            [Programs.seaway, "gateway", "reload", "--state-dir", gateway.state], in: gateway.directory, name: "reload")
        #expect(try reload.exitCode() == 0)
        #expect(readText(reload.out).contains("unchanged: revision 2 stays in effect"))
    }

    @Test("a broken file is reported with its line and changes nothing; the mended one takes effect")
    func brokenFile() throws {
        let gateway = try GatewayUnderTest(["--watch"], proxy: Programs.proxy, config: version(1))
        let port = try gateway.port()
        writeText(gateway.config, broken)
        try gateway.waitFor("cannot be used: revision 1 stays in effect")
        #expect(gateway.supervisor.talk.contains("\(gateway.config):5:"))
        #expect(gateway.supervisor.talk.contains("5 |   colour: blue"))
        #expect(try serves(port, 1))
        let reload = try Program(
            [Programs.seaway, "gateway", "reload", "--state-dir", gateway.state], in: gateway.directory, name: "reload")
        #expect(try reload.exitCode() == 1)
        #expect(reload.talk.contains("colour"))
        // A proxy that starts meanwhile gets what was in effect.
        _ = kill(try gateway.servingProcess(), SIGKILL)
        #expect(try serves(port, 1))
        writeText(gateway.config, version(3))
        try gateway.waitFor("revision 2 is in effect")
        #expect(try serves(port, 3))
    }

    @Test("a file that cannot be used is refused at the start, and nothing is started")
    func brokenAtStart() throws {
        let gateway = try GatewayUnderTest(proxy: Programs.proxy, config: broken)
        #expect(try gateway.supervisor.exitCode() == 1)
        #expect(gateway.supervisor.talk.contains("Nothing was started"))
        #expect(gateway.supervisor.talk.contains(":5:"))
    }

    @Test("a thousand reloads under load lose no request and leave memory where it was", .timeLimit(.minutes(5)))
    func thousand() throws {
        let gateway = try GatewayUnderTest(["--watch"], proxy: Programs.proxy, config: version(1))
        let port = try gateway.port()
        let proxy = try gateway.servingProcess()
        let fresh = Load(port)
        let kept = Load(port, keepsConnection: true)
        var before = (proxy: 0, supervisor: 0)
        for n in 2...1001 {
            writeText(gateway.config, version(n))
            try eventually("version \(n)") { try serves(port, n) }
            if n == 200 {
                before = (try residentMemory(proxy), try residentMemory(gateway.supervisor.pid))
            }
        }
        let after = (proxy: try residentMemory(proxy), supervisor: try residentMemory(gateway.supervisor.pid))
        for load in [fresh, kept] {
            let (answers, failures) = load.finish()
            #expect(failures == [])
            #expect(answers > 1000)
        }
        #expect(try gateway.servingProcess() == proxy)
        // 800 reloads may not cost a proxy half a megabyte, nor the supervisor two.
        #expect(after.proxy - before.proxy < 512, "\(before.proxy) KB, then \(after.proxy) KB")
        #expect(after.supervisor - before.supervisor < 2048, "\(before.supervisor) KB, then \(after.supervisor) KB")
    }

    @Test("what a proxy rejects is reported, and it goes on with what it has")
    func rejected() throws {
        let gateway = try GatewayUnderTest(["--watch"], behaviour: "reject", config: version(1))
        let port = try gateway.port()
        let proxy = try gateway.ask(port).pid
        writeText(gateway.config, version(2))
        try gateway.waitFor("cannot use revision 2: the double rejects it")
        try gateway.waitFor("revision 1 stays in effect")
        #expect(try gateway.ask(port) == (proxy, 1))
        writeText(gateway.state + "/double", "")
        writeText(gateway.config, version(3))
        try gateway.waitFor("revision 3 is in effect")
        #expect(try gateway.ask(port) == (proxy, 3))
    }

    @Test("a configuration that kills every proxy is given up for the last good one")
    func poison() throws {
        let gateway = try GatewayUnderTest(["--watch"], behaviour: "crash-on-2", config: version(1))
        let port = try gateway.port()
        let proxy = try gateway.ask(port).pid
        writeText(gateway.config, version(2))
        try gateway.waitFor("going back to revision 1")
        let answer = try gateway.ask(port)
        #expect(answer.revision == 1)
        #expect(answer.pid != proxy)
    }

    @Test("SIGUSR1 reopens the access log, so that a renamed one stops growing")
    func accessLog() throws {
        let gateway = try GatewayUnderTest(
            ["--access-log", "DIRECTORY/access.log"], proxy: Programs.proxy, config: version(1))
        let port = try gateway.port()
        let log = gateway.directory + "/access.log"
        _ = try GatewayUnderTest.get(port, path: "/before")
        try eventually("the first line") { readText(log).contains("/before") }
        #expect(unsafe rename(log, log + ".1") == 0)
        gateway.supervisor.signal(SIGUSR1)
        try eventually("the new file") { unsafe access(log, F_OK) == 0 }
        _ = try GatewayUnderTest.get(port, path: "/after")
        try eventually("the second line") { readText(log).contains("/after") }
        #expect(!readText(log + ".1").contains("/after"))
    }
}
