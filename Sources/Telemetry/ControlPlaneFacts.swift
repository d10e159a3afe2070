// What a proxy that follows a control plane says of it on its status pages.

/// Of the connection to a control plane, and of what came by it.
public struct ControlPlaneFacts: Sendable {
    /// A stream is open.
    public var isConnected = false
    /// `https://host:port` that is followed, or was tried last.
    public var address = ""
    /// The control plane's revision in effect; 0: none.
    public var revision: UInt64 = 0
    /// Unix milliseconds at which it came into effect; 0: never.
    public var effectiveAt = 0
    /// Configurations that could not be used since the start.
    public var rejected = 0

    public init() {}

    /// Seconds since the revision came into effect; 0: none has.
    func age(now seconds: Int) -> Int { effectiveAt == 0 ? 0 : max(0, seconds - effectiveAt / 1000) }
}
