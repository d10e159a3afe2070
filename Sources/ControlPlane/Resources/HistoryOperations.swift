// What was: revisions, what each changed, differences between any two, and everything as a file.

import Dialects
import HTTPTypes
import Hummingbird
import Model
import NIOCore
import Store

extension ResourceAPI {
    /// Revisions go up to what an integer holds.
    private static let numbers = 0...Int.max

    static let historyOperations: [Operation] = [
        Operation(
            method: .get, path: "/v1/revisions", name: "listRevisions", summary: "List revisions, newest first.",
            right: .somebody,
            query: [
                .init("before", .number(numbers), "Only smaller numbers: `next` of the page before."),
                .init("limit", .number(1...1000), "At most so many; 50 if it is left out."),
            ],
            answers: [.init(status: 200, schema: "RevisionList", meaning: "A page.")],
            run: { try await $0.listRevisions($1) }),
        Operation(
            method: .get, path: "/v1/revisions/{number}", name: "readRevision",
            summary: "Read who made a revision, when and why.", right: .somebody,
            answers: [.init(status: 200, schema: "Revision", meaning: "The revision.")],
            run: { .json(ResourceShape.value(try await $0.revision($1))) }),
        Operation(
            method: .get, path: "/v1/revisions/{number}/changes", name: "readChanges",
            summary: "Read what a revision changed, field by field.", right: .somebody,
            answers: [.init(status: 200, schema: "Changes", meaning: "Changes of what the author may read.")],
            run: { api, call in
                let number = try await api.revision(call).number
                return .json(Self.answer(try await api.store.changes(of: number), call.author))
            }),
        Operation(
            method: .get, path: "/v1/diff", name: "diff", summary: "Compare two revisions.", right: .somebody,
            query: [
                .init("from", .number(numbers), "The older one; the one before `to` if it is left out."),
                .init("to", .number(numbers), "The newer one; the newest if it is left out."),
            ],
            answers: [.init(status: 200, schema: "Changes", meaning: "What changed in between.")],
            run: { try await $0.diff($1) }),
        Operation(
            method: .get, path: "/v1/export", name: "export",
            summary: "Read everything as a file that apply takes.", right: .somebody,
            query: [.init("format", .oneOf(["kong", "seaway"]), "A kong.yml (the default), or `type:` documents.")],
            answers: [
                .init(status: 200, schema: "Documents", meaning: "The file.", mediaType: "application/yaml")
            ],
            run: { try $0.export($1) }),
        Operation(
            method: .get, path: "/v1/watch", name: "watch",
            summary: "Follow what happens: server-sent events revision, change, gateway, rollout, resync.",
            right: .somebody,
            query: [
                .init("types", .text, "Only changes of these types, separated by commas."),
                .init("since", .number(numbers), "Begin with what changed after this revision."),
            ],
            answers: [
                .init(
                    status: 200, schema: "Events", meaning: "Events until the client goes.",
                    mediaType: "text/event-stream")
            ],
            run: { try $0.watch($1) }),
    ]

    // MARK: - Revisions

    private func listRevisions(_ call: Call) async throws -> Response {
        let limit = call.number("limit") ?? 50
        let revisions = try await store.revisions(limit: limit, before: call.number("before").map { UInt64($0) })
        let next = revisions.count == limit ? revisions.last.map { Int(clamping: $0.number) } : nil
        return .json(
            .object([
                "items": .array(revisions.map(ResourceShape.value)),
                "next": next.map { $0 > 1 ? .int($0) : .null } ?? .null,
            ]))
    }

    private func revision(_ call: Call) async throws -> Revision {
        let text = try call.part("number")
        guard text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let number = UInt64(text), number <= Int.max,
            let revision = try await store.revision(number)
        else { throw Problem.notFound("there is no revision \(text.prefix(40))") }
        return revision
    }

    private func diff(_ call: Call) async throws -> Response {
        let head = try await store.head()
        let last = call.number("to").map { UInt64($0) } ?? head
        let first = call.number("from").map { UInt64($0) } ?? (last > 0 ? last - 1 : 0)
        for number in [first, last] where number > head {
            throw Problem.notFound("there is no revision \(number); the newest is \(head)")
        }
        return .json(Self.answer(try await store.changes(from: first, to: last), call.author))
    }

    private static func answer(_ changes: [Change], _ author: Author) -> ConfigValue {
        .object([
            "summary": Differences.summary(changes), "changes": Differences.list(changes, for: author),
            "omitted": .int(max(0, changes.count - Differences.namedMax)),
        ])
    }

    // MARK: - Export

    private func export(_ call: Call) throws -> Response {
        let catalog = workspace.catalog
        var specs: [(type: ResourceType, resource: Resource)] = []
        for type in ResourceType.all {
            for resource in catalog.all(type.plural)
            where call.author.may(.read, type: type.plural, labels: resource.labels) {
                specs.append((type, resource))
            }
        }
        let text =
            call.text("format") == "seaway"
            ? Self.documents(specs, call.author)
            : KongWriter.write(
                specs.compactMap { type, resource in
                    guard let kind = type.entity,
                        let spec = try? ConfigValue(json: Redaction.shown(resource, to: call.author))
                    else { return nil }
                    return (kind, spec)
                })
        return Response(
            status: .ok, headers: [.contentType: "application/yaml; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: text)))
    }

    /// One document a resource. JSON is YAML, and needs no rules of when to quote.
    private static func documents(
        _ specs: [(type: ResourceType, resource: Resource)], _ author: Author
    ) -> [UInt8] {
        var text: [UInt8] = []
        for (type, resource) in specs {
            let spec = (try? ConfigValue(json: Redaction.shown(resource, to: author))) ?? .null
            let dropped: Set<String> = ["id", "created_at", "updated_at"]
            let fields = (spec.entries ?? []).filter { !dropped.contains($0.key) && !$0.value.isNull }
            text += Array("---\ntype: \(type.kind)\nid: \(resource.key.id)\n".utf8)
            if let name = resource.name { text += Array("name: ".utf8) + ConfigValue.string(name).json + [0x0A] }
            text += Array("spec:\n".utf8)
            for field in fields {
                text += Array("  \(field.key): ".utf8) + field.value.json + [0x0A]
            }
            if fields.isEmpty {
                text.removeLast()
                text += Array(" {}\n".utf8)
            }
        }
        return text
    }
}
