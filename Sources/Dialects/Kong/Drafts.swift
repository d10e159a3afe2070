// Entities to be stored: whole specs, with final ids in their references.

import Model

/// An entity that was read; ids and references come when all are known.
struct Draft {
    var kind: EntityKind
    /// In the model's array of its kind (for targets and groups: in the loader's).
    var index: Int
    var hasWrittenID: Bool
    var spec: [ConfigValue.Entry]
    var line: Int
    var column: Int
    /// For messages.
    var label: String
}

extension KongLoader {
    /// How many entities of a kind have been read.
    func count(_ kind: EntityKind) -> Int {
        switch kind {
        case .services: model.services.count
        case .routes: model.routes.count
        case .upstreams: model.upstreams.count
        case .targets: targets.count
        case .consumers: model.consumers.count
        case .plugins: model.plugins.count
        case .certificates: model.certificates.count
        case .snis: model.serverNames.count
        case .caCertificates: model.caCertificates.count
        case .keyAuthCredentials: model.keyAuthCredentials.count
        case .basicAuthCredentials: model.basicAuthCredentials.count
        case .hmacAuthCredentials: model.hmacAuthCredentials.count
        case .jwtSecrets: model.jwtSecrets.count
        case .oauth2Credentials: model.oauth2Credentials.count
        case .acls: groups.count
        case .vaults: model.vaults.count
        case .keySets: model.keySets.count
        case .keys: model.keys.count
        }
    }

    /// Remembers the entity that was read last as one to be stored.
    func draft(_ kind: EntityKind, _ fields: Fields, _ node: Int) {
        let index = count(kind) - 1
        var spec: [ConfigValue.Entry] = []
        spec.reserveCapacity(fields.schema.fields.count)
        for (position, field) in fields.schema.fields.enumerated() where field.movedTo.isEmpty && field.name != "url" {
            var own = ConfigValue.null
            switch field.type {
            // Patched when all ids are known, or taken from the model below.
            case .foreign, .open: break
            // A key is a jwk or a pem.
            case .record where kind == .keys && !fields.has(position): break
            default: own = value(fields, position, field)
            }
            // Kong shows these two only where routes are expressions.
            if own.isNull, kind == .routes, field.name == "expression" || field.name == "priority" { continue }
            spec.append(ConfigValue.Entry(field.name, own))
        }
        normalize(kind, index, &spec)
        let place = purpose.hasPlaces ? document.position(node) : Position(line: 0, column: 0)
        drafts.append(
            Draft(
                kind: kind, index: index, hasWrittenID: fields.has(0), spec: spec,
                line: purpose.hasPlaces ? sourceLine(place.line) : 0, column: place.column, label: label(scopes)))
    }

    /// What is stored differs from what is written: sugar, migrated forms, defaults that depend on other fields.
    private func normalize(_ kind: EntityKind, _ index: Int, _ spec: inout [ConfigValue.Entry]) {
        switch kind {
        case .services:
            let service = model.services[index]
            spec["protocol"] = .string(service.protocol.rawValue)
            spec["host"] = .string(service.host)
            spec["port"] = .int(service.port)
            spec["path"] = service.path.isEmpty ? .null : .string(service.path)
        case .routes:
            let route = model.routes[index]
            spec["protocols"] = .array(route.protocols.map { .string($0.rawValue) })
            spec["strip_path"] = .bool(route.stripPath)
            if !route.paths.isEmpty { spec["paths"] = .array(route.paths.map { .string($0) }) }
        case .upstreams: spec["algorithm"] = .string(model.upstreams[index].algorithm)
        case .targets:
            let host = targets[index].host
            let shown = host.contains(":") ? "[\(host)]" : host
            spec["target"] = .string("\(shown):\(targets[index].port)")
        case .plugins:
            spec["protocols"] = .array(model.plugins[index].protocols.map { .string($0.rawValue) })
            spec["config"] = model.plugins[index].config
        case .caCertificates:
            let own = PEM.contents(model.caCertificates[index].certificate)
            spec["cert_digest"] = own.map { .string(SHA256Digest.hex($0)) } ?? .null
        case .snis: spec["name"] = .string(model.serverNames[index].name)
        case .vaults where spec["config"].entries == nil: spec["config"] = .record([])
        default: break
        }
    }

    // MARK: Records

    /// Parents before children.
    private static let storingOrder: [EntityKind] = [
        .vaults, .certificates, .caCertificates, .keySets, .upstreams, .services, .consumers, .routes, .snis, .targets,
        .plugins, .keyAuthCredentials, .basicAuthCredentials, .hmacAuthCredentials, .jwtSecrets, .oauth2Credentials,
        .acls, .keys,
    ]

