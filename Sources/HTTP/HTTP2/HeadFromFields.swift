// What the fields of an HTTP/2 header block mean: heads and trailers as HTTP/1 would have brought them.

public import Bytes

/// What is wrong with a request's fields.
public enum RequestHeadProblem: Equatable, Sendable {
    /// RFC 9113 section 8.1.1: a stream error of PROTOCOL_ERROR, without an answer.
    case malformed
    /// To be answered with the fault's status.
    case refused(RequestFault)
}

extension RequestHead {
    /// Takes the fields of a request's header block (RFC 9113 section 8.3) and the buffer they are in.
    ///
    /// - Parameter end: END_STREAM came with the block.
    /// - Returns: nil when all is well.
    public func take(_ list: FieldList, end: Bool, limits: HeadLimits) -> RequestHeadProblem? { .malformed }
}

extension ResponseHead {
    /// Takes the fields of a response's header block and the buffer they are in.
    ///
    /// - Parameters:
    ///   - end: END_STREAM came with the block.
    ///   - toHead: the request was a HEAD.
    /// - Returns: nil when all is well.
    public func take(_ list: FieldList, end: Bool, toHead: Bool) -> ResponseFault? { .malformedField }
}

extension HeaderBlock {
    /// Copies the fields of a trailer section (RFC 9113 section 8.1).
    ///
    /// - Returns: false: malformed, a stream error of PROTOCOL_ERROR.
    public func takeTrailers(_ list: FieldList) -> Bool { false }

    /// Encodes each field that is left and not in `skipped`.
    public func encode(to out: Buffer, except skipped: FieldNameSet = FieldNameSet([])) {}
}
