// Each operation to what answers it; writes go through the workspace, one revision for each request.

import HTTPTypes
import Dialects
import Model
import Store
import Synchronization

extension AdminAPI {
    func perform(_ action: AdminAction, _ request: AdminRequest) async throws(AdminFault) -> AdminAnswer {
        switch action {
        case .entity(let verb, let kind): try await entity(verb, kind, request)
        case .nested(let verb, let nesting): try await nested(verb, nesting, request)
        case .foreign(let verb, let nesting): try await foreign(verb, nesting, request)
        case .allTargets: try reads(request).list(Nesting(parent: .upstreams, child: .targets, field: "upstream"))
        case .upstreamHealth: try await upstreamHealth(request)
        case .targetHealth: try targetHealth(request)
        case .node: node()
        case .status: await status()
        case .ready: await ready()
        case .endpoints: endpoints()
        case .tags: try tags(request)
        case .tag: try tag(request)
        case .enabledPlugins: enabledPlugins()
        case .entitySchema: try entitySchema(request)
        case .pluginSchema: try pluginSchema(request)
        case .validateEntity: try validateEntity(request)
        case .validatePlugin: try validate(.plugins, request)
        case .readConfig: try readConfig(request)
        case .replaceConfig: try await replaceConfig(request)
        case .dataPlanes: try await dataPlanes(request)
        case .clusteringStatus: await clusteringStatus()
        case .openAPI: AdminAnswer(.ok, body: document)
        }
    }

    private func reads(_ request: AdminRequest) -> EntityReads { EntityReads(request, workspace.catalog) }

    private func entity(
        _ verb: EntityVerb, _ kind: EntityKind, _ request: AdminRequest
    ) async throws(AdminFault) -> AdminAnswer {
        switch verb {
        case .list: try reads(request).list(kind)
        case .get: try reads(request).get(kind)
        case .create:
            try await write(request, .created) { writes throws(AdminFault) in try writes.create(kind) }
        case .replace:
            try await write(request, .ok) { writes throws(AdminFault) in try writes.replace(kind, request.first) }
        case .update:
            try await write(request, .ok) { writes throws(AdminFault) in try writes.update(kind, request.first) }
        case .delete:
            try await write(request, .noContent) { writes throws(AdminFault) in try writes.delete(kind, request.first) }
        }
    }

    private func nested(
        _ verb: EntityVerb, _ nesting: Nesting, _ request: AdminRequest
    ) async throws(AdminFault) -> AdminAnswer {
        switch verb {
        case .list: return try reads(request).list(nesting)
        case .get: return try reads(request).get(nesting)
        case .create:
            return try await write(request, .created) { writes throws(AdminFault) in
                try writes.create(nesting.child, within: try writes.entities.parent(nesting, request.first), nesting)
            }
        case .replace, .update, .delete:
            return try await write(request, verb == .delete ? .noContent : .ok) { writes throws(AdminFault) in
                let parent = (nesting, try writes.entities.parent(nesting, request.first).key.id)
                return switch verb {
                case .replace: try writes.replace(nesting.child, request.last, within: parent)
                case .update: try writes.update(nesting.child, request.last, within: parent)
                case .delete, .list, .get, .create: try writes.delete(nesting.child, request.last, within: parent)
                }
            }
        }
    }

    private func foreign(
        _ verb: EntityVerb, _ nesting: Nesting, _ request: AdminRequest
    ) async throws(AdminFault) -> AdminAnswer {
        switch verb {
        case .list, .get, .create, .delete: try reads(request).foreign(nesting)
        case .replace:
            try await write(request, .ok) { writes throws(AdminFault) in try writes.replaceForeign(nesting) }
        case .update:
            try await write(request, .ok) { writes throws(AdminFault) in try writes.updateForeign(nesting) }
        }
    }

    // MARK: Changes

    /// What a plan found out besides its edits.
    private final class Notes: Sendable {
        let state = Mutex<(fault: AdminFault?, shown: ResourceKey?)>((nil, nil))
    }

    private func write(
        _ request: AdminRequest, _ status: AdminAnswer.Status,
        _ plan: @escaping @Sendable (EntityWrites) throws(AdminFault) -> WritePlan
    ) async throws(AdminFault) -> AdminAnswer {
        let (result, shown) = try await change(request, plan)
        guard status != .noContent, let shown else { return AdminAnswer(.noContent) }
        let catalog = workspace.catalog
        // Somebody may have deleted it since: what was written is shown all the same.
        guard let resource = result.changes.last(where: { $0.key == shown })?.after ?? catalog.resource(shown) else {
            throw .notFound
        }
        let entities = Entities(catalog: catalog, author: request.author)
        var answer = AdminAnswer(status, body: entities.json(resource))
        answer.headers[.eTag] = "\"\(resource.version)\""
        return answer
    }

    /// One revision of what `plan` comes to; a fault inside the plan comes out as it was.
    func change(
        _ request: AdminRequest, dryRun: Bool = false,
        _ plan: @escaping @Sendable (EntityWrites) throws(AdminFault) -> WritePlan
    ) async throws(AdminFault) -> (result: ChangeResult, shown: ResourceKey?) {
        let notes = Notes()
        let now = Int(clock())
        let expressions = options.expressions
        do throws(ChangeError) {
            let result = try await workspace.change(by: request.author, dryRun: dryRun) { catalog throws(ChangeError) in
                let entities = Entities(catalog: catalog, author: request.author)
                let writes = EntityWrites(entities: entities, request: request, now: now, expressions: expressions)
                do throws(AdminFault) {
                    let planned = try plan(writes)
                    notes.state.withLock { $0.shown = planned.shown }
                    return planned.edits
                } catch {
                    notes.state.withLock { $0.fault = error }
                    throw .contention
                }
            }
            return (result, notes.state.withLock { $0.shown })
        } catch {
            throw notes.state.withLock { $0.fault } ?? AdminFault(error)
        }
    }
}
