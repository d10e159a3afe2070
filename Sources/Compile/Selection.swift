// What of a model a gateway gets: entities by its labels, secrets by need.

public import Model

/// Chooses what a gateway gets.
///
/// 1. An entity whose gateway tags do not fit the labels is left out.
/// 2. So is whatever belongs to it or cannot do without it: a service's routes, an upstream's services, a
///    certificate's server names, the plugins of any of them.
/// 3. Secrets stay only where something uses them: a certificate with a server name, service or upstream, an
///    authority with a service, credentials with a plugin that asks for them.
public enum GatewaySelection {
    /// - Parameters:
    ///   - model: whole and valid.
    ///   - labels: the gateway's.
    /// - Returns: a model in the same order; `model` itself when all of it is selected.
    public static func select(_ model: GatewayModel, labels: [String: String]) -> GatewayModel {
        var selection = Selection(model, labels)
        selection.choose()
        selection.dropUnusedSecrets()
        return selection.result()
    }
}

/// Which entities of a table stay.
private struct Choice {
    private(set) var isKept: [Bool]

    init<Entity: HeadedEntity>(_ entities: [Entity], _ keeps: (Entity) -> Bool) { isKept = entities.map(keeps) }

    /// What an optional reference leads to is there.
    func has(_ reference: Int) -> Bool { reference < 0 || isKept[reference] }

    mutating func drop(_ index: Int) { isKept[index] = false }

    mutating func restrict(to used: [Bool]) {
        for index in isKept.indices where !used[index] { isKept[index] = false }
    }

    mutating func dropAll() { isKept = [Bool](repeating: false, count: isKept.count) }

    var isAll: Bool { isKept.allSatisfy { $0 } }

    /// New indices by old ones.
    var places: [Int] {
        var next = 0
        return isKept.map { kept in
            defer { if kept { next += 1 } }
            return kept ? next : -1
        }
    }

    func apply<Entity>(_ entities: [Entity]) -> [Entity] {
        isAll ? entities : entities.indices.filter { isKept[$0] }.map { entities[$0] }
    }
}

private struct Selection {
    private let model: GatewayModel
    private let labels: [String: String]
    private var certificates: Choice
    private var authorities: Choice
    private var serverNames: Choice
    private var upstreams: Choice
    private var services: Choice
    private var routes: Choice
    private var consumers: Choice
    private var plugins: Choice
    private var keyAuths: Choice
    private var basicAuths: Choice
    private var hmacAuths: Choice
    private var jwtSecrets: Choice
    private var oauth2s: Choice
    private var vaults: Choice
    private var keySets: Choice
    private var keys: Choice

    /// By each entity's own tags.
    init(_ model: GatewayModel, _ labels: [String: String]) {
        self.model = model
        self.labels = labels
        func own<Entity: HeadedEntity>(_ entities: [Entity]) -> Choice { Choice(entities) { $0.head.isFor(labels) } }
        certificates = own(model.certificates)
        authorities = own(model.caCertificates)
        serverNames = own(model.serverNames)
        upstreams = own(model.upstreams)
        services = own(model.services)
        routes = own(model.routes)
        consumers = own(model.consumers)
        plugins = own(model.plugins)
        keyAuths = own(model.keyAuthCredentials)
        basicAuths = own(model.basicAuthCredentials)
        hmacAuths = own(model.hmacAuthCredentials)
        jwtSecrets = own(model.jwtSecrets)
        oauth2s = own(model.oauth2Credentials)
        vaults = own(model.vaults)
        keySets = own(model.keySets)
        keys = own(model.keys)
    }

    // MARK: Who follows whom

    /// Parents first.
    mutating func choose() {
        restrict(\.serverNames, model.serverNames) { $0.certificates.has($1.certificate) }
        restrict(\.upstreams, model.upstreams) { $0.certificates.has($1.clientCertificate) }
        let missing = missingUpstreams()
        // Without its upstream a service's host would be looked up as a name of DNS.
        restrict(\.services, model.services) { selection, service in
            selection.certificates.has(service.clientCertificate)
                && service.caCertificates.allSatisfy(selection.authorities.has) && !missing.contains(service.host)
        }
        restrict(\.routes, model.routes) { $0.services.has($1.service) }
        restrict(\.plugins, model.plugins) { selection, plugin in
            selection.services.has(plugin.service) && selection.routes.has(plugin.route)
                && selection.consumers.has(plugin.consumer)
        }
        restrict(\.keyAuths, model.keyAuthCredentials) { $0.consumers.has($1.consumer) }
        restrict(\.basicAuths, model.basicAuthCredentials) { $0.consumers.has($1.consumer) }
        restrict(\.hmacAuths, model.hmacAuthCredentials) { $0.consumers.has($1.consumer) }
        restrict(\.jwtSecrets, model.jwtSecrets) { $0.consumers.has($1.consumer) }
        restrict(\.oauth2s, model.oauth2Credentials) { $0.consumers.has($1.consumer) }
        restrict(\.keys, model.keys) { $0.keySets.has($1.set) }
    }

    private mutating func restrict<Entity: HeadedEntity>(
        _ choice: WritableKeyPath<Selection, Choice>, _ entities: [Entity], _ keeps: (Selection, Entity) -> Bool
    ) {
        let selection = self
        let missing = entities.indices.filter { !keeps(selection, entities[$0]) }
        for index in missing { self[keyPath: choice].drop(index) }
    }

