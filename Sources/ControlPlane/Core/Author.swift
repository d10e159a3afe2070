// Who asks for something, and what they may do.

/// What somebody wants to do to resources.
public enum Verb: String, Sendable, CaseIterable, Hashable {
    case read, create, update, delete
    /// Tokens, roles, revocation of gateways, the audit log.
    case administer
}

/// One line of a role: verbs on types with labels. Empty `types` or `verbs`: all of them; empty `labels`: any.
public struct Permission: Sendable, Hashable {
    public var verbs: Set<Verb>
    /// Plurals, such as `services`.
    public var types: Set<String>
    /// All of them must be on the resource.
    public var labels: [String: String]

    public init(verbs: Set<Verb> = [], types: Set<String> = [], labels: [String: String] = [:]) {
        self.verbs = verbs
        self.types = types
        self.labels = labels
    }

    public func allows(_ verb: Verb, type: String, labels: [String: String]) -> Bool {
        (verbs.isEmpty || verbs.contains(verb)) && (types.isEmpty || types.contains(type))
            && self.labels.allSatisfy { labels[$0.key] == $0.value }
    }
}

/// Somebody who was authenticated, for the length of one request.
public struct Author: Sendable {
    /// `token:ci`, `user:ada@example.com`, `system`.
    public var name: String
    /// The client's address; empty: none.
    public var address: String
    /// `admin-api`, `resource-api`, `apply`, `rollback`, `ui`.
    public var source: String
    public var permissions: [Permission]

    public init(name: String, address: String = "", source: String, permissions: [Permission]) {
        self.name = name
        self.address = address
        self.source = source
        self.permissions = permissions
    }

    public func may(_ verb: Verb, type: String, labels: [String: String] = [:]) -> Bool {
        permissions.contains { $0.allows(verb, type: type, labels: labels) }
    }

    /// Whether there is any resource of the type that `verb` could be allowed on: lists are filtered, not refused.
    public func mayEver(_ verb: Verb, type: String) -> Bool {
        permissions.contains {
            ($0.verbs.isEmpty || $0.verbs.contains(verb)) && ($0.types.isEmpty || $0.types.contains(type))
        }
    }
}
