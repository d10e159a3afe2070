// Gateways, rollouts, and how the control plane itself is.

import HTTPTypes
import Hummingbird
import Model
import NIOCore
import Store

extension ResourceAPI {
    static let fleetOperations: [Operation] = [
        Operation(
            method: .get, path: "/v1/status", name: "readStatus",
            summary: "Read how the control plane, its store and its gateways are.", right: .somebody,
            answers: [.init(status: 200, schema: "Status", meaning: "The status.")],
            run: { try await $0.status($1) }),
        Operation(
            method: .get, path: "/v1/gateways", name: "listGateways", summary: "List all gateways by name.",
            right: .ever(.read, "gateways"),
            answers: [.init(status: 200, schema: "GatewayList", meaning: "The gateways.")],
            run: { api, call in
                let gateways = await api.readable(call.author)
                return .json(.object(["items": .array(gateways.map(FleetShape.value))]))
            }),
        Operation(
            method: .get, path: "/v1/gateways/{name}", name: "readGateway", summary: "Read one by name or id.",
            right: .ever(.read, "gateways"),
            answers: [.init(status: 200, schema: "Gateway", meaning: "The gateway.")],
            run: { .json(FleetShape.value(try await $0.gateway($1, .read))) }),
        Operation(
            method: .delete, path: "/v1/gateways/{name}", name: "revokeGateway",
            summary: "Revoke a gateway's certificate; its stream ends within a second.",
            right: .ever(.administer, "gateways"),
            answers: [.init(status: 204, schema: "", meaning: "It is revoked.")],
            run: { api, call in
                let gateway = try await api.gateway(call, .administer)
                try await api.gateways.revoke(gateway.id, by: call.author)
                return Response(status: .noContent)
            }),
        Operation(
            method: .get, path: "/v1/rollouts", name: "listRollouts", summary: "List rollouts, newest first.",
            right: .ever(.read, "rollouts"),
            answers: [.init(status: 200, schema: "RolloutList", meaning: "The rollouts.")],
            run: { api, _ in
                let rollouts = await api.gateways.rollouts()
                return .json(.object(["items": .array(rollouts.map(FleetShape.value))]))
            }),
        Operation(
            method: .post, path: "/v1/rollouts/{id}/promote", name: "promoteRollout",
            summary: "Send the rollout's revision to all gateways now.", right: .ever(.update, "rollouts"),
            answers: [.init(status: 204, schema: "", meaning: "It is promoted.")],
            run: { api, call in
                try await api.gateways.promote(try call.id(), by: call.author)
                return Response(status: .noContent)
            }),
        Operation(
            method: .post, path: "/v1/rollouts/{id}/revert", name: "revertRollout",
            summary: "Go back to the revision before the rollout, as a new revision.",
            right: .ever(.update, "rollouts"),
            answers: [.init(status: 204, schema: "", meaning: "It is reverted.")],
            run: { api, call in
                try await api.gateways.revert(try call.id(), by: call.author)
                return Response(status: .noContent)
            }),
        Operation(
            method: .get, path: "/healthz", name: "health", summary: "Say ok while the process serves.",
            right: .anybody,
            answers: [.init(status: 200, schema: "Text", meaning: "ok", mediaType: "text/plain")],
            run: { _, _ in .text("ok\n") }),
        Operation(
            method: .get, path: "/metrics", name: "readMetrics",
            summary: "Read the control plane's metrics in Prometheus' text format.", right: .ever(.read, "metrics"),
            answers: [.init(status: 200, schema: "Text", meaning: "The metrics.", mediaType: "text/plain")],
            run: { api, _ in
                guard let metrics = api.environment.metrics else {
                    throw Problem.notFound("this control plane keeps no metrics")
                }
                return .text(await metrics(), type: "text/plain; version=0.0.4; charset=utf-8")
            }),
    ]

