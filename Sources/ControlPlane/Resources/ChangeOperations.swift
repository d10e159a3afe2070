// Many resources in one revision: apply, and going back to an earlier revision.

import HTTPTypes
import Hummingbird
import Model
import Store

extension ResourceAPI {
    static let changeOperations: [Operation] = [
        Operation(
            method: .post, path: "/v1/apply", name: "apply",
            summary:
                "Make resources as documents say: a kong.yml, or `type:` documents. One transaction, one revision.",
            right: .somebody,
            query: [
                .init("dryRun", .flag, "Check everything, say what would change, store nothing."),
                .init("prune", .flag, "Delete what is stored and not in the documents."),
                .init(
                    "selectTag", .text,
                    "Only resources with this tag are pruned; those of the documents get it if they have it not."),
                .init("message", .text, "Why: kept with the revision."),
                .init("canary", .pairs, "Send the revision to gateways with this label first."),
            ],
            body: "Documents",
            bodyTypes: ["application/yaml", "application/x-yaml", "text/yaml", "application/json"],
            bodyLimit: 256 << 20,
            answers: [.init(status: 200, schema: "ChangeResult", meaning: "What changed, or would.")],
            run: { try await $0.apply($1) }),
        Operation(
            method: .post, path: "/v1/rollback", name: "rollback",
            summary: "Make everything as it was at a revision, as a new revision.", right: .somebody,
            query: [.init("dryRun", .flag, "Say what would change; store nothing.")], body: "RollbackInput",
            answers: [.init(status: 200, schema: "ChangeResult", meaning: "What changed, or would.")],
            run: { try await $0.rollback($1) }),
    ]

    // MARK: - Apply

    private func apply(_ call: Call) async throws -> Response {
        try Self.demandAnyChange(call.author)
        let labels = call.pairs("canary")
        let isDry = call.flag("dryRun")
        if !labels.isEmpty, !isDry { try Self.demand(.update, "rollouts", call.author) }
        let text = try await call.bytes()
        guard !DocumentReader.parts(text).isEmpty else {
            // With `prune`, nothing would mean: delete everything.
            throw Problem.malformed("there is no document in the body")
        }
        let documents = AppliedDocuments(
            text, prune: call.flag("prune"), tag: call.text("selectTag"),
            expressions: environment.expressions, workspace: workspace)
        var author = call.author
        if author.source != "ui" { author.source = "apply" }
        let message = call.text("message") ?? ""
        guard !labels.isEmpty, !isDry else {
            let result = try await workspace.change(by: author, message: message, dryRun: isDry) {
                catalog throws(ChangeError) in try documents.edits(on: catalog)
            }
            return .json(Differences.answer(documents.completed(result), for: author))
        }
        return try await applyFirst(to: labels, documents, author, message)
    }

    /// The revision goes to the gateways with the labels before the others.
    private func applyFirst(
        to labels: [String: String], _ documents: AppliedDocuments, _ author: Author, _ message: String
    ) async throws -> Response {
        let rollout = try await gateways.prepareRollout(
            labels: labels, base: workspace.catalog.revision, by: author)
        let result: ChangeResult
        do {
            result = try await workspace.change(by: author, message: message) { catalog throws(ChangeError) in
                try documents.edits(on: catalog)
            }
        } catch {
            try? await gateways.startRollout(rollout, revision: nil)
            throw error
        }
        try await gateways.startRollout(rollout, revision: result.changes.isEmpty ? nil : result.revision)
        var answer = Differences.answer(documents.completed(result), for: author)
        if !result.changes.isEmpty { answer = answer.setting("rollout", .string(rollout.description)) }
        return .json(answer)
    }

    /// Somebody who may change nothing at all is told so before the documents are read.
    private static func demandAnyChange(_ author: Author) throws(AccessError) {
        let verbs: [Verb] = [.create, .update, .delete, .administer]
        let may = verbs.contains { verb in AccessTypes.resources.contains { author.mayEver(verb, type: $0) } }
        guard may else { throw .denied("create, update or delete on a type") }
    }

    // MARK: - Rollback

    private func rollback(_ call: Call) async throws -> Response {
        try Self.demandAnyChange(call.author)
        let input = try await call.record(["revision", "message"])
        guard let number = input["revision"].int, number > 0 else {
            throw Problem.malformed("revision: expected the number of a revision")
        }
        guard input["message"].isNull || input["message"].string != nil else {
            throw Problem.malformed("message: expected a string")
        }
        var author = call.author
        if author.source != "ui" { author.source = "rollback" }
        let result = try await workspace.rollback(
            to: UInt64(number), by: author, message: input["message"].string ?? "back to revision \(number)",
            dryRun: call.flag("dryRun"))
        return .json(Differences.answer(result, for: author))
    }
}