    private func missingUpstreams() -> Set<String> {
        guard !upstreams.isAll else { return [] }
        return Set(model.upstreams.indices.filter { !upstreams.has($0) }.map { model.upstreams[$0].name })
    }

    // MARK: Secrets

    mutating func dropUnusedSecrets() {
        var usedCertificates = [Bool](repeating: false, count: model.certificates.count)
        var usedAuthorities = [Bool](repeating: false, count: model.caCertificates.count)
        func use(_ certificate: Int) { if certificate >= 0 { usedCertificates[certificate] = true } }
        for (index, name) in model.serverNames.enumerated() where serverNames.has(index) { use(name.certificate) }
        for (index, upstream) in model.upstreams.enumerated() where upstreams.has(index) {
            use(upstream.clientCertificate)
        }
        for (index, service) in model.services.enumerated() where services.has(index) {
            use(service.clientCertificate)
            for authority in service.caCertificates { usedAuthorities[authority] = true }
        }
        certificates.restrict(to: usedCertificates)
        authorities.restrict(to: usedAuthorities)
        var asking: Set<String> = []
        for (index, plugin) in model.plugins.enumerated() where plugins.has(index) && plugin.isEnabled {
            asking.insert(plugin.name)
        }
        if !asking.contains("key-auth") { keyAuths.dropAll() }
        if !asking.contains("basic-auth") { basicAuths.dropAll() }
        if !asking.contains("hmac-auth") { hmacAuths.dropAll() }
        if !asking.contains("jwt") { jwtSecrets.dropAll() }
        if !asking.contains("oauth2") { oauth2s.dropAll() }
    }

    // MARK: The result

    func result() -> GatewayModel {
        let choices = [
            certificates, authorities, serverNames, upstreams, services, routes, consumers, plugins, keyAuths,
            basicAuths, hmacAuths, jwtSecrets, oauth2s, vaults, keySets, keys,
        ]
        let hasTargetTags = model.upstreams.contains { $0.targets.contains(where: \.head.hasGatewayTags) }
        if !hasTargetTags, choices.allSatisfy(\.isAll) { return model }
        var result = kept()
        renumber(&result)
        if hasTargetTags {
            for index in result.upstreams.indices {
                result.upstreams[index].targets.removeAll { !$0.head.isFor(labels) }
            }
        }
        return result
    }

    private func kept() -> GatewayModel {
        var result = GatewayModel()
        result.certificates = certificates.apply(model.certificates)
        result.caCertificates = authorities.apply(model.caCertificates)
        result.serverNames = serverNames.apply(model.serverNames)
        result.upstreams = upstreams.apply(model.upstreams)
        result.services = services.apply(model.services)
        result.routes = routes.apply(model.routes)
        result.consumers = consumers.apply(model.consumers)
        result.plugins = plugins.apply(model.plugins)
        result.keyAuthCredentials = keyAuths.apply(model.keyAuthCredentials)
        result.basicAuthCredentials = basicAuths.apply(model.basicAuthCredentials)
        result.hmacAuthCredentials = hmacAuths.apply(model.hmacAuthCredentials)
        result.jwtSecrets = jwtSecrets.apply(model.jwtSecrets)
        result.oauth2Credentials = oauth2s.apply(model.oauth2Credentials)
        result.vaults = vaults.apply(model.vaults)
        result.keySets = keySets.apply(model.keySets)
        result.keys = keys.apply(model.keys)
        return result
    }

    /// References of the kept entities; what they lead to is kept too.
    private func renumber(_ result: inout GatewayModel) {
        func follow<Entity>(_ entities: inout [Entity], _ choice: Choice, _ body: (inout Entity, [Int]) -> Void) {
            guard !choice.isAll else { return }
            let places = choice.places
            for index in entities.indices { body(&entities[index], places) }
        }
        func move(_ reference: inout Int, _ places: [Int]) { if reference >= 0 { reference = places[reference] } }
        follow(&result.serverNames, certificates) { move(&$0.certificate, $1) }
        follow(&result.upstreams, certificates) { move(&$0.clientCertificate, $1) }
        follow(&result.services, certificates) { move(&$0.clientCertificate, $1) }
        follow(&result.services, authorities) { service, places in
            service.caCertificates = service.caCertificates.map { places[$0] }
        }
        follow(&result.routes, services) { move(&$0.service, $1) }
        follow(&result.plugins, services) { move(&$0.service, $1) }
        follow(&result.plugins, routes) { move(&$0.route, $1) }
        follow(&result.plugins, consumers) { move(&$0.consumer, $1) }
        follow(&result.keyAuthCredentials, consumers) { move(&$0.consumer, $1) }
        follow(&result.basicAuthCredentials, consumers) { move(&$0.consumer, $1) }
        follow(&result.hmacAuthCredentials, consumers) { move(&$0.consumer, $1) }
        follow(&result.jwtSecrets, consumers) { move(&$0.consumer, $1) }
        follow(&result.oauth2Credentials, consumers) { move(&$0.consumer, $1) }
        follow(&result.keys, keySets) { move(&$0.set, $1) }
    }
}
