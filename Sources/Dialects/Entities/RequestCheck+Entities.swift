// What the fields of an entity have to hold to together, in Kong's words.

import Model

extension RequestCheck {
    mutating func entity(_ kind: EntityKind, _ input: ConfigValue) {
        switch kind {
        case .services: service(input)
        case .routes: route(input)
        case .upstreams: upstream(input)
        case .consumers: atLeastOne(of: ["custom_id", "username"], input)
        case .plugins: plugin(together: input)
        case .certificates:
            if input["cert_alt"].isNull != input["key_alt"].isNull {
                add("", "all or none of these fields must be set: 'cert_alt', 'key_alt'")
            }
        case .jwtSecrets:
            let algorithm = input["algorithm"].string ?? "HS256"
            let needsKey = algorithm.hasPrefix("RS") || algorithm.hasPrefix("PS") || algorithm == "EdDSA"
            if needsKey, input["rsa_public_key"].isNull { missing("rsa_public_key", because: "algorithm") }
        case .keys:
            atLeastOne(of: ["jwk", "pem"], input)
            onlyOne(of: ["jwk", "pem"], input)
        case .targets, .snis, .caCertificates, .keyAuthCredentials, .basicAuthCredentials, .hmacAuthCredentials,
            .oauth2Credentials, .acls, .vaults, .keySets:
            break
        }
    }

    // MARK: Kinds of checks

    private static func isEmpty(_ value: ConfigValue) -> Bool {
        switch value {
        case .null: true
        case .string(let text): text.isEmpty
        case .array(let values): values.isEmpty
        case .record(let entries): entries.isEmpty
        case .bool, .int, .double: false
        }
    }

    private static func quoted(_ names: [String], prefix: String = "") -> String {
        names.map { "'\(prefix)\($0)'" }.joined(separator: ", ")
    }

    private mutating func atLeastOne(of names: [String], _ input: ConfigValue, prefix: String = "") {
        guard names.allSatisfy({ Self.isEmpty(input[$0]) }) else { return }
        add("", "at least one of these fields must be non-empty: \(Self.quoted(names, prefix: prefix))")
    }

    private mutating func onlyOne(of names: [String], _ input: ConfigValue, prefix: String = "") {
        guard names.count(where: { !Self.isEmpty(input[$0]) }) != 1 else { return }
        add("", "only one of these fields must be non-empty: \(Self.quoted(names, prefix: prefix))")
    }

    private mutating func conditional(_ field: String, _ message: String, because condition: String) {
        add(field, message)
        add("", "failed conditional validation given value of field '\(condition)'")
    }

    private mutating func missing(_ field: String, because condition: String) {
        conditional(field, "required field missing", because: condition)
    }

    // MARK: Services

    private mutating func service(_ input: ConfigValue) {
        let scheme = input["url"].string.flatMap { $0.split(separator: ":").first.map(String.init) }
        let proto = scheme ?? input["protocol"].string ?? "http"
        if ["grpc", "grpcs", "tcp", "tls", "udp", "tls_passthrough"].contains(proto), scheme == nil,
            !input["path"].isNull
        {
            conditional("path", "value must be null", because: "protocol")
        }
        guard proto != "https", proto != "tls" else { return }
        for field in ["client_certificate", "tls_verify", "tls_verify_depth", "ca_certificates"]
        where !input[field].isNull && input[field] != .array([]) {
            conditional(field, "value must be null", because: "protocol")
        }
    }

    // MARK: Routes

    private static let families = [["http", "https"], ["tcp", "tls", "udp"], ["tls_passthrough"], ["grpc", "grpcs"]]

    private mutating func route(_ input: ConfigValue) {
        if input["headers"].entries?.contains(where: { $0.key.lowercased() == "host" }) == true {
            add("headers", "cannot contain 'host' header, which must be specified in the 'hosts' attribute")
        }
        for field in ["sources", "destinations"] {
            for (index, address) in (input[field].array ?? []).enumerated()
            where address["ip"].isNull && address["port"].isNull && address.entries != nil {
                add("\(field)[\(index + 1)]", "at least one of these fields must be non-empty: 'ip', 'port'")
            }
        }
        let given = input["protocols"].array == nil ? ["http", "https"] : input["protocols"].strings
        let concerned = Self.families.filter { !$0.allSatisfy { !given.contains($0) } }
        guard concerned.count == 1, let family = concerned.first else {
            if concerned.count > 1 {
                let sets = concerned.map { "(\(Self.quoted($0)))" }.joined(separator: ", ")
                add("protocols", "these sets are mutually exclusive: \(sets)")
            }
            return
        }
        guard input["expression"].isNull else { return }
        let secure = given.first { ["https", "grpcs", "tls", "tls_passthrough"].contains($0) }
        switch family[0] {
        case "http":
            refuse(hasExpressions ? [] : ["sources", "destinations"], input, "'http' or 'https'")
            needs(["methods", "hosts", "headers", "paths"], secure, input, secure ?? "http")
        case "grpc":
            refuse(["methods"] + (hasExpressions ? [] : ["sources", "destinations"]), input, "'grpc' or 'grpcs'")
            if input["strip_path"].bool == true {
                add("strip_path", "cannot set 'strip_path' when 'protocols' is 'grpc' or 'grpcs'")
            }
            needs(["hosts", "headers", "paths"], secure, input, secure ?? "grpc")
        case "tls_passthrough":
            refuse(["methods", "hosts", "headers", "paths"], input, "'tls_passthrough'")
            if Self.isEmpty(input["snis"]) { add("", "must set snis when 'protocols' is 'tls_passthrough'") }
        default:
            refuse(
                ["methods", "hosts", "headers", "paths"], input, "'tcp', 'tls', 'tls_passthrough' or 'udp'")
            if ["sources", "destinations", "snis"].allSatisfy({ Self.isEmpty(input[$0]) }) {
                add("", "must set one of 'sources', 'destinations', 'snis' when 'protocols' is 'tcp', 'tls' or 'udp'")
            }
        }
        if secure == nil, !Self.isEmpty(input["snis"]) {
            add("snis", "length must be 0")
            add("", "'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or 'tls_passthrough'")
        }
    }

