// multipart/form-data (RFC 7578): parts between boundaries, each with a name, becoming form fields.

import Model

/// Takes a multipart body apart. Nothing streams: bodies have a limit long before.
enum MultipartBody {
    /// - Parameter contentType: the header's value, which holds the boundary.
    /// - Returns: nil when there is no boundary, a part has no name, or the last boundary is missing.
    static func form(_ body: [UInt8], contentType: String) -> FormBody? {
        guard let boundary = boundary(contentType) else { return nil }
        let delimiter = Array("--".utf8) + Array(boundary.utf8)
        guard var position = find(delimiter, in: body, from: 0).map({ $0 + delimiter.count }) else { return nil }
        let between = Array("\r\n".utf8) + delimiter
        var fields: [(name: String, node: FormNode)] = []
        while true {
            if starts(with: "--", body, at: position) { break }
            guard starts(with: "\r\n", body, at: position), fields.count < FormBody.pairsLimit,
                let end = find(between, in: body, from: position)
            else { return nil }
            guard let field = part(body[(position + 2)..<max(position + 2, end)]) else { return nil }
            fields.append(field)
            position = end + between.count
        }
        return FormBody(fields)
    }

    /// 1 to 70 characters (RFC 2046 section 5.1.1).
    private static func boundary(_ contentType: String) -> String? {
        for parameter in contentType.split(separator: ";").dropFirst() {
            let sides = parameter.split(separator: "=", maxSplits: 1)
            guard sides.count == 2, trimmed(sides[0]).lowercased() == "boundary" else { continue }
            let value = unquoted(trimmed(sides[1]))
            return (1...70).contains(value.utf8.count) ? value : nil
        }
        return nil
    }

    private static func part(_ bytes: ArraySlice<UInt8>) -> (name: String, node: FormNode)? {
        let bytes = Array(bytes)
        var head = ""
        var content: ArraySlice<UInt8> = bytes[...]
        if starts(with: "\r\n", bytes, at: 0) {
            content = bytes.dropFirst(2)
        } else if let end = find(Array("\r\n\r\n".utf8), in: bytes, from: 0) {
            head = String(decoding: bytes[..<end], as: UTF8.self)
            content = bytes[(end + 4)...]
        } else {
            return nil
        }
        var name: String?
        var isJSON = false
        for line in head.split(separator: "\r\n") {
            let sides = line.split(separator: ":", maxSplits: 1)
            guard sides.count == 2 else { continue }
            switch sides[0].lowercased() {
            case "content-disposition":
                for parameter in sides[1].split(separator: ";").dropFirst() {
                    let pair = parameter.split(separator: "=", maxSplits: 1)
                    if pair.count == 2, trimmed(pair[0]).lowercased() == "name" { name = unquoted(trimmed(pair[1])) }
                }
            case "content-type": isJSON = trimmed(sides[1]).lowercased().hasPrefix("application/json")
            default: continue
            }
        }
        guard let name, !name.isEmpty else { return nil }
        if isJSON, let value = try? ConfigValue(json: Array(content)) { return (name, .value(value)) }
        return (name, .text(String(decoding: content, as: UTF8.self)))
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text
        while text.first == " " || text.first == "\t" { text.removeFirst() }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return String(text)
    }

    private static func unquoted(_ text: String) -> String {
        guard text.utf8.count >= 2, text.first == "\"", text.last == "\"" else { return text }
        return String(text.dropFirst().dropLast())
    }

    private static func starts(with text: StaticString, _ bytes: [UInt8], at position: Int) -> Bool {
        let wanted = Array(text.description.utf8)
        guard position + wanted.count <= bytes.count else { return false }
        return bytes[position..<(position + wanted.count)].elementsEqual(wanted)
    }

    private static func find(_ wanted: [UInt8], in bytes: [UInt8], from start: Int) -> Int? {
        guard let first = wanted.first, start >= 0 else { return nil }
        var position = start
        while position + wanted.count <= bytes.count {
            if bytes[position] == first, bytes[position..<(position + wanted.count)].elementsEqual(wanted) {
                return position
            }
            position += 1
        }
        return nil
    }
}