    /// What was read, with final ids. Findings may be added: sort them afterwards.
    func records() -> [EntityRecord] {
        var ids = KindTable<[Identifier]>(repeating: [])
        for kind in EntityKind.allCases { ids[kind] = [Identifier](repeating: Identifier(), count: count(kind)) }
        let byKind = Dictionary(grouping: drafts.indices) { drafts[$0].kind }
        var records: [EntityRecord] = []
        records.reserveCapacity(drafts.count)
        for kind in Self.storingOrder {
            guard let own = byKind[kind] else { continue }
            chooseIDs(kind, own, &ids)
            for position in own { records.append(record(drafts[position], ids)) }
        }
        return records
    }

    /// The id behind an index, which may lead out of the file.
    private func id(_ kind: EntityKind, _ index: Int, _ ids: KindTable<[Identifier]>) -> Identifier? {
        index >= 0 ? ids[kind].at(index) : externals.at(-2 - index)
    }

    private func chooseIDs(_ kind: EntityKind, _ own: [Int], _ ids: inout KindTable<[Identifier]>) {
        var used: Set<Identifier> = []
        var copies: [String: Int] = [:]
        var derived: [Int] = []
        for position in own {
            let draft = drafts[position]
            let written = head(draft).id
            let stored = purpose == .records ? storedID(draft, ids, &copies) : nil
            if draft.hasWrittenID {
                var chosen = written
                if let stored, stored != written, known(kind, written.description) == nil, !used.contains(stored) {
                    chosen = stored
                    warnKept(draft, stored)
                }
                ids[kind][draft.index] = chosen
                used.insert(chosen)
            } else if let stored, !used.contains(stored) {
                ids[kind][draft.index] = stored
                used.insert(stored)
            } else {
                derived.append(position)
            }
        }
        for position in derived {
            var id = derivedID(drafts[position], ids)
            var copy = 1
            while !used.insert(id).inserted {
                copy += 1
                id = Identifier(namespace: derivedID(drafts[position], ids), name: "#\(copy)")
            }
            ids[kind][drafts[position].index] = id
        }
    }

    private func warnKept(_ draft: Draft, _ stored: Identifier) {
        findings.append(
            Diagnostic(
                .warning, code: DiagnosticCode.notUnique.rawValue, file: file, line: draft.line, column: draft.column,
                entity: draft.label, field: "id",
                message: "it is stored already, under the id \(stored), which it keeps",
                remedy: "write that id, or none"))
    }

    private func derivedID(_ draft: Draft, _ ids: KindTable<[Identifier]>) -> Identifier {
        guard draft.kind == .acls else { return head(draft).id }
        let consumer = id(.consumers, groupParents[draft.index], ids)?.description ?? ""
        return identifier(.acls, "acls:\(consumer):\(groups[draft.index])")
    }

    /// The id under which the entity is stored already.
    private func storedID(
        _ draft: Draft, _ ids: KindTable<[Identifier]>, _ copies: inout [String: Int]
    ) -> Identifier? {
        let keys = keys(draft, ids)
        for (_, key) in keys.unique {
            if let id = known(draft.kind, key) { return id }
        }
        guard let content = keys.content else { return nil }
        let copy = copies[content, default: 0] + 1
        copies[content] = copy
        return known(draft.kind, LiveModel.numbered(content, copy))
    }

    private func keys(_ draft: Draft, _ ids: KindTable<[Identifier]>) -> EntityKeys {
        let parent: ParentID = { self.id($0, $1, ids) }
        let index = draft.index
        switch draft.kind {
        case .services: return model.services[index].keys(parent)
        case .routes: return model.routes[index].keys(parent)
        case .upstreams: return model.upstreams[index].keys(parent)
        case .consumers: return model.consumers[index].keys(parent)
        case .plugins: return model.plugins[index].keys(parent)
        case .certificates: return model.certificates[index].keys(parent)
        case .snis: return model.serverNames[index].keys(parent)
        case .caCertificates: return model.caCertificates[index].keys(parent)
        case .keyAuthCredentials: return model.keyAuthCredentials[index].keys(parent)
        case .basicAuthCredentials: return model.basicAuthCredentials[index].keys(parent)
        case .hmacAuthCredentials: return model.hmacAuthCredentials[index].keys(parent)
        case .jwtSecrets: return model.jwtSecrets[index].keys(parent)
        case .oauth2Credentials: return model.oauth2Credentials[index].keys(parent)
        case .vaults: return model.vaults[index].keys(parent)
        case .keySets: return model.keySets[index].keys(parent)
        case .keys: return model.keys[index].keys(parent)
        case .targets:
            return id(.upstreams, targetParents[index], ids).map { EntityKeys.target($0, targets[index]) }
                ?? EntityKeys()
        case .acls:
            return id(.consumers, groupParents[index], ids).map { EntityKeys.group($0, groups[index]) } ?? EntityKeys()
        }
    }

