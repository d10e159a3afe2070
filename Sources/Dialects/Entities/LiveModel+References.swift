// Steps 3 and 4: references of what was put become indices; targets and groups go into their parents.

import Model

/// Targets and groups, which are parts of their parents in the model.
struct Children: Sendable {
    struct Target {
        var order: UInt64
        var upstream: Identifier
    }

    struct Group {
        var order: UInt64
        var consumer: Identifier
        var name: String
    }

    var targets: [Identifier: Target] = [:]
    var groups: [Identifier: Group] = [:]
    /// The groups of each consumer, by order.
    var groupsOf: [Identifier: [Identifier]] = [:]
}

extension LiveModel {
    mutating func resolve(_ loader: KongLoader, _ findings: inout [Diagnostic]) {
        for reference in loader.pending where reference.kind != .targets && reference.kind != .acls {
            guard let own = owner(of: reference, loader), let index = index(reference.kind, own) else { continue }
            guard let target = known(reference.target, reference.text).flatMap({ self.index(reference.target, $0) })
            else {
                findings.append(missing(reference, label(reference.kind, index)))
                continue
            }
            set(reference, index, to: target)
        }
        for position in loader.unhashedPasswords {
            let credential = loader.model.basicAuthCredentials[position]
            guard let index = index(.basicAuthCredentials, credential.head.id) else { continue }
            let consumer = model.basicAuthCredentials[index].consumer
            guard consumer >= 0 else { continue }
            model.basicAuthCredentials[index].passwordHash = SHA1.hex(
                credential.passwordHash + model.consumers[consumer].head.id.description)
        }
    }

    private func missing(_ reference: PendingReference, _ entity: String) -> Diagnostic {
        Diagnostic(
            code: DiagnosticCode.missingReference.rawValue, entity: entity, field: reference.field,
            message: "there is no \(reference.target.singular) \"\(reference.text)\"",
            remedy: "create it first, or correct the reference")
    }

    private func owner(of reference: PendingReference, _ loader: KongLoader) -> Identifier? {
        let index = reference.index
        return switch reference.kind {
        case .services: loader.model.services.at(index)?.head.id
        case .routes: loader.model.routes.at(index)?.head.id
        case .upstreams: loader.model.upstreams.at(index)?.head.id
        case .plugins: loader.model.plugins.at(index)?.head.id
        case .snis: loader.model.serverNames.at(index)?.head.id
        case .keyAuthCredentials: loader.model.keyAuthCredentials.at(index)?.head.id
        case .basicAuthCredentials: loader.model.basicAuthCredentials.at(index)?.head.id
        case .hmacAuthCredentials: loader.model.hmacAuthCredentials.at(index)?.head.id
        case .jwtSecrets: loader.model.jwtSecrets.at(index)?.head.id
        case .oauth2Credentials: loader.model.oauth2Credentials.at(index)?.head.id
        case .keys: loader.model.keys.at(index)?.head.id
        case .targets: loader.targets.at(index)?.head.id
        case .acls: loader.groupHeads.at(index)?.id
        case .consumers, .certificates, .caCertificates, .vaults, .keySets: nil
        }
    }

    private func label(_ kind: EntityKind, _ index: Int) -> String {
        switch kind {
        case .services: model.services[index].label
        case .routes: model.routes[index].label
        case .upstreams: model.upstreams[index].label
        case .plugins: model.plugins[index].label
        case .snis: model.serverNames[index].label
        case .keyAuthCredentials: model.keyAuthCredentials[index].label
        case .basicAuthCredentials: model.basicAuthCredentials[index].label
        case .hmacAuthCredentials: model.hmacAuthCredentials[index].label
        case .jwtSecrets: model.jwtSecrets[index].label
        case .oauth2Credentials: model.oauth2Credentials[index].label
        case .keys: model.keys[index].label
        case .consumers, .certificates, .caCertificates, .vaults, .keySets, .targets, .acls: kind.singular
        }
    }

