// GET on entities: one, a page of a collection, a page of a parent's children, the parent of a child.

import HTTPTypes
import Model
import Store

/// Answers reads out of one catalog.
struct EntityReads: Sendable {
    let entities: Entities
    let request: AdminRequest

    init(_ request: AdminRequest, _ catalog: Catalog) {
        self.request = request
        entities = Entities(catalog: catalog, author: request.author)
    }

    func get(_ kind: EntityKind) throws(AdminFault) -> AdminAnswer {
        one(try entities.readable(kind, request.first))
    }

    func get(_ nesting: Nesting) throws(AdminFault) -> AdminAnswer {
        let parent = try entities.parent(nesting, request.first)
        return one(try entities.readable(nesting.child, request.last, within: (nesting, parent.key.id)))
    }

    /// `/routes/{route}/service`
    func foreign(_ nesting: Nesting) throws(AdminFault) -> AdminAnswer {
        let child = try entities.readable(nesting.child, request.first)
        guard let id = SpecValue.reference(child, nesting.field) else { throw .notFound }
        return one(try entities.readable(nesting.parent, id.description))
    }

    private func one(_ resource: Resource) -> AdminAnswer {
        var answer = AdminAnswer(.ok, body: entities.json(resource))
        answer.headers[.eTag] = "\"\(resource.version)\""
        return answer
    }

    // MARK: Lists

    func list(_ kind: EntityKind) throws(AdminFault) -> AdminAnswer {
        let paging = try Paging(request.query)
        if kind == .consumers, let found = consumer() { return entities.list(found, next: nil) }
        let catalog = entities.catalog
        let page = paging.page({ catalog.page(kind.rawValue, from: $0, limit: $1) }, where: isShown(paging))
        var next: (path: String, offset: String)?
        if let last = page.last {
            let offset = Paging.offset(last)
            var path = "/\(kind.collection)?offset=\(offset)"
            if let tags = request.query["tags"] { path += "&tags=\(PercentCoding.encode(tags))" }
            if let size = request.query["size"] { path += "&size=\(PercentCoding.encode(size))" }
            next = (path, offset)
        }
        return entities.list(page.page, next: next)
    }

    func list(_ nesting: Nesting) throws(AdminFault) -> AdminAnswer {
        let parent = try entities.parent(nesting, request.first)
        let paging = try Paging(request.query)
        let page = paging.page(entities.children(nesting, of: parent.key.id), where: isShown(paging))
        let next = page.last.map { last in
            let offset = Paging.offset(last)
            let path = "/" + request.segments.map(PercentCoding.encode).joined(separator: "/")
            return (path: "\(path)?offset=\(offset)", offset: offset)
        }
        return entities.list(page.page, next: next)
    }

    /// `?custom_id=` and `?username=`: a list of one or none. Nil: neither was asked for.
    private func consumer() -> [Resource]? {
        let type = EntityKind.consumers.rawValue
        let found: Resource?
        if let value = request.query["custom_id"] {
            found = entities.catalog.resource(type: type, unique: "custom_id", value: value)
        } else if let value = request.query["username"] {
            found = entities.catalog.resource(type: type, named: value)
        } else {
            return nil
        }
        return [found].compactMap { $0 }.filter(entities.isReadable)
    }

    private func isShown(_ paging: Paging) -> (Resource) -> Bool {
        { resource in
            entities.isReadable(resource) && (paging.tags == .none || paging.accepts(SpecValue.tags(resource)))
        }
    }
}
