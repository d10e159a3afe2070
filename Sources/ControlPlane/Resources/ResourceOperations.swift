// Resources one by one: list, read, create, replace, merge, delete.

import Dialects
import HTTPTypes
import Hummingbird
import Model
import Store

extension ResourceAPI {
    private static let dryRun = Operation.Parameter("dryRun", .flag, "Check everything and store nothing.")
    private static let message = Operation.Parameter("message", .text, "Why: kept with the revision.")

    static let resourceOperations: [Operation] = [
        Operation(
            method: .get, path: "/v1/{type}", name: "listResources", summary: "List the resources of a type by id.",
            right: .onType(.read),
            query: [
                .init("label", .pairs, "Only with this label; several must all be there."),
                .init("limit", .number(1...1000), "At most so many; 100 if it is left out."),
                .init("after", .text, "Only ids after this one: `next` of the page before."),
            ],
            answers: [.init(status: 200, schema: "ResourceList", meaning: "A page.")],
            run: { try $0.list($1) }),
        Operation(
            method: .post, path: "/v1/{type}", name: "createResource", summary: "Create a resource.",
            right: .onType(.create), query: [dryRun, message], body: "ResourceInput",
            answers: [
                .init(status: 201, schema: "Resource", meaning: "It is stored."),
                .init(status: 200, schema: "Resource", meaning: "A dry run: what would be stored."),
            ],
            run: { try await $0.create($1) }),
        Operation(
            method: .get, path: "/v1/{type}/{name}", name: "readResource", summary: "Read one by name or id.",
            right: .onType(.read), conditions: ["If-None-Match"],
            answers: [.init(status: 200, schema: "Resource", meaning: "The resource; ETag is its version.")],
            run: { try $0.read($1) }),
        Operation(
            method: .put, path: "/v1/{type}/{name}", name: "replaceResource",
            summary: "Replace one by name or id, or create it.", right: .onType(.update), query: [dryRun, message],
            conditions: ["If-Match", "If-None-Match"], body: "ResourceInput",
            answers: [
                .init(status: 200, schema: "Resource", meaning: "It is stored, or was so already."),
                .init(status: 201, schema: "Resource", meaning: "It is new."),
            ],
            run: { try await $0.replace($1) }),
        Operation(
            method: .patch, path: "/v1/{type}/{name}", name: "mergeResource",
            summary: "Change fields of one: a merge patch (RFC 7396).", right: .onType(.update),
            query: [dryRun, message], conditions: ["If-Match"], body: "ResourcePatch",
            bodyTypes: ["application/merge-patch+json", "application/json"],
            answers: [.init(status: 200, schema: "Resource", meaning: "It is stored.")],
            run: { try await $0.merge($1) }),
        Operation(
            method: .delete, path: "/v1/{type}/{name}", name: "deleteResource",
            summary: "Delete one by name or id, with everything that belongs to it.", right: .onType(.delete),
            query: [dryRun, message], conditions: ["If-Match"],
            answers: [.init(status: 200, schema: "ChangeResult", meaning: "What was deleted.")],
            run: { try await $0.delete($1) }),
    ]

    // MARK: - Reading

    private func list(_ call: Call) throws -> Response {
        let type = try call.type()
        let catalog = workspace.catalog
        let labels = call.pairs("label")
        let limit = call.number("limit") ?? 100
        var start: Identifier?
        if let after = call.text("after") {
            guard let id = Identifier(after) else { throw Problem.malformed("after: expected the id of a resource") }
            start = id.successor
            if start == nil { return .json(bytes: ResourceShape.list([], next: nil, revision: catalog.revision)) }
        }
        var items: [[UInt8]] = []
        var last: Identifier?
        while true {
            let page = catalog.page(type.plural, from: start, limit: 1000)
            for resource in page.resources {
                guard labels.allSatisfy({ resource.labels[$0.key] == $0.value }),
                    call.author.may(.read, type: type.plural, labels: resource.labels)
                else { continue }
                // One more than asked for says that there is a next page.
                if items.count == limit {
                    return .json(bytes: ResourceShape.list(items, next: last, revision: catalog.revision))
                }
                items.append(ResourceShape.bytes(resource, for: call.author))
                last = resource.key.id
            }
            guard let next = page.next else { break }
            start = next
        }
        return .json(bytes: ResourceShape.list(items, next: nil, revision: catalog.revision))
    }

    private func read(_ call: Call) throws -> Response {
        let resource = try find(call, .read)
        let tag = "\"\(resource.version)\""
        if call.request.headers[.ifNoneMatch] == tag {
            return Response(status: .notModified, headers: [.eTag: tag])
        }
        return Self.answer(resource, .ok, call.author)
    }

    /// The resource in the path, if the author may do that to it.
    private func find(_ call: Call, _ verb: Verb) throws -> Resource {
        let type = try call.type()
        let name = try call.part("name")
        guard let found = workspace.catalog.resource(type: type.plural, nameOrID: name) else {
            throw ChangeError.notFound(type: type.plural, name: name)
        }
        guard call.author.may(verb, type: type.plural, labels: found.labels) else {
            throw AccessError.denied("\(verb.rawValue) on \(type.plural)/\(name.prefix(200))")
        }
        return found
    }

