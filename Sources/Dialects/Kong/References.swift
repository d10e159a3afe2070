// The second step of a load: names and ids become indices, and what must be unique is.

import Model

extension KongLoader {
    /// Resolves all foreign keys, moves targets and groups into their parents, hashes passwords.
    func resolve() {
        let byID = identifierTables()
        let byName = nameTables()
        for reference in pending {
            let found =
                byName[reference.target]?[reference.text]
                ?? Identifier(reference.text).flatMap { byID[reference.target]?[$0] } ?? external(reference)
            guard let found else {
                report(
                    .missingReference, at: reference.node, field: reference.field, in: reference.scopes,
                    "there is no \(reference.target.singular) \"\(reference.text)\"",
                    remedy: suggestion(for: reference.text, in: byName[reference.target]))
                continue
            }
            set(reference, to: found)
        }
        checkUnique()
        checkAnonymous(byID[.consumers] ?? [:], byName[.consumers] ?? [:])
        moveIntoParents()
        hashPasswords()
    }

    /// What leads out of the file, to something stored: an index below -1.
    private func external(_ reference: PendingReference) -> Int? {
        guard purpose.collectsRecords else { return nil }
        // In a request, an id stands for itself: whether it leads anywhere is seen when it is stored.
        let own = purpose == .request ? Identifier(reference.text) : nil
        guard let id = known(reference.target, reference.text) ?? own else { return nil }
        if let index = externalIndices[id] { return index }
        externals.append(id)
        externalIndices[id] = -1 - externals.count
        return -1 - externals.count
    }

    private func suggestion(for text: String, in names: [String: Int]?) -> String {
        let near = names.flatMap { $0.count > 10_000 ? nil : Suggestion.nearest(to: text, in: $0.keys.sorted()) }
        return near.map { "did you mean \"\($0)\"?" } ?? "declare it, or correct the name"
    }

