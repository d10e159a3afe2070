// Short ways to make JSON answers.

import FoundationEssentials
import HTTPTypes
import Hummingbird
import Model
import NIOCore
import Store

extension ConfigValue {
    static func object(_ fields: KeyValuePairs<String, ConfigValue>) -> ConfigValue {
        .record(fields.map { Entry($0.key, $0.value) })
    }

    static func number(_ value: UInt64) -> ConfigValue { .int(Int(clamping: value)) }
    static func number(_ value: Int64) -> ConfigValue { .int(Int(clamping: value)) }
    static func text(_ value: String?) -> ConfigValue { value.map { .string($0) } ?? .null }
    /// Unix milliseconds as RFC 3339 has them; 0 means never: null.
    static func moment(_ milliseconds: Int64) -> ConfigValue {
        guard milliseconds != 0 else { return .null }
        let date = Date(timeIntervalSince1970: Double(milliseconds) / 1000)
        return .string(date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)))
    }
    static func map(_ labels: [String: String]) -> ConfigValue {
        .record(labels.sorted { $0.key < $1.key }.map { Entry($0.key, .string($0.value)) })
    }

    /// The record with `key` set: replaced where it stands, or added at the end.
    func setting(_ key: String, _ value: ConfigValue) -> ConfigValue {
        var entries = self.entries ?? []
        if let place = entries.firstIndex(where: { $0.key == key }) {
            entries[place].value = value
        } else {
            entries.append(Entry(key, value))
        }
        return .record(entries)
    }

    /// RFC 7396: null removes, records merge, everything else replaces.
    func merged(with patch: ConfigValue) -> ConfigValue {
        guard case .record(let changes) = patch else { return patch }
        var entries = self.entries ?? []
        for change in changes {
            let place = entries.firstIndex { $0.key == change.key }
            if change.value.isNull {
                if let place { entries.remove(at: place) }
            } else if let place {
                entries[place].value = entries[place].value.merged(with: change.value)
            } else {
                entries.append(Entry(change.key, ConfigValue.null.merged(with: change.value)))
            }
        }
        return .record(entries)
    }
}

extension Response {
    static func json(_ value: ConfigValue, status: HTTPResponse.Status = .ok) -> Response {
        json(bytes: value.json, status: status)
    }

    static func json(bytes: [UInt8], status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}

/// Resources as answers.
enum ResourceShape {
    /// One resource as `author` may see it. The spec's bytes are the stored ones.
    static func bytes(_ resource: Resource, for author: Author) -> [UInt8] {
        var bytes = head(resource).json
        bytes.removeLast()
        bytes += Array(",\"spec\":".utf8)
        bytes += Redaction.shown(resource, to: author)
        bytes.append(UInt8(ascii: "}"))
        return bytes
    }

    private static func head(_ resource: Resource) -> ConfigValue {
        .object([
            "type": .string(resource.key.type), "id": .string(resource.key.id.description),
            "name": .text(resource.name), "labels": .map(resource.labels), "version": .number(resource.version),
        ])
    }

    /// A list with what belongs to it.
    static func list(_ items: [[UInt8]], next: Identifier?, revision: UInt64) -> [UInt8] {
        var bytes = Array("{\"items\":[".utf8)
        bytes.reserveCapacity(items.reduce(64) { $0 + $1.count + 1 })
        for (index, item) in items.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes += item
        }
        let rest = ConfigValue.object(["next": .text(next?.description), "revision": .number(revision)]).json
        bytes += Array("],".utf8) + rest.dropFirst()
        return bytes
    }

    static func value(_ diagnostic: Diagnostic) -> ConfigValue {
        .object([
            "severity": .string(diagnostic.severity.rawValue), "code": .string(diagnostic.code),
            "entity": .string(diagnostic.entity), "field": .string(diagnostic.field),
            "message": .string(diagnostic.message), "remedy": .string(diagnostic.remedy),
            "file": .string(diagnostic.file), "line": .int(diagnostic.line), "column": .int(diagnostic.column),
        ])
    }

    static func value(_ revision: Revision) -> ConfigValue {
        .object([
            "number": .number(revision.number), "time": .moment(revision.time), "actor": .string(revision.actor),
            "source": .string(revision.source), "message": .string(revision.message),
            "created": .int(revision.created), "updated": .int(revision.updated), "deleted": .int(revision.deleted),
        ])
    }
}