    private mutating func refuse(_ fields: [String], _ input: ConfigValue, _ protocols: String) {
        for field in fields where !Self.isEmpty(input[field]) {
            add(field, "cannot set '\(field)' when 'protocols' is \(protocols)")
        }
    }

    private mutating func needs(_ fields: [String], _ secure: String?, _ input: ConfigValue, _ shown: String) {
        let fields = secure == nil ? fields : fields + ["snis"]
        let also = hasExpressions ? ["sources", "destinations"] : []
        guard (fields + also).allSatisfy({ Self.isEmpty(input[$0]) }) else { return }
        add("", "must set one of \(Self.quoted(fields)) when 'protocols' is '\(shown)'")
    }

    // MARK: Upstreams

    private mutating func upstream(_ input: ConfigValue) {
        let on = input["hash_on"].string ?? "none"
        let fallback = input["hash_fallback"].string ?? "none"
        for (choice, field) in [("hash_on", on), ("hash_fallback", fallback)] {
            let needed: String? =
                switch field {
                case "header": "\(choice)_header"
                case "query_arg": "\(choice)_query_arg"
                case "uri_capture": "\(choice)_uri_capture"
                case "cookie": "hash_on_cookie"
                default: nil
                }
            if let needed, Self.isEmpty(input[needed]) { missing(needed, because: choice) }
        }
        if on == "none" || on == "cookie", fallback != "none" {
            conditional("hash_fallback", "expected one of: none", because: "hash_on")
        } else if on != "none", on == fallback, !["header", "query_arg", "uri_capture"].contains(on) {
            add("", "values of these fields must be distinct: 'hash_on', 'hash_fallback'")
        } else if on == fallback, on == "header",
            input["hash_on_header"].string?.lowercased() == input["hash_fallback_header"].string?.lowercased()
        {
            add("", "values of these fields must be distinct: 'hash_on_header', 'hash_fallback_header'")
        }
    }

    // MARK: Plugins

    private static let periods = ["second", "minute", "hour", "day", "month", "year"]

    private mutating func plugin(together input: ConfigValue) {
        guard let name = input["name"].string, let description = PluginCatalog.supported[name] else { return }
        if !description.allowsConsumer, !input["consumer"].isNull { add("consumer", "value must be null") }
        if let protocols = input["protocols"].array {
            let known = description.protocols.map(\.rawValue).sorted()
            for (index, value) in protocols.enumerated() {
                guard let text = value.string, !known.contains(text), GatewayProtocol(rawValue: text) != nil else {
                    continue
                }
                add("protocols[\(index + 1)]", "expected one of: \(known.joined(separator: ", "))")
            }
        }
        let config = input["config"]
        switch name {
        case "rate-limiting": rateLimiting(config)
        case "ip-restriction": atLeastOne(of: ["allow", "deny"], config, prefix: "config.")
        case "acl":
            onlyOne(of: ["allow", "deny"], config, prefix: "config.")
            atLeastOne(of: ["allow", "deny"], config, prefix: "config.")
        default: break
        }
    }

    private mutating func rateLimiting(_ config: ConfigValue) {
        atLeastOne(of: Self.periods, config, prefix: "config.")
        let given = Self.periods.filter { config[$0].number != nil }
        for (index, upper) in given.enumerated() {
            for lower in given[..<index] {
                guard let low = config[lower].number, let high = config[upper].number, high < low else { continue }
                add("", "The limit for \(upper)(\(high)) cannot be lower than the limit for \(lower)(\(low))")
            }
        }
        if config["limit_by"].string == "header", Self.isEmpty(config["header_name"]) {
            missing("config.header_name", because: "config.limit_by")
        }
        if config["limit_by"].string == "path", Self.isEmpty(config["path"]) {
            missing("config.path", because: "config.limit_by")
        }
    }
}