    private mutating func set(_ reference: PendingReference, _ index: Int, to target: Int) {
        switch (reference.kind, reference.field) {
        case (.services, "ca_certificates"): model.services[index].caCertificates.append(target)
        case (.services, _): model.services[index].clientCertificate = target
        case (.upstreams, _): model.upstreams[index].clientCertificate = target
        case (.routes, _): model.routes[index].service = target
        case (.plugins, "route"): model.plugins[index].route = target
        case (.plugins, "service"): model.plugins[index].service = target
        case (.plugins, _): model.plugins[index].consumer = target
        case (.snis, _): model.serverNames[index].certificate = target
        case (.keyAuthCredentials, _): model.keyAuthCredentials[index].consumer = target
        case (.basicAuthCredentials, _): model.basicAuthCredentials[index].consumer = target
        case (.hmacAuthCredentials, _): model.hmacAuthCredentials[index].consumer = target
        case (.jwtSecrets, _): model.jwtSecrets[index].consumer = target
        case (.oauth2Credentials, _): model.oauth2Credentials[index].consumer = target
        case (.keys, _): model.keys[index].set = target
        case (.targets, _), (.acls, _), (.consumers, _), (.certificates, _), (.caCertificates, _), (.vaults, _),
            (.keySets, _):
            break
        }
    }

    // MARK: Children

    mutating func adoptChildren(_ loader: KongLoader, _ batch: Batch, _ findings: inout [Diagnostic]) {
        var parents = KindTable<[Int: Identifier]>(repeating: [:])
        for reference in loader.pending where reference.kind == .targets || reference.kind == .acls {
            if let id = known(reference.target, reference.text) {
                parents[reference.kind][reference.index] = id
            } else {
                let own = owner(of: reference, loader)?.description ?? ""
                findings.append(missing(reference, "\(reference.kind.singular) \"\(own)\""))
            }
        }
        adoptTargets(loader.targets, parents[.targets], batch)
        adoptGroups(loader, parents[.acls], batch)
        for id in batch.removed[.upstreams] {
            for child in children.targets where child.value.upstream == id {
                findings.append(Self.dangling("target \"\(child.key)\"", "upstream", .upstreams))
            }
        }
        for id in batch.removed[.consumers] where children.groupsOf[id] != nil {
            findings.append(Self.dangling("an acl group of consumer \"\(id)\"", "consumer", .consumers))
        }
    }

    private mutating func adoptTargets(_ fresh: [TargetEntity], _ parents: [Int: Identifier], _ batch: Batch) {
        guard batch.touches(.targets) else { return }
        var leaving: [Identifier: Set<Identifier>] = [:]
        for id in batch.puts[.targets].map(\.id) + Array(batch.removed[.targets]) {
            guard let child = children.targets.removeValue(forKey: id) else { continue }
            leaving[child.upstream, default: []].insert(id)
        }
        for (upstream, ids) in leaving {
            guard let index = index(.upstreams, upstream) else { continue }
            model.upstreams[index].targets.removeAll { ids.contains($0.head.id) }
        }
        for (position, target) in fresh.enumerated() {
            guard let parent = parents[position], let upstream = index(.upstreams, parent),
                let order = batch.order(.targets, target.head.id)
            else { continue }
            children.targets[target.head.id] = Children.Target(order: order, upstream: parent)
            var at = model.upstreams[upstream].targets.count
            while at > 0, let other = children.targets[model.upstreams[upstream].targets[at - 1].head.id],
                other.order > order
            {
                at -= 1
            }
            model.upstreams[upstream].targets.insert(target, at: at)
        }
    }

    private mutating func adoptGroups(_ loader: KongLoader, _ parents: [Int: Identifier], _ batch: Batch) {
        guard batch.touches(.acls) else { return }
        var changed: Set<Identifier> = []
        for id in batch.puts[.acls].map(\.id) + Array(batch.removed[.acls]) {
            guard let child = children.groups.removeValue(forKey: id) else { continue }
            children.groupsOf[child.consumer]?.removeAll { $0 == id }
            changed.insert(child.consumer)
        }
        for (position, head) in loader.groupHeads.enumerated() {
            guard let parent = parents[position], let order = batch.order(.acls, head.id) else { continue }
            children.groups[head.id] = Children.Group(order: order, consumer: parent, name: loader.groups[position])
            children.groupsOf[parent, default: []].append(head.id)
            changed.insert(parent)
        }
        for id in changed {
            var own = children.groupsOf[id] ?? []
            own.sort { (children.groups[$0]?.order ?? 0) < (children.groups[$1]?.order ?? 0) }
            children.groupsOf[id] = own.isEmpty ? nil : own
            guard let index = index(.consumers, id) else { continue }
            model.consumers[index].groups = own.compactMap { children.groups[$0]?.name }
        }
    }
}

extension Array {
    /// The element at `index`; nil outside of the array.
    func at(_ index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}
