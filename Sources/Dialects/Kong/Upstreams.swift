// Upstreams, their health checks, and targets.

import Model

private enum UpstreamField {
    static let schema = EntitySchemas.upstream
    static let healthchecks = schema["healthchecks"]
}

extension KongLoader {
    func addUpstream(_ fields: Fields, _ node: Int, _ parent: Parent?) -> Parent? {
        let schema = EntitySchemas.upstream
        var upstream = UpstreamEntity()
        upstream.name = string(fields, schema["name"]) ?? ""
        upstream.algorithm = string(fields, schema["algorithm"]) ?? "round-robin"
        upstream.hashOn = hashChoice(fields, "hash_on")
        upstream.hashFallback = hashChoice(fields, "hash_fallback")
        upstream.hashCookiePath = string(fields, schema["hash_on_cookie_path"]) ?? "/"
        upstream.slots = int(fields, schema["slots"]) ?? 10000
        upstream.hostHeader = string(fields, schema["host_header"]) ?? ""
        upstream.useSRVName = bool(fields, schema["use_srv_name"]) ?? false
        readHealth(fields, &upstream)
        checkUpstream(&upstream, fields, node)
        upstream.head = head(.upstreams, fields, node) { upstream.name }
        let index = model.upstreams.count
        upstream.clientCertificate = link(
            fields, schema["client_certificate"], to: .certificates, from: .upstreams, index, parent)
        model.upstreams.append(upstream)
        return Parent(kind: .upstreams, index: index, id: upstream.head.id)
    }

    private func hashChoice(_ fields: Fields, _ prefix: String) -> HashChoice {
        var choice = HashChoice()
        let schema = EntitySchemas.upstream
        choice.source = string(fields, schema[prefix]).flatMap { HashChoice.Source(rawValue: $0) } ?? .none
        let field: String? =
            switch choice.source {
            case .header: "\(prefix)_header"
            case .queryArgument: "\(prefix)_query_arg"
            case .uriCapture: "\(prefix)_uri_capture"
            // One cookie serves both.
            case .cookie: "hash_on_cookie"
            case .none, .consumer, .ip, .path: nil
            }
        if let field { choice.name = string(fields, schema[field]) ?? "" }
        return choice
    }

    private func readHealth(_ fields: Fields, _ upstream: inout UpstreamEntity) {
        let schema = EntitySchemas.upstream
        guard case .record(let healthSchema) = schema.fields[UpstreamField.healthchecks].type,
            case .record(let activeSchema) = healthSchema.fields[healthSchema["active"]].type,
            case .record(let passiveSchema) = healthSchema.fields[healthSchema["passive"]].type
        else { return }
        let health = inner(fields, UpstreamField.healthchecks, healthSchema)
        upstream.threshold = number(health, healthSchema["threshold"]) ?? 0
        let active = inner(health, healthSchema["active"], activeSchema)
        upstream.active.kind = string(active, activeSchema["type"]) ?? "http"
        upstream.active.timeout = number(active, activeSchema["timeout"]) ?? 1
        upstream.active.concurrency = int(active, activeSchema["concurrency"]) ?? 10
        upstream.active.path = string(active, activeSchema["http_path"]) ?? "/"
        upstream.active.serverName = string(active, activeSchema["https_sni"]) ?? ""
        upstream.active.verifyCertificate = bool(active, activeSchema["https_verify_certificate"]) ?? true
        upstream.active.headers = probeHeaders(active[activeSchema["headers"]])
        upstream.active.healthy = counters(active, activeSchema["healthy"])
        upstream.active.unhealthy = counters(active, activeSchema["unhealthy"])
        let passive = inner(health, healthSchema["passive"], passiveSchema)
        upstream.passive.kind = string(passive, passiveSchema["type"]) ?? "http"
        upstream.passive.healthy = counters(passive, passiveSchema["healthy"])
        upstream.passive.unhealthy = counters(passive, passiveSchema["unhealthy"])
    }

