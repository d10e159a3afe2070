// The same promises, kept by the real seaway-proxy.

import Bytes
import CLinux
import Testing

@Suite("Supervised seaway-proxy", .serialized)
struct RealProxyTests {
    @Test("kill -9 of the proxy: it serves again in under a second, and nobody is refused")
    func killedProxy() throws {
        let gateway = try GatewayUnderTest(proxy: Programs.proxy)
        let port = try gateway.port()
        _ = try GatewayUnderTest.get(port)
        for round in 1...5 {
            let start = sys_monotonic_nanoseconds()
            _ = kill(try gateway.servingProcess(), SIGKILL)
            _ = try GatewayUnderTest.get(port)
            #expect(sys_monotonic_nanoseconds() - start < 1_000_000_000)
            try gateway.waitFor("was killed by signal 9", times: round)
            try gateway.waitFor("serves revision 1", times: round)
        }
    }

    @Test("kill -9 of the supervisor: the proxy goes on serving, and the next supervisor takes it over")
    func killedSupervisor() throws {
        let gateway = try GatewayUnderTest(proxy: Programs.proxy)
        let port = try gateway.port()
        let proxy = try gateway.servingProcess()
        let load = Load(port)
        gateway.supervisor.signal(SIGKILL)
        _ = try gateway.supervisor.exitCode()
        _ = try GatewayUnderTest.get(port)
        try gateway.startSupervisor()
        try gateway.waitFor("took over proxy \(proxy)")
        #expect(try gateway.port() == port)
        _ = kill(proxy, SIGKILL)
        try gateway.waitFor("serves revision")
        _ = try GatewayUnderTest.get(port)
        // Requests that the killed process had begun are lost with it; none is refused.
        let (answers, failures) = load.finish()
        #expect(answers > 0)
        #expect(failures.filter { $0.hasPrefix("refused") || $0.hasPrefix("connect") } == [])
    }

    @Test("twenty upgrades under load, on new and on kept connections, drop no request")
    func upgrade() throws {
        let gateway = try GatewayUnderTest(proxy: Programs.proxy)
        let port = try gateway.port()
        let fresh = Load(port)
        let kept = Load(port, keepsConnection: true)
        for round in 1...20 {
            gateway.supervisor.signal(SIGUSR2)
            try gateway.waitFor("has finished", times: round)
        }
        for load in [fresh, kept] {
            let (answers, failures) = load.finish()
            #expect(failures == [])
            #expect(answers > 20)
        }
    }

    @Test("SIGTERM drains the proxy and ends with 0")
    func stop() throws {
        let gateway = try GatewayUnderTest(proxy: Programs.proxy)
        let port = try gateway.port()
        let proxy = try gateway.servingProcess()
        _ = try GatewayUnderTest.get(port)
        gateway.supervisor.signal(SIGTERM)
        #expect(try gateway.supervisor.exitCode() == 0)
        #expect(kill(proxy, 0) != 0)
    }

    @Test("the status listener moves to the next process too")
    func status() throws {
        let gateway = try GatewayUnderTest(proxy: Programs.proxy)
        let text = try gateway.banner()
        let range = try #require(text.firstRange(of: "status  http://127.0.0.1:"))
        let port = try #require(Int(text[range.upperBound...].prefix { $0.isNumber }))
        #expect(try GatewayUnderTest.get(port, path: "/status").contains("connections_active"))
        gateway.supervisor.signal(SIGUSR2)
        try gateway.waitFor("has finished")
        #expect(try GatewayUnderTest.get(port, path: "/status").contains("connections_active"))
    }
}
