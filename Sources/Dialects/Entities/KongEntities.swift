// Entities one by one: a kong.yml taken apart, and single entities out of requests.

import Bytes
public import Model

/// Finds what is stored already: by id, by name (`username` of consumers, `prefix` of vaults, …), or by what makes
/// an entity without a name unique. `LiveModel.known` is one.
public typealias KnownEntities = (EntityKind, String) -> Identifier?

/// Makes `EntityRecord`s.
public enum KongEntities {
    /// Takes a file apart.
    ///
    /// An entity that is stored already (the same name, or the same natural key: a plugin's name and place, a target's
    /// upstream and address, a credential's key, …) gets the id that it has in the store; others get the id that is
    /// written, or one derived from their name or content. So reading a file twice gives the same records.
    /// `created_at` and `updated_at` are null when the file does not give them.
    ///
    /// - Parameters:
    ///   - text: kong.yml, YAML or JSON, formats 1.1, 2.1 and 3.0; the bytes may be anything.
    ///   - file: its name, for findings.
    ///   - environment: what `${{ env "DECK_X" }}` reads from. `{vault://…}` references stay as written.
    ///   - lenient: leave out what Seaway does not support instead of refusing the file.
    ///   - expressions: the router is of the flavour that has expressions.
    ///   - known: what is stored.
    /// - Returns: the entities, parents before children, none when there are errors; and all findings.
    public static func read(
        _ text: [UInt8], file: String, environment: [String: String] = [:], lenient: Bool = false,
        expressions: Bool = false, known: @escaping KnownEntities = { _, _ in nil }
    ) -> (records: [EntityRecord], findings: [Diagnostic]) {
        let options = LoadOptions(
            file: file, environment: environment, isLenient: lenient, hasExpressions: expressions, purpose: .records,
            known: known)
        let (loader, findings) = text.withBytes { KongFile.load($0, options) }
        guard let loader, !findings.contains(where: { $0.severity == .error }) else { return ([], findings) }
        let records = loader.records()
        return (records, loader.sortedFindings())
    }

    /// Makes one whole entity out of a request's body.
    ///
    /// - Parameters:
    ///   - input: a record, as Kong's Admin API takes it: foreign keys as `{"id": …}`, `{"name": …}` or text; `url` in
    ///     place of a service's protocol, host, port and path. An id is made up if there is none.
    ///   - now: Unix milliseconds, for `created_at` and `updated_at`.
    ///   - hashesPasswords: false when a basic-auth `password` in the input is what a spec holds: hashed already.
    ///   - known: what is stored, for references.
    public static func complete(
        _ kind: EntityKind, input: ConfigValue, now: Int, expressions: Bool = false, hashesPasswords: Bool = true,
        known: @escaping KnownEntities
    ) -> Result<EntityRecord, EntityViolations> {
        var check = RequestCheck(expressions: expressions)
        check.check(kind, input)
        let unresolved = unresolved(kind, input, known)
        guard check.violations.isEmpty, unresolved.isEmpty else {
            return .failure(EntityViolations(check.violations, unresolved: unresolved))
        }
        var input = input
        GeneratedValues.fill(kind, &input)
        let options = LoadOptions(
            file: "", environment: [:], isLenient: false, hasExpressions: expressions, purpose: .request, known: known)
        guard let document = document(kind, input) else {
            return .failure(EntityViolations([.init(field: "", message: "too deeply nested")]))
        }
        let loader = KongLoader(document: document, options: options) { $0 }
        loader.transforms = hashesPasswords
        loader.readEntities(kind, document.member(document.root, kind.rawValue), parent: nil)
        loader.resolve()
        let wrong = loader.findings.filter { $0.severity == .error }
        // The readers know more than the schemas; what only they find is said in their words.
        guard wrong.isEmpty, var record = loader.records().first else {
            return .failure(
                EntityViolations(wrong.map { .init(field: $0.field, message: $0.message, remedy: $0.remedy) }))
        }
        record.stamp(now)
        return .success(record)
    }

    private static func document(_ kind: EntityKind, _ input: ConfigValue) -> Document? {
        let text = ConfigValue.record([ConfigValue.Entry(kind.rawValue, .array([input]))]).json
        return text.withBytes { try? JSONReader.read($0, limits: DocumentLimits()).0 }
    }

    /// References by name that lead nowhere. Where an id leads is seen when the entity is stored.
    private static func unresolved(
        _ kind: EntityKind, _ input: ConfigValue, _ known: KnownEntities
    ) -> [EntityViolations.Unresolved] {
        var missing: [EntityViolations.Unresolved] = []
        for field in EntitySchemas.schema(kind).fields {
            guard case .foreign(let target) = field.type else { continue }
            let value = input[field.name]
            guard value["id"].string == nil else { continue }
            let key = ["name", "username"].first { value[$0].string != nil } ?? "name"
            guard let text = value.string ?? value[key].string, Identifier(text) == nil, known(target, text) == nil
            else { continue }
            missing.append(.init(field: field.name, key: key, value: text, target: target))
        }
        return missing
    }
}

extension EntityRecord {
    /// When it was made: what it says itself, else now. When it was changed: now.
    fileprivate mutating func stamp(_ now: Int) {
        guard case .record(var entries) = spec else { return }
        // Kong keeps whole seconds, but milliseconds of targets.
        let time: ConfigValue = kind == .targets ? .double(Double(now) / 1000) : .int(now / 1000)
        if entries["created_at"].isNull { entries["created_at"] = time }
        entries["updated_at"] = time
        spec = .record(entries)
    }
}

/// What Kong makes up when a request does not give it.
enum GeneratedValues {
    static func fill(_ kind: EntityKind, _ input: inout ConfigValue) {
        guard case .record(var entries) = input else { return }
        func fill(_ field: String, _ value: @autoclosure () -> String) {
            if let index = entries.firstIndex(where: { $0.key == field }) {
                if entries[index].value.isNull { entries[index].value = .string(value()) }
            } else {
                entries.append(ConfigValue.Entry(field, .string(value())))
            }
        }
        fill("id", identifier().description)
        switch kind {
        case .keyAuthCredentials: fill("key", secret())
        case .hmacAuthCredentials: fill("secret", secret())
        case .jwtSecrets:
            fill("key", secret())
            fill("secret", secret())
        case .oauth2Credentials:
            fill("client_id", secret())
            fill("client_secret", secret())
        default: break
        }
        input = .record(entries)
    }

    /// A random UUID (RFC 9562 section 5.4).
    static func identifier() -> Identifier {
        let high = UInt64.random(in: 0 ... .max) & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
        let low = UInt64.random(in: 0 ... .max) & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        return Identifier(high: high, low: low)
    }

    /// 32 letters and digits out of the system's secure generator: 190 bits.
    static func secret() -> String {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".utf8)
        return String(decoding: (0..<32).map { _ in letters[Int.random(in: 0..<letters.count)] }, as: UTF8.self)
    }
}
