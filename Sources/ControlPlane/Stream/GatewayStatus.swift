// What is known of a gateway: its record, and what its stream says if this control plane has it.

public import Model
public import Snapshot
public import Store

/// A gateway as the APIs, the UI and the metrics show it.
public struct GatewayStatus: Sendable {
    /// As stored; fields that its stream knows better are the stream's.
    public var record: GatewayRecord
    /// It has a stream with this control plane.
    public var isHere = false
    /// It has a stream with this or another control plane, by what is known.
    public var isConnected = false
    /// What it should have; 0: not known here.
    public var targetRevision: UInt64 = 0
    /// Workers that serve, as it said last.
    public var workers = 0
    /// From the arrival of its last configuration to the last worker.
    public var applyMicroseconds = 0
    /// From the publication of its last configuration to its acknowledgement.
    public var pushMilliseconds = 0.0
    /// Of configurations, since its stream began.
    public var bytesSent: UInt64 = 0
    public var messagesSent: UInt64 = 0
    /// Unix milliseconds; 0: no stream here.
    public var connectedAt: Int64 = 0
    /// The newest; nil: none.
    public var report: GatewayReport?

    public var id: Identifier { record.id }

    /// In effect is what should be.
    public var isCurrent: Bool { targetRevision != 0 && record.revision == targetRevision }

    init(record: GatewayRecord) { self.record = record }
}

extension ID {
    init(_ identifier: Identifier) { self.init(high: identifier.high, low: identifier.low) }
}
