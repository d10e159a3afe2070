// What a plugin's fields must hold to together.

import Model

/// Checks over a complete configuration.
enum PluginChecks {
    struct Problem {
        var code = DiagnosticCode.combination
        var field: String
        var message: String
        var remedy: String
    }

    static func problems(_ plugin: String, _ config: ConfigValue) -> [Problem] {
        switch plugin {
        case "rate-limiting": rateLimiting(config)
        case "acl": acl(config)
        case "ip-restriction":
            config["allow"].isNull && config["deny"].isNull
                ? [Problem(field: "allow", message: "at least one of allow and deny is needed", remedy: "add one")] : []
        case "request-termination": requestTermination(config)
        case "response-transformer": responseTransformer(config)
        default: []
        }
    }

    private static let periods = ["second", "minute", "hour", "day", "month", "year"]

    private static func rateLimiting(_ config: ConfigValue) -> [Problem] {
        var problems: [Problem] = []
        let given = periods.filter { !config[$0].isNull }
        if given.isEmpty {
            problems.append(
                Problem(
                    field: "", message: "at least one of \(periods.joined(separator: ", ")) is needed",
                    remedy: "add a limit, such as minute: 60"))
        }
        for (index, upper) in given.enumerated() {
            for lower in given[..<index] {
                guard let low = config[lower].number, let high = config[upper].number, high < low else { continue }
                problems.append(
                    Problem(
                        field: upper, message: "the limit for \(upper) is lower than the limit for \(lower)",
                        remedy: "raise \(upper) or lower \(lower)"))
            }
        }
        if config["limit_by"].string == "header", config["header_name"].isNull {
            problems.append(
                Problem(field: "header_name", message: "limit_by: header needs header_name", remedy: "add header_name"))
        }
        if config["limit_by"].string == "path", config["path"].isNull {
            problems.append(Problem(field: "path", message: "limit_by: path needs path", remedy: "add path"))
        }
        if config["limit_by"].string == "consumer-group" {
            problems.append(
                Problem(
                    code: .unsupportedSetting, field: "limit_by",
                    message: "consumer groups exist in Kong Enterprise only", remedy: "use consumer, credential or ip"))
        }
        if let policy = config["policy"].string, policy != "local" {
            problems.append(
                Problem(
                    code: .unsupportedSetting, field: "policy",
                    message: "rate-limiting with policy \(policy) is not supported by Seaway yet",
                    remedy: "use policy: local; it counts exactly across the workers of one proxy"))
        }
        return problems
    }

    private static func acl(_ config: ConfigValue) -> [Problem] {
        let hasAllow = !config["allow"].isNull
        let hasDeny = !config["deny"].isNull
        if hasAllow != hasDeny { return [] }
        return [
            Problem(
                field: hasAllow ? "deny" : "allow",
                message: hasAllow ? "allow and deny exclude each other" : "one of allow and deny is needed",
                remedy: hasAllow ? "keep allow or deny" : "add allow or deny")
        ]
    }

    private static func requestTermination(_ config: ConfigValue) -> [Problem] {
        func has(_ field: String) -> Bool { config[field].string.map { !$0.isEmpty } ?? false }
        var problems: [Problem] = []
        if has("message"), has("content_type") || has("body") {
            problems.append(
                Problem(
                    field: "message", message: "message cannot be used with content_type or body",
                    remedy: "keep message, or content_type and body"))
        }
        if has("content_type"), !has("body") {
            problems.append(
                Problem(field: "content_type", message: "content_type requires a body", remedy: "add body"))
        }
        if config["echo"].bool == true, has("content_type") || has("body") {
            problems.append(
                Problem(
                    field: "echo", message: "echo cannot be used with content_type and body",
                    remedy: "remove echo, or content_type and body"))
        }
        return problems
    }

    private static func responseTransformer(_ config: ConfigValue) -> [Problem] {
        var problems: [Problem] = []
        for verb in ["replace", "add", "append"] {
            let types = config[verb]["json_types"].array?.count ?? 0
            let values = config[verb]["json"].array?.count ?? 0
            if types > values {
                problems.append(
                    Problem(
                        field: verb, message: "\(verb).json_types has more entries than \(verb).json",
                        remedy: "give one type for each value"))
            }
        }
        return problems
    }
}
