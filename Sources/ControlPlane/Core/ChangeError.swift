// Why a change did not happen; each API says it in its own words.

public import Model
public import Store

public enum ChangeError: Error, Sendable {
    /// No such resource.
    case notFound(type: String, name: String)
    /// The configuration would not be valid: at least one error among the findings.
    case invalid([Diagnostic])
    /// Another resource of the type has this value.
    case notUnique(type: String, field: String, value: String)
    /// A reference leads nowhere.
    case unresolved(type: String, field: String, id: String)
    /// It cannot go while others refer to it.
    case referenced(type: String, by: String)
    /// If-Match did not: the version now.
    case preconditionFailed(version: UInt64)
    /// The author may not do it; `rule` says what is missing: `update on services/payments`.
    case denied(rule: String)
    /// Others changed the configuration again and again while this was tried.
    case contention
    case store(StoreError)
}
