// multipart/form-data (RFC 7578): parts by name, kept as they are unless edited.
//
//     --boundary CRLF field lines CRLF CRLF content CRLF --boundary … CRLF --boundary--

import Bytes

struct MultipartBody {
    private struct Part {
        var name: [UInt8]
        /// Field lines, the empty line and the content.
        var text: [UInt8]
        var content: [UInt8]
    }

    private var parts: [Part] = []
    private let boundary: [UInt8]

    static let partsMax = 1000

    /// nil if the type has no boundary, or the body is not what the type says.
    init?(_ body: Bytes, contentType: Bytes) {
        guard let boundary = Self.boundary(contentType) else { return nil }
        self.boundary = boundary
        guard !body.isEmpty else { return }
        let delimiter: [UInt8] = [0x2D, 0x2D] + boundary
        var at = 0
        guard var next = Self.find(delimiter, in: body, from: 0), next == 0 || next >= 2 && body[next - 1] == 0x0A
        else { return nil }
        while true {
            at = next + delimiter.count
            if body.dropFirst(at).starts(with: "--") { return }
            guard body.dropFirst(at).starts(with: "\r\n"), parts.count < Self.partsMax else { return nil }
            at += 2
            guard let end = Self.find([0x0D, 0x0A] + delimiter, in: body, from: max(at - 2, 0)), end >= at else {
                return nil
            }
            guard let part = Self.part(body[at..<end]) else { return nil }
            parts.append(part)
            next = end + 2
        }
    }

    /// The `boundary` parameter.
    static func boundary(_ contentType: Bytes) -> [UInt8]? {
        let value = parameter("boundary", of: contentType)
        guard let value, !value.isEmpty, value.count <= 200 else { return nil }
        return value
    }

    /// A parameter after the first `;`, its quotes taken off.
    private static func parameter(_ name: StaticString, of value: Bytes) -> [UInt8]? {
        var at = value.firstIndex(of: 0x3B) ?? value.count
        while at < value.count {
            var end = at + 1
            var isQuoted = false
            while end < value.count, isQuoted || value[end] != 0x3B {
                if value[end] == 0x22 { isQuoted.toggle() }
                if value[end] == 0x5C, isQuoted { end += 1 }
                end += 1
            }
            end = min(end, value.count)
            let item = value[(at + 1)..<end].trimmed()
            at = end
            guard let equals = item.firstIndex(of: 0x3D), item.prefix(equals).trimmed().equalsIgnoringCase(name) else {
                continue
            }
            let text = item.dropFirst(equals + 1).trimmed()
            return text.count >= 2 && text[0] == 0x22 && text[text.count - 1] == 0x22
                ? text[1..<(text.count - 1)].array : text.array
        }
        return nil
    }

    private static func part(_ text: Bytes) -> Part? {
        let isBare = text.starts(with: "\r\n")
        guard let end = isBare ? 0 : find([0x0D, 0x0A, 0x0D, 0x0A], in: text, from: 0) else { return nil }
        var name: [UInt8] = []
        var at = 0
        while at < end {
            let lineEnd = text.firstIndex(of: 0x0D, from: at) ?? end
            let line = text[at..<min(lineEnd, end)]
            at = lineEnd + 2
            guard let colon = line.firstIndex(of: 0x3A), line.prefix(colon).equalsIgnoringCase("content-disposition")
            else { continue }
            name = parameter("name", of: line.dropFirst(colon + 1)) ?? []
        }
        return Part(name: name, text: text.array, content: text.dropFirst(end + (isBare ? 2 : 4)).array)
    }

    private static func find(_ needle: [UInt8], in text: Bytes, from start: Int) -> Int? {
        needle.withBytes { needle in
            var at = start
            while let found = text.firstIndex(of: needle[0], from: at) {
                if text.dropFirst(found).starts(with: needle) { return found }
                at = found + 1
            }
            return nil
        }
    }

    func write(to out: Buffer) {
        for part in parts {
            out.append("--")
            out.append(boundary)
            out.append("\r\n")
            out.append(part.text)
            out.append("\r\n")
        }
        out.append("--")
        out.append(boundary)
        out.append("--\r\n")
    }

    // MARK: Editing

    /// Contents of the parts of that name.
    func values(_ name: [UInt8]) -> [[UInt8]] { parts.filter { $0.name == name }.map(\.content) }

    func contains(_ name: [UInt8]) -> Bool { parts.contains { $0.name == name } }

    @discardableResult
    mutating func remove(_ name: [UInt8]) -> Bool {
        let before = parts.count
        parts.removeAll { $0.name == name }
        return parts.count < before
    }

    /// Replaces the parts of that name by one, where the first was; adds it at the end if there was none.
    mutating func set(_ name: [UInt8], _ value: [UInt8]) {
        let made = Self.simple(name, value)
        guard let first = parts.firstIndex(where: { $0.name == name }) else {
            parts.append(made)
            return
        }
        parts[first] = made
        parts = parts.enumerated().filter { $0.offset == first || $0.element.name != name }.map(\.element)
    }

    /// The content moves under the new name.
    mutating func rename(_ name: [UInt8], to new: [UInt8]) -> Bool {
        guard let first = parts.firstIndex(where: { $0.name == name }) else { return false }
        guard name != new else { return true }
        let made = Self.simple(new, parts[first].content)
        parts[first] = made
        parts = parts.enumerated().filter { $0.offset == first || $0.element.name != name && $0.element.name != new }
            .map(\.element)
        return true
    }

    private static func simple(_ name: [UInt8], _ value: [UInt8]) -> Part {
        let out = Buffer(capacity: name.count + 64)
        out.append("Content-Disposition: form-data; name=\"")
        for byte in name {
            // As browsers do (WHATWG HTML, multipart/form-data encoding).
            switch byte {
            case 0x22: out.append("%22")
            case 0x0D: out.append("%0D")
            case 0x0A: out.append("%0A")
            default: out.append(byte)
            }
        }
        out.append("\"\r\n\r\n")
        return Part(name: name, text: out.readable.array + value, content: value)
    }
}
