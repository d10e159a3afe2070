// Random changes of a snapshot: records come, go, move and change in every table, references follow.

import Snapshot

extension RandomSnapshot {
    /// Where the records of a table went; `gone` for those that were deleted.
    private struct Places {
        var new: [Int]
        static let gone = -2
    }

    /// A new record at the front of each table: every index moves.
    mutating func insertEverywhere() { changeAll(rate: 0, isFirst: true) }

    /// Changes each table with a chance of `rate` in 8; what refers to a deleted record gets another reference.
    mutating func change(rate: Int) { changeAll(rate: rate, isFirst: false) }

    private mutating func changeAll(rate: Int, isFirst: Bool) {
        let certificates = change(\.certificates, rate, isFirst) {
            $0.certificate()
        } edit: {
            $0.key += "'"
        }
        let authorities = change(\.caCertificates, rate, isFirst) {
            $0.caCertificate()
        } edit: {
            $0.pem += "'"
        }
        change(\.serverNames) { $0.follow(certificates, &$1.certificate, $0.snapshot.certificates.count) }
        _ = change(\.serverNames, rate, isFirst) {
            $0.serverName()
        } edit: {
            $0.name += "'"
        }
        change(\.clusters) { $0.follow(certificates, &$1.clientCertificate, $0.snapshot.certificates.count) }
        let clusters = change(\.clusters, rate, isFirst) {
            $0.cluster()
        } edit: {
            $0.slots += 1
        }
        change(\.services) { world, service in
            world.follow(clusters, &service.cluster, world.snapshot.clusters.count)
            world.follow(certificates, &service.tls.clientCertificate, world.snapshot.certificates.count)
            for index in service.tls.caCertificates.indices {
                world.follow(authorities, &service.tls.caCertificates[index], world.snapshot.caCertificates.count)
            }
        }
        let services = change(\.services, rate, isFirst) {
            $0.service()
        } edit: {
            $0.retries += 1
        }
        let consumers = change(\.consumers, rate, isFirst) {
            $0.consumer()
        } edit: {
            $0.username += "'"
        }
        change(\.keyCredentials) { $0.follow(consumers, &$1.consumer, $0.snapshot.consumers.count) }
        _ = change(\.keyCredentials, rate, isFirst) {
            $0.keyCredential()
        } edit: {
            $0.key += "'"
        }
        change(\.basicCredentials) { $0.follow(consumers, &$1.consumer, $0.snapshot.consumers.count) }
        _ = change(\.basicCredentials, rate, isFirst) {
            $0.basicCredential()
        } edit: {
            $0.username += "'"
        }
        let filters = change(\.filters, rate, isFirst) {
            $0.filter()
        } edit: {
            $0 = .none
        }
        change(\.chains) { world, chain in
            for step in chain.steps.indices {
                world.follow(filters, &chain.steps[step].filter, world.snapshot.filters.count)
                for index in chain.steps[step].overrides.indices {
                    let isConsumer = index.isMultiple(of: 2)
                    world.follow(
                        isConsumer ? consumers : filters, &chain.steps[step].overrides[index],
                        isConsumer ? world.snapshot.consumers.count : world.snapshot.filters.count)
                }
            }
        }
        let chains = change(\.chains, rate, isFirst) {
            $0.chain()
        } edit: {
            $0.steps.append(FilterStep())
        }
        change(\.routes) { world, route in
            world.follow(services, &route.service, world.snapshot.services.count)
            world.follow(chains, &route.chain, world.snapshot.chains.count)
        }
        let chainCount = snapshot.chains.count
        _ = change(\.routes, rate, isFirst) {
            $0.route()
        } edit: {
            $0.regexPriority += 1
        }
        change(\.routes) { world, route in
            if rate > 0, world.chance(1) { route.chain = world.index(chainCount) }
        }
        var globalChain = snapshot.globalChain
        follow(chains, &globalChain, chainCount)
        snapshot.globalChain = globalChain
    }

    private mutating func chance(_ rate: Int) -> Bool { Int.random(in: 0..<8, using: &random) < rate }

    private mutating func follow(_ places: Places, _ reference: inout Int, _ count: Int) {
        guard reference >= 0 else { return }
        let place = places.new[reference]
        reference = place == Places.gone ? index(count) : place
    }

    private mutating func change<Record>(
        _ table: WritableKeyPath<Snapshot, [Record]>, _ body: (inout Self, inout Record) -> Void
    ) {
        var records = snapshot[keyPath: table]
        for index in records.indices { body(&self, &records[index]) }
        snapshot[keyPath: table] = records
    }

    /// Deletes, moves, edits and inserts.
    private mutating func change<Record>(
        _ table: WritableKeyPath<Snapshot, [Record]>, _ rate: Int, _ isFirst: Bool, make: (inout Self) -> Record,
        edit: (inout Record) -> Void
    ) -> Places {
        var records = snapshot[keyPath: table].enumerated().map { (origin: $0.offset, record: $0.element) }
        var places = Places(new: [Int](repeating: Places.gone, count: records.count))
        if chance(rate), !records.isEmpty {
            records.remove(at: Int.random(in: 0..<records.count, using: &random))
        }
        if chance(rate), !records.isEmpty {
            let moved = records.remove(at: Int.random(in: 0..<records.count, using: &random))
            records.insert(moved, at: Int.random(in: 0...records.count, using: &random))
        }
        if chance(rate), !records.isEmpty { edit(&records[Int.random(in: 0..<records.count, using: &random)].record) }
        if isFirst {
            records.insert((-1, make(&self)), at: 0)
        } else if chance(rate) {
            let place = Int.random(in: 0...records.count, using: &random)
            records.insert((-1, make(&self)), at: place)
        }
        for (index, entry) in records.enumerated() where entry.origin >= 0 { places.new[entry.origin] = index }
        snapshot[keyPath: table] = records.map(\.record)
        return places
    }
}
