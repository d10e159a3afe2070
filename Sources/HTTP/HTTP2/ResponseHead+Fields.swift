// A response's header block of HTTP/2 as the head that HTTP/1 would have brought, and trailers.

import Bytes

extension ResponseHead {
    /// Takes the fields of a response's header block and the buffer they are in; the list is empty then.
    ///
    /// `framing` is `.chunked` for a body of unknown length; the owner sees to it that a known length is kept
    /// (RFC 9113 section 8.1.1), and that `.none` without `end` brings no data.
    ///
    /// - Parameters:
    ///   - end: END_STREAM came with the block.
    ///   - toHead: the request was a HEAD.
    /// - Returns: nil when all is well.
    public func take(_ list: FieldList, end: Bool, toHead: Bool) -> ResponseFault? {
        reset(ownText.take(list))
        httpVersion = 2
        wireCount = list.wireCount
        defer { list.clear() }
        switch list.overflow {
        case .size, .target: return .headTooLarge
        case .count: return .tooManyFields
        case .none: break
        }
        guard let status = readStatus(list) else { return .malformedStatusLine }
        self.status = status
        var lengths = 0
        for index in 1..<list.count {
            let entry = list[index]
            guard entry.isOrdinary else { return .malformedField }
            if entry.id == .contentLength { lengths += 1 }
            headers.appendDecoded(entry)
        }
        // RFC 9113 section 8.6: there is no switching of protocols.
        if status == 101 { return .unexpectedUpgrade }
        return frame(lengths, end: end, toHead: toHead)
    }

    /// `:status` is the first field; another pseudo field is found among the ordinary ones.
    private func readStatus(_ list: FieldList) -> Int? {
        guard list.count > 0, let source else { return nil }
        let entry = list[0]
        guard entry.pseudo == .status, !entry.isMalformed, entry.valueCount == 3,
            let status = source.bytes(at: entry.valueOffset, count: 3).decimal(), status >= 100, status <= 599
        else { return nil }
        return status
    }

    /// RFC 9113 section 8.1.1.
    private func frame(_ lengths: Int, end: Bool, toHead: Bool) -> ResponseFault? {
        var length: Int?
        if lengths > 0 {
            guard lengths == 1, let value = headers.first(.contentLength)?.decimal() else { return .badContentLength }
            length = value
        }
        if status < 200 || status == 204, (length ?? 0) > 0 { return .conflictingFraming }
        // An interim response is followed by the final one.
        if status < 200, end { return .conflictingFraming }
        if toHead || status < 200 || status == 204 || status == 304 {
            framing = .none
        } else if let length, length > 0 {
            if end { return .conflictingFraming }
            framing = .length(length)
        } else {
            framing = end || length == 0 ? .none : .chunked
        }
        return nil
    }
}

extension HeaderBlock {
    /// Copies the fields of a trailer section (RFC 9113 section 8.1). Which of them go on is the caller's decision.
    ///
    /// - Returns: false: malformed or too large, a stream error of PROTOCOL_ERROR.
    public func takeTrailers(_ list: FieldList) -> Bool {
        guard !list.isTooLarge else { return false }
        for index in 0..<list.count {
            let entry = list[index]
            guard entry.isOrdinary else { return false }
            add(id: entry.id, list.name(index), list.value(index), flags: entry.isNeverIndexed ? 4 : 0)
        }
        return true
    }
}
