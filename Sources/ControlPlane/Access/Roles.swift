// What each role may do: the built-in ones, and those that are resources.

public import Model

/// The names of things that can be permitted and are no entities.
public enum AccessTypes {
    /// What a catalog holds: Kong's entities, and roles.
    public static let resources = EntityKind.allCases.map(\.rawValue) + ["roles"]
    /// What only the control plane has.
    public static let others = ["audit", "gateways", "metrics", "rollouts", "tokens"]
    public static let all = (resources + others).sorted()
}

public enum Roles {
    /// Of tokens that gateways join with. It opens neither API.
    public static let gateway = "gateway"

    /// `admin`: everything. `operator`: reads everything, changes entities, rolls back, steers rollouts.
    /// `viewer`: reads everything but secrets and the audit log. `gateway`: nothing here.
    public static let builtIn: [String: [Permission]] = [
        "admin": [Permission()],
        "operator": [
            Permission(verbs: [.read], types: Set(AccessTypes.all).subtracting(["audit", "tokens"])),
            Permission(
                verbs: [.create, .update, .delete], types: Set(EntityKind.allCases.map(\.rawValue) + ["rollouts"])),
        ],
        "viewer": [Permission(verbs: [.read], types: Set(AccessTypes.all).subtracting(["audit", "tokens"]))],
        gateway: [],
    ]

    /// The permissions of one role; nil when there is no such role.
    /// - Parameter stored: the spec of the `roles` resource with a name.
    public static func permissions(of name: String, stored: (String) -> [UInt8]?) -> [Permission]? {
        if let permissions = builtIn[name] { return permissions }
        guard let spec = stored(name), let value = try? ConfigValue(json: spec) else { return nil }
        // What cannot be read permits nothing: a role is never wider than what somebody wrote.
        guard case .success(let role) = RoleSpec.read(value) else { return [] }
        return role.rules
    }
}

/// The spec of a role: `{"name": "…", "rules": [{"verbs": ["read"], "types": ["services"], "labels": {"team": "a"}}]}`.
public struct RoleSpec: Sendable, Equatable {
    public var name = ""
    public var description: String?
    public var labels: [String: String] = [:]
    public var rules: [Permission] = []

    /// Canonical, for the store. What a rule leaves out, it leaves open: null.
    public func spec(id: Identifier) -> ConfigValue {
        .record([
            ConfigValue.Entry("id", .string(id.description)),
            ConfigValue.Entry("name", .string(name)),
            ConfigValue.Entry("description", description.map { .string($0) } ?? .null),
            ConfigValue.Entry("labels", Self.record(labels)),
            ConfigValue.Entry("rules", .array(rules.map(Self.value))),
        ])
    }

    private static func value(_ rule: Permission) -> ConfigValue {
        func list(_ words: [String]) -> ConfigValue {
            words.isEmpty ? .null : .array(words.sorted().map { .string($0) })
        }
        return .record([
            ConfigValue.Entry("verbs", list(rule.verbs.map(\.rawValue))),
            ConfigValue.Entry("types", list(Array(rule.types))),
            ConfigValue.Entry("labels", rule.labels.isEmpty ? .null : record(rule.labels)),
        ])
    }

    private static func record(_ labels: [String: String]) -> ConfigValue {
        .record(labels.sorted { $0.key < $1.key }.map { ConfigValue.Entry($0.key, .string($0.value)) })
    }

    /// Strict: unknown fields, verbs and types are mistakes, and each says what was meant.
    public static func read(_ spec: ConfigValue) -> Result<RoleSpec, SpecProblems> {
        var problems = SpecProblems()
        var role = RoleSpec()
        guard let entries = spec.entries else {
            problems.add("", "a role is a record", "write {\"name\": …, \"rules\": […]}")
            return .failure(problems)
        }
        problems.checkFields(entries, at: "", known: ["id", "name", "description", "labels", "rules"])
        role.name = spec["name"].string ?? ""
        if !isName(role.name) {
            problems.add("name", "a role needs a name of letters, digits, . _ - and ~", "write name: auditors")
        } else if Roles.builtIn[role.name] != nil {
            problems.add("name", "\"\(role.name)\" is built in", "choose another name")
        }
        role.description = spec["description"].string
        if role.description == nil, !spec["description"].isNull {
            problems.add("description", "expected a string", "write a sentence, or leave it out")
        }
        role.labels = read(labels: spec["labels"], at: "labels", &problems)
        if let rules = spec["rules"].array {
            role.rules = rules.enumerated().map { read(rule: $1, at: "rules[\($0 + 1)]", &problems) }
        } else {
            problems.add("rules", "expected an array of rules", "write [] for a role that permits nothing")
        }
        return problems.list.isEmpty ? .success(role) : .failure(problems)
    }

    private static func isName(_ text: String) -> Bool {
        (1...128).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                byte >= 0x30 && byte <= 0x39 || byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A
                    || [0x2D, 0x2E, 0x5F, 0x7E].contains(byte)
            }
    }

    private static func read(rule: ConfigValue, at path: String, _ problems: inout SpecProblems) -> Permission {
        var permission = Permission()
        guard let entries = rule.entries else {
            problems.add(path, "expected a record", "write {\"verbs\": [\"read\"], \"types\": [\"services\"]}")
            return permission
        }
        problems.checkFields(entries, at: path, known: ["verbs", "types", "labels"])
        let verbs = Verb.allCases.map(\.rawValue)
        for (index, word) in words(rule["verbs"], at: "\(path).verbs", &problems).enumerated() {
            if let verb = Verb(rawValue: word) {
                permission.verbs.insert(verb)
            } else {
                problems.addUnknown(word, "verb", at: "\(path).verbs[\(index + 1)]", known: verbs)
            }
        }
        for (index, word) in words(rule["types"], at: "\(path).types", &problems).enumerated() {
            if AccessTypes.all.contains(word) {
                permission.types.insert(word)
            } else {
                problems.addUnknown(word, "type", at: "\(path).types[\(index + 1)]", known: AccessTypes.all)
            }
        }
        permission.labels = read(labels: rule["labels"], at: "\(path).labels", &problems)
        return permission
    }

    private static func read(
        labels: ConfigValue, at path: String, _ problems: inout SpecProblems
    ) -> [String: String] {
        var read: [String: String] = [:]
        if labels.entries == nil, !labels.isNull {
            problems.add(path, "expected a map of strings", "write {\"team\": \"payments\"}")
        }
        for label in labels.entries ?? [] {
            guard let value = label.value.string else {
                problems.add("\(path).\(label.key)", "expected a string", "write \(label.key): \"value\"")
                continue
            }
            read[label.key] = value
        }
        return read
    }

    private static func words(_ value: ConfigValue, at path: String, _ problems: inout SpecProblems) -> [String] {
        if value.isNull { return [] }
        guard let list = value.array else {
            problems.add(path, "expected an array of strings", "leave it out for: all of them")
            return []
        }
        // An empty list reads as "nothing" to its author, and absence means "all": only one of them is allowed.
        if list.isEmpty { problems.add(path, "the list is empty", "leave the field out for: all of them") }
        return list.enumerated().compactMap { index, element in
            if element.string == nil { problems.add("\(path)[\(index + 1)]", "expected a string", "name one of them") }
            return element.string
        }
    }
}