    private func identifierTables() -> [EntityKind: [Identifier: Int]] {
        let wanted = Set(pending.map(\.target))
        func table(_ kind: EntityKind, _ heads: () -> [Identifier]) -> [Identifier: Int] {
            guard wanted.contains(kind) else { return [:] }
            return Dictionary(heads().enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        }
        return [
            .services: table(.services) { model.services.map(\.head.id) },
            .routes: table(.routes) { model.routes.map(\.head.id) },
            .upstreams: table(.upstreams) { model.upstreams.map(\.head.id) },
            .consumers: table(.consumers) { model.consumers.map(\.head.id) },
            .certificates: table(.certificates) { model.certificates.map(\.head.id) },
            .caCertificates: table(.caCertificates) { model.caCertificates.map(\.head.id) },
            .keySets: table(.keySets) { model.keySets.map(\.head.id) },
        ]
    }

    private func nameTables() -> [EntityKind: [String: Int]] {
        [
            .services: unique(.services, "name", model.services.map { ($0.name, $0.head.line) }),
            .routes: unique(.routes, "name", model.routes.map { ($0.name, $0.head.line) }),
            .upstreams: unique(.upstreams, "name", model.upstreams.map { ($0.name, $0.head.line) }),
            .consumers: unique(.consumers, "username", model.consumers.map { ($0.username, $0.head.line) }),
            .keySets: unique(.keySets, "name", model.keySets.map { ($0.name, $0.head.line) }),
        ]
    }

    /// A table of names; reports the second use of one. Empty names are no names.
    @discardableResult
    private func unique(
        _ kind: EntityKind, _ field: String, _ names: [(name: String, line: Int)], isSecret: Bool = false
    )
        -> [String: Int]
    {
        var table: [String: Int] = [:]
        table.reserveCapacity(names.count)
        for (index, entry) in names.enumerated() where !entry.name.isEmpty {
            if let first = table[entry.name] {
                let shown = isSecret ? "the same \(field)" : "\(field) \"\(entry.name)\""
                findings.append(
                    Diagnostic(
                        code: DiagnosticCode.notUnique.rawValue, file: file, line: entry.line, column: 1,
                        entity: isSecret ? "a \(kind.singular)" : "\(kind.singular) \"\(entry.name)\"", field: field,
                        message: "another \(kind.singular) with \(shown) is on line \(names[first].line)",
                        remedy: "rename or remove one of them"))
            } else {
                table[entry.name] = index
            }
        }
        return table
    }

    private func set(_ reference: PendingReference, to found: Int) {
        let index = reference.index
        switch (reference.kind, reference.field) {
        case (.services, "ca_certificates"): model.services[index].caCertificates.append(found)
        case (.services, _): model.services[index].clientCertificate = found
        case (.upstreams, _): model.upstreams[index].clientCertificate = found
        case (.routes, _): model.routes[index].service = found
        case (.plugins, "route"): model.plugins[index].route = found
        case (.plugins, "service"): model.plugins[index].service = found
        case (.plugins, _): model.plugins[index].consumer = found
        case (.snis, _): model.serverNames[index].certificate = found
        case (.targets, _): targetParents[index] = found
        case (.acls, _): groupParents[index] = found
        case (.keyAuthCredentials, _): model.keyAuthCredentials[index].consumer = found
        case (.basicAuthCredentials, _): model.basicAuthCredentials[index].consumer = found
        case (.hmacAuthCredentials, _): model.hmacAuthCredentials[index].consumer = found
        case (.jwtSecrets, _): model.jwtSecrets[index].consumer = found
        case (.oauth2Credentials, _): model.oauth2Credentials[index].consumer = found
        case (.keys, _): model.keys[index].set = found
        case (.consumers, _), (.certificates, _), (.caCertificates, _), (.vaults, _), (.keySets, _): break
        }
    }

    private func checkUnique() {
        unique(.consumers, "custom_id", model.consumers.map { ($0.customID, $0.head.line) })
        unique(.snis, "name", model.serverNames.map { ($0.name, $0.head.line) })
        unique(.vaults, "prefix", model.vaults.map { ($0.prefix, $0.head.line) })
        unique(.plugins, "instance_name", model.plugins.map { ($0.instanceName, $0.head.line) })
        unique(.keyAuthCredentials, "key", model.keyAuthCredentials.map { ($0.key, $0.head.line) }, isSecret: true)
        unique(.basicAuthCredentials, "username", model.basicAuthCredentials.map { ($0.username, $0.head.line) })
        unique(.hmacAuthCredentials, "username", model.hmacAuthCredentials.map { ($0.username, $0.head.line) })
        unique(.jwtSecrets, "key", model.jwtSecrets.map { ($0.key, $0.head.line) }, isSecret: true)
        unique(.oauth2Credentials, "client_id", model.oauth2Credentials.map { ($0.clientID, $0.head.line) })
        unique(.keys, "name", model.keys.map { ($0.name, $0.head.line) })
        checkPluginScopes()
    }

    /// A plugin has one configuration for each combination of route, service and consumer.
    private func checkPluginScopes() {
        struct Place: Hashable {
            var name: String
            var route: Int
            var service: Int
            var consumer: Int
        }
        var seen: [Place: Int] = [:]
        for (index, plugin) in model.plugins.enumerated() {
            let place = Place(
                name: plugin.name, route: plugin.route, service: plugin.service, consumer: plugin.consumer)
            guard let first = seen.updateValue(index, forKey: place) else { continue }
            let scopes = pluginScopes[index]
            report(
                .notUnique, at: scopes.last?.node ?? Document.none, in: scopes,
                "\(plugin.name) is configured for the same place on line \(model.plugins[first].head.line)",
                remedy: "keep one of the two; Kong has one configuration for each place too")
        }
    }

    /// `anonymous` is no foreign key to Kong: a request that needs it fails with 500. Say it before that.
    private func checkAnonymous(_ byID: [Identifier: Int], _ byName: [String: Int]) {
        for (index, plugin) in model.plugins.enumerated() {
            guard let name = plugin.config["anonymous"].string, byName[name] == nil,
                !purpose.collectsRecords || known(.consumers, name) == nil
            else { continue }
            if let id = Identifier(name), byID[id] != nil || model.consumers.contains(where: { $0.head.id == id }) {
                continue
            }
            report(
                .missingReference, .warning, at: pluginScopes[index].last?.node ?? Document.none,
                field: "config.anonymous", in: pluginScopes[index], "there is no consumer \"\(name)\"",
                remedy: "declare it, or requests without credentials end in 500")
        }
    }

    private func moveIntoParents() {
        var seen: Set<String> = []
        for (index, target) in targets.enumerated() where targetParents[index] >= 0 {
            let parent = targetParents[index]
            if !seen.insert("\(parent) \(target.host):\(target.port)").inserted {
                let scopes = targetScopes[index]
                report(
                    .notUnique, at: scopes.last?.node ?? Document.none, in: scopes,
                    "the upstream has this target already", remedy: "keep one, and give it the weight that you want")
                continue
            }
            model.upstreams[parent].targets.append(target)
        }
        for (index, group) in groups.enumerated() where groupParents[index] >= 0 {
            let parent = groupParents[index]
            if model.consumers[parent].groups.contains(group) {
                let scopes = groupScopes[index]
                report(
                    .notUnique, at: scopes.last?.node ?? Document.none, in: scopes,
                    "the consumer is in this group already", remedy: "remove one of the two")
                continue
            }
            model.consumers[parent].groups.append(group)
        }
    }

    private func hashPasswords() {
        guard transforms else { return }
        for index in model.basicAuthCredentials.indices {
            let credential = model.basicAuthCredentials[index]
            guard credential.consumer >= 0 else { continue }
            let consumer = model.consumers[credential.consumer].head.id
            model.basicAuthCredentials[index].passwordHash = SHA1.hex(credential.passwordHash + consumer.description)
        }
    }
}
