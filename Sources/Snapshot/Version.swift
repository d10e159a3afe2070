// The version of this program, said by every executable.

/// Semantic version of Seaway.
public let productVersion = "0.1.0"
