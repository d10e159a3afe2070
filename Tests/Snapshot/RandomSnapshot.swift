// Random snapshots, and random changes of them.

import Snapshot

/// A generator whose seed alone reproduces a test.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

/// Makes records with random contents. References lead somewhere in the tables of `snapshot`, or nowhere (-1).
struct RandomSnapshot {
    var random: SplitMix
    var snapshot = Snapshot()

    init(seed: UInt64) { random = SplitMix(state: seed) }

    /// Every table with up to `size` records, every optional reference mostly set.
    mutating func fill(size: Int) {
        func times(_ body: (inout Self) -> Void) {
            for _ in 0..<Int.random(in: size / 2...size, using: &random) { body(&self) }
        }
        times { $0.snapshot.certificates.append($0.certificate()) }
        times { $0.snapshot.caCertificates.append($0.caCertificate()) }
        times { $0.snapshot.serverNames.append($0.serverName()) }
        times { $0.snapshot.clusters.append($0.cluster()) }
        times { $0.snapshot.services.append($0.service()) }
        times { $0.snapshot.consumers.append($0.consumer()) }
        times { $0.snapshot.keyCredentials.append($0.keyCredential()) }
        times { $0.snapshot.basicCredentials.append($0.basicCredential()) }
        times { $0.snapshot.filters.append($0.filter()) }
        times { $0.snapshot.chains.append($0.chain()) }
        times { $0.snapshot.routes.append($0.route()) }
        snapshot.globalChain = index(snapshot.chains.count)
        snapshot.revision = random.next()
    }

    // MARK: Values

    mutating func id() -> ID { ID(high: random.next(), low: random.next()) }

    /// Short, long, empty, and the same letter composed in two ways.
    mutating func text() -> String {
        let pieces = ["", "a", "é", "e\u{301}", "Å", "Å", "orders", String(repeating: "x", count: 140)]
        return (pieces.randomElement(using: &random) ?? "") + String(Int.random(in: 0..<50, using: &random))
    }

    mutating func texts() -> [String] { (0..<Int.random(in: 0...3, using: &random)).map { _ in text() } }

    /// An index into a table of `count` records; -1 when it has none, and now and then.
    mutating func index(_ count: Int) -> Int {
        count == 0 || Int.random(in: 0..<8, using: &random) == 0 ? -1 : Int.random(in: 0..<count, using: &random)
    }

    // MARK: Records

    mutating func certificate() -> Certificate {
        var certificate = Certificate()
        certificate.id = id()
        certificate.chain = text()
        certificate.key = text()
        return certificate
    }

    mutating func caCertificate() -> CACertificate {
        var certificate = CACertificate()
        certificate.id = id()
        certificate.pem = text()
        return certificate
    }

    mutating func serverName() -> ServerName {
        var name = ServerName()
        name.name = text() + ".\(random.next())"
        name.certificate = index(snapshot.certificates.count)
        return name
    }

    mutating func cluster() -> Cluster {
        var cluster = Cluster()
        cluster.id = id()
        cluster.name = text()
        cluster.hashOn = HashInput(.header, name: text())
        cluster.targets = texts().map { host in
            var target = Target()
            target.host = host
            return target
        }
        cluster.health.threshold = Double.random(in: 0...100, using: &random)
        cluster.health.activeHealthy.statuses = [200, 302]
        cluster.clientCertificate = index(snapshot.certificates.count)
        return cluster
    }

    mutating func service() -> Service {
        var service = Service()
        service.id = id()
        service.name = text()
        service.path = text()
        service.cluster = index(snapshot.clusters.count)
        service.tls.clientCertificate = index(snapshot.certificates.count)
        if !snapshot.caCertificates.isEmpty {
            let count = snapshot.caCertificates.count
            service.tls.caCertificates = (0..<2).map { _ in Int.random(in: 0..<count, using: &random) }
        }
        return service
    }

    mutating func consumer() -> Consumer {
        var consumer = Consumer()
        consumer.id = id()
        consumer.username = text()
        consumer.groups = texts()
        return consumer
    }

    mutating func keyCredential() -> KeyCredential {
        var credential = KeyCredential()
        credential.id = id()
        credential.key = text()
        credential.consumer = index(snapshot.consumers.count)
        return credential
    }

    mutating func basicCredential() -> BasicCredential {
        var credential = BasicCredential()
        credential.id = id()
        credential.username = text()
        credential.consumer = index(snapshot.consumers.count)
        return credential
    }

    mutating func filter() -> Filter {
        switch Int.random(in: 0..<4, using: &random) {
        case 0:
            var config = RateLimiting()
            config.minute = Int.random(in: 1...1_000_000, using: &random)
            config.route = id()
            return .rateLimiting(config)
        case 1:
            var config = ACL()
            config.allow = texts()
            return .acl(config)
        case 2:
            var config = CORS()
            config.origins = texts()
            config.maxAge = Int.random(in: 0...600, using: &random)
            return .cors(config)
        default:
            var config = RequestTermination()
            config.message = text()
            return .requestTermination(config)
        }
    }

    mutating func chain() -> FilterChain {
        var chain = FilterChain()
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            var step = FilterStep()
            step.filter = index(snapshot.filters.count)
            if !snapshot.consumers.isEmpty, !snapshot.filters.isEmpty {
                for _ in 0..<Int.random(in: 0...2, using: &random) {
                    step.overrides.append(Int.random(in: 0..<snapshot.consumers.count, using: &random))
                    step.overrides.append(Int.random(in: 0..<snapshot.filters.count, using: &random))
                }
            }
            chain.steps.append(step)
        }
        return chain
    }

    mutating func route() -> Route {
        var route = Route()
        route.id = id()
        route.name = text()
        route.paths = texts()
        route.headers = [HeaderRule(name: text(), values: texts())]
        route.service = index(snapshot.services.count)
        route.chain = index(snapshot.chains.count)
        return route
    }
}
