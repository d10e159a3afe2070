// Step 2: entities go to their places in the arrays, and indices follow what moved.

import Model

/// Where the entities of a kind stand: their orders, in the order of the array.
struct Places: Sendable {
    var orders: [UInt64] = []
    var orderOf: [Identifier: UInt64] = [:]

    func index(of id: Identifier) -> Int? {
        guard let order = orderOf[id] else { return nil }
        return index(of: order)
    }

    func index(of order: UInt64) -> Int? {
        var low = 0
        var high = orders.count
        while low < high {
            let middle = (low + high) / 2
            if orders[middle] < order { low = middle + 1 } else { high = middle }
        }
        return low < orders.count && orders[low] == order ? low : nil
    }
}

extension LiveModel {
    /// The place of an entity in its array; nil if there is none (and for targets and groups, which have no array).
    func index(_ kind: EntityKind, _ id: Identifier) -> Int? { places[kind].index(of: id) }

    /// New indices by old ones, -1 for what is gone; nil when none moved.
    private typealias Moves = [Int]?

    mutating func splice(_ fresh: GatewayModel, _ batch: Batch, _ findings: inout [Diagnostic]) {
        var moves = KindTable<Moves>(repeating: nil)
        func put<E: GatewayEntity>(_ entities: inout [E], _ places: inout Places, _ fresh: [E]) {
            guard batch.touches(E.kind) else { return }
            moves[E.kind] = Self.splice(&entities, &places, fresh, batch, &findings)
        }
        put(&model.services, &places[.services], fresh.services)
        put(&model.routes, &places[.routes], fresh.routes)
        put(&model.upstreams, &places[.upstreams], fresh.upstreams)
        put(&model.consumers, &places[.consumers], fresh.consumers)
        put(&model.plugins, &places[.plugins], fresh.plugins)
        put(&model.certificates, &places[.certificates], fresh.certificates)
        put(&model.serverNames, &places[.snis], fresh.serverNames)
        put(&model.caCertificates, &places[.caCertificates], fresh.caCertificates)
        put(&model.keyAuthCredentials, &places[.keyAuthCredentials], fresh.keyAuthCredentials)
        put(&model.basicAuthCredentials, &places[.basicAuthCredentials], fresh.basicAuthCredentials)
        put(&model.hmacAuthCredentials, &places[.hmacAuthCredentials], fresh.hmacAuthCredentials)
        put(&model.jwtSecrets, &places[.jwtSecrets], fresh.jwtSecrets)
        put(&model.oauth2Credentials, &places[.oauth2Credentials], fresh.oauth2Credentials)
        put(&model.vaults, &places[.vaults], fresh.vaults)
        put(&model.keySets, &places[.keySets], fresh.keySets)
        put(&model.keys, &places[.keys], fresh.keys)
        follow(moves, &findings)
    }

    private static func splice<E: GatewayEntity>(
        _ entities: inout [E], _ places: inout Places, _ fresh: [E], _ batch: Batch, _ findings: inout [Diagnostic]
    ) -> Moves {
        var gone: [Int] = []
        var inserted: [(order: UInt64, entity: E)] = []
        for id in batch.removed[E.kind] {
            if let index = places.index(of: id) { gone.append(index) }
        }
        for entity in fresh {
            guard let order = batch.order(E.kind, entity.head.id) else {
                findings.append(misplaced(entity, "its id is not the one it is stored under"))
                continue
            }
            var entity = entity
            guard let index = places.index(of: entity.head.id) else {
                inserted.append((order, entity))
                continue
            }
            entity.adopt(childrenOf: entities[index])
            if places.orders[index] == order {
                entities[index] = entity
            } else {
                gone.append(index)
                inserted.append((order, entity))
            }
        }
        // What could not be read (or is left out, as a disabled plugin that Seaway lacks) is not in the model.
        if fresh.count < batch.puts[E.kind].count {
            let read = Set(fresh.map(\.head.id))
            for put in batch.puts[E.kind] where !read.contains(put.id) {
                if let index = places.index(of: put.id) { gone.append(index) }
            }
        }
        return merge(
            &entities, &places, gone: gone.sorted(), inserted: inserted.sorted { $0.order < $1.order }, &findings)
    }

    private static func misplaced(_ entity: some GatewayEntity, _ why: String) -> Diagnostic {
        Diagnostic(
            code: DiagnosticCode.syntax.rawValue, entity: entity.label, message: "cannot be read back: \(why)",
            remedy: "restore it from a backup, or delete it and create it again")
    }

