// A GatewayModel that follows a store: entity by entity, without reading the rest again.

public import Model

/// What happened to one stored entity.
public enum EntityChange: Sendable {
    /// Created or replaced. `order` is its place among all entities; `spec` is canonical JSON with references as
    /// `{"id": …}`.
    case put(EntityKind, Identifier, order: UInt64, spec: [UInt8])
    case remove(EntityKind, Identifier)
}

/// The model of what is stored. A value: copy it, try a change on the copy, keep the copy or drop it.
public struct LiveModel: Sendable {
    /// What the changes so far add up to; entities stand in their `order`. Lines and columns are 0.
    public private(set) var model = GatewayModel()

    /// - Parameters:
    ///   - environment: what `{vault://env/x}` reads from. Specs keep references as written; the model has what is
    ///     behind them.
    ///   - expressions: the gateways' router is of the flavour that has expressions.
    public init(environment: [String: String] = [:], expressions: Bool = false) {}

    /// Applies changes in one step: the order among them means nothing, references may go both ways.
    ///
    /// - Returns: findings about the changed entities and about those that refer to removed ones. With an error among
    ///   them the model is not to be used: go on with the copy from before.
    public mutating func apply(_ changes: [EntityChange]) -> [Diagnostic] { [] }

    /// The stored entity with this name, id or natural key: what `KongEntities` asks for as `known`.
    public func known(_ kind: EntityKind, _ key: String) -> Identifier? { nil }
}
