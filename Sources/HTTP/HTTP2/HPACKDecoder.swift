// Header blocks of HTTP/2, decoded (RFC 7541).

public import Bytes

/// Decodes the header blocks of one connection, in the order in which they came.
public final class HPACKDecoder {
    /// - Parameter tableLimit: SETTINGS_HEADER_TABLE_SIZE as we announced it, in bytes; at least 4096.
    public init(tableLimit: Int) {}

    /// Decodes one whole block.
    ///
    /// - Parameter limits: `head` bounds names and values with 32 bytes more for each field, `fields` the number
    ///   of ordinary fields. Over them the list says `isTooLarge`, and the table is kept in step all the same.
    /// - Returns: false: COMPRESSION_ERROR, the connection must end.
    public func decode(_ block: Bytes, into list: FieldList, limits: HeadLimits) -> Bool { false }
}