    private static func merge<E: GatewayEntity>(
        _ entities: inout [E], _ places: inout Places, gone: [Int], inserted: [(order: UInt64, entity: E)],
        _ findings: inout [Diagnostic]
    ) -> Moves {
        guard !gone.isEmpty || !inserted.isEmpty else { return nil }
        for index in gone { places.orderOf[entities[index].head.id] = nil }
        func append(_ new: (order: UInt64, entity: E), _ entities: inout [E], _ orders: inout [UInt64]) {
            guard orders.last != new.order else {
                findings.append(misplaced(new.entity, "another one has its place"))
                return
            }
            places.orderOf[new.entity.head.id] = new.order
            orders.append(new.order)
            entities.append(new.entity)
        }
        if gone.isEmpty, (inserted.first?.order ?? 0) > places.orders.last ?? 0 || places.orders.isEmpty {
            entities.reserveCapacity(entities.count + inserted.count)
            for new in inserted { append(new, &entities, &places.orders) }
            return nil
        }
        var moves = [Int](repeating: -1, count: entities.count)
        var merged: [E] = []
        var orders: [UInt64] = []
        merged.reserveCapacity(entities.count + inserted.count)
        orders.reserveCapacity(entities.count + inserted.count)
        var nextGone = 0
        var nextInserted = 0
        for index in entities.indices {
            if nextGone < gone.count, gone[nextGone] == index {
                while nextGone < gone.count, gone[nextGone] == index { nextGone += 1 }
                continue
            }
            while nextInserted < inserted.count, inserted[nextInserted].order < places.orders[index] {
                append(inserted[nextInserted], &merged, &orders)
                nextInserted += 1
            }
            moves[index] = merged.count
            merged.append(entities[index])
            orders.append(places.orders[index])
        }
        for new in inserted[nextInserted...] { append(new, &merged, &orders) }
        entities = merged
        places.orders = orders
        return moves
    }

    // MARK: Indices

    private mutating func follow(_ moves: KindTable<Moves>, _ findings: inout [Diagnostic]) {
        func follow<E: GatewayEntity>(
            _ target: EntityKind, _ field: String, _ entities: inout [E], _ index: (E) -> Int,
            _ set: (inout E, Int) -> Void
        ) {
            guard let moves = moves[target] else { return }
            for i in entities.indices {
                let old = index(entities[i])
                guard old >= 0, moves[old] != old else { continue }
                set(&entities[i], moves[old])
                if moves[old] < 0 { findings.append(Self.dangling(entities[i].label, field, target)) }
            }
        }
        follow(.services, "service", &model.routes, { $0.service }, { $0.service = $1 })
        follow(.services, "service", &model.plugins, { $0.service }, { $0.service = $1 })
        follow(.routes, "route", &model.plugins, { $0.route }, { $0.route = $1 })
        follow(.consumers, "consumer", &model.plugins, { $0.consumer }, { $0.consumer = $1 })
        follow(.consumers, "consumer", &model.keyAuthCredentials, { $0.consumer }, { $0.consumer = $1 })
        follow(.consumers, "consumer", &model.basicAuthCredentials, { $0.consumer }, { $0.consumer = $1 })
        follow(.consumers, "consumer", &model.hmacAuthCredentials, { $0.consumer }, { $0.consumer = $1 })
        follow(.consumers, "consumer", &model.jwtSecrets, { $0.consumer }, { $0.consumer = $1 })
        follow(.consumers, "consumer", &model.oauth2Credentials, { $0.consumer }, { $0.consumer = $1 })
        follow(
            .certificates, "client_certificate", &model.services, { $0.clientCertificate },
            { $0.clientCertificate = $1 })
        follow(
            .certificates, "client_certificate", &model.upstreams, { $0.clientCertificate },
            { $0.clientCertificate = $1 })
        follow(.certificates, "certificate", &model.serverNames, { $0.certificate }, { $0.certificate = $1 })
        follow(.keySets, "set", &model.keys, { $0.set }, { $0.set = $1 })
        guard let moves = moves[.caCertificates] else { return }
        for i in model.services.indices where !model.services[i].caCertificates.isEmpty {
            let moved = model.services[i].caCertificates.map { moves[$0] }
            model.services[i].caCertificates = moved.filter { $0 >= 0 }
            if moved.contains(-1) {
                findings.append(Self.dangling(model.services[i].label, "ca_certificates", .caCertificates))
            }
        }
    }

    static func dangling(_ entity: String, _ field: String, _ target: EntityKind) -> Diagnostic {
        Diagnostic(
            code: DiagnosticCode.missingReference.rawValue, entity: entity, field: field,
            message: "the \(target.singular) that it refers to is removed",
            remedy: "remove the reference first, or remove both together")
    }
}
