// Header blocks of HTTP/2, encoded without state: the static table and literals (RFC 7541).

public import Bytes

/// Encodes fields so that no table has to be kept on either side.
public enum HPACKEncoder {
    /// `:status`, 100 to 599.
    public static func status(_ code: Int, to out: Buffer) {}

    /// A pseudo field other than `:status`.
    public static func pseudo(_ pseudo: Pseudo, value: Bytes, to out: Buffer) {}

    /// An ordinary field; the name is sent in lower case.
    ///
    /// - Parameter neverIndexed: asks every hop to keep it out of compression tables (RFC 7541 section 7.1.3).
    public static func field(id: FieldName, name: Bytes, value: Bytes, neverIndexed: Bool, to out: Buffer) {}
}
