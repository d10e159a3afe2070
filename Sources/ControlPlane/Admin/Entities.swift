// Finding and showing entities of a catalog: by id, by the field that names them, under a parent.

import HTTPTypes
import Dialects
import Model
import Store

/// A catalog as one author may see it.
struct Entities: Sendable {
    let catalog: Catalog
    let author: Author

    // MARK: Finding

    /// The entity that a path segment names; nil: there is none.
    /// - Parameter parent: the entity that the path begins with, for names that are unique within it only.
    func find(
        _ kind: EntityKind, _ text: String, within parent: (nesting: Nesting, id: Identifier)? = nil
    ) throws(AdminFault) -> Resource? {
        let type = kind.rawValue
        guard let found = try named(kind, text, parent?.id) else { return nil }
        guard let parent else { return found }
        let isChild = catalog.resources(type, where: parent.nesting.field, is: parent.id).contains {
            $0.key == found.key
        }
        return isChild ? found : nil
    }

    private func named(_ kind: EntityKind, _ text: String, _ parent: Identifier?) throws(AdminFault) -> Resource? {
        let type = kind.rawValue
        if let id = Identifier(text) { return catalog.resource(ResourceKey(type: type, id: id)) }
        switch kind {
        case .certificates:
            guard let sni = catalog.resource(type: EntityKind.snis.rawValue, named: text),
                let id = SpecValue.reference(sni, "certificate")
            else { return nil }
            return catalog.resource(ResourceKey(type: type, id: id))
        case .caCertificates:
            throw KongError.invalidPrimaryKey.fault(
                "invalid primary key: '{id=\"expected a valid UUID\"}'",
                fields: .record([.init("id", .string("expected a valid UUID"))]))
        case .targets:
            guard let parent else { return nil }
            // Kong adds its port to addresses that are written without one.
            for address in [text, "\(text):8000"] {
                if let found = catalog.resource(type: type, unique: "upstream,target", value: "\(parent),\(address)") {
                    return found
                }
            }
            return nil
        case .acls:
            guard let parent else { return nil }
            return catalog.resource(type: type, unique: "consumer,group", value: "\(parent),\(text)")
        case .keyAuthCredentials, .basicAuthCredentials, .hmacAuthCredentials, .jwtSecrets, .oauth2Credentials:
            return catalog.resource(type: type, unique: kind.endpointKey ?? "", value: text)
        case .services, .routes, .upstreams, .consumers, .plugins, .snis, .vaults, .keySets, .keys:
            return catalog.resource(type: type, named: text)
        }
    }

    /// As `find`; 404 if there is none, 403 if the author may not see it.
    func readable(
        _ kind: EntityKind, _ text: String, within parent: (nesting: Nesting, id: Identifier)? = nil
    ) throws(AdminFault) -> Resource {
        guard let found = try find(kind, text, within: parent) else { throw .notFound }
        guard isReadable(found) else {
            throw .denied("read on \(found.key.type)/\(found.name ?? found.key.id.description)")
        }
        return found
    }

    func isReadable(_ resource: Resource) -> Bool {
        author.may(.read, type: resource.key.type, labels: resource.labels)
    }

    /// The entity that a nested path begins with.
    func parent(_ nesting: Nesting, _ text: String) throws(AdminFault) -> Resource {
        try readable(nesting.parent, text)
    }

    /// The children of a parent, by id.
    func children(_ nesting: Nesting, of id: Identifier) -> [Resource] {
        catalog.resources(nesting.child.rawValue, where: nesting.field, is: id).sorted { $0.key.id < $1.key.id }
    }

    /// What a reference in a request leads to: an id, or a name.
    func known(_ kind: EntityKind, _ text: String) -> Identifier? {
        catalog.resource(type: kind.rawValue, nameOrID: text)?.key.id
    }

    // MARK: Showing

    /// The entity as JSON: what is stored, plus the names that a certificate is served for.
    func json(_ resource: Resource) -> [UInt8] {
        var bytes = Redaction.shown(resource, to: author)
        guard resource.key.type == EntityKind.certificates.rawValue, bytes.last == UInt8(ascii: "}") else {
            return bytes
        }
        bytes.removeLast()
        bytes += Array(bytes.count > 1 ? ",\"snis\":".utf8 : "\"snis\":".utf8)
        bytes += ConfigValue.array(serverNames(resource.key.id).map { .string($0) }).json
        bytes.append(UInt8(ascii: "}"))
        return bytes
    }

    /// Sorted names of the SNIs that lead to a certificate.
    func serverNames(_ certificate: Identifier) -> [String] {
        catalog.resources(EntityKind.snis.rawValue, where: "certificate", is: certificate).compactMap(\.name).sorted()
    }

    /// `{"data": […], "next": …}` with `offset` when there is more.
    func list(_ page: [Resource], next: (path: String, offset: String)?, extra: [ConfigValue.Entry] = []) -> AdminAnswer
    {
        var body = Array("{\"data\":[".utf8)
        for (index, resource) in page.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            body += json(resource)
        }
        body += Array("],\"next\":".utf8)
        body += ConfigValue.json(next.map { .string($0.path) } ?? .null)
        if let next {
            body += Array(",\"offset\":".utf8)
            body += ConfigValue.string(next.offset).json
        }
        for entry in extra {
            body += Array(",".utf8) + ConfigValue.string(entry.key).json + Array(":".utf8) + entry.value.json
        }
        body.append(UInt8(ascii: "}"))
        return AdminAnswer(.ok, body: body)
    }
}

extension ConfigValue {
    fileprivate static func json(_ value: ConfigValue) -> [UInt8] { value.json }
}

/// Single values out of stored specs.
enum SpecValue {
    static func of(_ resource: Resource) -> ConfigValue { (try? ConfigValue(json: resource.spec)) ?? .record([]) }

    /// Without the secrets that `author` may not see.
    static func shown(_ resource: Resource, to author: Author) -> ConfigValue {
        (try? ConfigValue(json: Redaction.shown(resource, to: author))) ?? .record([])
    }

    /// Where a foreign key leads.
    static func reference(_ resource: Resource, _ field: String) -> Identifier? {
        of(resource)[field]["id"].string.flatMap { Identifier($0) }
    }

    static func tags(_ resource: Resource) -> [String] { of(resource)["tags"].strings }
}
