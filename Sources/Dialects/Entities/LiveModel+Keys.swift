// Step 5: names and natural keys, by which entities are found and told apart.

import Model

extension LiveModel {
    /// The keys of one entity before or after a change; nil: it was not there, or is there no more.
    struct KeyState {
        var kind: EntityKind
        var id: Identifier
        var keys: EntityKeys?
    }

    /// The keys of everything that a batch is about, kind by kind and in the batch's order.
    func currentKeys(of batch: Batch) -> [KeyState] {
        var states: [KeyState] = []
        for kind in EntityKind.allCases where batch.touches(kind) {
            for put in batch.puts[kind] { states.append(KeyState(kind: kind, id: put.id, keys: keys(kind, put.id))) }
            for id in batch.removed[kind] { states.append(KeyState(kind: kind, id: id, keys: keys(kind, id))) }
        }
        return states
    }

    private func keys(_ kind: EntityKind, _ id: Identifier) -> EntityKeys? {
        func own<E: GatewayEntity>(_ entities: [E]) -> EntityKeys? {
            index(kind, id).map { entities[$0].keys(parentID) }
        }
        switch kind {
        case .services: return own(model.services)
        case .routes: return own(model.routes)
        case .upstreams: return own(model.upstreams)
        case .consumers: return own(model.consumers)
        case .plugins: return own(model.plugins)
        case .certificates: return own(model.certificates)
        case .snis: return own(model.serverNames)
        case .caCertificates: return own(model.caCertificates)
        case .keyAuthCredentials: return own(model.keyAuthCredentials)
        case .basicAuthCredentials: return own(model.basicAuthCredentials)
        case .hmacAuthCredentials: return own(model.hmacAuthCredentials)
        case .jwtSecrets: return own(model.jwtSecrets)
        case .oauth2Credentials: return own(model.oauth2Credentials)
        case .vaults: return own(model.vaults)
        case .keySets: return own(model.keySets)
        case .keys: return own(model.keys)
        case .targets:
            guard let child = children.targets[id], let upstream = index(.upstreams, child.upstream),
                let target = model.upstreams[upstream].targets.last(where: { $0.head.id == id })
            else { return nil }
            return EntityKeys.target(child.upstream, target)
        case .acls: return children.groups[id].map { EntityKeys.group($0.consumer, $0.name) }
        }
    }

    /// The id behind an index of the model.
    private func parentID(_ kind: EntityKind, _ index: Int) -> Identifier? {
        switch kind {
        case .services: model.services.at(index)?.head.id
        case .routes: model.routes.at(index)?.head.id
        case .consumers: model.consumers.at(index)?.head.id
        case .keySets: model.keySets.at(index)?.head.id
        default: nil
        }
    }

    /// - Parameters: states of the same entities, in the same order.
    mutating func replaceKeys(_ old: [KeyState], with new: [KeyState], _ findings: inout [Diagnostic]) {
        let changed = zip(old, new).filter { $0.keys != $1.keys }
        for (state, _) in changed {
            for (_, key) in state.keys?.unique ?? [] where keys[state.kind][key] == state.id {
                keys[state.kind][key] = nil
            }
            if let content = state.keys?.content { forget(state.kind, content, state.id) }
        }
        for (_, state) in changed {
            for (field, key) in state.keys?.unique ?? [] {
                if let other = keys[state.kind][key], other != state.id {
                    findings.append(notUnique(state, field, key))
                } else {
                    keys[state.kind][key] = state.id
                }
            }
            if let content = state.keys?.content { remember(state.kind, content, state.id) }
        }
    }

    // Several entities may have one content: the second is found by `…#2`, and there are no gaps.

    private mutating func remember(_ kind: EntityKind, _ content: String, _ id: Identifier) {
        var copy = 1
        while keys[kind][Self.numbered(content, copy)] != nil { copy += 1 }
        keys[kind][Self.numbered(content, copy)] = id
    }

    private mutating func forget(_ kind: EntityKind, _ content: String, _ id: Identifier) {
        var copy = 1
        while let found = keys[kind][Self.numbered(content, copy)], found != id { copy += 1 }
        guard keys[kind][Self.numbered(content, copy)] == id else { return }
        while let following = keys[kind][Self.numbered(content, copy + 1)] {
            keys[kind][Self.numbered(content, copy)] = following
            copy += 1
        }
        keys[kind][Self.numbered(content, copy)] = nil
    }

    /// The key of the `copy`th entity of one content, from 1.
    static func numbered(_ content: String, _ copy: Int) -> String { copy == 1 ? content : "\(content)#\(copy)" }

    private func notUnique(_ state: KeyState, _ field: String, _ key: String) -> Diagnostic {
        let kind = state.kind
        let shown: String =
            switch field {
            case "name" where kind != .keys, "username", "prefix", "instance_name": "\(field) \"\(key)\""
            // The key may be a secret, or made of ids.
            default: field.contains(",") ? "the same \(field)" : "this \(field)"
            }
        return Diagnostic(
            code: DiagnosticCode.notUnique.rawValue, entity: "\(kind.singular) \"\(state.id)\"", field: field,
            message: "there is another \(kind.singular) with \(shown)", remedy: "rename or remove one of them")
    }

    /// A plugin's `anonymous` is no foreign key to Kong: a request that needs it fails with 500. Say it before that.
    func checkAnonymous(_ plugins: [PluginEntity], _ findings: inout [Diagnostic]) {
        for plugin in plugins {
            guard let name = plugin.config["anonymous"].string, known(.consumers, name) == nil else { continue }
            findings.append(
                Diagnostic(
                    .warning, code: DiagnosticCode.missingReference.rawValue, entity: plugin.label,
                    field: "config.anonymous", message: "there is no consumer \"\(name)\"",
                    remedy: "create it, or requests without credentials end in 500"))
        }
    }
}
