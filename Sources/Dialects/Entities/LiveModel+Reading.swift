// Step 1: what was put is read by the readers of kong.yml.

import Model

extension LiveModel {
    /// Specs that become one document: large enough to share configurations, small enough to cost little memory.
    private static let specsPerDocument = 1024

    /// What a vault's change makes read again.
    func addReferring(to batch: inout Batch) {
        guard batch.touches(.vaults) else { return }
        for (reference, stored) in referring
        where batch.order(reference.kind, reference.id) == nil
            && !batch.removed[reference.kind].contains(reference.id)
        {
            batch.put(reference.kind, Batch.Put(id: reference.id, order: stored.order, spec: stored.spec))
        }
    }

    /// Reads everything that was put. Its references are still texts.
    mutating func read(_ batch: Batch) -> KongLoader {
        let options = LoadOptions(
            file: "", environment: environment, isLenient: false, hasExpressions: hasExpressions, purpose: .stored)
        let empty = Document(nodes: [], pool: [], symbols: [], root: Document.none)
        let loader = KongLoader(document: empty, options: options) { $0 }
        loader.transforms = false
        let before = self
        loader.displayName = { before.title($0, $1) }
        for vault in model.vaults where !batch.removed[.vaults].contains(vault.head.id) {
            loader.vaultPrefixes[vault.prefix] = vault.configPrefix
        }
        // References into vaults are read with the entities that hold them: vaults first.
        for kind in [.vaults] + EntityKind.allCases.filter({ $0 != .vaults }) {
            read(batch.puts[kind][...], kind, loader)
            if kind == .vaults {
                for vault in loader.model.vaults { loader.vaultPrefixes[vault.prefix] = vault.configPrefix }
            }
            for id in batch.removed[kind] where !referring.isEmpty {
                referring[Reference(kind: kind, id: id)] = nil
            }
        }
        // It holds on to the model, which is changed next.
        loader.displayName = { _, _ in nil }
        return loader
    }

    private mutating func read(_ puts: ArraySlice<Batch.Put>, _ kind: EntityKind, _ loader: KongLoader) {
        var rest = puts
        while !rest.isEmpty {
            let part = rest.prefix(Self.specsPerDocument)
            rest = rest.dropFirst(part.count)
            loader.hasVaultReferences = false
            loader.readStored(kind, part.map { ($0.id, $0.spec) })
            guard loader.hasVaultReferences || !referring.isEmpty else { continue }
            for put in part {
                let refers = loader.hasVaultReferences && Self.hasVaultReference(put.spec)
                referring[Reference(kind: kind, id: put.id)] = refers ? (put.order, put.spec) : nil
            }
        }
    }

    private static func hasVaultReference(_ spec: [UInt8]) -> Bool {
        let mark = Array("{vault://".utf8)
        var start = 0
        while let found = spec[start...].firstIndex(of: mark[0]) {
            if spec[found...].starts(with: mark) { return true }
            start = found + 1
        }
        return false
    }

    /// The name behind an id, for messages.
    private func title(_ kind: EntityKind, _ text: String) -> String? {
        guard let id = Identifier(text), let index = index(kind, id) else { return nil }
        let title: String =
            switch kind {
            case .services: model.services[index].title
            case .routes: model.routes[index].title
            case .consumers: model.consumers[index].title
            case .upstreams: model.upstreams[index].title
            default: ""
            }
        return title.isEmpty ? nil : title
    }
}
