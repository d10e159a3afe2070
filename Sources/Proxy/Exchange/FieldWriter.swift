// The fields of one head, in the form of whichever version it goes out by.

import Bytes
import HTTP

/// Writes fields as HTTP/1.1 lines or as an HPACK block: who composes a head need not know which.
final class FieldWriter {
    private var out: Buffer
    private var isBlock = false
    private let value = Buffer(capacity: 1024)
    private var id = FieldName.other
    private var name: StaticString = ""

    init() { out = value }

    /// The next head's fields are lines at the end of `out`.
    func begin(lines out: Buffer) {
        self.out = out
        isBlock = false
    }

    /// The next head's fields are an HPACK block at the end of `out`.
    func begin(block out: Buffer) {
        self.out = out
        isBlock = true
    }

    func field(_ id: FieldName, _ value: Bytes) { field(id, id.text, value) }
    func field(_ name: StaticString, _ value: Bytes) { field(.other, name, value) }
    func field(_ id: FieldName, _ value: StaticString) { field(id, id.text, Bytes(value)) }

    private func field(_ id: FieldName, _ name: StaticString, _ value: Bytes) {
        if isBlock {
            HPACKEncoder.field(id: id, name: Bytes(name), value: value, neverIndexed: false, to: out)
        } else {
            out.appendField(Bytes(name), value)
        }
    }

    func field(_ id: FieldName, decimal: Int) {
        open(id).append(decimal: decimal)
        close()
    }

    func field(_ name: StaticString, decimal: Int) {
        open(name).append(decimal: decimal)
        close()
    }

    /// Begins a field whose value is made of pieces: they are appended to the buffer it returns.
    func open(_ id: FieldName) -> Buffer { open(id, id.text) }
    func open(_ name: StaticString) -> Buffer { open(.other, name) }

    private func open(_ id: FieldName, _ name: StaticString) -> Buffer {
        if isBlock {
            self.id = id
            self.name = name
            value.clear()
            return value
        }
        out.append(name)
        out.append(": ")
        return out
    }

    /// Ends the field that `open` began.
    func close() {
        if isBlock {
            HPACKEncoder.field(id: id, name: Bytes(name), value: value.readable, neverIndexed: false, to: out)
        } else {
            out.append("\r\n")
        }
    }

    /// All fields of a section that are left and not in `skipped`.
    func block(_ headers: HeaderBlock, except skipped: FieldNameSet = FieldNameSet([])) {
        if isBlock {
            headers.encode(to: out, except: skipped.union(Self.connectionFields))
        } else {
            headers.write(to: out, except: skipped)
        }
    }

    /// Fields of an HTTP/1.1 connection never enter an HPACK block (RFC 9113 section 8.2.2).
    private static let connectionFields = FieldNameSet([
        .host, .connection, .transferEncoding, .upgrade, .te, .keepAlive, .proxyConnection,
    ])
}
