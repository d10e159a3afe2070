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
    /// `created_at` and `updated_at` are null when the file does not give them: `EntityRecord.stamp` fills them in.
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
    ) -> Result<EntityRecord, EntityViolations> { .failure(EntityViolations()) }
}