    private func head(_ draft: Draft) -> EntityHead {
        let index = draft.index
        return switch draft.kind {
        case .services: model.services[index].head
        case .routes: model.routes[index].head
        case .upstreams: model.upstreams[index].head
        case .targets: targets[index].head
        case .consumers: model.consumers[index].head
        case .plugins: model.plugins[index].head
        case .certificates: model.certificates[index].head
        case .snis: model.serverNames[index].head
        case .caCertificates: model.caCertificates[index].head
        case .keyAuthCredentials: model.keyAuthCredentials[index].head
        case .basicAuthCredentials: model.basicAuthCredentials[index].head
        case .hmacAuthCredentials: model.hmacAuthCredentials[index].head
        case .jwtSecrets: model.jwtSecrets[index].head
        case .oauth2Credentials: model.oauth2Credentials[index].head
        case .acls: groupHeads[index]
        case .vaults: model.vaults[index].head
        case .keySets: model.keySets[index].head
        case .keys: model.keys[index].head
        }
    }

    private func record(_ draft: Draft, _ ids: KindTable<[Identifier]>) -> EntityRecord {
        let index = draft.index
        let own = ids[draft.kind][index]
        var spec = draft.spec
        var name: String?
        spec["id"] = .string(own.description)
        func refer(_ field: String, _ kind: EntityKind, _ index: Int) {
            guard let id = id(kind, index, ids) else { return }
            spec[field] = .record([ConfigValue.Entry("id", .string(id.description))])
        }
        switch draft.kind {
        case .services:
            let service = model.services[index]
            name = service.name
            refer("client_certificate", .certificates, service.clientCertificate)
            if !service.caCertificates.isEmpty {
                spec["ca_certificates"] = .array(
                    service.caCertificates.compactMap { id(.caCertificates, $0, ids).map { .string($0.description) } })
            }
        case .routes:
            name = model.routes[index].name
            refer("service", .services, model.routes[index].service)
        case .upstreams:
            name = model.upstreams[index].name
            refer("client_certificate", .certificates, model.upstreams[index].clientCertificate)
        case .targets: refer("upstream", .upstreams, targetParents[index])
        case .consumers: name = model.consumers[index].username
        case .plugins:
            name = model.plugins[index].instanceName
            refer("route", .routes, model.plugins[index].route)
            refer("service", .services, model.plugins[index].service)
            refer("consumer", .consumers, model.plugins[index].consumer)
        case .snis:
            name = model.serverNames[index].name
            refer("certificate", .certificates, model.serverNames[index].certificate)
        case .keyAuthCredentials: refer("consumer", .consumers, model.keyAuthCredentials[index].consumer)
        case .basicAuthCredentials:
            refer("consumer", .consumers, model.basicAuthCredentials[index].consumer)
            hashPassword(&spec, id(.consumers, model.basicAuthCredentials[index].consumer, ids))
        case .hmacAuthCredentials: refer("consumer", .consumers, model.hmacAuthCredentials[index].consumer)
        case .jwtSecrets: refer("consumer", .consumers, model.jwtSecrets[index].consumer)
        case .oauth2Credentials: refer("consumer", .consumers, model.oauth2Credentials[index].consumer)
        case .acls: refer("consumer", .consumers, groupParents[index])
        case .vaults: name = model.vaults[index].prefix
        case .keySets: name = model.keySets[index].name
        case .keys:
            name = model.keys[index].name
            refer("set", .keySets, model.keys[index].set)
        case .certificates, .caCertificates: break
        }
        return EntityRecord(
            kind: draft.kind, id: own, name: name?.isEmpty == true ? nil : name, spec: .record(spec), line: draft.line,
            column: draft.column)
    }

    /// The id of the consumer is part of the hash. What is behind a vault reference is hashed when it is read.
    private func hashPassword(_ spec: inout [ConfigValue.Entry], _ consumer: Identifier?) {
        guard transforms, let consumer, let password = spec["password"].string, !password.hasPrefix("{vault://") else {
            return
        }
        spec["password"] = .string(SHA1.hex(password + consumer.description))
    }
}

extension [ConfigValue.Entry] {
    /// The value of a key; nothing is set where there is no such key.
    subscript(key: String) -> ConfigValue {
        get { first { $0.key == key }?.value ?? .null }
        set {
            if let index = firstIndex(where: { $0.key == key }) { self[index].value = newValue }
        }
    }
}
