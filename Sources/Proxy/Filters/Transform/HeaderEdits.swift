// Edits of header sections as configurations ask for them.

import Bytes
import HTTP

enum HeaderEdits {
    /// Fields that say how the message is framed or how the connection lives: the proxy's own, which
    /// no configuration may touch.
    static func isProtected(_ id: FieldName) -> Bool {
        switch id {
        case .contentLength, .transferEncoding, .connection, .upgrade, .te, .trailer, .keepAlive, .proxyConnection: true
        default: false
        }
    }

    static func set(_ key: FieldKey, _ value: Bytes, in headers: HeaderBlock) {
        guard !isProtected(key.id) else { return }
        let text = clean(value)
        text.withBytes { headers.set(key, $0) }
    }

    static func add(_ key: FieldKey, _ value: Bytes, in headers: HeaderBlock) {
        guard !isProtected(key.id), key.text.withBytes(HeaderText.isName) else { return }
        let text = clean(value)
        text.withBytes { headers.add(key, $0) }
    }

    /// All values move to the new name; fields that had it go.
    static func rename(_ key: FieldKey, to new: Bytes, in headers: HeaderBlock) {
        let id = FieldName(new)
        guard !isProtected(key.id), key.id != .host, !isProtected(id), id != .host, HeaderText.isName(new),
            headers.index(of: key) != nil
        else { return }
        var values: [[UInt8]] = []
        var at = 0
        while let index = headers.index(of: key, from: at) {
            values.append(headers.value(index).array)
            at = index + 1
        }
        headers.removeAll(named: new)
        headers.removeAll(key)
        for value in values { value.withBytes { headers.add(new, $0) } }
    }

    private static func clean(_ value: Bytes) -> [UInt8] {
        let out = Buffer(capacity: value.count + 16)
        HeaderText.append(value, to: out)
        return out.readable.array
    }
}