    /// Gateways that a role limited by labels may see.
    private func readable(_ author: Author) async -> [GatewayView] {
        await gateways.gateways().filter { author.may(.read, type: "gateways", labels: $0.labels) }
    }

    private func gateway(_ call: Call, _ verb: Verb) async throws -> GatewayView {
        let name = try call.part("name")
        let id = Identifier(name)
        let all = await gateways.gateways()
        guard let found = all.first(where: { $0.id == id }) ?? all.first(where: { $0.name == name }) else {
            throw ChangeError.notFound(type: "gateways", name: name)
        }
        guard call.author.may(verb, type: "gateways", labels: found.labels) else {
            throw AccessError.denied("\(verb.rawValue) on gateways/\(found.name)")
        }
        return found
    }

    private func status(_ call: Call) async throws -> Response {
        let catalog = workspace.catalog
        var problem: String?
        do throws(StoreError) { try await store.ping() } catch { problem = error.text }
        let visible = await readable(call.author)
        let counts = ResourceType.all.filter { call.author.mayEver(.read, type: $0.plural) }
            .map { ConfigValue.Entry($0.plural, .int(catalog.count($0.plural))) }
        let rollout = call.author.mayEver(.read, type: "rollouts") ? await gateways.rollouts().first : nil
        let alive = visible.filter { $0.revokedAt == 0 }
        return .json(
            .object([
                "revision": .number(catalog.revision),
                "controlPlane": .object([
                    "name": .string(environment.controlPlane), "version": .string(environment.version),
                    "startedAt": .moment(environment.startedAt),
                ]),
                "store": .object([
                    "kind": .string(environment.storeKind), "state": .string(problem == nil ? "ok" : "unavailable"),
                    "error": .text(problem),
                ]),
                "resources": .record(counts),
                "gateways": .object([
                    "total": .int(alive.count), "connected": .int(alive.count(where: \.isConnected)),
                    "current": .int(alive.count { $0.isConnected && $0.revision == catalog.revision }),
                    "rejecting": .int(alive.count { $0.rejectedRevision != 0 }),
                ]),
                "rollout": rollout.map(FleetShape.value) ?? .null,
            ]))
    }
}

extension Response {
    static func text(_ text: String, type: String = "text/plain; charset=utf-8") -> Response {
        Response(
            status: .ok, headers: [.contentType: type], body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}

enum FleetShape {
    static func value(_ gateway: GatewayView) -> ConfigValue {
        let state = gateway.revokedAt != 0 ? "revoked" : gateway.isConnected ? "connected" : "disconnected"
        let rejected = ConfigValue.object([
            "revision": .number(gateway.rejectedRevision), "entity": .string(gateway.rejectedEntity),
            "reason": .string(gateway.rejectedReason),
        ])
        return .object([
            "id": .string(gateway.id.description), "name": .string(gateway.name), "labels": .map(gateway.labels),
            "state": .string(state), "connected": .bool(state == "connected"), "address": .string(gateway.address),
            "version": .string(gateway.version), "controlPlane": .string(gateway.controlPlane),
            "revision": .number(gateway.revision),
            "rejected": gateway.rejectedRevision == 0 ? .null : rejected,
            "joinedAt": .moment(gateway.joinedAt), "lastSeen": .moment(gateway.lastSeenAt),
            "revokedAt": .moment(gateway.revokedAt),
            "certificateExpiresAt": .moment(gateway.certificateExpiresAt), "report": gateway.report,
        ])
    }

    static func value(_ rollout: RolloutStatus) -> ConfigValue {
        .object([
            "id": .string(rollout.id.description), "revision": .number(rollout.revision),
            "base": .number(rollout.base), "labels": .map(rollout.labels), "state": .string(rollout.state),
            "reason": .string(rollout.reason), "startedAt": .moment(rollout.startedAt),
            "endedAt": .moment(rollout.endedAt), "actor": .string(rollout.actor),
        ])
    }
}
