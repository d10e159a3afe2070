// Plugins -> filter chains: which configuration runs for a route, in Kong's order of lookup.

import Model
import Snapshot

/// Plugins by where they are attached, and the chains made so far.
struct ChainTable {
    /// Plugin indices by route and by service; keys are indices into the model.
    var byRoute: [Int: [Int]] = [:]
    var byService: [Int: [Int]] = [:]
    /// Neither route nor service: global, or one consumer's.
    var unattached: [Int] = []
    /// Filter index of each enabled plugin of the model, -1 for the others.
    var filterOfPlugin: [Int] = []
    /// Protocols of each plugin of the model, as a set that is cheap to compare.
    var protocolsOfPlugin: [Protocols] = []
    /// Place of each plugin of the model in the order in which plugins run: equal for equal names.
    var placeOfPlugin: [Int] = []
    /// Wire bytes of a filter or a chain -> its index: equal ones are stored once.
    var filters: [WireKey: Int] = [:]
    var chains: [WireKey: Int] = [:]
    /// Chains of routes that have no plugins of their own, by (service with plugins or -1, protocols).
    var shared: [SharedKey: Int] = [:]

    struct SharedKey: Hashable {
        var service: Int
        var protocols: Protocols
    }

    /// Wire bytes as a key. Measured: an array of bytes hashes each byte by itself, which was a tenth of the
    /// time to load 100,000 plugins.
    struct WireKey: Hashable {
        var bytes: [UInt8]

        func hash(into hasher: inout Hasher) {
            unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
        }
    }
}

extension Compilation {
    mutating func addFilters() {
        chains.filterOfPlugin = [Int](repeating: -1, count: model.plugins.count)
        chains.protocolsOfPlugin = model.plugins.map { Protocols($0.protocols) }
        chains.placeOfPlugin = Self.places(model.plugins)
        for (index, plugin) in model.plugins.enumerated() where plugin.isEnabled {
            guard let filter = FilterMapping.filter(for: plugin, in: self) else { continue }
            chains.filterOfPlugin[index] = add(filter)
            if plugin.route >= 0 {
                chains.byRoute[plugin.route, default: []].append(index)
            } else if plugin.service >= 0 {
                chains.byService[plugin.service, default: []].append(index)
            } else {
                chains.unattached.append(index)
            }
        }
        snapshot.globalChain = makeChain(of: chains.unattached, route: -1, service: -1, protocols: [.http, .https])
    }

    private mutating func add(_ filter: Filter) -> Int {
        let key = ChainTable.WireKey(bytes: filter.wire)
        if let index = chains.filters[key] { return index }
        chains.filters[key] = snapshot.filters.count
        snapshot.filters.append(filter)
        return snapshot.filters.count - 1
    }

    /// The chain of a route, -1 when nothing runs there.
    mutating func chain(forRoute route: Int, service: Int, protocols: Protocols) -> Int {
        let own = chains.byRoute[route] ?? []
        let ofService = service >= 0 ? chains.byService[service] ?? [] : []
        if own.isEmpty, ofService.isEmpty, chains.unattached.isEmpty { return -1 }
        let candidates = own + ofService + chains.unattached
        guard own.isEmpty else {
            return makeChain(of: candidates, route: route, service: service, protocols: protocols)
        }
        let key = ChainTable.SharedKey(service: ofService.isEmpty ? -1 : service, protocols: protocols)
        if let index = chains.shared[key] { return index }
        let index = makeChain(of: candidates, route: route, service: service, protocols: protocols)
        chains.shared[key] = index
        return index
    }

    /// One step for each plugin name, by falling priority; ties by name, as a set has no order.
    private mutating func makeChain(of candidates: [Int], route: Int, service: Int, protocols: Protocols) -> Int {
        var running: [Int] = []
        for index in candidates where !chains.protocolsOfPlugin[index].isDisjoint(with: protocols) {
            let plugin = model.plugins[index]
            guard plugin.route < 0 || plugin.route == route, plugin.service < 0 || plugin.service == service else {
                continue
            }
            running.append(index)
        }
        running.sort { chains.placeOfPlugin[$0] < chains.placeOfPlugin[$1] }
        var chain = FilterChain()
        var start = 0
        while start < running.count {
            var end = start + 1
            while end < running.count, chains.placeOfPlugin[running[end]] == chains.placeOfPlugin[running[start]] {
                end += 1
            }
            chain.steps.append(step(running[start..<end]))
            start = end
        }
        guard !chain.steps.isEmpty else { return -1 }
        let key = ChainTable.WireKey(bytes: chain.wire)
        if let index = chains.chains[key] { return index }
        chains.chains[key] = snapshot.chains.count
        snapshot.chains.append(chain)
        return snapshot.chains.count - 1
    }

    /// Worked out once for each name: chains are many, names few.
    private static func places(_ plugins: [PluginEntity]) -> [Int] {
        var places: [String: Int] = [:]
        for name in Set(plugins.map(\.name)).sorted(by: runsBefore) { places[name] = places.count }
        return plugins.map { places[$0.name] ?? 0 }
    }

    private static func runsBefore(_ a: String, _ b: String) -> Bool {
        let first = PluginCatalog.supported[a]?.priority ?? 0
        let second = PluginCatalog.supported[b]?.priority ?? 0
        return first != second ? first > second : a < b
    }

    /// Within one route the lookup comes down to: a consumer's own configuration, the most attached first;
    /// then the one for everybody, the most attached first. The two lists interleave
    /// (route+service beats consumer alone), so each consumer is decided against the common one.
    private func step(_ indices: ArraySlice<Int>) -> FilterStep {
        var step = FilterStep()
        var common: Int?
        var byConsumer: [Int: Int] = [:]
        for index in indices {
            let plugin = model.plugins[index]
            if plugin.consumer < 0 {
                if let current = common, rank(current) <= rank(index) { continue }
                common = index
            } else {
                if let current = byConsumer[plugin.consumer], rank(current) <= rank(index) { continue }
                byConsumer[plugin.consumer] = index
            }
        }
        if let common { step.filter = chains.filterOfPlugin[common] }
        for consumer in byConsumer.keys.sorted() {
            guard let index = byConsumer[consumer] else { continue }
            if let common, rank(common) < rank(index) { continue }
            step.overrides += [consumer, chains.filterOfPlugin[index]]
        }
        return step
    }

    /// Kong's order of lookup, 0 first.
    private func rank(_ index: Int) -> Int {
        let plugin = model.plugins[index]
        return switch (plugin.route >= 0, plugin.service >= 0, plugin.consumer >= 0) {
        case (true, true, true): 0
        case (true, false, true): 1
        case (false, true, true): 2
        case (true, true, false): 3
        case (false, false, true): 4
        case (true, false, false): 5
        case (false, true, false): 6
        case (false, false, false): 7
        }
    }
}