    private static func answer(_ resource: Resource, _ status: HTTPResponse.Status, _ author: Author) -> Response {
        var response = Response.json(bytes: ResourceShape.bytes(resource, for: author), status: status)
        // A dry run's resource has no version yet.
        if resource.version != 0 { response.headers[.eTag] = "\"\(resource.version)\"" }
        return response
    }

    // MARK: - Changing

    private func create(_ call: Call) async throws -> Response {
        let type = try call.type()
        let input = try ResourceInput(try ConfigValue(json: try await call.bytes()), type: type)
        return try await put(call, type, target: nil) { _ in input }
    }

    private func replace(_ call: Call) async throws -> Response {
        let type = try call.type()
        let input = try ResourceInput(try ConfigValue(json: try await call.bytes()), type: type)
        return try await put(call, type, target: try call.part("name")) { _ in input }
    }

    private func merge(_ call: Call) async throws -> Response {
        let type = try call.type()
        let patch = try ConfigValue(json: try await call.bytes())
        guard patch.entries != nil else { throw Problem.malformed("the body must be a JSON object") }
        let name = try call.part("name")
        return try await put(call, type, target: name) { current throws(ChangeError) in
            guard let current else { throw .notFound(type: type.plural, name: name) }
            return try ResourceInput(current, patch: patch, type: type)
        }
    }

    /// Stores one resource.
    /// - Parameter target: name or id in the path; nil: a new one.
    private func put(
        _ call: Call, _ type: ResourceType, target: String?,
        _ input: @escaping @Sendable (Resource?) throws(ChangeError) -> ResourceInput
    ) async throws -> Response {
        let writer = ResourceWriter(workspace: workspace, environment: environment, clock: authenticator.clock)
        let conditions = try Conditions(call)
        let result = try await workspace.change(
            by: call.author, message: call.text("message") ?? "", dryRun: call.flag("dryRun")
        ) { catalog throws(ChangeError) in
            let current = target.flatMap { catalog.resource(type: type.plural, nameOrID: $0) }
            let version = try conditions.version(of: current)
            let draft = try writer.draft(
                try input(current), of: type, current: current, target: target, in: catalog)
            return [.put(draft, ifVersion: target == nil ? 0 : version)]
        }
        if let change = result.changes.last(where: { $0.after != nil }), let after = change.after {
            let isNew = change.before == nil && !call.flag("dryRun")
            var response = Self.answer(after, isNew ? .created : .ok, call.author)
            if isNew { response.headers[.location] = "/v1/\(type.plural)/\(after.key.id)" }
            return response
        }
        // Nothing differs from what is stored.
        guard let target, let same = workspace.catalog.resource(type: type.plural, nameOrID: target) else {
            throw ChangeError.contention
        }
        return Self.answer(same, .ok, call.author)
    }

    private func delete(_ call: Call) async throws -> Response {
        let type = try call.type()
        let name = try call.part("name")
        let conditions = try Conditions(call)
        let result = try await workspace.change(
            by: call.author, message: call.text("message") ?? "", dryRun: call.flag("dryRun")
        ) { catalog throws(ChangeError) in
            guard let current = catalog.resource(type: type.plural, nameOrID: name) else {
                throw .notFound(type: type.plural, name: name)
            }
            return [.delete(current.key, ifVersion: try conditions.version(of: current))]
        }
        return .json(Differences.answer(result, for: call.author))
    }
}

/// If-Match and If-None-Match of a request.
struct Conditions: Sendable {
    private enum Condition: Sendable {
        case none, exists, absent
        case version(UInt64)
    }

    private let condition: Condition

    init(_ call: Call) throws(Problem) {
        let fields = call.request.headers
        if let match = fields[.ifMatch] {
            if match == "*" {
                condition = .exists
            } else if match.count > 2, match.hasPrefix("\""), match.hasSuffix("\""),
                let version = UInt64(match.dropFirst().dropLast())
            {
                condition = .version(version)
            } else {
                throw .malformed("If-Match must be one version in quotation marks, such as \"12\", or *")
            }
        } else if let match = fields[.ifNoneMatch] {
            guard match == "*" else { throw .malformed("If-None-Match must be * here") }
            condition = .absent
        } else {
            condition = .none
        }
    }

    /// What `Edit` compares; nil: anything will do.
    func version(of current: Resource?) throws(ChangeError) -> UInt64? {
        switch condition {
        case .none: return nil
        case .exists:
            guard let current else { throw .preconditionFailed(version: 0) }
            return current.version
        case .absent:
            guard current == nil else { throw .preconditionFailed(version: current?.version ?? 0) }
            return 0
        case .version(let version):
            guard let current, current.version == version else {
                throw .preconditionFailed(version: current?.version ?? 0)
            }
            return version
        }
    }
}

extension Identifier {
    /// The next larger one; nil after the largest.
    var successor: Identifier? {
        let (low, overflow) = low.addingReportingOverflow(1)
        if !overflow { return Identifier(high: high, low: low) }
        return high == .max ? nil : Identifier(high: high + 1, low: 0)
    }
}
