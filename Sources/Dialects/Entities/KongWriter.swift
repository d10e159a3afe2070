// Stored entities as a kong.yml: what an export gives, and what reading it gives back.

public import Model

/// Writes Kong's declarative format 3.0 in the shape of decK's dumps.
public enum KongWriter {
    /// - Parameter entities: kinds and specs, in the order in which they are to stand.
    /// - Returns: YAML. Children nest in their parents, references are names where there is one, defaults are left out,
    ///   ids are written only where there is no name to find the entity by.
    public static func write(_ entities: [(kind: EntityKind, spec: ConfigValue)]) -> [UInt8] { [] }
}
