// Where control planes are, when they are tried, and how long a certificate is good.

import Bytes
import Snapshot
import Testing

@testable import Proxy

@Suite("Dialling control planes")
struct DialTests {
    @Test(
        "addresses are taken apart",
        arguments: [
            ("https://cp1:5678", "cp1", 5678), ("https://cp1", "cp1", 5678), ("https://cp1:443/", "cp1", 443),
            ("https://10.0.0.1:1", "10.0.0.1", 1), ("https://[::1]:65535", "::1", 65535),
            ("https://[2001:db8::1]", "2001:db8::1", 5678),
        ])
    func addresses(text: String, host: String, port: UInt16) throws {
        let address = try #require(FeedAddress(text))
        #expect((address.host, address.port) == (host, port))
    }

    @Test(
        "what is no address of a control plane is refused",
        arguments: [
            "", "cp1:5678", "http://cp1", "https://", "https://:5678", "https://cp1:", "https://cp1:0",
            "https://cp1:65536",
            "https://cp1:+1", "https://cp1/x", "https://user@cp1", "https://::1:5678", "https://[::1",
            "https://[cp1]:1",
            "https://[::1]5678",
        ])
    func noAddresses(text: String) { #expect(FeedAddress(text) == nil) }

    @Test("all addresses are tried in turn, the first round at once, then with doubling pauses up to ten seconds")
    func backOff() {
        var dialer = FeedDialer(count: 3, first: 7)
        #expect(dialer.current == 1)
        var order: [Int] = []
        var pauses: [Int64] = []
        for _ in 0..<30 {
            order.append(dialer.current)
            pauses.append(dialer.failed(random: 0.999_999))
        }
        #expect(order == (0..<30).map { ($0 + 1) % 3 })
        #expect(pauses.prefix(2).allSatisfy { $0 < 50 })
        #expect((pauses[2], pauses[5], pauses[8]) == (199, 399, 799))
        #expect(pauses.last == 9999)
        #expect(zip(pauses, pauses.dropFirst()).allSatisfy { $0 <= $1 })
        dialer.succeeded()
        #expect(dialer.failed(random: 0.5) < 50)
    }

    @Test("jitter spreads a pause over its second half", arguments: [0.0, 0.25, 0.5, 0.999])
    func jitter(random: Double) {
        var dialer = FeedDialer(count: 1, first: 0)
        var pause: Int64 = 0
        for _ in 0..<12 { pause = dialer.failed(random: random) }
        #expect(pause == 5000 + Int64(5000 * random))
    }

    @Test("a certificate is renewed from half of its life on, and over at its end")
    func standing() {
        var identity = FeedIdentity()
        identity.notBefore = 1000
        identity.notAfter = 2000
        #expect(identity.standing(now: 1499) == .good)
        #expect(identity.standing(now: 1500) == .due)
        #expect(identity.standing(now: 1999) == .due)
        #expect(identity.standing(now: 2000) == .expired)
        identity.notBefore = .max
        identity.notAfter = .max
        #expect(identity.standing(now: 0) == .good)
    }

    @Test("credentials that cannot be used are not taken")
    func credentials() {
        var good = Credentials()
        good.certificate = "c"
        good.authorities = "a"
        good.notBefore = 1
        good.notAfter = 2
        var identity = FeedIdentity()
        let isTaken = identity.take(good, key: "k", pinned: [1])
        #expect(isTaken)
        #expect((identity.key, identity.certificate, identity.pinned) == ("k", "c", [1]))
        var bad = [good, good, good]
        bad[0].certificate = ""
        bad[1].authorities = ""
        bad[2].notAfter = 1
        for credentials in bad {
            let isTaken = identity.take(credentials, key: "k2", pinned: [2])
            #expect(!isTaken)
        }
        #expect(identity.key == "k")
    }

    @Test("an identity is stored and read as it was")
    func stored() throws {
        var identity = FeedIdentity()
        identity.key = "key"
        identity.gateway = ID(high: 1, low: 2)
        identity.certificate = "certificate"
        identity.authorities = "authorities"
        identity.notBefore = 3
        identity.notAfter = 4
        identity.pinned = [5, 6]
        #expect(try identity.wire.withBytes { (bytes) throws(WireError) in try FeedIdentity(wire: bytes) } == identity)
    }
}

@Suite("Join tokens")
struct GatewayTokenTests {
    private let digest = String(repeating: "0a", count: 32)

    @Test("a token's parts are read, whatever white space is around it")
    func good() throws {
        let token = try #require(GatewayToken(" \n seaway1.AZaz09-_.\(digest)\r\n"))
        #expect(token.secret == "AZaz09-_")
        #expect(token.authority == [UInt8](repeating: 10, count: 32))
    }

    @Test("anything else is none")
    func bad() {
        for text in [
            "", "seaway1", "seaway1..\(digest)", "seaway2.x.\(digest)", "seaway1.x.\(digest)0",
            "seaway1.x.\(digest.dropLast())",
            "seaway1.x+.\(digest)", "seaway1.x.\(digest.dropLast())g", "seaway1.x.\(digest).y", "seaway1.x y.\(digest)",
            "seaway1.x.\(digest)\nseaway1.x.\(digest)", "seaway1.\(String(repeating: "x", count: 201)).\(digest)",
        ] {
            #expect(GatewayToken(text) == nil, "\(text)")
        }
    }
}