    private func probeHeaders(_ node: Int) -> [HeaderMatch] {
        guard node != Document.none else { return [] }
        var result: [HeaderMatch] = []
        var entry = document.firstEntry(node)
        while entry != Document.none {
            result.append(
                HeaderMatch(
                    name: document.symbols[document.symbol(entry)],
                    values: elements(document.value(entry)).map { document.text($0) }))
            entry = document.nextEntry(entry)
        }
        return result.sorted { $0.name < $1.name }
    }

    private func counters(_ fields: Fields, _ position: Int) -> HealthCounters {
        var counters = HealthCounters()
        guard case .record(let schema) = fields.schema.fields[position].type else { return counters }
        let given = inner(fields, position, schema)
        for (index, field) in schema.fields.enumerated() {
            let value = int(given, index) ?? field.defaultValue.int ?? 0
            switch field.name {
            case "interval": counters.interval = number(given, index) ?? 0
            case "successes": counters.successes = value
            case "http_failures": counters.httpFailures = value
            case "tcp_failures": counters.tcpFailures = value
            case "timeouts": counters.timeouts = value
            case "http_statuses":
                counters.statuses = ints(given, index) ?? (field.defaultValue.array ?? []).compactMap(\.int)
            default: break
            }
        }
        return counters
    }

    private func checkUpstream(_ upstream: inout UpstreamEntity, _ fields: Fields, _ node: Int) {
        let schema = EntitySchemas.upstream
        if upstream.algorithm == "sticky-sessions" {
            refuse(
                .enterpriseField, at: fields[schema["algorithm"]], field: "algorithm",
                "sticky-sessions exists in Kong Enterprise only", remedy: "use consistent-hashing with hash_on: cookie")
            upstream.algorithm = "round-robin"
        }
        require(upstream.hashOn, "hash_on", fields)
        require(upstream.hashFallback, "hash_fallback", fields)
        let on = upstream.hashOn.source
        let fallback = upstream.hashFallback.source
        let place = fields.has(schema["hash_fallback"]) ? fields[schema["hash_fallback"]] : node
        if fallback != .none, on == .none || on == .cookie {
            report(
                .combination, at: place, field: "hash_fallback",
                "hash_on: \(on.rawValue) leaves no case for a fallback", remedy: "remove hash_fallback")
        }
        if on != .none, on == fallback, on != .cookie, upstream.hashOn.name == upstream.hashFallback.name {
            report(
                .combination, at: place, field: "hash_fallback", "the fallback is the same as hash_on",
                remedy: "choose another source")
        }
        // Kong does the same: a hash source is only of use to the ring.
        if on != .none { upstream.algorithm = "consistent-hashing" }
    }

    private func require(_ choice: HashChoice, _ prefix: String, _ fields: Fields) {
        let schema = EntitySchemas.upstream
        let field: String
        switch choice.source {
        case .header: field = "\(prefix)_header"
        case .queryArgument: field = "\(prefix)_query_arg"
        case .uriCapture: field = "\(prefix)_uri_capture"
        case .cookie: field = "hash_on_cookie"
        case .none, .consumer, .ip, .path: return
        }
        guard choice.name.isEmpty else { return }
        report(
            .combination, at: fields[schema[prefix]], field: field,
            "\(prefix): \(choice.source.rawValue) needs \(field)", remedy: "add \(field)")
    }

    func addTarget(_ fields: Fields, _ node: Int, _ parent: Parent?) {
        let schema = EntitySchemas.target
        var target = TargetEntity()
        let text = string(fields, schema["target"]) ?? ""
        if let address = TargetAddress(text[...], defaultPort: 8000) {
            target.host = address.host
            target.port = address.port ?? 8000
        }
        target.weight = int(fields, schema["weight"]) ?? 100
        target.head = head(.targets, fields, node) {
            "\(text):\(keyPart(fields, schema["upstream"], parent, .targets))"
        }
        targets.append(target)
        targetScopes.append(scopes)
        targetParents.append(
            link(fields, schema["upstream"], to: .upstreams, from: .targets, targets.count - 1, parent))
    }
}
